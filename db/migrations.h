#pragma once

#include <span>
#include <string_view>

namespace mico {

// Migration i (from 1) turns schema i - 1 into schema i. A migration that has been released is
// never edited: add the next one. docs/formats/database.md explains the tables.
std::span<const std::string_view> Migrations();

}  // namespace mico
