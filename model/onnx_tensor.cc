#include "model/onnx_tensor.h"

#include <cstring>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "model/onnx_wire.pb.h"

namespace mico {
namespace {

using onnx_wire::TensorProto;

absl::Status SizeMismatch(std::string_view what, int64_t found, int64_t needed) {
  return absl::InvalidArgumentError(
      fmt::format("{}: {} values or bytes of data; its shape needs {}", what, found, needed));
}

// Copies little-endian `raw` into values of type Stored, and those into `target`.
template <typename Stored, typename Target>
absl::Status DecodeRaw(std::string_view what, const std::string& raw, int64_t count,
                       std::vector<Target>& target) {
  const int64_t needed = count * static_cast<int64_t>(sizeof(Stored));
  if (static_cast<int64_t>(raw.size()) != needed) return SizeMismatch(what, raw.size(), needed);
  target.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    Stored value;
    std::memcpy(&value, raw.data() + i * sizeof(Stored), sizeof(Stored));
    target.push_back(static_cast<Target>(value));
  }
  return absl::OkStatus();
}

template <typename Stored, typename Field, typename Target>
absl::Status Decode(std::string_view what, const TensorProto& proto, const Field& field,
                    int64_t count, std::vector<Target>& target) {
  if (proto.has_raw_data()) {
    return DecodeRaw<Stored, Target>(what, proto.raw_data(), count, target);
  }
  if (field.size() != count) return SizeMismatch(what, field.size(), count);
  for (const auto value : field) target.push_back(static_cast<Target>(value));
  return absl::OkStatus();
}

absl::Status DecodeValues(std::string_view what, const TensorProto& proto, int64_t count,
                          ConstantTensor& tensor) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      tensor.is_float = true;
      return Decode<float>(what, proto, proto.float_data(), count, tensor.floats);
    case TensorProto::DOUBLE:
      tensor.is_float = true;
      return Decode<double>(what, proto, proto.double_data(), count, tensor.floats);
    case TensorProto::INT32:
      return Decode<int32_t>(what, proto, proto.int32_data(), count, tensor.integers);
    case TensorProto::INT64:
      return Decode<int64_t>(what, proto, proto.int64_data(), count, tensor.integers);
    case TensorProto::BOOL:
      return Decode<uint8_t>(what, proto, proto.int32_data(), count, tensor.integers);
  }
  return absl::UnimplementedError(
      fmt::format("{}: element type {}; supported are float, double, int32, int64 and bool", what,
                  proto.data_type()));
}

}  // namespace

absl::Status CheckRank(size_t rank, std::string_view what) {
  if (rank <= kMostDims) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: {} dimensions; at most {}", what, rank, kMostDims));
}

absl::StatusOr<int64_t> CountElements(const std::vector<int64_t>& dims, std::string_view what) {
  MICO_RETURN_IF_ERROR(CheckRank(dims.size(), what));
  constexpr int64_t kLimit = int64_t{1} << 31;
  int64_t count = 1;
  bool empty = false;
  for (const int64_t extent : dims) {
    if (extent < 0 || extent >= kLimit) {
      return absl::InvalidArgumentError(fmt::format("{}: extent {} is out of range", what, extent));
    }
    empty |= extent == 0;
    if (extent > 0) count *= extent;
    if (count >= kLimit) {
      return absl::InvalidArgumentError(
          fmt::format("{}: shape {} has 2^31 elements or more", what, DimsToString(dims)));
    }
  }
  return empty ? 0 : count;
}

std::string DimsToString(const std::vector<int64_t>& dims) {
  if (dims.empty()) return "scalar";
  if (dims.size() > kMostDims) return fmt::format("{} dimensions", dims.size());
  return fmt::format("{}", fmt::join(dims, "x"));
}

absl::StatusOr<ConstantTensor> DecodeTensor(const TensorProto& proto) {
  const std::string what = fmt::format("tensor '{}'", PlainName(proto.name()));
  if (proto.external_data_size() > 0 || proto.data_location() != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: its data lie in another file; export the model as one file", what));
  }
  MICO_RETURN_IF_ERROR(CheckRank(proto.dims_size(), what));
  ConstantTensor tensor{.dims = {proto.dims().begin(), proto.dims().end()}};
  MICO_ASSIGN_OR_RETURN(const int64_t count, CountElements(tensor.dims, what));
  MICO_RETURN_IF_ERROR(DecodeValues(what, proto, count, tensor));
  return tensor;
}

std::string PlainName(std::string_view name) {
  constexpr size_t kLongest = 200;
  std::string plain(name.substr(0, kLongest));
  for (char& c : plain) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("_./:-").find(c) != std::string_view::npos;
    if (!kept) c = '_';
  }
  return plain;
}

}  // namespace mico
