#include "model/layout_view.h"

#include <algorithm>

#include "fmt/format.h"
#include "model/onnx_tensor.h"

namespace mico {
namespace {

using Axis = LayoutView::Axis;

}  // namespace

LayoutView LayoutView::Image(int value, const Shape& shape) {
  return LayoutView(value, shape,
                    {{Axis::kBatch}, {Axis::kChannel}, {Axis::kRow}, {Axis::kColumn}});
}

LayoutView LayoutView::ChannelsLast(int value, const Shape& shape) {
  return LayoutView(value, shape,
                    {{Axis::kBatch}, {Axis::kRow}, {Axis::kColumn}, {Axis::kChannel}});
}

LayoutView LayoutView::Signal(int value, const Shape& shape) {
  return LayoutView(value, shape, {{Axis::kBatch}, {Axis::kChannel}, {Axis::kRow, Axis::kColumn}});
}

LayoutView LayoutView::SignalChannelsLast(int value, const Shape& shape) {
  return LayoutView(value, shape, {{Axis::kBatch}, {Axis::kRow, Axis::kColumn}, {Axis::kChannel}});
}

LayoutView LayoutView::Features(int value, const Shape& shape, size_t rank) {
  std::vector<std::vector<Axis>> dims(rank);
  dims.front().push_back(Axis::kBatch);
  for (const Axis axis : {Axis::kChannel, Axis::kRow, Axis::kColumn}) dims.back().push_back(axis);
  return LayoutView(value, shape, std::move(dims));
}

int64_t LayoutView::Extent(Axis axis) const {
  switch (axis) {
    case Axis::kBatch:
      return 1;
    case Axis::kChannel:
      return shape_.channels;
    case Axis::kRow:
      return shape_.height;
    case Axis::kColumn:
      return shape_.width;
  }
  return 1;
}

int64_t LayoutView::Extent(const std::vector<Axis>& axes) const {
  int64_t product = 1;
  for (const Axis axis : axes) product *= Extent(axis);
  return product;
}

std::vector<int64_t> LayoutView::dims() const {
  std::vector<int64_t> dims;
  for (const std::vector<Axis>& axes : dims_) dims.push_back(Extent(axes));
  return dims;
}

LayoutView LayoutView::Of(int value) const { return LayoutView(value, shape_, dims_); }

LayoutView LayoutView::Like(int value, const Shape& shape) const {
  return LayoutView(value, shape, dims_);
}

bool LayoutView::HasBatch(size_t dim) const {
  return std::count(dims_[dim].begin(), dims_[dim].end(), Axis::kBatch) > 0;
}

absl::StatusOr<LayoutView> LayoutView::Reshape(const std::vector<int64_t>& dims) const {
  std::vector<Axis> axes;
  for (const std::vector<Axis>& some : dims_) axes.insert(axes.end(), some.begin(), some.end());
  int64_t elements = 1;
  for (const int64_t extent : dims) {
    if (extent < 1 || extent > shape_.elements()) elements = 0;
    elements = std::min(elements * std::max<int64_t>(extent, 1), int64_t{1} << 31);
  }
  if (elements != shape_.elements()) {
    return absl::InvalidArgumentError(fmt::format("reshapes {} to {}, which has another size",
                                                  DimsToString(this->dims()), DimsToString(dims)));
  }

  std::vector<std::vector<Axis>> regrouped(dims.size());
  size_t next = 0;
  for (size_t dim = 0; dim < dims.size(); ++dim) {
    // An axis of extent 1 becomes a dimension of its own where the file asks for one.
    if (dims[dim] == 1 && next < axes.size() && Extent(axes[next]) == 1) {
      regrouped[dim].push_back(axes[next++]);
    }
    while (Extent(regrouped[dim]) < dims[dim]) regrouped[dim].push_back(axes[next++]);
    if (Extent(regrouped[dim]) != dims[dim]) {
      return absl::UnimplementedError(fmt::format("reshapes {} to {}, which cuts an axis in pieces",
                                                  DimsToString(this->dims()), DimsToString(dims)));
    }
  }
  while (next < axes.size() && !regrouped.empty()) regrouped.back().push_back(axes[next++]);
  return LayoutView(value_, shape_, std::move(regrouped));
}

absl::StatusOr<LayoutView> LayoutView::Transpose(const std::vector<int64_t>& permutation) const {
  std::vector<int64_t> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  bool valid = sorted.size() == rank();
  for (size_t i = 0; valid && i < sorted.size(); ++i) valid = sorted[i] == static_cast<int64_t>(i);
  if (!valid) {
    return absl::InvalidArgumentError(fmt::format("the permutation is not one of {} axes", rank()));
  }
  std::vector<std::vector<Axis>> permuted;
  for (const int64_t source : permutation) permuted.push_back(dims_[source]);
  return LayoutView(value_, shape_, std::move(permuted));
}

std::vector<Axis> LayoutView::LongAxes(size_t dim) const {
  std::vector<Axis> axes;
  for (const Axis axis : dims_[dim]) {
    if (Extent(axis) > 1) axes.push_back(axis);
  }
  return axes;
}

std::vector<Axis> LayoutView::Order() const {
  std::vector<Axis> order;
  for (size_t dim = 0; dim < rank(); ++dim) {
    for (const Axis axis : LongAxes(dim)) order.push_back(axis);
  }
  return order;
}

bool LayoutView::IsImage() const {
  if (rank() != 4) return false;
  const Axis expected[] = {Axis::kBatch, Axis::kChannel, Axis::kRow, Axis::kColumn};
  for (size_t dim = 0; dim < 4; ++dim) {
    const std::vector<Axis> axes = LongAxes(dim);
    const size_t long_axes = Extent(expected[dim]) > 1 ? 1 : 0;
    if (axes.size() != long_axes || (long_axes == 1 && axes[0] != expected[dim])) return false;
  }
  return true;
}

bool LayoutView::IsSignal() const {
  if (rank() != 3 || !LongAxes(0).empty()) return false;
  const std::vector<Axis> channels = LongAxes(1), length = LongAxes(2);
  const bool has_channels =
      shape_.channels > 1 ? channels == std::vector<Axis>{Axis::kChannel} : channels.empty();
  return has_channels && length.size() <= 1;
}

std::optional<Axis> LayoutView::AxisOf(size_t dim) const {
  if (IsImage()) return static_cast<Axis>(dim);
  if (IsSignal()) return dim == 2 ? LengthAxis() : static_cast<Axis>(dim);
  const bool is_features =
      rank() <= 2 && shape_.height == 1 && shape_.width == 1 && dims().back() == shape_.channels;
  if (is_features) return dim + 1 < rank() ? Axis::kBatch : Axis::kChannel;
  return std::nullopt;
}

bool LayoutView::IsChannels(size_t dim) const {
  const std::vector<Axis>& axes = dims_[dim];
  return std::count(axes.begin(), axes.end(), Axis::kChannel) == 1 &&
         Extent(axes) == shape_.channels;
}

// For each feature in the order in which the file sees them, its place in channels, rows, columns.
std::vector<int64_t> FeaturePlaces(const LayoutView& view) {
  const Shape& shape = view.shape();
  std::vector<int64_t> places = {0};
  for (const Axis axis : view.Order()) {
    const int64_t extent = axis == Axis::kChannel ? shape.channels
                           : axis == Axis::kRow   ? shape.height
                                                  : shape.width;
    const int64_t stride = axis == Axis::kChannel ? shape.height * shape.width
                           : axis == Axis::kRow   ? shape.width
                                                  : 1;
    std::vector<int64_t> next;
    next.reserve(places.size() * extent);
    for (const int64_t place : places) {
      for (int64_t i = 0; i < extent; ++i) next.push_back(place + i * stride);
    }
    places = std::move(next);
  }
  return places;
}

}  // namespace mico
