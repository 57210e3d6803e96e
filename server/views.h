#pragma once

#include "proto/exploration.pb.h"
#include "server/coordinator.h"

namespace mico {

// What the server knows, as messages. The domain types in it are converted by proto/convert.h.
v1::Job ToProto(const JobSnapshot& job);
v1::ConvertModelResponse ToProto(const ConversionSnapshot& conversion);
v1::Preview ToProto(const Preview& preview);
v1::Trial ToProto(const TrialRecord& trial, const Limits& limits);
v1::GetArtifactResponse ToProto(const ArtifactSnapshot& artifact);
v1::ModelSummary ToProto(const ModelRecord& model);
v1::DatasetSummary ToProto(const DatasetRecord& dataset);
v1::DatasetDescription ToProto(const DatasetDescription& description);
v1::TargetSummary ToProto(const TargetSnapshot& target);
v1::WorkerSummary ToProto(const WorkerSnapshot& worker);

}  // namespace mico
