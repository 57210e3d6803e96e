#include "worker/torch/network_trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "worker/torch/convolution.h"
#include "worker/torch/fake_quantize.h"
#include "worker/torch/thread_team.h"
#include "worker/torch/trainable_network.h"

namespace mico {
namespace {

using Tensors = std::vector<at::Tensor>;

// Of channels without weights: something that can be divided by.
constexpr double kLeastUnit = 1e-12;
// Below this an output counts as all zero.
constexpr double kLeastPower = 1e-12;
constexpr double kMomentum = 0.9;  // SGD's
// AdamW's: decay would draw weights to 0, scales to the float network's, and there is little time.
constexpr double kWeightDecay = 0.0;
// Three variables for each layer, then the learned scales of tensors.
constexpr size_t kPerLayer = 3;

at::Tensor PerChannel(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).view({static_cast<int64_t>(values.size()), 1, 1, 1});
}

std::vector<float> ToFloats(const at::Tensor& tensor) {
  const at::Tensor floats = tensor.detach().to(at::kFloat).contiguous();
  return {floats.data_ptr<float>(), floats.data_ptr<float>() + floats.numel()};
}

std::vector<double> ToDoubles(const at::Tensor& tensor) {
  const at::Tensor doubles = tensor.detach().to(at::kDouble).contiguous();
  return {doubles.data_ptr<double>(), doubles.data_ptr<double>() + doubles.numel()};
}

// Values that ToFloats gave of something like `variable`.
at::Tensor LikeVariable(const std::vector<float>& values, const at::Tensor& variable) {
  return at::from_blob(const_cast<float*>(values.data()), variable.sizes(), at::kFloat)
      .clone(variable.suggest_memory_format());
}

// What an optimizer knows of a variable.
struct Moments {
  at::Tensor first, second;
};

// How a layer's variables stand for its weights and biases.
struct LayerUnits {
  at::Tensor scale;  // [out, 1, 1, 1], float: where its logarithm is 0
  at::Tensor bias;   // [out], float
};

// What all that is learned is when training starts.
Tensors StartVariables(const NetworkDescription& description, const TrainableNetwork& network,
                       const NetworkFloats& start, const std::vector<LayerUnits>& units,
                       const std::vector<int>& scales) {
  Tensors variables;
  for (size_t i = 0; i < description.layers.size(); ++i) {
    const LayerTensors& floats = network.layer(static_cast<int>(i));
    const LayerFloats& from = start.layers[i];
    const at::Tensor weights =
        at::from_blob(const_cast<float*>(from.weights.data()), floats.weights.sizes(), at::kFloat);
    const at::Tensor weight_scales = PerChannel(from.scales);
    variables.push_back(
        (weights / weight_scales).to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast));
    variables.push_back((weight_scales / units[i].scale).log().to(at::kFloat));
    variables.push_back((at::tensor(from.bias, at::kDouble) / units[i].bias).to(at::kFloat));
  }
  for (const int scale : scales) {
    variables.push_back(at::full({1}, std::log(start.scales[scale]), at::kFloat));
  }
  for (at::Tensor& variable : variables) variable.set_requires_grad(true);
  return variables;
}

std::vector<LayerUnits> UnitsOf(const NetworkDescription& description,
                                const TrainableNetwork& network) {
  std::vector<LayerUnits> units(description.layers.size());
  for (const TrainableStep& step : description.steps) {
    if (step.kind != TrainableKind::kConv) continue;
    const at::Tensor squares = network.layer(step.layer).weights.square();
    units[step.layer].scale = squares.mean({1, 2, 3}, true).sqrt().clamp_min(kLeastUnit);
    units[step.layer].bias =
        squares.sum({1, 2, 3}).sqrt() * description.ReachOf(step.inputs[0]) + kLeastUnit;
  }
  return units;
}

// Of the mean loss over the rows, with respect to logits [rows, classes].
struct LossGradient {
  double loss = 0.0;  // summed over the rows
  at::Tensor gradient;
};

// The divergence from softened answers, times the square of the temperature so that gradients keep
// their size.
LossGradient CompareClasses(const at::Tensor& student, const at::Tensor& teacher,
                            double temperature) {
  const at::Tensor expected = at::softmax(teacher / temperature, 1);
  const at::Tensor found = at::log_softmax(student / temperature, 1);
  const at::Tensor divergence = expected * (at::log(expected + 1e-30) - found);
  return {temperature * temperature * divergence.sum(at::kDouble).item<double>(),
          (found.exp() - expected) * temperature};
}

// The squared difference relative to the teacher's square.
LossGradient CompareValues(const at::Tensor& student, const at::Tensor& teacher) {
  const at::Tensor difference = student - teacher;
  const double power = std::max(teacher.square().mean(at::kDouble).item<double>(), kLeastPower);
  const auto each = static_cast<double>(student.numel()) / static_cast<double>(student.size(0));
  return {difference.square().sum(at::kDouble).item<double>() / (power * each),
          difference * (2.0 / (power * each))};
}

}  // namespace

struct NetworkTrainer::State {
  State(const NetworkDescription& network_description, const std::vector<int>& network_outputs,
        const NetworkFloats& start, const TrainerOptions& trainer_options)
      : description(network_description),
        outputs(network_outputs),
        options(trainer_options),
        network(network_description),
        team(trainer_options.threads, UseOneLibtorchThread) {
    for (size_t i = 0; i < description.scales.size(); ++i) {
      place_of_scale.push_back(-1);
      network.log_scale(static_cast<int>(i)).fill_(std::log(start.scales[i]));
      if (!description.scales[i].is_learned) continue;
      place_of_scale[i] = static_cast<int>(scales.size() + kPerLayer * description.layers.size());
      scales.push_back(static_cast<int>(i));
    }
    units = UnitsOf(description, network);
    variables = StartVariables(description, network, start, units, scales);
    optimizer = MakeOptimizer();
  }

  double RateOf(size_t variable) const {
    if (variable >= kPerLayer * description.layers.size()) return options.tensor_scale_rate;
    const double rates[] = {options.weight_rate, options.weight_scale_rate, options.bias_rate};
    return rates[variable % kPerLayer];
  }

  // Every variable has a rate of its own.
  std::unique_ptr<torch::optim::Optimizer> MakeOptimizer() const {
    std::vector<torch::optim::OptimizerParamGroup> groups;
    for (size_t i = 0; i < variables.size(); ++i) {
      std::unique_ptr<torch::optim::OptimizerOptions> rules;
      if (options.sgd) {
        rules = std::make_unique<torch::optim::SGDOptions>(
            torch::optim::SGDOptions(RateOf(i)).momentum(kMomentum));
      } else {
        rules = std::make_unique<torch::optim::AdamWOptions>(
            torch::optim::AdamWOptions(RateOf(i)).weight_decay(kWeightDecay));
      }
      groups.emplace_back(Tensors{variables[i]}, std::move(rules));
    }
    if (options.sgd)
      return std::make_unique<torch::optim::SGD>(std::move(groups), torch::optim::SGDOptions(0.1));
    return std::make_unique<torch::optim::AdamW>(std::move(groups));
  }

  static std::string KeyOf(const at::Tensor& variable) {
    return c10::guts::to_string(variable.unsafeGetTensorImpl());
  }

  Moments MomentsOf(const at::Tensor& variable) const {
    const auto& all = optimizer->state();
    const auto found = all.find(KeyOf(variable));
    if (found == all.end()) return {};
    if (options.sgd) {
      const auto& moments = static_cast<const torch::optim::SGDParamState&>(*found->second);
      return {moments.momentum_buffer(), {}};
    }
    const auto& moments = static_cast<const torch::optim::AdamWParamState&>(*found->second);
    return {moments.exp_avg(), moments.exp_avg_sq()};
  }

  void SetMoments(const at::Tensor& variable, const std::vector<float>& first,
                  const std::vector<float>& second) {
    if (first.empty()) return;  // a variable that nothing depends on
    if (options.sgd) {
      auto moments = std::make_unique<torch::optim::SGDParamState>();
      moments->momentum_buffer(LikeVariable(first, variable));
      optimizer->state()[KeyOf(variable)] = std::move(moments);
      return;
    }
    if (second.empty()) return;
    auto moments = std::make_unique<torch::optim::AdamWParamState>();
    moments->step(steps);
    moments->exp_avg(LikeVariable(first, variable));
    moments->exp_avg_sq(LikeVariable(second, variable));
    optimizer->state()[KeyOf(variable)] = std::move(moments);
  }

  // The network with `leaves` in place of the variables.
  LayerTensors LayerOf(int layer, const Tensors& leaves) const {
    const size_t first = kPerLayer * static_cast<size_t>(layer);
    const TrainableLayer& grid = description.layers[layer];
    const at::Tensor integers = RoundWeights(leaves[first], grid.highest(), grid.weight_bits == 1);
    const at::Tensor scale = leaves[first + 1].exp() * units[layer].scale;
    return {integers * scale, leaves[first + 2] * units[layer].bias};
  }

  // Of samples [begin, end) of `count`: adds the mean loss's share to the leaves' gradients.
  double Backpropagate(const float* samples, int64_t begin, int64_t end, int64_t count,
                       const Tensors& leaves) const {
    const TrainableTensor& input = description.tensors[description.input];
    const int64_t size = input.channels * input.height * input.width;
    const at::Tensor batch =
        at::from_blob(const_cast<float*>(samples + begin * size),
                      {end - begin, input.height, input.width, input.channels}, at::kFloat)
            .permute({0, 3, 1, 2});
    const auto steps = static_cast<int>(description.steps.size());
    Tensors teacher(description.tensors.size()), student(description.tensors.size());
    {
      const at::NoGradGuard no_gradients;
      teacher[description.input] = batch;
      PassOptions floats;
      floats.quantized = false;
      network.Run(
          0, steps, [&](int layer) { return network.layer(layer); },
          [&](int scale) { return network.log_scale(scale); }, floats, teacher);
    }
    student[description.input] = network.OnGrid(description.input, batch);
    network.Run(
        0, steps, [&](int layer) { return LayerOf(layer, leaves); },
        [&](int scale) {
          const int place = place_of_scale[scale];
          return place < 0 ? network.log_scale(scale) : leaves[place];
        },
        PassOptions{}, student);
    double loss = 0.0;
    Tensors roots, gradients;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const at::Tensor& root = student[outputs[i]];
      if (!root.requires_grad()) continue;  // a copy of the input
      const LossGradient one = Compare(root.detach(), teacher[outputs[i]], i == 0);
      loss += one.loss / static_cast<double>(count);
      roots.push_back(root);
      gradients.push_back(one.gradient / static_cast<double>(count));
    }
    if (!roots.empty()) torch::autograd::backward(roots, gradients);
    return loss;
  }

  LossGradient Compare(const at::Tensor& student, const at::Tensor& teacher, bool is_scored) const {
    if (!is_scored || !options.first_output_is_classes) return CompareValues(student, teacher);
    LossGradient loss = CompareClasses(student.flatten(1), teacher.flatten(1), options.temperature);
    loss.gradient = loss.gradient.view(student.sizes());
    return loss;
  }

  const NetworkDescription& description;
  const std::vector<int> outputs;
  const TrainerOptions options;
  const TrainableNetwork network;
  std::vector<int> scales;          // those that are learned
  std::vector<int> place_of_scale;  // among the variables; -1: it is not learned
  std::vector<LayerUnits> units;
  Tensors variables;
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  int64_t steps = 0;  // that were made
  ThreadTeam team;
};

NetworkTrainer::NetworkTrainer(const NetworkDescription& description,
                               const std::vector<int>& outputs, const NetworkFloats& start,
                               const TrainerOptions& options)
    : state_(std::make_unique<State>(description, outputs, start, options)) {}

NetworkTrainer::~NetworkTrainer() = default;

double NetworkTrainer::Step(const float* samples, int64_t count, double pace) {
  State& state = *state_;
  const int threads = state.team.size();
  std::vector<Tensors> parts(threads);
  std::vector<double> losses(threads, 0.0);
  state.team.Run([&](int thread) {
    const int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
    if (begin == end) return;
    for (const at::Tensor& variable : state.variables) {
      parts[thread].push_back(variable.detach().clone().set_requires_grad(true));
    }
    losses[thread] = state.Backpropagate(samples, begin, end, count, parts[thread]);
  });
  double loss = 0.0;
  for (const double part : losses) loss += part;
  for (size_t i = 0; i < state.variables.size(); ++i) {
    at::Tensor sum;
    for (const Tensors& part : parts) {
      if (part.empty() || !part[i].grad().defined()) continue;
      sum = sum.defined() ? sum + part[i].grad() : part[i].grad();
    }
    state.variables[i].mutable_grad() = sum;
    state.optimizer->param_groups()[i].options().set_lr(state.RateOf(i) * pace);
  }
  state.optimizer->step();
  ++state.steps;
  for (at::Tensor& variable : state.variables) variable.mutable_grad().reset();
  return loss;
}

NetworkFloats NetworkTrainer::Floats() const {
  const State& state = *state_;
  const at::NoGradGuard no_gradients;
  NetworkFloats floats;
  for (size_t i = 0; i < state.units.size(); ++i) {
    const LayerUnits& units = state.units[i];
    const at::Tensor* variables = state.variables.data() + kPerLayer * i;
    const at::Tensor scale = variables[1].to(at::kDouble).exp() * units.scale;
    floats.layers.push_back({ToFloats(variables[0] * scale), ToDoubles(scale),
                             ToDoubles(variables[2].to(at::kDouble) * units.bias)});
  }
  for (size_t i = 0; i < state.place_of_scale.size(); ++i) {
    const int place = state.place_of_scale[i];
    const at::Tensor log_scale =
        place < 0 ? state.network.log_scale(static_cast<int>(i)) : state.variables[place];
    floats.scales.push_back(std::exp(log_scale.item<double>()));
  }
  return floats;
}

TrainerMemory NetworkTrainer::Save() const {
  const State& state = *state_;
  TrainerMemory memory;
  memory.steps = state.steps;
  for (const at::Tensor& variable : state.variables) {
    memory.variables.push_back(ToFloats(variable));
    const Moments moments = state.MomentsOf(variable);
    memory.first_moments.push_back(moments.first.defined() ? ToFloats(moments.first)
                                                           : std::vector<float>());
    memory.second_moments.push_back(moments.second.defined() ? ToFloats(moments.second)
                                                             : std::vector<float>());
  }
  return memory;
}

bool NetworkTrainer::Restore(const TrainerMemory& memory) {
  State& state = *state_;
  const size_t count = state.variables.size();
  if (memory.variables.size() != count || memory.first_moments.size() != count ||
      memory.second_moments.size() != count) {
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto size = static_cast<size_t>(state.variables[i].numel());
    const auto fits = [&](const std::vector<float>& values) {
      return values.empty() || values.size() == size;
    };
    if (memory.variables[i].size() != size || !fits(memory.first_moments[i]) ||
        !fits(memory.second_moments[i])) {
      return false;
    }
  }
  const at::NoGradGuard no_gradients;
  state.steps = memory.steps;
  for (size_t i = 0; i < count; ++i) {
    state.variables[i].copy_(LikeVariable(memory.variables[i], state.variables[i]));
    state.SetMoments(state.variables[i], memory.first_moments[i], memory.second_moments[i]);
  }
  return true;
}

}  // namespace mico
