#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Early return for functions that return absl::Status or absl::StatusOr.
#define MICO_RETURN_IF_ERROR(expression)       \
  do {                                         \
    absl::Status mico_status = (expression);   \
    if (!mico_status.ok()) return mico_status; \
  } while (false)

#define MICO_STATUS_CONCAT_INNER(a, b) a##b
#define MICO_STATUS_CONCAT(a, b) MICO_STATUS_CONCAT_INNER(a, b)

// MICO_ASSIGN_OR_RETURN(const Graph graph, ParseGraph(text));
#define MICO_ASSIGN_OR_RETURN(target, expression) \
  MICO_ASSIGN_OR_RETURN_INNER(MICO_STATUS_CONCAT(mico_or_, __LINE__), target, expression)
#define MICO_ASSIGN_OR_RETURN_INNER(temporary, target, expression) \
  auto temporary = (expression);                                   \
  if (!temporary.ok()) return temporary.status();                  \
  target = std::move(temporary).value()
