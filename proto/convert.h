#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/status.h"
#include "proto/exploration.pb.h"
#include "proto/messages.h"
#include "proto/types.pb.h"
#include "proto/worker.pb.h"
#include "search/trial.h"

namespace mico {

// The only conversions between messages and domain types. FromProto believes nothing: widths are
// 1-8, digests 64 hexadecimal digits, lists and texts bounded, counts not negative; InvalidArgument
// names the field, what was found and what was needed.

v1::BitScheme ToProto(const BitScheme& scheme);
absl::StatusOr<BitScheme> FromProto(const v1::BitScheme& message);

v1::Cost ToProto(const Cost& cost);
absl::StatusOr<Cost> FromProto(const v1::Cost& message);

v1::Accuracy ToProto(const Score& score);
absl::StatusOr<Score> FromProto(const v1::Accuracy& message);

v1::Target ToProto(const Target& target);
absl::StatusOr<Target> FromProto(const v1::Target& message);

v1::Check ToProto(const Check& check);
absl::StatusOr<Check> FromProto(const v1::Check& message);

// At most 100; errors call them `field`.
absl::StatusOr<std::vector<Check>> ReadChecks(
    std::string_view field, const google::protobuf::RepeatedPtrField<v1::Check>& messages);

v1::TargetHealth ToProto(const TargetHealth& health);
absl::StatusOr<TargetHealth> FromProto(const v1::TargetHealth& message);

// What a network reads: 1 to 3 extents, together at most 2^28. Errors call it `field`.
absl::StatusOr<std::vector<int64_t>> ReadInputShape(
    std::string_view field, const google::protobuf::RepeatedField<int64_t>& extents);

v1::Split ToProto(Split split);
absl::StatusOr<Split> FromProto(v1::Split split);

v1::TaskOrder ToProto(const TaskOrder& order);
absl::StatusOr<TaskOrder> FromProto(const v1::TaskOrder& message);

v1::TaskResult ToProto(const TaskResult& result);
absl::StatusOr<TaskResult> FromProto(const v1::TaskResult& message);

v1::SynchronizeRequest ToProto(const WorkerReport& report);
absl::StatusOr<WorkerReport> FromProto(const v1::SynchronizeRequest& message);

v1::SynchronizeResponse ToProto(const WorkerOrder& order);
absl::StatusOr<WorkerOrder> FromProto(const v1::SynchronizeResponse& message);

v1::JobSpec ToProto(const JobSpec& spec);
// Empty strategy and metric, 0 trials and 0 calibration samples become the defaults of JobSpec. A
// limit that its metric does not know is refused.
absl::StatusOr<JobSpec> FromProto(const v1::JobSpec& message);

// All but `test` and `within_limits`, which a Trial does not know.
v1::Trial ToProto(const Trial& trial);

// Equal objects give equal bytes: what a task or a job is stored as.
std::string SerializeDeterministically(const google::protobuf::MessageLite& message);

// What a channel to the server has to accept as metadata (GRPC_ARG_MAX_METADATA_SIZE): the refusal
// of a network lists every node that is not supported. By itself gRPC takes 8 KiB, and gives
// RESOURCE_EXHAUSTED instead of a longer message.
constexpr int kMostMetadataBytes = 1 << 18;

// Codes are the same numbers on both sides. Longer messages are cut so that they fit metadata.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace mico
