#include "worker/torch/fake_quantize.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

// Loops that compilers turn into vector instructions, once for each kind of processor.
#if defined(__x86_64__)
#define MICO_VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MICO_VECTORIZED
#endif

namespace mico {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kStretch = kRectifiedHighest - kRectifiedLowest;
// Elements that are worked on together: short enough for the first-level cache.
constexpr int64_t kStretchOfElements = 1024;

// Uniform in 32 bits, different for every element.
inline uint32_t ChanceOf(uint32_t element, uint32_t seed) {
  uint32_t x = (element ^ seed) * 0x9E3779B1u;
  x = (x ^ (x >> 15)) * 0x85EBCA6Bu;
  return x ^ (x >> 13);
}

uint32_t ThresholdOf(double share) {
  return static_cast<uint32_t>(std::clamp(share, 0.0, 1.0) * 4294967295.0);
}

inline float RoundToInteger(float x) {
  constexpr float kShifter = 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits for a fraction
  return (x + kShifter) - kShifter;
}

struct Grid {
  float scale, inverse, lowest, highest, least, most;
  uint32_t threshold, seed;
};

Grid GridOf(const ActivationGrid& grid, double log_scale) {
  const double scale = std::exp(log_scale);
  return {static_cast<float>(scale),       static_cast<float>(1.0 / scale),
          static_cast<float>(grid.lowest), static_cast<float>(grid.highest),
          static_cast<float>(grid.least),  static_cast<float>(grid.most),
          ThresholdOf(grid.dropped),       static_cast<uint32_t>(grid.seed ^ (grid.seed >> 32))};
}

MICO_VECTORIZED void Quantize(const float* x, float* y, int64_t first, int64_t count,
                              const Grid& grid) {
  for (int64_t i = first; i < first + count; ++i) {
    const float value = std::min(std::max(x[i], grid.least), grid.most);
    const float steps = std::min(std::max(value * grid.inverse, grid.lowest), grid.highest);
    y[i] = RoundToInteger(steps) * grid.scale;
  }
}

MICO_VECTORIZED void QuantizeSome(const float* x, float* y, int64_t first, int64_t count,
                                  const Grid& grid) {
  for (int64_t i = first; i < first + count; ++i) {
    const float value = std::min(std::max(x[i], grid.least), grid.most);
    const float steps = std::min(std::max(value * grid.inverse, grid.lowest), grid.highest);
    const float rounded = RoundToInteger(steps) * grid.scale;
    y[i] = ChanceOf(static_cast<uint32_t>(i), grid.seed) < grid.threshold ? value : rounded;
  }
}

// Of one element: writes the gradient of x; returns that of the scale.
inline float BackwardOne(float x, float gradient, int64_t i, const Grid& grid, float* x_gradient) {
  const float value = std::min(std::max(x, grid.least), grid.most);
  const float raw = value * grid.inverse;
  const float steps = std::min(std::max(raw, grid.lowest), grid.highest);
  const bool dropped = ChanceOf(static_cast<uint32_t>(i), grid.seed) < grid.threshold;
  const float open = value == x ? gradient : 0.0f;
  x_gradient[i] = steps == raw || dropped ? open : 0.0f;
  // Inside round(x / s) - x / s, outside the end of the grid.
  const float of_scale = RoundToInteger(steps) - (steps == raw ? raw : 0.0f);
  return dropped ? 0.0f : gradient * of_scale;
}

// Writes the gradient of x; returns the sum of those of the scale.
MICO_VECTORIZED float Backward(const float* x, const float* gradient, float* x_gradient,
                               int64_t first, int64_t count, const Grid& grid) {
  constexpr int kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = first;
  for (; i + kLanes <= first + count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += BackwardOne(x[i + lane], gradient[i + lane], i + lane, grid, x_gradient);
    }
  }
  for (; i < first + count; ++i) sums[0] += BackwardOne(x[i], gradient[i], i, grid, x_gradient);
  float sum = 0.0f;
  for (const float lane : sums) sum += lane;
  return sum;
}

MICO_VECTORIZED void Mix(const float* exact, const float* quantized, float* mixed, int64_t count,
                         uint32_t threshold, uint32_t seed) {
  for (int64_t i = 0; i < count; ++i) {
    mixed[i] = ChanceOf(static_cast<uint32_t>(i), seed) < threshold ? exact[i] : quantized[i];
  }
}

// Room for so many samples, channels-last.
at::Tensor RowsLike(const at::Tensor& all, const std::vector<int64_t>& rows) {
  return at::empty({static_cast<int64_t>(rows.size()), all.size(1), all.size(2), all.size(3)},
                   all.options(), at::MemoryFormat::ChannelsLast);
}

class FakeQuantizeFunction : public torch::autograd::Function<FakeQuantizeFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& log_scale, const ActivationGrid& grid) {
    context->save_for_backward({x, log_scale});
    context->saved_data["lowest"] = grid.lowest;
    context->saved_data["highest"] = grid.highest;
    context->saved_data["least"] = grid.least;
    context->saved_data["most"] = grid.most;
    context->saved_data["dropped"] = grid.dropped;
    context->saved_data["seed"] = static_cast<int64_t>(grid.seed);
    const Grid ready = GridOf(grid, log_scale.item<double>());
    at::Tensor y = at::empty_like(x);
    const float* from = x.data_ptr<float>();
    float* to = y.data_ptr<float>();
    for (int64_t first = 0; first < x.numel(); first += kStretchOfElements) {
      const int64_t count = std::min(kStretchOfElements, x.numel() - first);
      (ready.threshold == 0 ? Quantize : QuantizeSome)(from, to, first, count, ready);
    }
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const ActivationGrid grid{context->saved_data["lowest"].toDouble(),
                              context->saved_data["highest"].toDouble(),
                              context->saved_data["least"].toDouble(),
                              context->saved_data["most"].toDouble(),
                              context->saved_data["dropped"].toDouble(),
                              static_cast<uint64_t>(context->saved_data["seed"].toInt())};
    const Grid ready = GridOf(grid, saved[1].item<double>());
    const at::Tensor gradient = gradients[0].contiguous(x.suggest_memory_format());
    at::Tensor x_gradient = at::empty_like(x);
    double scale_gradient = 0.0;
    for (int64_t first = 0; first < x.numel(); first += kStretchOfElements) {
      const int64_t count = std::min(kStretchOfElements, x.numel() - first);
      scale_gradient += Backward(x.data_ptr<float>(), gradient.data_ptr<float>(),
                                 x_gradient.data_ptr<float>(), first, count, ready);
    }
    return {x_gradient, at::full_like(saved[1], scale_gradient * ready.scale), at::Tensor()};
  }
};

class RoundWeightsFunction : public torch::autograd::Function<RoundWeightsFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double highest,
                            bool one_bit) {
    // Half a step more than the grid; of signs, what is not far from changing.
    const double reach = one_bit ? 2.0 : highest + 0.5;
    context->save_for_backward({x.abs().le(reach)});
    if (one_bit) return x.ge(0.0).to(x.scalar_type()) * 2.0 - 1.0;
    return x.round().clamp(-highest, highest);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor inside = context->get_saved_variables()[0];
    return {gradients[0] * inside, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor RoundWeights(const at::Tensor& x, double highest, bool one_bit) {
  return RoundWeightsFunction::apply(x, highest, one_bit);
}

at::Tensor FakeQuantize(const at::Tensor& x, const at::Tensor& log_scale,
                        const ActivationGrid& grid) {
  return FakeQuantizeFunction::apply(x, log_scale, grid);
}

at::Tensor MixedRows(const at::Tensor& exact, const at::Tensor& quantized,
                     const std::vector<int64_t>& rows, double dropped, uint64_t seed) {
  at::Tensor mixed = RowsLike(exact, rows);
  const uint32_t threshold = ThresholdOf(dropped);
  const int64_t size = exact[0].numel();
  for (size_t i = 0; i < rows.size(); ++i) {
    Mix(exact.data_ptr<float>() + rows[i] * size, quantized.data_ptr<float>() + rows[i] * size,
        mixed.data_ptr<float>() + static_cast<int64_t>(i) * size, size, threshold,
        static_cast<uint32_t>(seed ^ (seed >> 32)) + static_cast<uint32_t>(i * 0x85EBCA6Bu));
  }
  return mixed;
}

at::Tensor Rows(const at::Tensor& all, const std::vector<int64_t>& rows) {
  at::Tensor chosen = RowsLike(all, rows);
  const int64_t size = all[0].numel();
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(all.data_ptr<float>() + rows[i] * size, size,
                chosen.data_ptr<float>() + static_cast<int64_t>(i) * size);
  }
  return chosen;
}

at::Tensor RectifiedSigmoid(const at::Tensor& variable) {
  return (at::sigmoid(variable) * kStretch + kRectifiedLowest).clamp(0.0, 1.0);
}

at::Tensor InverseRectifiedSigmoid(const at::Tensor& share) {
  return -at::log(kStretch / (share.clamp(0.0, 1.0) - kRectifiedLowest) - 1.0);
}

}  // namespace mico
