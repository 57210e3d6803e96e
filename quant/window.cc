#include "quant/window.h"

#include <algorithm>
#include <set>

namespace mico {
namespace {

WindowSpan Inside(int64_t start, int64_t kernel, int64_t extent) {
  return {std::max<int64_t>(start, 0), std::min(start + kernel, extent)};
}

}  // namespace

WindowSpan RowsOf(const PoolAttributes& pool, const Shape& input, int64_t output_row) {
  return Inside(output_row * pool.stride_height - pool.padding.top, pool.kernel_height,
                input.height);
}

WindowSpan ColumnsOf(const PoolAttributes& pool, const Shape& input, int64_t output_column) {
  return Inside(output_column * pool.stride_width - pool.padding.left, pool.kernel_width,
                input.width);
}

std::vector<int64_t> PoolDivisors(const PoolAttributes& pool, const Shape& input,
                                  const Shape& output) {
  if (pool.count_include_pad) return {pool.kernel_height * pool.kernel_width};
  std::set<int64_t> heights, widths, areas;
  for (int64_t row = 0; row < output.height; ++row) heights.insert(RowsOf(pool, input, row).size());
  for (int64_t column = 0; column < output.width; ++column) {
    widths.insert(ColumnsOf(pool, input, column).size());
  }
  for (const int64_t height : heights) {
    for (const int64_t width : widths) areas.insert(height * width);
  }
  return {areas.begin(), areas.end()};
}

}  // namespace mico
