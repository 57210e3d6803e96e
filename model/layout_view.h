#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/graph.h"

namespace mico {

// How a tensor of the file looks at a value of the normal form. Reshape, flatten, squeeze and
// transpose change only the view, so they leave no node behind. The batch is 1.
class LayoutView {
 public:
  enum class Axis { kBatch, kChannel, kRow, kColumn };

  // [1, C, H, W].
  static LayoutView Image(int value, const Shape& shape);
  // [1, H, W, C] in the file, while the value is C x H x W.
  static LayoutView ChannelsLast(int value, const Shape& shape);
  // [1, C, L] of a value C x 1 x L or C x L x 1.
  static LayoutView Signal(int value, const Shape& shape);
  // [1, L, C] in the file, while the value is C x 1 x L.
  static LayoutView SignalChannelsLast(int value, const Shape& shape);
  // [1, ..., 1, features] of a value {features, 1, 1}; rank >= 1, of 1 without the batch.
  static LayoutView Features(int value, const Shape& shape, size_t rank);

  int value() const { return value_; }
  const Shape& shape() const { return shape_; }  // of the value
  std::vector<int64_t> dims() const;             // as the file sees them
  size_t rank() const { return dims_.size(); }

  // The same view of another value of the same shape.
  LayoutView Of(int value) const;
  // The same arrangement of axes for a value of another shape.
  LayoutView Like(int value, const Shape& shape) const;

  // Unimplemented if the new dims cut an axis of the value in pieces; InvalidArgument if the number
  // of elements differs.
  absl::StatusOr<LayoutView> Reshape(const std::vector<int64_t>& dims) const;
  absl::StatusOr<LayoutView> Transpose(const std::vector<int64_t>& permutation) const;

  // Whether the file sees [1, C, H, W] in this order.
  bool IsImage() const;
  // Whether the file sees [1, C, L] in this order, L being rows or columns.
  bool IsSignal() const;
  // Which axis a signal's length is.
  Axis LengthAxis() const { return shape_.height > 1 ? Axis::kRow : Axis::kColumn; }
  // Which axis of the value is dimension `dim`: for images, signals, and vectors of features.
  // Nothing if the dimension is several axes.
  std::optional<Axis> AxisOf(size_t dim) const;
  bool HasBatch(size_t dim) const;
  // Whether dimension `dim` is the channels and nothing else.
  bool IsChannels(size_t dim) const;
  // Which axes longer than 1 lie in `dim`, slowest first.
  std::vector<Axis> LongAxes(size_t dim) const;
  // All axes longer than 1, slowest first.
  std::vector<Axis> Order() const;

 private:
  LayoutView(int value, const Shape& shape, std::vector<std::vector<Axis>> dims)
      : value_(value), shape_(shape), dims_(std::move(dims)) {}
  int64_t Extent(Axis axis) const;
  int64_t Extent(const std::vector<Axis>& axes) const;

  int value_;
  Shape shape_;
  // For each dimension of the file the axes of the value that lie in it, slowest first.
  std::vector<std::vector<Axis>> dims_;
};

// For each element of a sample in the order in which the file sees them, its place in channels,
// rows, columns.
std::vector<int64_t> FeaturePlaces(const LayoutView& view);

}  // namespace mico
