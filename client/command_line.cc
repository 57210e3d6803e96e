#include "client/command_line.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "base/environment_flags.h"
#include "client/output.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {
namespace {

using Run = std::function<ExitCode(Connection&)>;

// Everything that options are read into, and the verb that was asked for.
struct Command {
  GlobalOptions global;
  std::string output = "table";
  SubmitOptions submit;
  FetchOptions fetch;
  DoctorOptions doctor;
  std::string job;
  std::string dataset;
  bool watch = false;
  bool best = false;  // says what is so anyway without --trial
  Run run;
};

constexpr const char* kJobHelp = "Its id, or the beginning of it (at least 4 characters)";

constexpr const char* kDataHelp =
    ".npz file, folder of images, or the digest (or its beginning) of a data set on the server";

void AddGlobal(CLI::App& app, Command& command) {
  app.set_version_flag("--version", std::string("mico-cli ") + MICO_VERSION);
  app.set_config("--config", "", "Read options from this file; flags and MICO_... override it");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_option("--server", command.global.server, "HOST:PORT of mico-server, or MICO_SERVER")
      ->take_last()
      ->capture_default_str();
  app.add_option("--output", command.output, "table, json or csv, or MICO_OUTPUT")
      ->take_last()
      ->capture_default_str();
}

// CLI11 itself reads 010 as eight and takes -1 and overflow for some seed.
template <typename T>
CLI::Option* AddWholeNumber(CLI::App& verb, const char* name, std::optional<T>& field,
                            const char* help) {
  return verb
      .add_option_function<std::string>(
          name, [&field](const std::string& text) { field = ParseWholeNumber<T>(text); }, help)
      ->type_name("INT")
      ->check([](const std::string& text) {
        return ParseWholeNumber<T>(text) ? std::string()
                                         : fmt::format("'{}'; needed: a whole number", text);
      });
}

void AddTraining(CLI::App& verb, SubmitOptions& options) {
  verb.add_option(
      "--qat", options.qat,
      "Which schemes are trained before they are judged: none (default); all that are "
      "evaluated on all of val; or top:K, the K most promising once the search is over");
  verb.add_option("--qat-epochs", options.qat_epochs,
                  "Each is trained for at most so many epochs; 20 unless a limit is given")
      ->type_name("NUMBER");
  verb.add_option("--qat-minutes", options.qat_minutes,
                  "... and for at most so many minutes of a worker")
      ->type_name("NUMBER");
  verb.add_option("--qat-optimizer", options.qat_optimizer, "adamw (default) or sgd");
  verb.add_option("--qat-augment", options.qat_augment,
                  "What is done to images while training: auto (default), none, shift or "
                  "shift+flip");
}

void AddSubmit(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("submit", "Start a search");
  SubmitOptions& options = command.submit;
  verb->add_option("--model", options.model, "ONNX or TorchScript file of the trained network");
  verb->add_option("--input-shape", options.input_shape,
                   "What a TorchScript model reads, without the batch: 3x32x32, 2x128 or 784; "
                   "default: the shape of the data's samples");
  verb->add_option("--data", options.data,
                   ".npz with x_train y_train x_val y_val x_test y_test, or a folder of class "
                   "folders of PNG or JPEG images");
  verb->add_option("--target", options.target, "Name of a target; see `mico-cli targets`");
  verb->add_option("--max-latency", options.max_latency,
                   "Limit: 0.6x (of uniform 8 bit), 12ms, or counts of the target");
  verb->add_option("--max-ram", options.max_ram, "Limit: 0.6x or 64KiB");
  verb->add_option("--max-flash", options.max_flash, "Limit: 0.6x or 96KiB");
  verb->add_option("--metric", options.metric, "top1 (default), top5, mse or auc");
  verb->add_option("--min-accuracy", options.min_accuracy,
                   "Limit on val for top1, top5 and auc: 90%, 0.9 or 0.98x");
  verb->add_option("--max-error", options.max_error, "Limit on val for mse: 0.012 or 1.05x");
  verb->add_option("--strategy", options.strategy, "sensitivity (default), uniform or random");
  verb->add_option("--ptq", options.ptq,
                   "fast (default), or reconstruct: learns roundings of 4-bit and narrower weights "
                   "first, minutes for each pair of widths");
  AddTraining(*verb, options);
  AddWholeNumber(*verb, "--trials", options.trials,
                 "Evaluations to spend; one on a part of the val images counts in part");
  AddWholeNumber(*verb, "--seed", options.seed, "Of calibration and of random choices");
  AddWholeNumber(*verb, "--calibration-samples", options.calibration_samples,
                 "Train samples that calibration looks at");
  verb->add_option("--file", options.file, "YAML job file with the same fields; flags override it");
  CLI::Option* dry_run =
      verb->add_flag("--dry-run", options.dry_run, "Say what the job would do; make none");
  verb->add_flag("--watch", options.watch, "Follow the job until it ends")->excludes(dry_run);
  verb->callback([&command] {
    command.run = [&command](Connection& server) {
      return Submit(server, command.global, command.submit);
    };
  });
}

void AddStatus(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("status", "State, progress and front of a job");
  verb->add_option("JOB", command.job, kJobHelp)->required();
  verb->add_flag("--watch", command.watch, "Follow it until it ends");
  verb->callback([&command] {
    command.run = [&command](Connection& server) {
      return Status(server, command.global, command.job, command.watch);
    };
  });
}

void AddFetch(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("fetch", "The finished C of one point");
  FetchOptions& options = command.fetch;
  verb->add_option("JOB", options.job, kJobHelp)->required();
  CLI::Option* trial = AddWholeNumber(*verb, "--trial", options.trial, "Number of the trial");
  verb->add_flag("--best", command.best, "The best on val within the limits (default)")
      ->excludes(trial);
  verb->add_option("-o,--output-dir", options.folder, "New or empty folder")->required();
  verb->callback([&command] {
    command.run = [&command](Connection& server) {
      return Fetch(server, command.global, command.fetch);
    };
  });
}

using JobVerb = ExitCode (*)(Connection&, const GlobalOptions&, const std::string&);
void AddJobVerb(CLI::App& app, const char* name, const char* help, JobVerb function,
                Command& command) {
  CLI::App* verb = app.add_subcommand(name, help);
  verb->add_option("JOB", command.job, kJobHelp)->required();
  verb->callback([&command, function] {
    command.run = [&command, function](Connection& server) {
      return function(server, command.global, command.job);
    };
  });
}

using ListVerb = ExitCode (*)(Connection&, const GlobalOptions&);
void AddListVerb(CLI::App& app, const char* name, const char* help, ListVerb function,
                 Command& command) {
  app.add_subcommand(name, help)->callback([&command, function] {
    command.run = [&command, function](Connection& server) {
      return function(server, command.global);
    };
  });
}

void AddDatasets(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand(
      "datasets", "Data sets that were submitted; or describe one, with warnings");
  verb->require_subcommand(0, 1);
  CLI::App* describe =
      verb->add_subcommand("describe", "What the server understands of a data set; makes no job");
  describe->add_option("PATH|DIGEST", command.dataset, kDataHelp)->required();
  describe->callback([&command] {
    command.run = [&command](Connection& server) {
      return DescribeDataset(server, command.global, command.dataset);
    };
  });
  // Runs after that of its own verb.
  verb->callback([&command, describe] {
    if (describe->parsed()) return;
    command.run = [&command](Connection& server) { return ListDatasets(server, command.global); };
  });
}

void AddDoctor(CLI::App& app, Command& command) {
  CLI::App* verb =
      app.add_subcommand("doctor", "What works from here to the boards, and what mends the rest");
  verb->callback([&app, &command] {
    command.doctor.server_is_default = app.get_option("--server")->empty();
    const CLI::Option* config = app.get_config_ptr();
    if (!config->empty()) command.doctor.config_file = config->as<std::string>();
    command.run = [&command](Connection& server) {
      return Doctor(server, command.global, command.doctor);
    };
  });
}

void AddVerbs(CLI::App& app, Command& command) {
  AddSubmit(app, command);
  AddStatus(app, command);
  AddJobVerb(app, "front", "The Pareto front as a table", Front, command);
  AddFetch(app, command);
  AddJobVerb(app, "cancel", "End a job early; its front stays", Cancel, command);
  AddListVerb(app, "jobs", "All jobs, newest first", ListJobs, command);
  AddListVerb(app, "models", "Networks that were submitted", ListModels, command);
  AddDatasets(app, command);
  AddListVerb(app, "targets", "Devices that workers hold", ListTargets, command);
  AddDoctor(app, command);
  AddListVerb(app, "workers", "Who works, and on what", ListWorkers, command);
}

constexpr std::array<EnvironmentFlag, 2> kEnvironment{
    {{"--server", "MICO_SERVER"}, {"--output", "MICO_OUTPUT"}}};

// Checks what the last of several flags has left; CLI11's own checks look at each.
absl::Status Settle(Command& command) {
  if (!command.run) {
    return absl::InvalidArgumentError("needed: a verb, like submit or status; see --help");
  }
  static const std::map<std::string, OutputFormat> formats{
      {"table", OutputFormat::kTable}, {"json", OutputFormat::kJson}, {"csv", OutputFormat::kCsv}};
  const auto format = formats.find(command.output);
  if (format == formats.end()) {
    return absl::InvalidArgumentError(
        fmt::format("--output: '{}'; needed: table, json or csv", command.output));
  }
  command.global.output = format->second;
  if (command.global.server.find(':') == std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("--server: '{}'; needed: HOST:PORT", command.global.server));
  }
  if (command.fetch.trial.value_or(1) < 1) {
    return absl::InvalidArgumentError(
        fmt::format("--trial: {}; needed: at least 1", *command.fetch.trial));
  }
  return absl::OkStatus();
}

}  // namespace

ExitCode RunCommandLine(const std::vector<std::string>& arguments, bool terminal) {
  CLI::App app{"mico-cli: mixed-precision quantization as a service", "mico-cli"};
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.footer(
      "Exit codes: 0 done, 1 the job failed or found nothing that fits, 2 wrong usage or input,\n"
      "3 server unreachable, 4 not allowed, 130 interrupted.");
  Command command;
  command.global.terminal = terminal;
  AddGlobal(app, command);
  AddVerbs(app, command);
  try {
    std::vector<std::string> all = WithEnvironment(kEnvironment, arguments);
    std::reverse(all.begin(), all.end());  // the order that CLI11 wants
    app.parse(std::move(all));
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" too.
    if (error.get_exit_code() == 0) return app.exit(error), ExitCode::kDone;
    return Fail(absl::InvalidArgumentError(fmt::format("{}; see --help", error.what())));
  }
  const absl::Status settled = Settle(command);
  if (!settled.ok()) return Fail(settled);
  Connection server(command.global.server);
  return command.run(server);
}

}  // namespace mico
