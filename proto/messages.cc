#include "proto/messages.h"

namespace mico {

std::string_view KindOf(const Task& task) {
  constexpr std::string_view kNames[] = {"calibrate", "profile", "evaluate",
                                         "artifact",  "convert", "reconstruct"};
  return kNames[task.index()];
}

std::string_view ToString(PtqMode mode) {
  return mode == PtqMode::kReconstruct ? "reconstruct" : "fast";
}

}  // namespace mico
