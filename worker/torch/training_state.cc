#include "worker/torch/training_state.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "quant/reconstruction_scales.h"
#include "quant/weight_grid.h"

namespace mico {
namespace {

constexpr std::string_view kMagic = "MICOTRN1";
constexpr uint64_t kLengthBytes = 8;
// As Quantize wants the scales of a calibration.
constexpr double kLeastScale = 1e-60, kMostScale = 1e60;
constexpr int kMetrics = 4;

void Write(const std::vector<double>& values, ByteWriter& writer) {
  writer.U64(values.size());
  for (const double value : values) writer.F64(value);
}

void Write(const TrainedScheme& trained, ByteWriter& writer) {
  writer.Text(trained.scheme.ToString());
  writer.U64(trained.layers.size());
  for (const LayerFloats& layer : trained.layers) {
    writer.F32s(layer.weights);
    Write(layer.scales, writer);
    Write(layer.bias, writer);
  }
  WriteScales(trained.scales, writer);
}

void Write(const Score& score, ByteWriter& writer) {
  writer.U8(static_cast<uint8_t>(score.metric));
  writer.I64(score.correct);
  writer.I64(score.total);
  writer.F64(score.value);
  writer.F64(score.low);
  writer.F64(score.high);
}

void Write(const TrainingProgress& progress, ByteWriter& writer) {
  writer.F64(progress.seconds);
  writer.F64(progress.gained_share);
  writer.F64(progress.validated_share);
  Write(progress.best, writer);
  Write(progress.best_score, writer);
  Write(progress.first_score, writer);
  Write(progress.trained_score, writer);
  const TrainerMemory& memory = progress.memory;
  writer.I64(memory.steps);
  writer.U64(memory.variables.size());
  for (size_t i = 0; i < memory.variables.size(); ++i) {
    writer.F32s(memory.variables[i]);
    writer.F32s(memory.first_moments[i]);
    writer.F32s(memory.second_moments[i]);
  }
}

double ReadFinite(ByteReader& reader) {
  const double value = reader.F64();
  if (!std::isfinite(value)) reader.Fail("a number is not finite");
  return value;
}

double ReadScale(ByteReader& reader) {
  const double scale = reader.F64();
  if (!(scale >= kLeastScale && scale <= kMostScale)) {
    reader.Fail("a scale is not from 1e-60 to 1e60");
  }
  return scale;
}

// Of a budget or of time: finite and not negative.
double ReadAmount(ByteReader& reader) {
  const double amount = ReadFinite(reader);
  if (amount < 0.0) reader.Fail("an amount is below 0");
  return amount;
}

std::vector<float> ReadFinites(ByteReader& reader) {
  std::vector<float> values = reader.F32s();
  if (!std::all_of(values.begin(), values.end(),
                   [](float value) { return std::isfinite(value); })) {
    reader.Fail("a number is not finite");
  }
  return values;
}

LayerFloats ReadLayer(ByteReader& reader) {
  LayerFloats layer;
  layer.weights = ReadFinites(reader);
  for (uint64_t i = reader.Count(sizeof(double)); i > 0 && reader.status().ok(); --i) {
    layer.scales.push_back(ReadScale(reader));
  }
  for (uint64_t i = reader.Count(sizeof(double)); i > 0 && reader.status().ok(); --i) {
    layer.bias.push_back(ReadFinite(reader));
  }
  if (layer.scales.empty() || layer.weights.size() % layer.scales.size() != 0 ||
      layer.scales.size() != layer.bias.size()) {
    reader.Fail("a layer's weights, scales and biases do not go together");
  }
  return layer;
}

TrainedScheme ReadTrained(ByteReader& reader) {
  TrainedScheme trained;
  absl::StatusOr<BitScheme> scheme = BitScheme::Parse(reader.Text());
  if (!scheme.ok()) {
    reader.Fail(std::string(scheme.status().message()));
    return trained;
  }
  trained.scheme = *std::move(scheme);
  for (uint64_t i = reader.Count(3 * kLengthBytes); i > 0 && reader.status().ok(); --i) {
    trained.layers.push_back(ReadLayer(reader));
  }
  trained.scales = ReadScales(reader);
  if (trained.layers.size() != trained.scheme.size()) {
    reader.Fail("another number of layers than the scheme has");
  }
  return trained;
}

Score ReadScore(ByteReader& reader) {
  Score score;
  const uint8_t metric = reader.U8();
  if (metric >= kMetrics) reader.Fail("no metric has this number");
  score.metric = static_cast<Metric>(metric);
  score.correct = reader.I64();
  score.total = reader.I64();
  if (score.correct < 0 || score.total < score.correct) reader.Fail("a count cannot be");
  score.value = ReadFinite(reader);
  score.low = ReadFinite(reader);
  score.high = ReadFinite(reader);
  return score;
}

TrainingProgress ReadProgress(ByteReader& reader) {
  TrainingProgress progress;
  progress.seconds = ReadAmount(reader);
  progress.gained_share = ReadAmount(reader);
  progress.validated_share = ReadAmount(reader);
  progress.best = ReadTrained(reader);
  progress.best_score = ReadScore(reader);
  progress.first_score = ReadScore(reader);
  progress.trained_score = ReadScore(reader);
  TrainerMemory& memory = progress.memory;
  memory.steps = reader.I64();
  if (memory.steps < 0) reader.Fail("a number of steps is below 0");
  for (uint64_t i = reader.Count(3 * kLengthBytes); i > 0 && reader.status().ok(); --i) {
    memory.variables.push_back(ReadFinites(reader));
    memory.first_moments.push_back(ReadFinites(reader));
    memory.second_moments.push_back(ReadFinites(reader));
  }
  return progress;
}

}  // namespace

Reconstruction IntegersOf(const TrainedScheme& trained) {
  Reconstruction reconstruction;
  for (size_t i = 0; i < trained.layers.size(); ++i) {
    const LayerFloats& layer = trained.layers[i];
    const int bits = trained.scheme[i].weight_bits;
    ReconstructedLayer& learned = reconstruction.layers.emplace_back();
    learned = {static_cast<int>(i), trained.scheme[i], {}, layer.scales, layer.bias};
    const size_t size = layer.weights.size() / layer.scales.size();
    learned.weights.reserve(layer.weights.size());
    for (size_t k = 0; k < layer.weights.size(); ++k) {
      learned.weights.push_back(QuantizeWeight(layer.weights[k], layer.scales[k / size], bits));
    }
  }
  reconstruction.scales = trained.scales;
  return reconstruction;
}

std::string Serialize(const TrainingState& state) {
  ByteWriter writer;
  writer.Raw(kMagic);
  Write(state.trained, writer);
  writer.U8(state.progress.has_value() ? 1 : 0);
  if (state.progress.has_value()) Write(*state.progress, writer);
  return writer.Take();
}

absl::StatusOr<TrainingState> ParseTrainingState(std::string_view bytes) {
  ByteReader reader(bytes, "training state");
  reader.Magic(kMagic);
  TrainingState state;
  state.trained = ReadTrained(reader);
  const uint8_t has_progress = reader.U8();
  if (has_progress > 1) reader.Fail("a truth value is not 0 or 1");
  if (has_progress == 1) state.progress = ReadProgress(reader);
  MICO_RETURN_IF_ERROR(reader.Finish());
  return state;
}

}  // namespace mico
