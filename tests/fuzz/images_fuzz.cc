// A folder of images from a stranger. The first byte chooses: a whole tar archive, or image files
// and a preparation, which are then packed here.
#include "data/dataset.h"
#include "data/image.h"
#include "fmt/format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/tar_builder.h"

namespace {

using namespace mico;

// The header alone says how much the pixels take.
void CheckImage(std::string_view bytes) {
  const auto image = OpenImage(bytes, 64);
  if (!image.ok()) return;
  const Shape& shape = (*image)->shape();
  fuzz::Require(shape.height <= 64 && shape.width <= 64, "no side is longer than allowed");
  std::string pixels(static_cast<size_t>(shape.elements()), '\0');
  (*image)->Read(reinterpret_cast<uint8_t*>(pixels.data())).IgnoreError();
}

std::string Packed(fuzz::Pieces pieces) {
  TarBuilder tar;
  tar.Add("preparation.json", pieces.Piece());
  for (const char* place :
       {"test/a/1", "test/b/1", "train/a/1", "train/b/1", "val/a/1", "val/b/1"}) {
    const std::string_view image = pieces.Piece();
    CheckImage(image);
    tar.Add(fmt::format("{}.png", place), image);
  }
  return tar.Build();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Pieces pieces(fuzz::Bytes(data, size));
  const bool whole = pieces.Byte() % 2 == 0;
  const std::string bytes = whole ? std::string(pieces.Rest()) : Packed(pieces);
  DatasetLimits limits;
  limits.most_bytes_unpacked = 64 << 20;
  limits.free_bytes = 1 << 20;
  const absl::StatusOr<Dataset> dataset = ParseImages(bytes, limits);
  if (!dataset.ok()) return 0;
  fuzz::Require(!Describe(*dataset).empty(), "a data set can be described");
  for (const Split split : {Split::kTrain, Split::kVal, Split::kTest}) {
    const int64_t count = dataset->split(split).count;
    fuzz::Require(count > 0, "no split is empty");
    dataset->Prepared(split, count - 1);
  }
  return 0;
}
