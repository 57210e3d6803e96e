#include "codegen/program_plan.h"

#include <algorithm>
#include <set>

#include "codegen/signature.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

Target AnyTarget() { return Target{.name = "any", .isa = "c99"}; }

QuantizedGraph Lower(std::string_view network, std::string_view scheme, bool non_negative = true) {
  const absl::StatusOr<QuantizedGraph> lowered =
      LowerGraph(testing::ParseNetwork(network), non_negative, testing::ParseScheme(scheme));
  EXPECT_TRUE(lowered.ok()) << lowered.status();
  return *lowered;
}

ProgramPlan Plan(const QuantizedGraph& graph) {
  const absl::StatusOr<ProgramPlan> plan = PlanProgram(graph, AnyTarget());
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *plan;
}

// Bytes of the arena that somebody still needs while a step runs.
struct LiveBytes {
  std::string owner;
  int64_t first, last;
  int tensor = -1;
};

std::vector<LiveBytes> LiveDuring(const QuantizedGraph& graph, const ProgramPlan& plan, int step) {
  std::vector<LiveBytes> live;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    int written = -1, read = -1;
    for (size_t s = 0; s < graph.steps.size(); ++s) {
      const std::vector<int>& inputs = graph.steps[s].inputs;
      if (graph.steps[s].output == static_cast<int>(t)) written = static_cast<int>(s);
      if (std::count(inputs.begin(), inputs.end(), static_cast<int>(t)) > 0) {
        read = static_cast<int>(s);
      }
    }
    if (plan.tensor_offset[t] < 0 || step < written || step > std::max(written, read)) continue;
    const int64_t bytes = PackedBytes(graph.tensors[t].shape, graph.tensors[t].type);
    live.push_back({graph.tensors[t].name, plan.tensor_offset[t], plan.tensor_offset[t] + bytes,
                    static_cast<int>(t)});
  }
  if (plan.scratch_offset[step] >= 0) {
    const int64_t offset = plan.scratch_offset[step];
    live.push_back({"scratch", offset, offset + plan.steps[step].scratch_bytes});
  }
  return live;
}

// An output may lie on an input that is read for the last time, of kinds that work in place.
bool MayShare(const Step& step, const LiveBytes& a, const LiveBytes& b) {
  const bool in_place = step.kind == StepKind::kAdd || step.kind == StepKind::kRelu ||
                        step.kind == StepKind::kRequantize;
  const auto reads = [&](int tensor) {
    return std::count(step.inputs.begin(), step.inputs.end(), tensor) > 0;
  };
  return in_place && a.first == b.first &&
         ((a.tensor == step.output && reads(b.tensor)) ||
          (b.tensor == step.output && reads(a.tensor)));
}

TEST(ProgramPlanTest, NothingThatIsNeededIsOverwritten) {
  Random random(5);
  for (int round = 0; round < 80; ++round) {
    const Graph graph = testing::ParseNetwork(testing::RandomNetwork(random));
    const absl::StatusOr<QuantizedGraph> lowered =
        LowerGraph(graph, true, testing::RandomScheme(graph, true, random));
    ASSERT_TRUE(lowered.ok()) << lowered.status();
    const ProgramPlan plan = Plan(*lowered);
    for (size_t s = 0; s < lowered->steps.size(); ++s) {
      const std::vector<LiveBytes> live = LiveDuring(*lowered, plan, static_cast<int>(s));
      for (size_t i = 0; i < live.size(); ++i) {
        EXPECT_LE(live[i].last, plan.arena_bytes);
        for (size_t j = 0; j < i; ++j) {
          const bool overlap = live[i].first < live[j].last && live[j].first < live[i].last;
          EXPECT_TRUE(!overlap || MayShare(lowered->steps[s], live[i], live[j]))
              << live[i].owner << " and " << live[j].owner << " in " << lowered->steps[s].name;
        }
      }
    }
  }
}

TEST(ProgramPlanTest, InputAndOutputAreTheCallers) {
  const QuantizedGraph graph =
      Lower("input x 1x4x4\na = Conv(x) k=1x1 out=2 relu\nb = Conv(a) k=4x4 out=3\noutput b\n",
            "w8a8,w8a8");
  const ProgramPlan plan = Plan(graph);
  EXPECT_EQ(plan.tensor_offset[graph.input], -1);
  EXPECT_EQ(plan.tensor_offset[graph.scored_tensor()], -1);
  EXPECT_EQ(plan.input_bytes, 16);
  EXPECT_EQ(plan.output_bytes, 6);
  EXPECT_EQ(plan.Work(graph).peak_ram_bytes, plan.arena_bytes + 16 + 6);
}

TEST(ProgramPlanTest, SeveralOutputsAreTheCallersOneBehindTheOther) {
  const QuantizedGraph graph = Lower(
      "input x 1x4x4\na = Conv(x) k=1x1 out=2 relu\nb = Conv(a) k=4x4 out=3\n"
      "output b\noutput a\noutput same = b\n",
      "w8a8,w8a4");
  const ProgramPlan plan = Plan(graph);
  for (const QuantizedOutput& output : graph.outputs) {
    EXPECT_EQ(plan.tensor_offset[output.tensor], -1) << output.name;
  }
  // What is stored of `a` for its reader is in the arena, its 16 bits are not.
  EXPECT_GE(plan.tensor_offset[1], 0);
  EXPECT_EQ(plan.output_bytes, 2 * (3 + 2 * 4 * 4));
  EXPECT_EQ(plan.Work(graph).peak_ram_bytes, plan.arena_bytes + 16 + plan.output_bytes);
}

TEST(ProgramPlanTest, AnAddTakesThePlaceOfAnInputThatNobodyReadsAgain) {
  const QuantizedGraph graph = Lower(
      "input x 2x8x8\na = Conv(x) k=1x1 out=2\nb = Conv(a) k=1x1 out=2\ns = Add(a, b)\n"
      "c = Conv(s) k=8x8 out=2\noutput c\n",
      "w8a8,w8a8,w8a8");
  const ProgramPlan plan = Plan(graph);
  const Step& add = graph.steps[2];
  ASSERT_EQ(add.kind, StepKind::kAdd);
  EXPECT_EQ(plan.tensor_offset[add.output], plan.tensor_offset[add.inputs[0]]);
}

TEST(ProgramPlanTest, ATensorThatIsReadAgainIsNotOverwritten) {
  const QuantizedGraph graph = Lower(
      "input x 2x8x8\na = Conv(x) k=1x1 out=2\nr = Relu(a) relu\ns = Add(a, r)\n"
      "c = Conv(s) k=8x8 out=2\noutput c\n",
      "w8a8,w8a8");
  const ProgramPlan plan = Plan(graph);
  const Step& relu = graph.steps[1];
  ASSERT_EQ(relu.kind, StepKind::kRelu);
  EXPECT_NE(plan.tensor_offset[relu.output], plan.tensor_offset[relu.inputs[0]]);
}

std::string KernelOf(std::string_view layer, std::string_view scheme, bool non_negative = true) {
  const std::string text = "input x 4x6x6\n" + std::string(layer) + "\noutput y\n";
  return Plan(Lower(text, scheme, non_negative)).steps[0].kernel;
}

TEST(KernelLibraryTest, ThePackedFamilyIsPreferred) {
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 out=5", "w4a8"), "mico_conv2d_u8_s4_16_c99");
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 out=5", "w3a3"), "mico_conv2d_u4_s4_16_c99");
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 out=5", "w2a2", false), "mico_conv2d_s2_s2_16_c99");
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 out=5", "w1a1"), "mico_conv2d_u1_s1_16_c99");
  EXPECT_EQ(KernelOf("y = Conv(x) k=6x6 out=5", "w8a8"), "mico_fully_connected_u8_s8_16_c99");
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 g=4 out=4", "w1a8"), "mico_depthwise_conv2d_u8_s1_16_c99");
}

TEST(KernelLibraryTest, TheReferenceServesTheRest) {
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 out=5", "w1a8"), "mico_conv2d_u8_s1_16");
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 out=5", "w8a1"), "mico_conv2d_u1_s8_16");
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 g=2 out=4", "w8a8"), "mico_conv2d_u8_s8_16");
  EXPECT_EQ(KernelOf("y = Conv(x) k=3x3 g=4 out=8", "w8a8"), "mico_depthwise_conv2d_u8_s8_16");
  EXPECT_EQ(KernelOf("y = Conv(x) k=6x6 out=5", "w1a4"), "mico_fully_connected_u4_s1_16");
}

TEST(KernelLibraryTest, AWidthThatNobodyHasIsNamed) {
  QuantizedGraph graph = Lower("input x 1x4x4\na = Conv(x) k=1x1 out=2\noutput a\n", "w8a8");
  graph.steps[0].weight_bits = 12;
  const absl::Status status = PlanProgram(graph, AnyTarget()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("step 'a' (Conv): 12-bit weights"));
}

// What any scheme over the target's widths asks for is in the list.
TEST(EnumerateSignaturesTest, HoldsEveryStepOfEveryScheme) {
  Random random(9);
  const Target target = AnyTarget();
  for (int round = 0; round < 25; ++round) {
    const Graph graph = testing::ParseNetwork(testing::RandomNetwork(random));
    const bool non_negative = round % 2 == 0;
    const absl::StatusOr<std::vector<std::string>> listed =
        EnumerateSignatures(graph, non_negative, target);
    ASSERT_TRUE(listed.ok()) << listed.status();
    EXPECT_TRUE(std::is_sorted(listed->begin(), listed->end()));
    const std::set<std::string> all(listed->begin(), listed->end());
    EXPECT_EQ(all.size(), listed->size());
    const std::vector<bool> reads_input = InputLayers(graph);
    for (int trial = 0; trial < 40; ++trial) {
      BitScheme scheme = BitScheme::Uniform(8, 8, reads_input);
      for (size_t layer = 0; layer < scheme.size(); ++layer) {
        LayerBits& bits = scheme.mutable_layers()[layer];
        bits.weight_bits = target.weight_bits[random.Below(3)];
        if (!reads_input[layer]) bits.input_bits = target.activation_bits[random.Below(3)];
      }
      const absl::StatusOr<QuantizedGraph> lowered = LowerGraph(graph, non_negative, scheme);
      ASSERT_TRUE(lowered.ok()) << lowered.status();
      for (const Step& step : lowered->steps) {
        EXPECT_TRUE(all.contains(StepSignature(*lowered, step)))
            << StepSignature(*lowered, step) << "\n"
            << scheme.ToString();
      }
    }
  }
}

}  // namespace
}  // namespace mico
