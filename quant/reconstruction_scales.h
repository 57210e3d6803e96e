#pragma once

#include <vector>

#include "base/bytes.h"
#include "quant/reconstruction.h"

namespace mico {

// The scales of docs/formats/reconstruction.md, a part of other formats too: a count, then each.
void WriteScales(const std::vector<ReconstructedScale>& scales, ByteWriter& writer);
// Fails the reader unless groups and their widths are ascending, widths 1 to 8, scales in range.
std::vector<ReconstructedScale> ReadScales(ByteReader& reader);

}  // namespace mico
