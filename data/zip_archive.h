#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mico {

// The unpacked contents of those entries of a zip file that `wanted` names; other entries are not
// unpacked. ResourceExhausted when they would have more than `most_bytes` together, known before
// that much is allocated; InvalidArgument for anything that is not a zip file, for encrypted
// entries and for two entries with one name.
absl::StatusOr<std::map<std::string, std::string>> UnpackZip(std::string_view bytes,
                                                             const std::set<std::string>& wanted,
                                                             uint64_t most_bytes);

}  // namespace mico
