#include <algorithm>
#include <optional>

#include "model/draft.h"

namespace mico {

void SpreadOver(LayerWeights& affine, size_t count) {
  for (std::vector<float>* numbers : {&affine.weights, &affine.bias}) {
    if (numbers->size() == count) continue;
    const size_t times = count / numbers->size();
    std::vector<float> spread;
    spread.reserve(count);
    for (const float number : *numbers) spread.insert(spread.end(), times, number);
    *numbers = std::move(spread);
  }
}

namespace {

// How far a walk goes from an affine node, and over how many channels a map is spread on the way:
// far more than networks need, little enough that a file from a stranger costs no time.
constexpr int kLongestWalk = 64;
constexpr int64_t kMostChannels = int64_t{1} << 16;

bool IsZero(const std::vector<float>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](float number) { return number == 0.0f; });
}

bool IsZero(const Padding& padding) { return padding == Padding{}; }

// A map of the channels of a value: factor and offset of each.
struct Affine {
  std::vector<float> factors, offsets;

  static Affine Identity(int64_t channels) {
    return {std::vector<float>(channels, 1.0f), std::vector<float>(channels, 0.0f)};
  }
  static Affine Of(const LayerWeights& weights) { return {weights.weights, weights.bias}; }
  int64_t channels() const { return static_cast<int64_t>(factors.size()); }
  bool IsFactor() const { return IsZero(offsets); }
  bool IsIncreasing() const {
    return std::all_of(factors.begin(), factors.end(), [](float factor) { return factor >= 0; });
  }

  // The map of `count` channels, the first being number `start`.
  Affine Part(int64_t start, int64_t count, int64_t step = 1) const {
    Affine part;
    for (int64_t i = 0; i < count; ++i) {
      part.factors.push_back(factors[start + i * step]);
      part.offsets.push_back(offsets[start + i * step]);
    }
    return part;
  }
  // Puts `part` where Part would take it.
  void Put(const Affine& part, int64_t start, int64_t step = 1) {
    for (int64_t i = 0; i < part.channels(); ++i) {
      factors[start + i * step] = part.factors[i];
      offsets[start + i * step] = part.offsets[i];
    }
  }
};

// Whether a pool of mapped elements is the map of the pool.
bool Commutes(const Node& pool, const Affine& affine) {
  if (pool.op == OpKind::kMaxPool) return affine.IsIncreasing();
  const bool adds_zeros = pool.pool().count_include_pad && !IsZero(pool.pool().padding);
  return !adds_zeros || affine.IsFactor();
}

// weights * x + bias, then the map of that.
void MapOutput(LayerWeights& layer, const Affine& affine) {
  const size_t channels = layer.bias.size();
  const size_t per_channel = layer.weights.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    const double factor = affine.factors[c];
    for (size_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
      layer.weights[i] = static_cast<float>(layer.weights[i] * factor);
    }
    layer.bias[c] = static_cast<float>(layer.bias[c] * factor + affine.offsets[c]);
  }
}

// The map of x, then weights * that + bias. The map has one entry for each input channel, or one
// for each weight of an output channel: where the kernel is the whole input, for each element.
void MapInput(LayerWeights& layer, const ConvAttributes& conv, const Affine& affine) {
  const size_t per_channel = layer.weights.size() / conv.out_channels;
  const int64_t taps = conv.kernel_height * conv.kernel_width;
  const int64_t in_per_group = static_cast<int64_t>(per_channel) / taps;
  const bool by_element = affine.channels() > in_per_group * conv.groups;
  for (int64_t out = 0; out < conv.out_channels; ++out) {
    const int64_t first = out / (conv.out_channels / conv.groups) * in_per_group;
    double bias = layer.bias[out];
    for (size_t i = 0; i < per_channel; ++i) {
      const int64_t in =
          by_element ? static_cast<int64_t>(i) : first + static_cast<int64_t>(i) / taps;
      float& weight = layer.weights[out * per_channel + i];
      bias += static_cast<double>(weight) * affine.offsets[in];
      weight = static_cast<float>(static_cast<double>(weight) * affine.factors[in]);
    }
    layer.bias[out] = static_cast<float>(bias);
  }
}

// One walk over the network: who reads and writes what, and which nodes are gone.
class Folder {
 public:
  explicit Folder(Draft& draft)
      : draft_(draft),
        nodes_(draft.nodes()),
        reader_count_(draft.CountReaders()),
        writers_(draft.FindWriters()),
        readers_(reader_count_.size(), -1),
        folded_(nodes_.size(), false) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      for (const int input : nodes_[i].node.inputs) readers_[input] = static_cast<int>(i);
    }
  }

  void Run() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].is_affine) FoldBack(i);
    }
    // Two that stand in a row are one by now.
    for (size_t i = nodes_.size(); i > 0; --i) {
      if (nodes_[i - 1].is_affine && !folded_[i - 1]) FoldForward(i - 1);
    }
    draft_.Erase(folded_);
  }

 private:
  // A convolution before an affine node, and what its output channels become.
  struct Target {
    int node;
    Affine affine;
  };

  void FoldBack(size_t index) {
    const DraftNode& node = nodes_[index];
    const int value = node.node.inputs[0];
    if (MergeByElement(index)) return;
    if (node.IsAffineByElement()) return;
    std::vector<Target> targets;
    steps_left_ = kLongestWalk;
    if (!FindBack(value, Affine::Of(node.weights), targets)) return;
    for (const Target& target : targets) MapOutput(nodes_[target.node].weights, target.affine);
    BypassBack(index);
  }

  // Whether all that `value` is made of are convolutions that can take the map; adds them. A value
  // that is read elsewhere too must stay what it is.
  bool FindBack(int value, const Affine& affine, std::vector<Target>& targets) {
    if (reader_count_[value] != 1 || writers_[value] < 0 || steps_left_-- <= 0) return false;
    const DraftNode& draft_node = nodes_[writers_[value]];
    const Node& node = draft_node.node;
    switch (node.op) {
      case OpKind::kConv:
        if (draft_node.IsAffineByElement()) return false;
        targets.push_back({writers_[value], affine});
        return true;
      case OpKind::kMaxPool:
      case OpKind::kAveragePool:
        return Commutes(node, affine) && FindBack(node.inputs[0], affine, targets);
      case OpKind::kAdd: {
        Affine second = affine;
        std::fill(second.offsets.begin(), second.offsets.end(), 0.0f);
        return FindBack(node.inputs[0], affine, targets) &&
               FindBack(node.inputs[1], second, targets);
      }
      case OpKind::kRelu:
        // A factor above 0 does not care on which side of a ReLU it stands.
        return affine.IsFactor() && affine.IsIncreasing() && !node.activation.upper.has_value() &&
               FindBack(node.inputs[0], affine, targets);
      case OpKind::kConcat:
        return FindBackOfConcat(node, affine, targets);
      case OpKind::kSlice: {
        const int64_t channels = draft_.shape(node.inputs[0]).channels;
        if (channels > kMostChannels) return false;
        Affine whole = Affine::Identity(channels);
        whole.Put(affine, node.slice().start_channel, node.slice().step_channel);
        return FindBack(node.inputs[0], whole, targets);
      }
      case OpKind::kPad: {
        // Zeros stay zeros only where nothing is added to them.
        const PadAttributes& pad = node.pad();
        const int64_t inner = draft_.shape(node.inputs[0]).channels;
        const bool keeps_zeros =
            IsZero(affine.Part(0, pad.channels_before).offsets) &&
            IsZero(affine.Part(pad.channels_before + inner, pad.channels_after).offsets) &&
            (IsZero(pad.padding) || affine.IsFactor());
        return keeps_zeros &&
               FindBack(node.inputs[0], affine.Part(pad.channels_before, inner), targets);
      }
    }
    return false;
  }

  bool FindBackOfConcat(const Node& node, const Affine& affine, std::vector<Target>& targets) {
    int64_t first = 0;
    for (const int input : node.inputs) {
      const int64_t channels = draft_.shape(input).channels;
      if (!FindBack(input, affine.Part(first, channels), targets)) return false;
      first += channels;
    }
    return true;
  }

  // Two affine nodes in a row of which one goes by element are one of that kind.
  bool MergeByElement(size_t index) {
    DraftNode& node = nodes_[index];
    const int value = node.node.inputs[0];
    if (reader_count_[value] != 1 || writers_[value] < 0) return false;
    DraftNode& before = nodes_[writers_[value]];
    if (!before.is_affine) return false;
    if (!node.IsAffineByElement() && !before.IsAffineByElement()) return false;
    const size_t elements = static_cast<size_t>(draft_.shape(value).elements());
    SpreadOver(node.weights, elements);
    SpreadOver(before.weights, elements);
    MapOutput(before.weights, Affine::Of(node.weights));
    BypassBack(index);
    return true;
  }

  // What wrote the node's input now writes its output.
  void BypassBack(size_t index) {
    const int value = nodes_[index].node.inputs[0];
    const int output = nodes_[index].node.output;
    nodes_[writers_[value]].node.output = output;
    writers_[output] = writers_[value];
    folded_[index] = true;
  }

  void FoldForward(size_t index) {
    const Affine affine = Affine::Of(nodes_[index].weights);
    const int target = FindForward(nodes_[index].node.output, affine);
    if (target < 0) return;
    const Node& node = nodes_[index].node;
    std::vector<int>& inputs = nodes_[readers_[node.output]].node.inputs;
    std::replace(inputs.begin(), inputs.end(), node.output, node.inputs[0]);
    readers_[node.inputs[0]] = readers_[node.output];
    folded_[index] = true;
  }

  // The convolution behind `value` that takes the map, after it has; -1 if there is none.
  int FindForward(int value, Affine affine) {
    for (int step = 0; step < kLongestWalk; ++step) {
      if (reader_count_[value] != 1 || readers_[value] < 0) return -1;
      DraftNode& draft_node = nodes_[readers_[value]];
      const Node& node = draft_node.node;
      if (node.op == OpKind::kConv) {
        const bool takes = TakesBefore(draft_node, draft_.shape(value), affine);
        if (takes) MapInput(draft_node.weights, node.conv(), affine);
        return takes ? readers_[value] : -1;
      }
      std::optional<Affine> behind = Pass(node, value, affine);
      if (!behind.has_value()) return -1;
      affine = *std::move(behind);
      value = node.output;
    }
    return -1;
  }

  static bool TakesBefore(const DraftNode& draft_node, const Shape& input, const Affine& affine) {
    const ConvAttributes& conv = draft_node.node.conv();
    if (draft_node.IsAffineByElement()) return false;
    if (!IsZero(conv.padding) && !affine.IsFactor()) return false;
    if (affine.channels() == input.channels) return true;
    return conv.groups == 1 && IsZero(conv.padding) && conv.kernel_height == input.height &&
           conv.kernel_width == input.width;
  }

  // The map of what `node` gives instead of the map of `value`, one of its inputs.
  std::optional<Affine> Pass(const Node& node, int value, const Affine& affine) const {
    const int64_t behind_channels = draft_.shape(node.output).channels;
    if (affine.channels() != draft_.shape(value).channels) return std::nullopt;
    if (behind_channels > kMostChannels || node.inputs.size() > kLongestWalk) return std::nullopt;
    switch (node.op) {
      case OpKind::kMaxPool:
      case OpKind::kAveragePool:
        return Commutes(node, affine) ? std::optional(affine) : std::nullopt;
      case OpKind::kRelu: {
        const bool passes =
            affine.IsFactor() && affine.IsIncreasing() && !node.activation.upper.has_value();
        return passes ? std::optional(affine) : std::nullopt;
      }
      case OpKind::kSlice:
        return affine.Part(node.slice().start_channel, behind_channels, node.slice().step_channel);
      case OpKind::kPad: {
        if (!IsZero(node.pad().padding) && !affine.IsFactor()) return std::nullopt;
        Affine behind = Affine::Identity(behind_channels);
        behind.Put(affine, node.pad().channels_before);
        return behind;
      }
      case OpKind::kConcat: {
        Affine behind = Affine::Identity(behind_channels);
        int64_t first = 0;
        for (const int input : node.inputs) {
          if (input == value) behind.Put(affine, first);
          first += draft_.shape(input).channels;
        }
        return behind;
      }
      case OpKind::kConv:
      case OpKind::kAdd:
        return std::nullopt;
    }
    return std::nullopt;
  }

  Draft& draft_;
  std::vector<DraftNode>& nodes_;
  const std::vector<int> reader_count_;  // the network's outputs count as readers
  std::vector<int> writers_;
  std::vector<int> readers_;  // per value: the last node that reads it
  std::vector<bool> folded_;
  int steps_left_ = 0;
};

}  // namespace

void FoldAffine(Draft& draft) { Folder(draft).Run(); }

}  // namespace mico
