#include "worker/torch/reconstruct_blocks.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/optim/adam.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <utility>

#include "worker/torch/convolution.h"
#include "worker/torch/fake_quantize.h"
#include "worker/torch/rounded_layer.h"
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
constexpr double kFirstPower = 20.0, kLastPower = 2.0;
// Iterations between looks at what is decided, and at whether the result is still wanted.
constexpr int kMostBetweenLooks = 16, kLooks = 100;
// Below this an output counts as all zero.
constexpr double kLeastPower = 1e-12;

// Samples in random order, so many at a time; what is left at the end is passed over.
class Batches {
 public:
  Batches(int64_t samples, int64_t batch, std::mt19937_64& random)
      : batch_(std::min(batch, samples)), random_(random) {
    for (int64_t i = 0; i < samples; ++i) order_.push_back(i);
    next_ = samples;
  }

  std::vector<int64_t> Next() {
    if (next_ + batch_ > static_cast<int64_t>(order_.size())) {
      std::shuffle(order_.begin(), order_.end(), random_);
      next_ = 0;
    }
    const auto first = order_.begin() + next_;
    next_ += batch_;
    return {first, first + batch_};
  }

 private:
  const int64_t batch_;
  std::mt19937_64& random_;
  std::vector<int64_t> order_;
  int64_t next_ = 0;
};

class Reconstruction {
 public:
  Reconstruction(const NetworkDescription& description, const ReconstructOptions& options)
      : description_(description),
        options_(options),
        network_(description),
        rounded_(description.layers.size()),
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
      layers_.push_back(step.layer);
      rounded_[step.layer] =
          RoundedLayer(description_.layers[step.layer], network_.layer(step.layer),
                       description_.ReachOf(step.inputs[0]));
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
            [&](int layer) { return quantized ? rounded_[layer].Hard() : network_.layer(layer); },
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

  // False: `go_on` said no.
  bool Train(const TrainedBlock& block, const Tensors& targets,
             const std::function<bool(double)>& go_on) {
    const std::vector<Variable> variables = StartVariables();
    torch::optim::Adam adam = MakeAdam(variables);
    const std::vector<double> weights = WeightsOf(targets);
    Batches batches(exact_.size(0), options_.batch, random_);
    const int between_looks = std::clamp(options_.iterations / kLooks, 1, kMostBetweenLooks);
    for (int iteration = 0; iteration < options_.iterations; ++iteration) {
      const double share = static_cast<double>(iteration) / options_.iterations;
      const bool looks_up = iteration % between_looks == 0;
      if (looks_up) Decide(share);
      if (share >= kFixedFrom) FixRoundings();
      Tensors gradients = GradientsOf(block, targets, weights, variables, batches.Next());
      Regularize(share, gradients);
      Move(variables, gradients, RatesAt(share, variables), adam);
      if (looks_up && !go_on(share)) return false;
    }
    FixRoundings();
    return true;
  }

  // Three for each layer, then the scales.
  std::vector<Variable> StartVariables() {
    const double iterations = options_.iterations;
    std::vector<Variable> variables;
    for (const int layer : layers_) {
      RoundedLayer& rounded = rounded_[layer];
      rounded.BeginSoft();
      variables.push_back({rounded.rounding(), options_.rounding_travel / iterations});
      variables.push_back({rounded.log_scale(), options_.scale_travel / iterations});
      variables.push_back({rounded.bias(), options_.bias_travel / iterations});
    }
    for (const int scale : scales_) {
      variables.push_back({network_.log_scale(scale), options_.scale_travel / iterations});
    }
    return variables;
  }

  // Every variable has a rate of its own.
  static torch::optim::Adam MakeAdam(const std::vector<Variable>& variables) {
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.reserve(variables.size());
    for (const Variable& variable : variables) {
      groups.emplace_back(Tensors{variable.tensor},
                          std::make_unique<torch::optim::AdamOptions>(variable.rate));
    }
    return torch::optim::Adam(std::move(groups));
  }

  // `gradients` and `rates` are parallel to the variables; an undefined gradient leaves its
  // variable alone.
  static void Move(const std::vector<Variable>& variables, const Tensors& gradients,
                   const std::vector<double>& rates, torch::optim::Adam& adam) {
    for (size_t i = 0; i < variables.size(); ++i) {
      variables[i].tensor.mutable_grad() = gradients[i];
      adam.param_groups()[i].options().set_lr(rates[i] * variables[i].rate);
    }
    adam.step();
    for (const Variable& variable : variables) variable.tensor.mutable_grad().reset();
  }

  // Of each output's squared error in the loss: relative errors count.
  static std::vector<double> WeightsOf(const Tensors& targets) {
    std::vector<double> weights;
    for (const at::Tensor& target : targets) {
      const double power = target.square().mean(at::kDouble).item<double>();
      weights.push_back(1.0 / std::max(power, kLeastPower));
    }
    return weights;
  }

  // Of the roundings one after another is decided, those that are clearest first: the others make
  // up for what is lost.
  void Decide(double share) {
    if (share < kDecidedFrom || share >= kFixedFrom) return;
    for (const int layer : layers_) {
      rounded_[layer].Decide((share - kDecidedFrom) / (kFixedFrom - kDecidedFrom));
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
    for (const int layer : layers_) rounded_[layer].Fix();
  }

  void Regularize(double share, Tensors& gradients) const {
    if (share < kFreeShare || share >= kFixedFrom) return;
    const double course = (share - kFreeShare) / (kFixedFrom - kFreeShare);
    const double power = kFirstPower + (kLastPower - kFirstPower) * course;
    for (size_t i = 0; i < layers_.size(); ++i) {
      at::Tensor& gradient = gradients[3 * i];
      if (!gradient.defined()) continue;  // nothing that is compared depends on the layer
      gradient += rounded_[layers_[i]].RegularizerGradient(options_.rounding_strength, power);
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
    const auto layer_of = [&](int layer) {
      const size_t first = 3 * (std::find(layers_.begin(), layers_.end(), layer) - layers_.begin());
      return rounded_[layer].Soft(leaves[first], leaves[first + 1], leaves[first + 2]);
    };
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
      if (!output.requires_grad()) continue;  // a copy of what the block reads
      const at::Tensor target = Rows(targets[i], rows);
      const double per_element = 2.0 * weights[i] * share / static_cast<double>(target.numel());
      outputs.push_back(output);
      gradients.push_back((output.detach() - target) * per_element);
    }
    if (!outputs.empty()) torch::autograd::backward(outputs, gradients);
  }

  void Collect(TrainedNetwork& trained) const {
    for (const RoundedLayer& layer : rounded_) {
      trained.layers.push_back({layer.Integers(), layer.Scales(), layer.Biases()});
    }
    for (size_t i = 0; i < description_.scales.size(); ++i) {
      trained.scales.push_back(std::exp(network_.log_scale(static_cast<int>(i)).item<double>()));
    }
    trained.finished = true;
  }

  const NetworkDescription& description_;
  const ReconstructOptions options_;
  const TrainableNetwork network_;
  std::vector<RoundedLayer> rounded_;
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
