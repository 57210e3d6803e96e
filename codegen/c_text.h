#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/graph.h"
#include "quant/quantized_model.h"

namespace mico {

// Pieces of C. Everything ends with a newline but literals.

// "(mico_shape_t){16, 16, 32}": height, width, channels.
std::string CShape(const Shape& shape);
// An int32_t literal; the least one has none in C.
std::string CNumber(int64_t value);

// "const uint32_t name[3] = {...};", nothing where there are no values.
std::string CWords(std::string_view name, std::span<const uint32_t> words);
std::string CNumbers(std::string_view type, std::string_view name, std::span<const int32_t> values);

// Text from outside as it may stand in a comment or a document: one line of printable characters
// that neither ends nor begins a comment.
std::string PlainText(std::string_view text);

}  // namespace mico
