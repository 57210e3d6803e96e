#include "base/bytes.h"
#include "base/status_macros.h"
#include "quant/pack.h"
#include "quant/quantized_model.h"

namespace mico {
namespace {

constexpr std::string_view kMagic = "MICOQNT2";

// One field list per structure serves writing and reading, so that the two cannot differ
// (docs/formats/quantized-model.md).
class FieldWriter {
 public:
  void Field(int64_t& value) { bytes_.I64(value); }
  void Field(int32_t& value) { bytes_.I32(value); }
  void Field(bool& value) { bytes_.U8(value ? 1 : 0); }
  void Field(double& value) { bytes_.F64(value); }
  void Field(float& value) { bytes_.F32(value); }
  void Field(std::string& value) { bytes_.Text(value); }
  void Field(std::vector<int32_t>& values) { bytes_.I32s(values); }
  template <typename T>
  void Count(std::vector<T>& things, uint64_t) {
    bytes_.U64(things.size());
  }
  ByteWriter& bytes() { return bytes_; }

 private:
  ByteWriter bytes_;
};

class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes, "quantized model") {}
  void Field(int64_t& value) { value = bytes_.I64(); }
  void Field(int32_t& value) { value = bytes_.I32(); }
  void Field(bool& value) {
    const uint8_t byte = bytes_.U8();
    if (byte > 1) bytes_.Fail("a truth value is neither 0 nor 1");
    value = byte == 1;
  }
  void Field(double& value) { value = bytes_.F64(); }
  void Field(float& value) { value = bytes_.F32(); }
  void Field(std::string& value) { value = bytes_.Text(); }
  void Field(std::vector<int32_t>& values) { values = bytes_.I32s(); }
  template <typename T>
  void Count(std::vector<T>& things, uint64_t least_bytes_each) {
    things.resize(bytes_.Count(least_bytes_each));
  }
  ByteReader& bytes() { return bytes_; }

 private:
  ByteReader bytes_;
};

template <typename Fields>
void Visit(Fields& fields, Shape& shape) {
  fields.Field(shape.channels);
  fields.Field(shape.height);
  fields.Field(shape.width);
}

template <typename Fields>
void Visit(Fields& fields, Padding& padding) {
  fields.Field(padding.top);
  fields.Field(padding.left);
  fields.Field(padding.bottom);
  fields.Field(padding.right);
}

template <typename Fields>
void Visit(Fields&, std::monostate&) {}

template <typename Fields>
void Visit(Fields& fields, ConvAttributes& conv) {
  fields.Field(conv.kernel_height);
  fields.Field(conv.kernel_width);
  fields.Field(conv.stride_height);
  fields.Field(conv.stride_width);
  fields.Field(conv.dilation_height);
  fields.Field(conv.dilation_width);
  Visit(fields, conv.padding);
  fields.Field(conv.groups);
  fields.Field(conv.out_channels);
}

template <typename Fields>
void Visit(Fields& fields, PoolAttributes& pool) {
  fields.Field(pool.kernel_height);
  fields.Field(pool.kernel_width);
  fields.Field(pool.stride_height);
  fields.Field(pool.stride_width);
  Visit(fields, pool.padding);
  fields.Field(pool.count_include_pad);
}

template <typename Fields>
void Visit(Fields& fields, SliceAttributes& slice) {
  fields.Field(slice.start_channel);
  fields.Field(slice.start_row);
  fields.Field(slice.start_column);
  fields.Field(slice.step_channel);
  fields.Field(slice.step_row);
  fields.Field(slice.step_column);
}

template <typename Fields>
void Visit(Fields& fields, PadAttributes& pad) {
  fields.Field(pad.channels_before);
  fields.Field(pad.channels_after);
  Visit(fields, pad.padding);
}

template <typename Fields>
void Visit(Fields& fields, FusedActivation& activation) {
  fields.Field(activation.relu);
  bool has_upper = activation.upper.has_value();
  fields.Field(has_upper);
  if (!has_upper) return;
  float upper = activation.upper.value_or(0.0f);
  fields.Field(upper);
  activation.upper = upper;
}

template <typename Fields>
void Visit(Fields& fields, QuantizedTensor& tensor) {
  fields.Field(tensor.name);
  Visit(fields, tensor.shape);
  fields.Field(tensor.type.bits);
  fields.Field(tensor.type.is_signed);
}

// The attributes that a step of this kind carries; those of an unknown kind are none.
void MakeAttributes(Step& step) {
  switch (step.kind) {
    case StepKind::kConv:
      step.attributes = ConvAttributes{};
      break;
    case StepKind::kMaxPool:
    case StepKind::kAveragePool:
      step.attributes = PoolAttributes{};
      break;
    case StepKind::kSlice:
      step.attributes = SliceAttributes{};
      break;
    case StepKind::kPad:
      step.attributes = PadAttributes{};
      break;
    case StepKind::kAdd:
    case StepKind::kRelu:
    case StepKind::kConcat:
    case StepKind::kRequantize:
      break;
  }
}

template <typename Fields>
void Visit(Fields& fields, Step& step) {
  int32_t kind = static_cast<int32_t>(step.kind);
  fields.Field(kind);
  step.kind = static_cast<StepKind>(kind);
  fields.Field(step.name);
  fields.Field(step.inputs);
  fields.Field(step.output);
  if constexpr (std::is_same_v<Fields, FieldReader>) MakeAttributes(step);
  std::visit([&](auto& attributes) { Visit(fields, attributes); }, step.attributes);
  Visit(fields, step.activation);
  fields.Field(step.layer);
  fields.Field(step.weight_bits);
}

template <typename Fields>
void Visit(Fields& fields, FixedPointScale& scale) {
  fields.Field(scale.multiplier);
  fields.Field(scale.shift);
}

// All of a step's numbers but its weights.
template <typename Fields>
void Visit(Fields& fields, StepNumbers& numbers) {
  fields.Field(numbers.bias);
  fields.Count(numbers.scales, 2 * sizeof(int32_t));
  for (FixedPointScale& scale : numbers.scales) Visit(fields, scale);
  fields.Field(numbers.divisors);
  fields.Field(numbers.multiplier_a);
  fields.Field(numbers.multiplier_b);
  fields.Field(numbers.shift);
  fields.Field(numbers.lowest);
  fields.Field(numbers.highest);
}

constexpr uint64_t kLeastTensorBytes = 8 + 3 * 8 + 4 + 1;
constexpr uint64_t kLeastStepBytes = 4 + 8 + 8 + 4 + 2 + 4 + 4;
constexpr uint64_t kLeastOutputBytes = 8 + 4;
constexpr uint64_t kLeastNumbersBytes = 3 * 8 + 5 * 4;

// Everything but the packed weights.
template <typename Fields>
void Visit(Fields& fields, QuantizedModel& model) {
  QuantizedGraph& graph = model.graph;
  fields.Field(graph.name);
  fields.Count(graph.tensors, kLeastTensorBytes);
  for (QuantizedTensor& tensor : graph.tensors) Visit(fields, tensor);
  fields.Count(graph.steps, kLeastStepBytes);
  for (Step& step : graph.steps) Visit(fields, step);
  fields.Field(graph.input);
  fields.Count(graph.outputs, kLeastOutputBytes);
  for (QuantizedOutput& output : graph.outputs) {
    fields.Field(output.name);
    fields.Field(output.tensor);
  }
  fields.Count(model.numbers, kLeastNumbersBytes);
  for (StepNumbers& numbers : model.numbers) Visit(fields, numbers);
  fields.Count(model.scales, sizeof(double));
  for (double& scale : model.scales) fields.Field(scale);
}

// Reads the weights of one layer. Each channel has a factor, so their number is known and small;
// the bytes then say how many weights a channel has at most, and Validate compares.
void ReadWeights(ByteReader& bytes, const Step& step, int64_t per_channel, StepNumbers& numbers) {
  const uint64_t size = bytes.Count(1);
  const std::string_view raw = bytes.Raw(size);
  const int64_t channels = static_cast<int64_t>(numbers.scales.size());
  const int64_t channel_bytes = (per_channel * ContainerBits(step.weight_bits) + 7) / 8;
  if (static_cast<uint64_t>(channels * channel_bytes) != size) {
    bytes.Fail("the size of the weights does not follow from the layer");
    return;
  }
  numbers.weights = UnpackWeights({reinterpret_cast<const uint8_t*>(raw.data()), raw.size()},
                                  channels, per_channel, step.weight_bits);
}

int64_t PerChannel(const QuantizedGraph& graph, const Step& step) {
  const ConvAttributes& conv = step.conv();
  return conv.kernel_height * conv.kernel_width *
         (graph.tensors[step.inputs[0]].shape.channels / conv.groups);
}

}  // namespace

std::string Serialize(const QuantizedModel& model) {
  FieldWriter fields;
  fields.bytes().Raw(kMagic);
  // The field lists serve readers too, so they want things they could change.
  QuantizedModel copy = model;
  Visit(fields, copy);
  for (size_t i = 0; i < model.graph.steps.size(); ++i) {
    const Step& step = model.graph.steps[i];
    if (step.kind != StepKind::kConv) continue;
    const std::vector<uint8_t> packed =
        PackWeights(model.numbers[i].weights, PerChannel(model.graph, step), step.weight_bits);
    fields.bytes().Text({reinterpret_cast<const char*>(packed.data()), packed.size()});
  }
  return fields.bytes().Take();
}

absl::StatusOr<QuantizedModel> ParseQuantizedModel(std::string_view bytes) {
  FieldReader fields(bytes);
  ByteReader& reader = fields.bytes();
  reader.Magic(kMagic);
  QuantizedModel model;
  Visit(fields, model);
  MICO_RETURN_IF_ERROR(reader.status());
  MICO_RETURN_IF_ERROR(Validate(model.graph));
  if (model.numbers.size() != model.graph.steps.size()) {
    reader.Fail("not every step has its numbers");
    return reader.status();
  }
  for (size_t i = 0; i < model.graph.steps.size(); ++i) {
    const Step& step = model.graph.steps[i];
    if (step.kind != StepKind::kConv) continue;
    ReadWeights(reader, step, PerChannel(model.graph, step), model.numbers[i]);
  }
  MICO_RETURN_IF_ERROR(reader.Finish());
  MICO_RETURN_IF_ERROR(Validate(model));
  if (Serialize(model) != bytes) {
    return absl::DataLossError("quantized model: not in canonical form");
  }
  return model;
}

Digest DigestOf(const QuantizedModel& model) { return Digest::Of(Serialize(model)); }

}  // namespace mico
