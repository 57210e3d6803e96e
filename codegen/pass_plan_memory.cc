#include <algorithm>

#include "codegen/memory_planner.h"
#include "codegen/program.h"

namespace mico {
namespace {

// Gives every tensor of the arena a buffer; an output that may overwrite its input shares its.
class ArenaPlanner {
 public:
  explicit ArenaPlanner(Program& program)
      : program_(program),
        graph_(*program.graph),
        last_read_(graph_.tensors.size(), -1),
        buffer_of_(graph_.tensors.size(), -1) {}

  void Run() {
    FindLastReads();
    for (size_t i = 0; i < graph_.steps.size(); ++i) AddStep(static_cast<int>(i));
    WritePlan(PlanBuffers(needs_, kArenaAlignment));
  }

 private:
  // The network's input and outputs are the caller's.
  bool IsCallers(int tensor) const { return tensor == graph_.input || graph_.IsOutput(tensor); }

  int64_t Bytes(int tensor) const {
    return PackedBytes(graph_.tensors[tensor].shape, graph_.tensors[tensor].type);
  }

  void FindLastReads() {
    for (size_t i = 0; i < graph_.steps.size(); ++i) {
      for (const int input : graph_.steps[i].inputs) last_read_[input] = static_cast<int>(i);
    }
  }

  void AddStep(int index) {
    const Step& step = graph_.steps[index];
    const int64_t scratch = program_.plan.steps[index].scratch_bytes;
    scratch_buffer_.push_back(-1);
    if (scratch > 0) {
      scratch_buffer_.back() = static_cast<int>(needs_.size());
      needs_.push_back({scratch, index, index});
    }
    if (IsCallers(step.output)) return;
    // Where nobody reads the output it still exists while it is written.
    const int last = std::max(last_read_[step.output], index);
    const int overwritten = FindOverwritten(index);
    if (overwritten >= 0) {
      buffer_of_[step.output] = buffer_of_[overwritten];
      needs_[buffer_of_[overwritten]].last_step = last;
      return;
    }
    buffer_of_[step.output] = static_cast<int>(needs_.size());
    needs_.push_back({Bytes(step.output), index, last});
  }

  // An input that this step reads for the last time and whose place its output may take.
  int FindOverwritten(int index) const {
    if (!program_.steps[index].kernel.may_overwrite_input) return -1;
    const Step& step = graph_.steps[index];
    for (const int input : step.inputs) {
      const bool fits = graph_.tensors[input].type.container_bits() >=
                        graph_.tensors[step.output].type.container_bits();
      if (fits && !IsCallers(input) && last_read_[input] == index) return input;
    }
    return -1;
  }

  void WritePlan(const MemoryLayout& layout) {
    ProgramPlan& plan = program_.plan;
    const auto offset = [&](int buffer) { return buffer < 0 ? -1 : layout.offsets[buffer]; };
    for (const int buffer : buffer_of_) plan.tensor_offset.push_back(offset(buffer));
    for (const int buffer : scratch_buffer_) plan.scratch_offset.push_back(offset(buffer));
    plan.arena_bytes = layout.total_bytes;
    plan.input_bytes = Bytes(graph_.input);
    plan.output_bytes = 0;
    for (const int tensor : LayOutOutputs(graph_).tensors) plan.output_bytes += Bytes(tensor);
  }

  Program& program_;
  const QuantizedGraph& graph_;
  std::vector<int> last_read_;       // per tensor: the step, -1 where nobody reads it
  std::vector<int> buffer_of_;       // per tensor, -1 for the caller's
  std::vector<int> scratch_buffer_;  // per step, -1 where there is none
  std::vector<BufferNeed> needs_;
};

}  // namespace

absl::Status PlanMemory(Program& program) {
  ArenaPlanner(program).Run();
  return absl::OkStatus();
}

}  // namespace mico
