#include "model/onnx_order.h"

#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_tensor.h"
#include "model/onnx_wire.pb.h"

namespace mico {
namespace {

using onnx_wire::GraphProto;
using Writers = std::unordered_map<std::string, int>;

std::string NodeTitle(const onnx_wire::NodeProto& node) {
  return fmt::format("node '{}' ({})", PlainName(node.name()), PlainName(node.op_type()));
}

absl::StatusOr<Writers> FindWriters(const GraphProto& graph) {
  Writers writers;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& output : graph.node(i).output()) {
      if (output.empty()) continue;
      if (!writers.emplace(output, i).second) {
        return absl::InvalidArgumentError(
            fmt::format("{} writes tensor '{}', which is written before", NodeTitle(graph.node(i)),
                        PlainName(output)));
      }
    }
  }
  return writers;
}

std::unordered_set<std::string> GivenTensors(const GraphProto& graph) {
  std::unordered_set<std::string> given;
  for (const auto& input : graph.input()) given.insert(input.name());
  for (const auto& initializer : graph.initializer()) given.insert(initializer.name());
  return given;
}

std::vector<bool> FindLive(const GraphProto& graph, const Writers& writers) {
  std::vector<bool> live(graph.node_size(), false);
  std::vector<int> open;
  const auto reach = [&](const std::string& tensor) {
    const auto writer = writers.find(tensor);
    if (writer == writers.end() || live[writer->second]) return;
    live[writer->second] = true;
    open.push_back(writer->second);
  };
  for (const auto& output : graph.output()) reach(output.name());
  while (!open.empty()) {
    const int node = open.back();
    open.pop_back();
    for (const std::string& input : graph.node(node).input()) reach(input);
  }
  return live;
}

}  // namespace

absl::StatusOr<std::vector<int>> OrderLiveNodes(const GraphProto& graph) {
  MICO_ASSIGN_OR_RETURN(const Writers writers, FindWriters(graph));
  const std::unordered_set<std::string> given = GivenTensors(graph);
  for (const auto& [tensor, node] : writers) {
    if (given.contains(tensor)) {
      return absl::InvalidArgumentError(
          fmt::format("{} writes tensor '{}', which is an input or initializer",
                      NodeTitle(graph.node(node)), PlainName(tensor)));
    }
  }
  const std::vector<bool> live = FindLive(graph, writers);

  // Kahn's algorithm; of the nodes that are ready, the first in the file goes first.
  std::vector<int> missing(graph.node_size(), 0);
  std::vector<std::vector<int>> readers(graph.node_size());
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  int live_count = 0;
  for (int i = 0; i < graph.node_size(); ++i) {
    if (!live[i]) continue;
    ++live_count;
    for (const std::string& input : graph.node(i).input()) {
      if (input.empty() || given.contains(input)) continue;
      const auto writer = writers.find(input);
      if (writer == writers.end()) {
        return absl::InvalidArgumentError(fmt::format("{} reads tensor '{}', which nothing writes",
                                                      NodeTitle(graph.node(i)), PlainName(input)));
      }
      readers[writer->second].push_back(i);
      ++missing[i];
    }
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int node = ready.top();
    ready.pop();
    order.push_back(node);
    for (const int reader : readers[node]) {
      if (--missing[reader] == 0) ready.push(reader);
    }
  }
  if (static_cast<int>(order.size()) != live_count) {
    return absl::InvalidArgumentError("the model's nodes read each other in a circle");
  }
  return order;
}

}  // namespace mico
