#include "worker/torch/reconstruct_blocks.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "worker/torch/adam.h"
#include "worker/torch/convolution.h"
#include "worker/torch/fake_quantize.h"
#include "worker/torch/thread_team.h"
#include "worker/torch/trainable_network.h"

namespace mico {
namespace {

using Tensors = std::vector<at::Tensor>;

// Samples that go through a block together when nothing is trained.
constexpr int64_t kPassBatch = 32;
// The course of one block's training, in shares of it: roundings are free at first, then driven to
// 0 or 1, and at last fixed, while scales and biases settle.
constexpr double kFreeShare = 0.2, kDecidedFrom = 0.3, kFixedFrom = 0.9;
// A variable whose rounding is 0 or 1 with the other sign, and stays so.
constexpr double kDecided = 20.0;
constexpr double kFirstPower = 20.0, kLastPower = 2.0;
// Weights that lie on the grid already can still be moved.
constexpr double kLeastShare = 0.02;

// One layer's variables. weights = exp(log_scale) * (base + step * rounding)
struct LayerState {
  at::Tensor base, rounding, log_scale, bias, bias_unit;
  double step = 1.0;
  at::Tensor fixed;  // the roundings at the end, 0 or 1
};

double HighestOf(int weight_bits) {
  return weight_bits == 1 ? 1.0 : static_cast<double>((1 << (weight_bits - 1)) - 1);
}

at::Tensor PerChannel(const std::vector<double>& values) {
  const std::vector<float> floats(values.begin(), values.end());
  return at::tensor(floats).view({static_cast<int64_t>(values.size()), 1, 1, 1});
}

LayerState StartOf(const TrainableLayer& layer, const LayerTensors& tensors, double input_reach) {
  LayerState state;
  const double highest = HighestOf(layer.weight_bits);
  const at::Tensor scale = PerChannel(layer.scales);
  const at::Tensor steps = tensors.weights / scale;
  state.step = layer.weight_bits == 1 ? 2.0 : 1.0;
  state.base = layer.weight_bits == 1 ? at::full_like(steps, -1.0)
                                      : steps.floor().clamp(-highest, highest - 1.0);
  const at::Tensor share =
      ((steps - state.base) / state.step).clamp(kLeastShare, 1.0 - kLeastShare);
  state.rounding = InverseRectifiedSigmoid(share);
  state.log_scale = scale.log();
  state.bias_unit = tensors.weights.square().sum({1, 2, 3}).sqrt() * input_reach + 1e-12;
  const at::Tensor rounded = at::tensor(layer.rounded_bias);
  state.bias = (rounded - tensors.bias) / state.bias_unit;
  return state;
}

// d/dV of strength * (1 - |2h - 1|^power), h being the rectified sigmoid of V.
at::Tensor RegularizerGradient(const at::Tensor& variable, double strength, double power) {
  const at::Tensor sigmoid = variable.sigmoid();
  const at::Tensor stretched = sigmoid * 1.2 - 0.1;
  const at::Tensor open = stretched.gt(0.0).logical_and(stretched.lt(1.0)).to(at::kFloat);
  const at::Tensor centred = stretched * 2.0 - 1.0;
  return centred.abs().clamp(0.0, 1.0).pow(power - 1.0) * centred.sign() * sigmoid *
         (1.0 - sigmoid) * open * (-strength * power * 2.0 * 1.2);
}

class Reconstruction {
 public:
  Reconstruction(const NetworkDescription& description, const ReconstructOptions& options)
      : description_(description),
        options_(options),
        network_(description),
        states_(description.layers.size()),
        is_settled_(description.scales.size(), false),
        team_(options.threads, UseOneLibtorchThread),
        random_(options.seed) {}

  TrainedNetwork Run(const std::vector<TrainedBlock>& blocks, const float* samples, int64_t count,
                     const std::function<bool(double)>& keep_going) {
    const TrainableTensor& input = description_.tensors[description_.input];
    exact_ = at::from_blob(const_cast<float*>(samples),
                           {count, input.height, input.width, input.channels}, at::kFloat)
                 .permute({0, 3, 1, 2})
                 .contiguous(at::MemoryFormat::ChannelsLast);
    quantized_ = network_.OnGrid(description_.input, exact_);
    TrainedNetwork trained;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const auto go_on = [&](double share) {
        return !keep_going ||
               keep_going((static_cast<double>(i) + share) / static_cast<double>(blocks.size()));
      };
      if (!RunBlock(blocks[i], trained, go_on)) return trained;
    }
    Collect(trained);
    return trained;
  }

 private:
  struct Variable {
    at::Tensor tensor;
    double rate;
  };

  // Trains one block and moves the samples behind it.
  bool RunBlock(const TrainedBlock& block, TrainedNetwork& trained,
                const std::function<bool(double)>& go_on) {
    FindVariables(block);
    const Tensors targets = Pass(block, exact_, /*quantized=*/false);
    const double before = ErrorOf(Pass(block, quantized_, true), targets);
    Tensors scales;
    for (const int scale : scales_) scales.push_back(network_.log_scale(scale).clone());
    if (!layers_.empty() && !Train(block, targets, go_on)) return false;
    Tensors outputs = Pass(block, quantized_, true);
    double after = ErrorOf(outputs, targets);
    if (!(after <= before)) {  // nothing was gained: too little data, or numbers beyond floats
      StartAgain(block, scales);
      outputs = Pass(block, quantized_, true);
      after = before;
    }
    trained.errors_before.push_back(before);
    trained.errors_after.push_back(after);
    exact_ = targets.front();
    quantized_ = outputs.front();
    return true;
  }

  void StartAgain(const TrainedBlock& block, const Tensors& scales) {
    for (size_t i = 0; i < scales_.size(); ++i) network_.log_scale(scales_[i]).copy_(scales[i]);
    const std::vector<int> settled = scales_;
    FindVariables(block);
    scales_ = settled;
    FixRoundings();
  }

  // The layers and learned scales that a block's steps use.
  void FindVariables(const TrainedBlock& block) {
    layers_.clear();
    scales_.clear();
    for (int i = block.first; i < block.last; ++i) {
      const TrainableStep& step = description_.steps[i];
      const int scale = description_.tensors[step.output].scale;
      // Where several blocks share a scale the first one decides: it would not be right any more
      // if others changed it.
      if (scale >= 0 && description_.scales[scale].is_learned && !is_settled_[scale]) {
        is_settled_[scale] = true;
        scales_.push_back(scale);
      }
      if (step.kind != TrainableKind::kConv) continue;
      const TrainableTensor& input = description_.tensors[step.inputs[0]];
      // A quarter of the largest input, or about what inputs are.
      const double reach = input.scale < 0 ? 1.0
                                           : std::max(input.highest, -input.lowest) / 4 *
                                                 description_.scales[input.scale].value;
      layers_.push_back(step.layer);
      states_[step.layer] =
          StartOf(description_.layers[step.layer], network_.layer(step.layer), reach);
    }
  }

  // What a block writes for all samples.
  Tensors Pass(const TrainedBlock& block, const at::Tensor& inputs, bool quantized) {
    const int64_t count = inputs.size(0);
    const int64_t batches = (count + kPassBatch - 1) / kPassBatch;
    std::vector<Tensors> parts(batches);
    team_.Run([&](int thread) {
      const at::NoGradGuard no_gradients;
      for (int64_t batch = thread; batch < batches; batch += team_.size()) {
        const int64_t first = batch * kPassBatch;
        Tensors tensors(description_.tensors.size());
        tensors[block.input] = inputs.narrow(0, first, std::min(kPassBatch, count - first));
        PassOptions options;
        options.quantized = quantized;
        network_.Run(
            block.first, block.last,
            [&](int layer) { return quantized ? HardLayer(layer) : network_.layer(layer); },
            [&](int scale) { return network_.log_scale(scale); }, options, tensors);
        for (const int output : block.outputs) parts[batch].push_back(tensors[output]);
      }
    });
    Tensors outputs;
    for (size_t i = 0; i < block.outputs.size(); ++i) {
      Tensors rows;
      for (const Tensors& part : parts) rows.push_back(part[i]);
      outputs.push_back(at::cat(rows, 0).contiguous(at::MemoryFormat::ChannelsLast));
    }
    return outputs;
  }

  static double ErrorOf(const Tensors& outputs, const Tensors& targets) {
    double error = 0.0, power = 0.0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      error += (outputs[i] - targets[i]).square().sum(at::kDouble).item<double>();
      power += targets[i].square().sum(at::kDouble).item<double>();
    }
    return power > 0.0 ? error / power : error;
  }

  // The layer as the integers will have it.
  LayerTensors HardLayer(int layer) const {
    const LayerState& state = states_[layer];
    const at::Tensor up = state.fixed.defined()
                              ? state.fixed
                              : RectifiedSigmoid(state.rounding).ge(0.5).to(at::kFloat);
    return {(state.base + up * state.step) * state.log_scale.exp(),
            network_.layer(layer).bias + state.bias * state.bias_unit};
  }

  bool Train(const TrainedBlock& block, const Tensors& targets,
             const std::function<bool(double)>& go_on) {
    const double iterations = options_.iterations;
    std::vector<Variable> variables;
    Adam adam;
    for (const int layer : layers_) {
      LayerState& state = states_[layer];
      state.bias.zero_();  // of the float weights, with which roundings begin
      variables.push_back({state.rounding, options_.rounding_travel / iterations});
      variables.push_back({state.log_scale, options_.scale_travel / iterations});
      variables.push_back({state.bias, options_.bias_travel / iterations});
    }
    for (const int scale : scales_) {
      variables.push_back({network_.log_scale(scale), options_.scale_travel / iterations});
    }
    for (const Variable& variable : variables) adam.Add(variable.tensor, variable.rate);
    std::vector<double> weights;  // of each output's error in the loss
    for (const at::Tensor& target : targets) {
      const double power = target.square().mean(at::kDouble).item<double>();
      weights.push_back(1.0 / std::max(power, 1e-12));
    }
    std::vector<int64_t> order(exact_.size(0));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    size_t next = order.size();
    const auto batch = std::min<int64_t>(options_.batch, exact_.size(0));
    for (int iteration = 0; iteration < options_.iterations; ++iteration) {
      const double share = static_cast<double>(iteration) / options_.iterations;
      if (next + batch > order.size()) {
        std::shuffle(order.begin(), order.end(), random_);
        next = 0;
      }
      const std::vector<int64_t> rows(order.begin() + next, order.begin() + next + batch);
      next += batch;
      Decide(share);
      if (share >= kFixedFrom) FixRoundings();
      Tensors gradients = GradientsOf(block, targets, weights, variables, rows);
      Regularize(share, gradients);
      adam.Step(gradients, RatesAt(share, variables));
      if (iteration % 16 == 0 && !go_on(share)) return false;
    }
    FixRoundings();
    return true;
  }

  // Of the roundings one after another is decided, those that are clearest first: the others make
  // up for what is lost.
  void Decide(double share) {
    if (share < kDecidedFrom || share >= kFixedFrom) return;
    const double quantile = 1.0 - (share - kDecidedFrom) / (kFixedFrom - kDecidedFrom);
    for (const int layer : layers_) {
      at::Tensor& rounding = states_[layer].rounding;
      const at::Tensor doubt = 0.5 - (RectifiedSigmoid(rounding) - 0.5).abs();
      const at::Tensor limit =
          std::get<0>(doubt.flatten().sort())
              .select(0, std::min<int64_t>(static_cast<int64_t>((1.0 - quantile) *
                                                                static_cast<double>(doubt.numel())),
                                           doubt.numel() - 1));
      const at::Tensor clear = doubt.lt(limit);
      rounding.copy_(at::where(clear, rounding.sign() * kDecided, rounding));
    }
  }

  // Roundings move at one pace until they are fixed; the rest settles.
  std::vector<double> RatesAt(double share, const std::vector<Variable>& variables) const {
    const double settling = 0.5 * (1.0 + std::cos(M_PI * share));
    std::vector<double> rates(variables.size(), settling);
    for (size_t i = 0; i < layers_.size(); ++i) rates[3 * i] = 1.0;
    return rates;
  }

  void FixRoundings() {
    for (const int layer : layers_) {
      LayerState& state = states_[layer];
      if (state.fixed.defined()) continue;
      state.fixed = RectifiedSigmoid(state.rounding).ge(0.5).to(at::kFloat);
    }
  }

  void Regularize(double share, Tensors& gradients) const {
    if (share < kFreeShare || share >= kFixedFrom) return;
    const double course = (share - kFreeShare) / (kFixedFrom - kFreeShare);
    const double power = kFirstPower + (kLastPower - kFirstPower) * course;
    for (size_t i = 0; i < layers_.size(); ++i) {
      gradients[3 * i] +=
          RegularizerGradient(states_[layers_[i]].rounding, options_.rounding_strength, power);
    }
  }

  // Of the loss over `rows`, parallel to `variables`. Threads take parts of the rows.
  Tensors GradientsOf(const TrainedBlock& block, const Tensors& targets,
                      const std::vector<double>& weights, const std::vector<Variable>& variables,
                      const std::vector<int64_t>& rows) {
    std::vector<Tensors> parts(team_.size());
    const uint64_t seed = random_();
    const auto count = static_cast<int64_t>(rows.size());
    team_.Run([&](int thread) {
      const int64_t begin = count * thread / team_.size();
      const int64_t end = count * (thread + 1) / team_.size();
      if (begin == end) return;
      Tensors leaves;
      for (const Variable& variable : variables) {
        leaves.push_back(variable.tensor.detach().clone().set_requires_grad(true));
      }
      Backpropagate(block, targets, weights, leaves, {rows.begin() + begin, rows.begin() + end},
                    static_cast<double>(end - begin) / static_cast<double>(count),
                    seed + static_cast<uint64_t>(thread) * 0x9E3779B97F4A7C15u);
      for (const at::Tensor& leaf : leaves) parts[thread].push_back(leaf.grad());
    });
    Tensors sum = parts[0];
    for (size_t thread = 1; thread < parts.size(); ++thread) {
      for (size_t i = 0; i < parts[thread].size(); ++i) {
        if (sum.empty()) sum.resize(parts[thread].size());
        if (!parts[thread][i].defined()) continue;
        sum[i] = sum[i].defined() ? sum[i] + parts[thread][i] : parts[thread][i];
      }
    }
    return sum;
  }

  void Backpropagate(const TrainedBlock& block, const Tensors& targets,
                     const std::vector<double>& weights, const Tensors& leaves,
                     const std::vector<int64_t>& rows, double share, uint64_t seed) {
    Tensors tensors(description_.tensors.size());
    tensors[block.input] = MixedRows(exact_, quantized_, rows, options_.dropped, seed + 1);
    const auto layer_of = [&](int layer) { return SoftLayer(layer, leaves); };
    const auto log_scale_of = [&](int scale) {
      const auto found = std::find(scales_.begin(), scales_.end(), scale);
      if (found == scales_.end()) return network_.log_scale(scale);
      return leaves[3 * layers_.size() + (found - scales_.begin())];
    };
    PassOptions options;
    options.dropped = options_.dropped;
    options.seed = seed;
    network_.Run(block.first, block.last, layer_of, log_scale_of, options, tensors);
    Tensors outputs, gradients;
    for (size_t i = 0; i < block.outputs.size(); ++i) {
      const at::Tensor& output = tensors[block.outputs[i]];
      const at::Tensor target = Rows(targets[i], rows);
      const double per_element = 2.0 * weights[i] * share / static_cast<double>(target.numel());
      outputs.push_back(output);
      gradients.push_back((output.detach() - target) * per_element);
    }
    torch::autograd::backward(outputs, gradients);
  }

  LayerTensors SoftLayer(int layer, const Tensors& leaves) const {
    const LayerState& state = states_[layer];
    const size_t first = 3 * (std::find(layers_.begin(), layers_.end(), layer) - layers_.begin());
    const at::Tensor up = state.fixed.defined() ? state.fixed : RectifiedSigmoid(leaves[first]);
    return {(state.base + up * state.step) * leaves[first + 1].exp(),
            network_.layer(layer).bias + leaves[first + 2] * state.bias_unit};
  }

  void Collect(TrainedNetwork& trained) const {
    for (size_t i = 0; i < states_.size(); ++i) {
      const LayerState& state = states_[i];
      const at::Tensor integers =
          (state.base + state.fixed * state.step).contiguous(at::MemoryFormat::Contiguous);
      const at::Tensor scales = state.log_scale.to(at::kDouble).exp().contiguous();
      const at::Tensor bias = HardLayer(static_cast<int>(i)).bias.to(at::kDouble).contiguous();
      TrainedLayer& layer = trained.layers.emplace_back();
      for (int64_t k = 0; k < integers.numel(); ++k) {
        layer.integers.push_back(static_cast<int8_t>(std::lround(integers.data_ptr<float>()[k])));
      }
      layer.scales.assign(scales.data_ptr<double>(), scales.data_ptr<double>() + scales.numel());
      layer.bias.assign(bias.data_ptr<double>(), bias.data_ptr<double>() + bias.numel());
    }
    for (size_t i = 0; i < description_.scales.size(); ++i) {
      trained.scales.push_back(std::exp(network_.log_scale(static_cast<int>(i)).item<double>()));
    }
    trained.finished = true;
  }

  const NetworkDescription& description_;
  const ReconstructOptions options_;
  const TrainableNetwork network_;
  std::vector<LayerState> states_;
  std::vector<bool> is_settled_;  // per scale: a block has learned it, or does
  ThreadTeam team_;
  std::mt19937_64 random_;
  at::Tensor exact_, quantized_;      // what the present block reads, of the float and this network
  std::vector<int> layers_, scales_;  // of the present block
};

}  // namespace

TrainedNetwork ReconstructBlocks(const NetworkDescription& description,
                                 const std::vector<TrainedBlock>& blocks, const float* samples,
                                 int64_t count, const ReconstructOptions& options,
                                 const std::function<bool(double)>& keep_going) {
  return Reconstruction(description, options).Run(blocks, samples, count, keep_going);
}

}  // namespace mico
