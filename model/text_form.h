#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/graph.h"
#include "model/model_package.h"

namespace mico {

// A graph as text, for tests, logs and `--dry-run`; one node a line:
//
//   input x 3x32x32
//   conv1 = Conv(x) k=3x3 s=1x1 p=1,1,1,1 out=16 relu
//   dw = Conv(conv1) k=3x3 p=1,1,1,1 g=16 out=16 relu=6
//   sum = Add(conv1, dw) relu
//   pool = AveragePool(sum) k=32x32
//   fc = Conv(pool) k=1x1 out=10
//   output fc
//   output features = pool
//
// Values are named after the node that writes them. Defaults (s=1x1, p=0,0,0,0, g=1, d=1x1) may be
// left out. Slice: start=c,h,w step=c,h,w size=CxHxW. Pad: c=before,after p=t,l,b,r. Average pool
// with count_include_pad: a word `include_pad`. Shapes are inferred.
absl::StatusOr<Graph> ParseGraph(std::string_view text);
std::string PrintGraph(const Graph& graph);

// What ToString(Shape) writes, or the number of a vector's features: "16x32x32", "784". Extents are
// not checked.
absl::StatusOr<Shape> ParseShape(const std::string& text);

// A package on `graph` whose weights are drawn from a seeded normal distribution with deviation
// sqrt(2 / fan in), biases with deviation 0.1: networks for tests.
absl::StatusOr<ModelPackage> WithRandomWeights(Graph graph, uint64_t seed);

}  // namespace mico
