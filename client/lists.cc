#include <chrono>

#include "client/render.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/chrono.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

std::string Time(int64_t milliseconds) {
  if (milliseconds == 0) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}Z", fmt::gmtime(milliseconds / 1000));
}

// Fetches every page of a list and prints it: as one JSON message, or as a table whose rows `add`
// makes of a page.
template <typename Request, typename Response, typename Method, typename AddRows>
ExitCode PrintPages(Connection& server, const GlobalOptions& global, Method method, Table table,
                    AddRows add) {
  Request request;
  Response all;
  request.set_page_size(200);
  while (true) {
    const absl::StatusOr<Response> page = server.Call<Response>(method, request);
    if (!page.ok()) return Fail(page.status());
    add(*page, table);
    all.MergeFrom(*page);
    if (page->next_page_token().empty()) break;
    request.set_page_token(page->next_page_token());
  }
  all.clear_next_page_token();
  fmt::print("{}", global.output == OutputFormat::kJson ? ToJson(all)
                                                        : table.Render(global.output));
  return ExitCode::kDone;
}

template <typename Request, typename Response, typename Method, typename AddRows>
ExitCode PrintWhole(Connection& server, const GlobalOptions& global, Method method, Table table,
                    AddRows add) {
  const absl::StatusOr<Response> response = server.Call<Response>(method, Request());
  if (!response.ok()) return Fail(response.status());
  add(*response, table);
  fmt::print("{}", global.output == OutputFormat::kJson ? ToJson(*response)
                                                        : table.Render(global.output));
  return ExitCode::kDone;
}

using Stub = v1::ExplorationService::Stub;

}  // namespace

ExitCode ListJobs(Connection& server, const GlobalOptions& global) {
  return PrintPages<v1::ListJobsRequest, v1::ListJobsResponse>(
      server, global, &Stub::ListJobs,
      Table({"job", "state", "model", "data", "target", "strategy", "trials", "front", "created"}),
      [](const v1::ListJobsResponse& page, Table& table) {
        for (const v1::Job& job : page.jobs()) {
          table.Add({job.id(), JobStateName(job.state()), Printable(job.spec().model_name()),
                     Printable(job.spec().dataset_name()), Printable(job.spec().target()),
                     Printable(job.spec().strategy()),
                     fmt::format("{:.0f}/{}", job.trials_spent(), job.spec().trials()),
                     std::to_string(job.front_size()), Time(job.created_ms())});
        }
      });
}

ExitCode ListModels(Connection& server, const GlobalOptions& global) {
  return PrintPages<v1::ListModelsRequest, v1::ListModelsResponse>(
      server, global, &Stub::ListModels,
      Table({"digest", "name", "layers", "MACs", "parameters", "input", "created"}),
      [](const v1::ListModelsResponse& page, Table& table) {
        for (const v1::ModelSummary& model : page.models()) {
          table.Add({model.digest().substr(0, 12), Printable(model.name()),
                     std::to_string(model.layers()), FormatCount(model.macs()),
                     FormatCount(model.parameters()), model.input_shape(),
                     Time(model.created_ms())});
        }
      });
}

ExitCode ListDatasets(Connection& server, const GlobalOptions& global) {
  return PrintPages<v1::ListDatasetsRequest, v1::ListDatasetsResponse>(
      server, global, &Stub::ListDatasets,
      Table({"digest", "name", "size", "created", "description"}),
      [](const v1::ListDatasetsResponse& page, Table& table) {
        for (const v1::DatasetSummary& dataset : page.datasets()) {
          std::string description = Printable(dataset.description());
          for (char& c : description) {
            if (c == '\n') c = ' ';
          }
          table.Add({dataset.digest().substr(0, 12), Printable(dataset.name()),
                     FormatBytes(dataset.bytes()), Time(dataset.created_ms()), description});
        }
      });
}

ExitCode ListTargets(Connection& server, const GlobalOptions& global) {
  return PrintWhole<v1::ListTargetsRequest, v1::ListTargetsResponse>(
      server, global, &Stub::ListTargets,
      Table({"target", "isa", "clock", "flash", "RAM", "weight bits", "activation bits", "counts",
             "board", "profiled", "workers"}),
      [](const v1::ListTargetsResponse& response, Table& table) {
        for (const v1::TargetSummary& summary : response.targets()) {
          const v1::Target& target = summary.target();
          table.Add({Printable(target.name()), Printable(target.isa()),
                     fmt::format("{} MHz", target.clock_hz() / 1'000'000),
                     FormatBytes(target.flash_bytes()), FormatBytes(target.ram_bytes()),
                     fmt::format("{}", fmt::join(target.weight_bits(), " ")),
                     fmt::format("{}", fmt::join(target.activation_bits(), " ")), target.counts(),
                     target.has_board() ? "yes" : "no",
                     std::to_string(summary.profiled_signatures()),
                     Printable(fmt::format("{}", fmt::join(summary.workers(), " ")))});
        }
      });
}

ExitCode ListWorkers(Connection& server, const GlobalOptions& global) {
  return PrintWhole<v1::ListWorkersRequest, v1::ListWorkersResponse>(
      server, global, &Stub::ListWorkers,
      Table({"worker", "name", "version", "alive", "evaluates", "targets", "running", "last seen"}),
      [](const v1::ListWorkersResponse& response, Table& table) {
        for (const v1::WorkerSummary& worker : response.workers()) {
          table.Add({worker.id().substr(0, 12), Printable(worker.name()),
                     Printable(worker.version()), worker.alive() ? "yes" : "no",
                     worker.evaluates() ? "yes" : "no",
                     Printable(fmt::format("{}", fmt::join(worker.targets(), " "))),
                     worker.running_task().empty() ? "-" : Printable(worker.running_task()),
                     Time(worker.last_seen_ms())});
        }
      });
}

}  // namespace mico
