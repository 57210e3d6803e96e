// A data set from a stranger. The first byte chooses: a whole file, or the arrays, which are then
// zipped here, because no mutation finds the checksums of a zip file.
#include "data/dataset.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/npz_builder.h"

namespace {

std::string Zipped(mico::fuzz::Pieces pieces) {
  mico::NpzBuilder builder;
  for (const char* name :
       {"x_train", "y_train", "x_test", "y_test", "x_val", "y_val", "scale", "mean", "std"}) {
    const std::string_view npy = pieces.Piece();
    if (!npy.empty()) builder.AddFile(name, std::string(npy));
  }
  return builder.Build();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  fuzz::Pieces pieces(fuzz::Bytes(data, size));
  const bool whole = pieces.Byte() % 2 == 0;
  const std::string bytes = whole ? std::string(pieces.Rest()) : Zipped(pieces);
  DatasetLimits limits;
  limits.most_bytes_unpacked = 64 << 20;
  const absl::StatusOr<Dataset> dataset = ParseNpz(bytes, limits);
  if (!dataset.ok()) return 0;
  fuzz::Require(!Describe(*dataset).empty(), "a data set can be described");
  dataset->PreparedNonNegative();
  for (const Split split : {Split::kTrain, Split::kVal, Split::kTest}) {
    const int64_t count = dataset->split(split).count;
    fuzz::Require(count > 0, "no split is empty");
    const std::vector<float> sample = dataset->Prepared(split, count - 1);
    fuzz::Require(static_cast<int64_t>(sample.size()) == dataset->sample_shape.elements(),
                  "a sample has the elements of its shape");
  }
  return 0;
}
