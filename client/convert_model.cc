#include "client/convert_model.h"

#include <array>
#include <fstream>
#include <string_view>
#include <thread>

#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "client/output.h"
#include "client/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr size_t kMostExtents = 3;

absl::StatusOr<std::vector<int64_t>> ShapeOfSamples(Connection& server, const Digest& data) {
  v1::DescribeDatasetRequest request;
  request.set_digest(data.hex());
  MICO_ASSIGN_OR_RETURN(
      const v1::DatasetDescription described,
      server.Call<v1::DatasetDescription>(&v1::ExplorationService::Stub::DescribeDataset, request));
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> shape,
                        ParseInputShape(described.sample_shape()));
  // Vectors are channels of one position.
  if (shape.size() == kMostExtents && shape[1] == 1 && shape[2] == 1) {
    return std::vector<int64_t>{shape[0]};
  }
  return shape;
}

// Says what has changed since the last answer.
class Progress {
 public:
  explicit Progress(const ConversionOptions& options) : name_(PrintableLine(options.name)) {}

  void Show(const v1::ConvertModelResponse& answer) {
    const bool runs = answer.state() == v1::CONVERSION_STATE_RUNNING;
    const std::string line =
        runs ? fmt::format("{}: '{}' reads it", name_, PrintableLine(answer.worker_name()))
             : fmt::format("{}: waiting until a worker has read it{}{}", name_,
                           answer.error().empty() ? "" : "; ", PrintableLine(answer.error()));
    if (line != last_) Note(line);
    last_ = line;
  }

 private:
  std::string name_, last_;
};

}  // namespace

absl::StatusOr<bool> IsTorchScript(const std::filesystem::path& file) {
  constexpr std::string_view kZip = "PK\x03\x04";
  std::string beginning;
  // An error of reading ends the upload too, which says it in full.
  MICO_RETURN_IF_ERROR(FileSource(file)([&](std::string_view piece) {
    beginning.append(piece.substr(0, kZip.size() - beginning.size()));
    return beginning.size() < kZip.size();
  }));
  return beginning == kZip;
}

absl::StatusOr<std::vector<int64_t>> ParseInputShape(const std::string& text) {
  std::vector<int64_t> shape;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, 'x'))) {
    const std::optional<int64_t> extent = ParseWholeNumber<int64_t>(part);
    if (!extent || *extent < 1 || shape.size() == kMostExtents) {
      return absl::InvalidArgumentError(
          fmt::format("input-shape: '{}'; needed: features (784), channels and length (2x128) or "
                      "channels, height and width (3x32x32)",
                      PrintableLine(text)));
    }
    shape.push_back(*extent);
  }
  return shape;
}

absl::StatusOr<Digest> ConvertModel(Connection& server, const ConversionOptions& options) {
  v1::ConvertModelRequest request;
  std::vector<int64_t> shape;
  if (options.input_shape) {
    MICO_ASSIGN_OR_RETURN(shape, ParseInputShape(*options.input_shape));
  } else {
    MICO_ASSIGN_OR_RETURN(shape, ShapeOfSamples(server, options.data));
  }
  request.set_digest(options.file.hex());
  request.set_name(options.name);
  for (const int64_t extent : shape) request.add_input_shape(extent);
  request.set_retry(true);
  Progress progress(options);
  while (true) {
    MICO_ASSIGN_OR_RETURN(const v1::ConvertModelResponse answer,
                          server.Call<v1::ConvertModelResponse>(
                              &v1::ExplorationService::Stub::ConvertModel, request));
    if (answer.state() == v1::CONVERSION_STATE_READY) {
      absl::StatusOr<Digest> model = Digest::FromHex(answer.model_digest());
      if (!model.ok()) return absl::DataLossError(model.status().message());
      return model;
    }
    if (answer.state() != v1::CONVERSION_STATE_WAITING &&
        answer.state() != v1::CONVERSION_STATE_RUNNING) {
      return absl::InvalidArgumentError(
          fmt::format("model '{}' for inputs of {}{}: {}", options.name, fmt::join(shape, "x"),
                      options.input_shape ? "" : " (as the samples of the data; see --input-shape)",
                      answer.error().empty() ? "the server gives no reason" : answer.error()));
    }
    progress.Show(answer);
    request.set_retry(false);
    std::this_thread::sleep_for(options.poll_interval);
  }
}

}  // namespace mico
