// mico-cli: reads options, calls one verb.
#include <unistd.h>

#include <csignal>
#include <functional>
#include <map>
#include <string>

#include "CLI/CLI.hpp"
#include "client/verbs.h"

namespace mico {
namespace {

const std::map<std::string, OutputFormat> kFormats{
    {"table", OutputFormat::kTable}, {"json", OutputFormat::kJson}, {"csv", OutputFormat::kCsv}};

using Run = std::function<ExitCode(Connection&)>;

void AddSubmit(CLI::App& app, const GlobalOptions& global, SubmitOptions& options, Run& run) {
  CLI::App* verb = app.add_subcommand("submit", "Start a search");
  verb->add_option("--model", options.model, "ONNX file of the trained network");
  verb->add_option("--data", options.data, ".npz with x_train y_train x_val y_val x_test y_test");
  verb->add_option("--target", options.target, "Name of a target; see `mico-cli targets`");
  verb->add_option("--max-latency", options.max_latency, "Limit: 0.6x, 12ms or counts");
  verb->add_option("--max-ram", options.max_ram, "Limit: 0.6x or 64KiB");
  verb->add_option("--max-flash", options.max_flash, "Limit: 0.6x or 96KiB");
  verb->add_option("--min-accuracy", options.min_accuracy, "Limit on val: 90%, 0.9 or 0.98x");
  verb->add_option("--strategy", options.strategy, "sensitivity (default), uniform or random");
  verb->add_option("--trials", options.trials, "Evaluations on all val images; parts count in part");
  verb->add_option("--seed", options.seed, "Of calibration and of random choices");
  verb->add_option("--calibration-samples", options.calibration_samples, "Train samples to look at");
  verb->add_option("--file", options.file, "YAML job file with the same fields; flags override it");
  verb->add_flag("--dry-run", options.dry_run, "Say what the job would do; store nothing");
  verb->add_flag("--watch", options.watch, "Follow the job until it ends");
  verb->callback([&] {
    run = [&](Connection& server) { return Submit(server, global, options); };
  });
}

void AddStatus(CLI::App& app, const GlobalOptions& global, std::string& job, bool& watch,
               Run& run) {
  CLI::App* verb = app.add_subcommand("status", "State, progress and front of a job");
  verb->add_option("JOB", job, "Its id, or the beginning of it")->required();
  verb->add_flag("--watch", watch, "Follow it until it ends");
  verb->callback([&] {
    run = [&](Connection& server) { return Status(server, global, job, watch); };
  });
}

void AddFetch(CLI::App& app, const GlobalOptions& global, FetchOptions& options, Run& run) {
  CLI::App* verb = app.add_subcommand("fetch", "The finished C of one point");
  verb->add_option("JOB", options.job, "Its id, or the beginning of it")->required();
  CLI::Option* trial = verb->add_option("--trial", options.trial, "Number of the trial");
  verb->add_flag("--best", "The highest val accuracy within the limits (default)")->excludes(trial);
  verb->add_option("-o,--output-dir", options.folder, "New or empty folder")->required();
  verb->callback([&] {
    run = [&](Connection& server) { return Fetch(server, global, options); };
  });
}

using JobVerb = ExitCode (*)(Connection&, const GlobalOptions&, const std::string&);
void AddJobVerb(CLI::App& app, const char* name, const char* help, JobVerb function,
                const GlobalOptions& global, std::string& job, Run& run) {
  CLI::App* verb = app.add_subcommand(name, help);
  verb->add_option("JOB", job, "Its id, or the beginning of it")->required();
  verb->callback([&run, &global, &job, function] {
    run = [&global, &job, function](Connection& server) { return function(server, global, job); };
  });
}

using ListVerb = ExitCode (*)(Connection&, const GlobalOptions&);
void AddListVerb(CLI::App& app, const char* name, const char* help, ListVerb function,
                 const GlobalOptions& global, Run& run) {
  app.add_subcommand(name, help)->callback([&run, &global, function] {
    run = [&global, function](Connection& server) { return function(server, global); };
  });
}

// A watch has nothing to put in order: the job lives in the server.
void ExitInterrupted(int) { _exit(static_cast<int>(ExitCode::kInterrupted)); }

int Main(int argc, char** argv) {
  CLI::App app{"mico-cli: mixed-precision quantization as a service", "mico-cli"};
  app.set_version_flag("--version", MICO_VERSION);
  app.set_config("--config", "", "Read options from this file");
  app.require_subcommand(1);
  app.fallthrough();

  GlobalOptions global;
  global.terminal = isatty(STDOUT_FILENO) == 1;
  app.add_option("--server", global.server, "Address of mico-server")
      ->envname("MICO_SERVER")
      ->capture_default_str();
  app.add_option("--output", global.output, "table, json or csv")
      ->envname("MICO_OUTPUT")
      ->transform(CLI::CheckedTransformer(kFormats, CLI::ignore_case));

  Run run;
  SubmitOptions submit;
  FetchOptions fetch;
  std::string job;
  bool watch = false;
  AddSubmit(app, global, submit, run);
  AddStatus(app, global, job, watch, run);
  AddJobVerb(app, "front", "The Pareto front as a table", Front, global, job, run);
  AddFetch(app, global, fetch, run);
  AddJobVerb(app, "cancel", "End a job early", Cancel, global, job, run);
  AddListVerb(app, "jobs", "All jobs, newest first", ListJobs, global, run);
  AddListVerb(app, "models", "Networks that were submitted", ListModels, global, run);
  AddListVerb(app, "datasets", "Data sets that were submitted", ListDatasets, global, run);
  AddListVerb(app, "targets", "Devices that workers hold", ListTargets, global, run);
  AddListVerb(app, "workers", "Who works, and on what", ListWorkers, global, run);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kWrongInput);
  }
  std::signal(SIGINT, ExitInterrupted);
  Connection server(global.server);
  return static_cast<int>(run(server));
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) { return mico::Main(argc, argv); }
