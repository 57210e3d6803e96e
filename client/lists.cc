#include "base/status_macros.h"
#include "client/output.h"
#include "client/render.h"
#include "client/table.h"
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

// Numbers as people read them, or exactly as the message has them for CSV.
struct Numbers {
  bool exact = false;
  std::string Count(int64_t n) const { return exact ? std::to_string(n) : FormatCount(n); }
  std::string Bytes(int64_t n) const { return exact ? std::to_string(n) : FormatBytes(n); }
  std::string DigestText(const std::string& hex) const { return exact ? hex : hex.substr(0, 12); }
};

// Prints a list as its JSON message, or as a table whose rows `add` makes of it.
template <typename Response, typename AddRows>
ExitCode PrintList(const absl::StatusOr<Response>& list, const GlobalOptions& global, Table table,
                   AddRows add) {
  if (!list.ok()) return Fail(list.status());
  if (global.output == OutputFormat::kJson) {
    Print(ToJson(*list));
    return ExitCode::kDone;
  }
  add(*list, table, Numbers{global.output == OutputFormat::kCsv});
  Print(table.Render(global.output));
  return ExitCode::kDone;
}

// Every page of a list as one message.
template <typename Request, typename Response, typename Method>
absl::StatusOr<Response> AllPages(Connection& server, Method method) {
  Request request;
  Response all;
  request.set_page_size(200);
  while (true) {
    MICO_ASSIGN_OR_RETURN(Response page, server.Call<Response>(method, request));
    const std::string next = page.next_page_token();
    all.MergeFrom(page);
    all.clear_next_page_token();
    if (next.empty()) return all;
    if (next == request.page_token()) {
      return absl::InternalError(fmt::format("the server answers page '{}' with itself", next));
    }
    request.set_page_token(next);
  }
}

using Stub = v1::ExplorationService::Stub;

}  // namespace

ExitCode ListJobs(Connection& server, const GlobalOptions& global) {
  return PrintList(
      AllPages<v1::ListJobsRequest, v1::ListJobsResponse>(server, &Stub::ListJobs), global,
      Table({"job", "state", "model", "data", "target", "strategy", "trials", "front", "created"}),
      [](const v1::ListJobsResponse& page, Table& table, Numbers numbers) {
        for (const v1::Job& job : page.jobs()) {
          table.Add({job.id(), JobStateName(job.state()), job.spec().model_name(),
                     job.spec().dataset_name(), job.spec().target(), job.spec().strategy(),
                     fmt::format("{:.0f}/{}", job.trials_spent(), job.spec().trials()),
                     std::to_string(job.front_size()), Time(job.created_ms())});
        }
      });
}

ExitCode ListModels(Connection& server, const GlobalOptions& global) {
  return PrintList(
      AllPages<v1::ListModelsRequest, v1::ListModelsResponse>(server, &Stub::ListModels), global,
      Table({"digest", "name", "layers", "MACs", "parameters", "input", "created"}),
      [](const v1::ListModelsResponse& page, Table& table, Numbers numbers) {
        for (const v1::ModelSummary& model : page.models()) {
          table.Add({numbers.DigestText(model.digest()), model.name(),
                     std::to_string(model.layers()), numbers.Count(model.macs()),
                     numbers.Count(model.parameters()), model.input_shape(),
                     Time(model.created_ms())});
        }
      });
}

ExitCode ListDatasets(Connection& server, const GlobalOptions& global) {
  return PrintList(
      AllPages<v1::ListDatasetsRequest, v1::ListDatasetsResponse>(server, &Stub::ListDatasets),
      global, Table({"digest", "name", "size", "created", "description"}),
      [](const v1::ListDatasetsResponse& page, Table& table, Numbers numbers) {
        for (const v1::DatasetSummary& dataset : page.datasets()) {
          table.Add({numbers.DigestText(dataset.digest()), dataset.name(),
                     numbers.Bytes(dataset.bytes()), Time(dataset.created_ms()),
                     dataset.description()});
        }
      });
}

ExitCode ListTargets(Connection& server, const GlobalOptions& global) {
  return PrintList(
      server.Call<v1::ListTargetsResponse>(&Stub::ListTargets, v1::ListTargetsRequest()), global,
      Table({"target", "isa", "clock", "flash", "RAM", "weight bits", "activation bits", "counts",
             "board", "profiled", "workers"}),
      [](const v1::ListTargetsResponse& response, Table& table, Numbers numbers) {
        for (const v1::TargetSummary& summary : response.targets()) {
          const v1::Target& target = summary.target();
          table.Add({target.name(), target.isa(),
                     numbers.exact ? std::to_string(target.clock_hz())
                                   : fmt::format("{} MHz", target.clock_hz() / 1'000'000),
                     numbers.Bytes(target.flash_bytes()), numbers.Bytes(target.ram_bytes()),
                     fmt::format("{}", fmt::join(target.weight_bits(), " ")),
                     fmt::format("{}", fmt::join(target.activation_bits(), " ")), target.counts(),
                     target.has_board() ? "yes" : "no",
                     std::to_string(summary.profiled_signatures()),
                     fmt::format("{}", fmt::join(summary.workers(), " "))});
        }
      });
}

ExitCode ListWorkers(Connection& server, const GlobalOptions& global) {
  return PrintList(
      server.Call<v1::ListWorkersResponse>(&Stub::ListWorkers, v1::ListWorkersRequest()), global,
      Table({"worker", "name", "version", "alive", "evaluates", "targets", "running", "last seen"}),
      [](const v1::ListWorkersResponse& response, Table& table, Numbers numbers) {
        for (const v1::WorkerSummary& worker : response.workers()) {
          table.Add({numbers.DigestText(worker.id()), worker.name(), worker.version(),
                     worker.alive() ? "yes" : "no", worker.evaluates() ? "yes" : "no",
                     fmt::format("{}", fmt::join(worker.targets(), " ")),
                     worker.running_task().empty() ? "-" : worker.running_task(),
                     Time(worker.last_seen_ms())});
        }
      });
}

}  // namespace mico
