#include "tests/integration/small_network.h"

#include <cstdint>
#include <vector>

#include "fmt/format.h"
#include "tests/support/npz_builder.h"
#include "tests/unit/model/onnx_file.h"

namespace mico {
namespace {

// `sample` is a shape of 16 elements.
void AddSplit(NpzBuilder& builder, const std::string& split, int64_t count, int classes,
              std::vector<int64_t> sample = {1, 4, 4}) {
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t pixel = 0; pixel < 16; ++pixel) {
      pixels.push_back(static_cast<uint8_t>((i * 31 + pixel * 7) % 256));
    }
    labels.push_back(i % classes);
  }
  sample.insert(sample.begin(), count);
  builder.Add<uint8_t>("x_" + split, "|u1", sample, pixels);
  builder.Add<int64_t>("y_" + split, "<i8", {count}, labels);
}

}  // namespace

std::string SmallNetwork() {
  return OnnxFile()
      .Input("image", {1, 1, 4, 4})
      .Ramp("w1", {4, 1, 3, 3})
      .Node("Conv", {"image", "w1"}, "first")
      .Ints("pads", {1, 1, 1, 1})
      .Node("Relu", {"first"}, "first_relu")
      .Ramp("w2", {4, 4, 3, 3})
      .Node("Conv", {"first_relu", "w2"}, "second")
      .Ints("pads", {1, 1, 1, 1})
      .Node("Relu", {"second"}, "second_relu")
      .Node("Flatten", {"second_relu"}, "flat")
      .Ramp("w3", {3, 64})
      .Ramp("b3", {3})
      .Node("Gemm", {"flat", "w3", "b3"}, "classes")
      .Int("transB", 1)
      .Bytes();
}

std::string SmallAutoencoder() {
  return OnnxFile()
      .Input("image", {1, 1, 4, 4})
      .Node("Flatten", {"image"}, "flat")
      .Ramp("w1", {5, 16})
      .Ramp("b1", {5})
      .Node("Gemm", {"flat", "w1", "b1"}, "code")
      .Int("transB", 1)
      .Node("Relu", {"code"}, "code_relu")
      .Ramp("w2", {16, 5})
      .Ramp("b2", {16})
      .Node("Gemm", {"code_relu", "w2", "b2"}, "back")
      .Int("transB", 1)
      .Bytes();
}

std::string SmallData(int classes) {
  NpzBuilder builder;
  AddSplit(builder, "train", 8, classes);
  AddSplit(builder, "val", 40, classes);
  AddSplit(builder, "test", 30, classes);
  return builder.Build();
}

std::string SmallSignals() {
  NpzBuilder builder;
  AddSplit(builder, "train", 8, 3, {4, 4});
  AddSplit(builder, "val", 40, 3, {4, 4});
  AddSplit(builder, "test", 30, 3, {4, 4});
  return builder.Add<double>("std", "<f8", {4}, {1, 2, 4, 8}).Build();
}

std::string LongNetwork(int convolutions) {
  OnnxFile file;
  file.Input("image", {1, 1, 4, 4}).Ramp("w0", {4, 1, 3, 3}).Ramp("w", {4, 4, 3, 3});
  std::string last = "image";
  for (int layer = 0; layer < convolutions; ++layer) {
    const std::string name = fmt::format("conv{}", layer);
    file.Node("Conv", {last, layer == 0 ? "w0" : "w"}, name).Ints("pads", {1, 1, 1, 1});
    last = name + "_relu";
    file.Node("Relu", {name}, last);
  }
  return file.Node("Flatten", {last}, "flat")
      .Ramp("classifier", {3, 64})
      .Ramp("bias", {3})
      .Node("Gemm", {"flat", "classifier", "bias"}, "classes")
      .Int("transB", 1)
      .Bytes();
}

}  // namespace mico
