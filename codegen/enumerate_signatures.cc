#include <algorithm>
#include <set>

#include "base/status_macros.h"
#include "codegen/program_plan.h"
#include "codegen/signature.h"
#include "quant/quantized_graph.h"

namespace mico {
namespace {

// Walks schemes that between them need every step that any scheme needs. A step depends on the
// widths of its layer's weights and input and on the width at which its output's group is stored;
// so every group is tried at every width against every width of all others, and with its readers
// disagreeing.
class SignatureCollector {
 public:
  SignatureCollector(const Graph& graph, bool input_non_negative, const Target& target)
      : graph_(graph),
        input_non_negative_(input_non_negative),
        target_(target),
        least_bits_(LeastInputBits(graph, input_non_negative)),
        reads_input_(InputLayers(graph)) {}

  absl::StatusOr<std::vector<std::string>> Run() {
    // 8 bits is what disagreement and Adds lead to, whether or not a search may choose it.
    std::set<int> input_bits(target_.activation_bits.begin(), target_.activation_bits.end());
    input_bits.insert(8);
    const std::vector<std::vector<size_t>> choices = ReaderSets();
    for (const int weight_bits : target_.weight_bits) {
      for (const int others : input_bits) {
        MICO_RETURN_IF_ERROR(Collect(weight_bits, others, others, {}));
        for (const int chosen : input_bits) {
          if (chosen == others) continue;
          for (const std::vector<size_t>& layers : choices) {
            MICO_RETURN_IF_ERROR(Collect(weight_bits, others, chosen, layers));
          }
        }
      }
    }
    return std::vector<std::string>(signatures_.begin(), signatures_.end());
  }

 private:
  // All readers of each group together, and each reader alone.
  std::vector<std::vector<size_t>> ReaderSets() const {
    const ValueGroups groups = GroupValues(graph_, input_non_negative_);
    std::vector<std::vector<size_t>> by_group(groups.producers.size());
    std::vector<std::vector<size_t>> sets;
    const std::vector<int> layers = graph_.QuantizedLayers();
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      if (reads_input_[layer]) continue;
      const int value = graph_.nodes[layers[layer]].inputs[0];
      by_group[groups.group_of_value[value]].push_back(layer);
    }
    for (const std::vector<size_t>& readers : by_group) {
      if (!readers.empty()) sets.push_back(readers);
      if (readers.size() < 2) continue;
      for (const size_t reader : readers) sets.push_back({reader});
    }
    return sets;
  }

  // The steps of one scheme: the inputs of `layers` at `chosen` bits, of all others at `others`.
  absl::Status Collect(int weight_bits, int others, int chosen, const std::vector<size_t>& layers) {
    BitScheme scheme = BitScheme::Uniform(weight_bits, others, reads_input_);
    for (const size_t layer : layers) scheme.mutable_layers()[layer].input_bits = chosen;
    for (size_t layer = 0; layer < scheme.size(); ++layer) {
      int& bits = scheme.mutable_layers()[layer].input_bits;
      bits = std::max(bits, least_bits_[layer]);
    }
    MICO_ASSIGN_OR_RETURN(const QuantizedGraph lowered,
                          LowerGraph(graph_, input_non_negative_, scheme));
    for (const Step& step : lowered.steps) signatures_.insert(StepSignature(lowered, step));
    return absl::OkStatus();
  }

  const Graph& graph_;
  const bool input_non_negative_;
  const Target& target_;
  const std::vector<int> least_bits_;
  const std::vector<bool> reads_input_;
  std::set<std::string> signatures_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> EnumerateSignatures(const Graph& graph,
                                                             bool input_non_negative,
                                                             const Target& target) {
  return SignatureCollector(graph, input_non_negative, target).Run();
}

}  // namespace mico
