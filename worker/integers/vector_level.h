#pragma once

namespace mico {

// Which instruction sets the hot loops of this folder may use; the best is chosen at start. Every
// level gives equal integers.
enum class VectorLevel {
  kBase,
  kAvx2,
  kAvx512,      // F, DQ, BW and VL
  kAvx512Vnni,  // and VNNI: four products of bytes in one lane
};

VectorLevel VectorLevelInUse();
// For tests of the others: no more than `most` from now on, everywhere. Gives what is then in use.
VectorLevel LimitVectorLevel(VectorLevel most);

}  // namespace mico
