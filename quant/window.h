#pragma once

#include <cstdint>
#include <vector>

#include "model/graph.h"

namespace mico {

// The part of a pooling window that lies inside the input, along one axis: [first, last).
struct WindowSpan {
  int64_t first = 0;
  int64_t last = 0;
  int64_t size() const { return last - first; }
};

WindowSpan RowsOf(const PoolAttributes& pool, const Shape& input, int64_t output_row);
WindowSpan ColumnsOf(const PoolAttributes& pool, const Shape& input, int64_t output_column);

// The distinct numbers of elements that an average pool divides by, ascending: with
// count_include_pad the kernel's area alone, otherwise one for every number of elements inside.
std::vector<int64_t> PoolDivisors(const PoolAttributes& pool, const Shape& input,
                                  const Shape& output);

}  // namespace mico
