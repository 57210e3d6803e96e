#include "proto/messages.h"

namespace mico {

std::string_view KindOf(const Task& task) {
  constexpr std::string_view kNames[] = {"calibrate", "profile", "evaluate", "artifact", "convert"};
  return kNames[task.index()];
}

}  // namespace mico
