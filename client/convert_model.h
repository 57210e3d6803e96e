#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "client/connection.h"

namespace mico {

// Whether a file begins as TorchScript does.
absl::StatusOr<bool> IsTorchScript(const std::filesystem::path& file);

// "3x32x32" or "784": 1 to 3 extents.
absl::StatusOr<std::vector<int64_t>> ParseInputShape(const std::string& text);

struct ConversionOptions {
  std::string name;  // of the file
  Digest file, data;
  // As people write it; absent: of the samples of the data, features where they are vectors, else
  // channels, height and width.
  std::optional<std::string> input_shape;
  // Reading a file takes seconds.
  std::chrono::milliseconds poll_interval{250};
};

// Has the server make a network of an uploaded TorchScript file, waits until a worker has done it,
// and says on standard error what happens. The digest to submit; InvalidArgument with the worker's
// words if the file is at fault.
absl::StatusOr<Digest> ConvertModel(Connection& server, const ConversionOptions& options);

}  // namespace mico
