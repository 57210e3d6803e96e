#include "server/views.h"

#include "fmt/format.h"
#include "proto/convert.h"

namespace mico {
namespace {

int64_t Milliseconds(TimePoint time) { return time.time_since_epoch().count(); }

v1::JobState ToProto(JobState state) {
  switch (state) {
    case JobState::kPreparing:
      return v1::JOB_STATE_PREPARING;
    case JobState::kSearching:
      return v1::JOB_STATE_SEARCHING;
    case JobState::kFinishing:
      return v1::JOB_STATE_FINISHING;
    case JobState::kDone:
      return v1::JOB_STATE_DONE;
    case JobState::kFailed:
      return v1::JOB_STATE_FAILED;
    case JobState::kCancelled:
      return v1::JOB_STATE_CANCELLED;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

void Fill(const ValueRange& range, v1::ValueRange& message) {
  message.set_least(range.least);
  message.set_most(range.most);
  message.set_mean(range.mean);
  message.set_deviation(range.deviation);
}

v1::ArtifactState ToProto(ArtifactState state) {
  switch (state) {
    case ArtifactState::kPending:
      return v1::ARTIFACT_STATE_PENDING;
    case ArtifactState::kReady:
      return v1::ARTIFACT_STATE_READY;
    case ArtifactState::kFailed:
      return v1::ARTIFACT_STATE_FAILED;
  }
  return v1::ARTIFACT_STATE_UNSPECIFIED;
}

}  // namespace

v1::Trial ToProto(const TrialRecord& record, const Limits& limits) {
  v1::Trial message = ToProto(record.trial);
  message.set_within_limits(limits.Admits(record.trial));
  if (record.test.measured()) *message.mutable_test() = ToProto(record.test);
  return message;
}

v1::Job ToProto(const JobSnapshot& job) {
  const JobRecord& record = job.record;
  v1::Job message;
  message.set_id(record.id);
  *message.mutable_spec() = ToProto(job.spec);
  message.mutable_spec()->set_metric(std::string(ToString(job.spec.metric)));
  if (record.id.empty()) {  // a preview: no job has been made
    *message.mutable_target_info() = ToProto(job.target);
    return message;
  }
  message.set_state(ToProto(record.state));
  message.set_error(record.error);
  message.set_created_ms(Milliseconds(record.created));
  message.set_ended_ms(Milliseconds(record.ended));
  message.set_phase(job.phase);
  *message.mutable_target_info() = ToProto(job.target);
  if (record.float_val.measured()) *message.mutable_float_val() = ToProto(record.float_val);
  if (record.float_test.measured()) *message.mutable_float_test() = ToProto(record.float_test);
  message.set_trials_spent(job.trials_spent);
  message.set_trials_finished(job.trials_finished);
  message.set_tasks_running(static_cast<int64_t>(job.running.size()));
  message.set_tasks_waiting(job.tasks_waiting);
  message.set_seconds_left(job.seconds_left);
  message.set_trials_per_second(job.trials_per_second);
  for (const TrialRecord& trial : job.front) *message.add_front() = ToProto(trial, record.limits);
  for (const TrialRecord& trial : job.uniform) {
    *message.add_uniform() = ToProto(trial, record.limits);
  }
  message.set_hypervolume(record.hypervolume);
  v1::Cost& limits = *message.mutable_resolved_max();
  limits.set_latency_cycles(record.limits.max_latency_cycles.value_or(0));
  limits.set_peak_ram_bytes(record.limits.max_ram_bytes.value_or(0));
  limits.set_flash_bytes(record.limits.max_flash_bytes.value_or(0));
  message.set_resolved_min_accuracy(record.limits.min_accuracy.value_or(0.0));
  message.set_resolved_max_error(record.limits.max_error.value_or(0.0));
  if (job.rank_correlation) message.set_qat_rank_correlation(*job.rank_correlation);
  message.set_qat_pairs(job.rank_pairs);
  for (const std::string& warning : record.warnings) message.add_warnings(warning);
  message.set_stop_reason(record.stop_reason);
  for (const std::string& name : record.layer_names) message.add_layer_names(name);
  for (const RunningTask& running : job.running) {
    v1::RunningTask& added = *message.add_running();
    added.set_task_id(fmt::format("{}", running.task));
    added.set_kind(running.kind);
    added.set_worker_name(running.worker_name);
    added.set_progress(running.progress);
    added.set_attempt(running.attempt);
  }
  return message;
}

v1::ConvertModelResponse ToProto(const ConversionSnapshot& conversion) {
  v1::ConvertModelResponse message;
  switch (conversion.record.state) {
    case ConversionState::kPending:
      message.set_state(conversion.running ? v1::CONVERSION_STATE_RUNNING
                                           : v1::CONVERSION_STATE_WAITING);
      message.set_worker_name(conversion.worker_name);
      message.set_error(conversion.waits);
      break;
    case ConversionState::kReady:
      message.set_state(v1::CONVERSION_STATE_READY);
      message.set_model_digest(conversion.record.package.hex());
      break;
    case ConversionState::kFailed:
      message.set_state(v1::CONVERSION_STATE_FAILED);
      message.set_error(conversion.record.error);
      break;
  }
  return message;
}

v1::Preview ToProto(const Preview& preview) {
  v1::Preview message;
  for (const LayerSummary& layer : preview.layers) {
    v1::LayerSummary& added = *message.add_layers();
    added.set_name(layer.name);
    added.set_type(layer.type);
    added.set_input_shape(layer.input_shape);
    added.set_output_shape(layer.output_shape);
    added.set_macs(layer.macs);
    added.set_parameters(layer.parameters);
    for (int bits : layer.weight_bits) added.add_weight_bits(static_cast<uint32_t>(bits));
    for (int bits : layer.input_bits) added.add_input_bits(static_cast<uint32_t>(bits));
  }
  message.set_log10_space(preview.log10_space);
  *message.mutable_uniform8() = ToProto(preview.uniform8);
  *message.mutable_floor_cost() = ToProto(preview.floor);
  message.set_latency_known(preview.latency_known);
  message.set_signatures_to_profile(preview.signatures_to_profile);
  message.set_metric(std::string(ToString(preview.metric)));
  for (const std::string& warning : preview.warnings) message.add_warnings(warning);
  return message;
}

v1::GetArtifactResponse ToProto(const ArtifactSnapshot& snapshot) {
  const ArtifactRecord& artifact = snapshot.artifact;
  v1::GetArtifactResponse message;
  message.set_state(ToProto(artifact.state));
  message.set_error(artifact.error);
  message.set_artifact_digest(artifact.digest.hex());
  *message.mutable_trial() = ToProto(snapshot.trial, snapshot.limits);
  message.set_self_test_host(artifact.self_test_host);
  message.set_self_test_board(artifact.self_test_board);
  message.set_measured_count(artifact.measured_count);
  message.set_measured_flash_bytes(artifact.measured_flash_bytes);
  message.set_measured_ram_bytes(artifact.measured_ram_bytes);
  return message;
}

v1::ModelSummary ToProto(const ModelRecord& model) {
  v1::ModelSummary message;
  message.set_digest(model.digest.hex());
  message.set_name(model.name);
  message.set_layers(model.layers);
  message.set_macs(model.macs);
  message.set_parameters(model.parameters);
  message.set_input_shape(model.input_shape);
  message.set_created_ms(Milliseconds(model.created));
  return message;
}

v1::DatasetSummary ToProto(const DatasetRecord& dataset) {
  v1::DatasetSummary message;
  message.set_digest(dataset.digest.hex());
  message.set_name(dataset.name);
  message.set_description(dataset.description);
  message.set_bytes(dataset.bytes);
  message.set_created_ms(Milliseconds(dataset.created));
  return message;
}

v1::DatasetDescription ToProto(const DatasetDescription& description) {
  const Dataset& dataset = description.dataset;
  const DatasetReport& report = description.report;
  v1::DatasetDescription message;
  message.set_digest(dataset.digest.hex());
  message.set_name(description.name);
  message.set_source(dataset.source == DatasetSource::kImages ? "images" : "arrays");
  message.set_bytes(description.bytes);
  message.set_sample_shape(ToString(dataset.sample_shape));
  message.set_type(dataset.is_uint8 ? "uint8" : "float32");
  for (size_t label = 0; label < report.classes.size(); ++label) {
    const ClassReport& one = report.classes[label];
    v1::DatasetClass& added = *message.add_classes();
    added.set_label(static_cast<int64_t>(label));
    added.set_name(one.name);
    added.set_train(one.train);
    added.set_val(one.val);
    added.set_test(one.test);
  }
  for (const SplitReport& split : report.splits) {
    v1::DatasetSplit& added = *message.add_splits();
    added.set_split(ToProto(split.split));
    added.set_samples(split.samples);
    added.set_classes(split.classes);
    added.set_origin(split.origin);
  }
  for (const ChannelReport& channel : report.channels) {
    v1::DatasetChannel& added = *message.add_channels();
    Fill(channel.stored, *added.mutable_stored());
    Fill(channel.prepared, *added.mutable_prepared());
  }
  message.set_scale(dataset.preparation.scale);
  for (const double mean : dataset.preparation.mean) message.add_mean(mean);
  for (const double std : dataset.preparation.std) message.add_std(std);
  message.set_prepared_non_negative(report.prepared_non_negative);
  message.set_target_elements(dataset.target_elements);
  for (const std::string& warning : report.warnings) message.add_warnings(warning);
  return message;
}

v1::TargetSummary ToProto(const TargetSnapshot& target) {
  v1::TargetSummary message;
  *message.mutable_target() = ToProto(target.target);
  message.set_profiled_signatures(target.profiled_signatures);
  for (const std::string& worker : target.workers) message.add_workers(worker);
  return message;
}

v1::WorkerSummary ToProto(const WorkerSnapshot& worker) {
  v1::WorkerSummary message;
  message.set_id(worker.record.id);
  message.set_name(worker.record.name);
  message.set_version(worker.record.version);
  message.set_evaluates(worker.record.evaluates);
  for (const std::string& target : worker.record.targets) message.add_targets(target);
  message.set_running_task(worker.running_task);
  message.set_last_seen_ms(Milliseconds(worker.record.last_seen));
  message.set_alive(worker.alive);
  return message;
}

}  // namespace mico
