#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace mico {

// What a preparation must hold whoever wrote it: all numbers finite, scale and std positive.
// `where` begins the message: "array" or "preparation.json:".
absl::Status CheckPreparation(const InputPreparation& preparation, std::string_view where);

// Every value that can be stored becomes a finite number.
absl::Status CheckPreparedFinite(const Dataset& dataset);

// A folder's preparation.json: {"scale": 0.1, "mean": [1, 2, 3], "std": 1}, every key optional,
// mean and std a number or one for each of `channels`. Other keys, and a key that comes twice, are
// refused by name.
absl::StatusOr<InputPreparation> ParsePreparation(std::string_view json, int64_t channels);

}  // namespace mico
