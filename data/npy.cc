#include "data/npy.h"

#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kLongestHeader = 64 * 1024;
constexpr size_t kMostDimensions = 8;

struct TypeFacts {
  NpyType type;
  std::string_view code;  // without the byte order
  std::string_view name;
  int bytes;
};

constexpr std::array kTypes = {
    TypeFacts{NpyType::kU8, "u1", "uint8", 1},    TypeFacts{NpyType::kI8, "i1", "int8", 1},
    TypeFacts{NpyType::kU16, "u2", "uint16", 2},  TypeFacts{NpyType::kI16, "i2", "int16", 2},
    TypeFacts{NpyType::kU32, "u4", "uint32", 4},  TypeFacts{NpyType::kI32, "i4", "int32", 4},
    TypeFacts{NpyType::kU64, "u8", "uint64", 8},  TypeFacts{NpyType::kI64, "i8", "int64", 8},
    TypeFacts{NpyType::kF32, "f4", "float32", 4}, TypeFacts{NpyType::kF64, "f8", "float64", 8},
};

const TypeFacts& FactsOf(NpyType type) { return kTypes[static_cast<size_t>(type)]; }

template <typename T>
T Load(std::string_view values, int64_t index) {
  T value;
  std::memcpy(&value, values.data() + index * sizeof(T), sizeof(T));
  return value;
}

// Calls `use` with element `index` in its own type.
template <typename Use>
auto WithElement(const NpyArray& array, int64_t index, Use use) {
  switch (array.type) {
    case NpyType::kU8:
      return use(Load<uint8_t>(array.values, index));
    case NpyType::kI8:
      return use(Load<int8_t>(array.values, index));
    case NpyType::kU16:
      return use(Load<uint16_t>(array.values, index));
    case NpyType::kI16:
      return use(Load<int16_t>(array.values, index));
    case NpyType::kU32:
      return use(Load<uint32_t>(array.values, index));
    case NpyType::kI32:
      return use(Load<int32_t>(array.values, index));
    case NpyType::kU64:
      return use(Load<uint64_t>(array.values, index));
    case NpyType::kI64:
      return use(Load<int64_t>(array.values, index));
    case NpyType::kF32:
      return use(Load<float>(array.values, index));
    case NpyType::kF64:
      break;
  }
  return use(Load<double>(array.values, index));
}

// What the header's dictionary says.
struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Reads the Python dictionary of an .npy header: exactly the keys descr, fortran_order and shape,
// with literals of the kinds that NumPy writes.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  absl::StatusOr<Header> Parse() {
    if (!Eat('{')) return Malformed("'{'");
    while (!Eat('}')) {
      MICO_ASSIGN_OR_RETURN(const std::string key, Quoted());
      if (!Eat(':')) return Malformed("':'");
      MICO_RETURN_IF_ERROR(ReadValueOf(key));
      if (!Eat(',') && Peek() != '}') return Malformed("',' or '}'");
    }
    if (Peek() != '\0') return Malformed("the end");
    if (!has_descr_ || !has_order_ || !has_shape_)
      return Malformed("descr, fortran_order and shape");
    return header_;
  }

 private:
  absl::Status Malformed(std::string_view needed) const {
    return absl::InvalidArgumentError(
        fmt::format("array '{}': header position {}: needed {}", name_, position_, needed));
  }

  // The next character that is not a blank; 0 at the end.
  char Peek() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) {
      ++position_;
    }
    return position_ < text_.size() ? text_[position_] : '\0';
  }

  bool Eat(char wanted) {
    if (Peek() != wanted) return false;
    ++position_;
    return true;
  }

  bool EatWord(std::string_view word) {
    Peek();
    if (text_.substr(position_, word.size()) != word) return false;
    position_ += word.size();
    return true;
  }

  absl::StatusOr<std::string> Quoted() {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') return Malformed("a quoted word");
    const size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) return Malformed("a closing quote");
    std::string word(text_.substr(position_ + 1, end - position_ - 1));
    position_ = end + 1;
    return word;
  }

  absl::Status ReadValueOf(const std::string& key) {
    if (key == "descr" && !has_descr_) return ReadDescr();
    if (key == "fortran_order" && !has_order_) return ReadOrder();
    if (key == "shape" && !has_shape_) return ReadShape();
    return Malformed("each of descr, fortran_order and shape once");
  }

  absl::Status ReadDescr() {
    if (Peek() == '[' || Peek() == '(') {
      return absl::InvalidArgumentError(
          fmt::format("array '{}' has a structured type; needed plain numbers", name_));
    }
    MICO_ASSIGN_OR_RETURN(header_.descr, Quoted());
    has_descr_ = true;
    return absl::OkStatus();
  }

  absl::Status ReadOrder() {
    if (EatWord("True")) {
      header_.fortran_order = true;
    } else if (!EatWord("False")) {
      return Malformed("True or False");
    }
    has_order_ = true;
    return absl::OkStatus();
  }

  absl::Status ReadShape() {
    if (!Eat('(')) return Malformed("'('");
    while (!Eat(')')) {
      MICO_ASSIGN_OR_RETURN(const int64_t extent, Extent());
      if (header_.shape.size() == kMostDimensions) {
        return Malformed(fmt::format("at most {} dimensions", kMostDimensions));
      }
      header_.shape.push_back(extent);
      if (!Eat(',') && Peek() != ')') return Malformed("',' or ')'");
    }
    has_shape_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> Extent() {
    Peek();
    int64_t extent = 0;
    const char* begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), extent);
    if (error != std::errc() || extent < 0) return Malformed("a size of at least 0");
    position_ += static_cast<size_t>(end - begin);
    return extent;
  }

  std::string_view text_;
  std::string_view name_;
  size_t position_ = 0;
  Header header_;
  bool has_descr_ = false, has_order_ = false, has_shape_ = false;
};

// Where the header's text lies: after the magic, two bytes of version and its length.
struct HeaderPlace {
  size_t begin = 0;
  size_t size = 0;
};

absl::StatusOr<HeaderPlace> FindHeader(std::string_view bytes, std::string_view name) {
  const auto invalid = [&](std::string_view reason) {
    return absl::InvalidArgumentError(fmt::format("array '{}': {}", name, reason));
  };
  if (bytes.size() < 10 || bytes.substr(0, kMagic.size()) != kMagic) {
    return invalid("is not an .npy file");
  }
  const auto byte = [&](size_t index) {
    return static_cast<size_t>(static_cast<uint8_t>(bytes[index]));
  };
  const size_t version = byte(6);
  if (version < 1 || version > 3) {
    return invalid(fmt::format("has .npy version {}; versions 1 to 3 are known", version));
  }
  HeaderPlace place;
  place.begin = version == 1 ? 10 : 12;
  if (bytes.size() < place.begin) return invalid("ends inside its header");
  place.size = byte(8) | byte(9) << 8;
  if (version > 1) place.size |= byte(10) << 16 | byte(11) << 24;
  if (place.size > kLongestHeader) {
    return invalid(fmt::format("has a header of {} bytes; at most {}", place.size, kLongestHeader));
  }
  if (bytes.size() - place.begin < place.size) return invalid("ends inside its header");
  return place;
}

absl::StatusOr<NpyType> TypeOf(const std::string& descr, std::string_view name) {
  const auto refused = [&](std::string_view reason) {
    return absl::InvalidArgumentError(fmt::format(
        "array '{}' has type '{}' ({}); needed little-endian numbers", name, descr, reason));
  };
  if (descr.size() < 2) return refused("unknown");
  const std::string_view code = std::string_view(descr).substr(1);
  if (code[0] == 'O') return refused("Python objects");
  for (const TypeFacts& facts : kTypes) {
    if (facts.code != code) continue;
    const bool known_order =
        descr[0] == '<' || descr[0] == '=' || (descr[0] == '|' && facts.bytes == 1);
    if (!known_order) return refused("big-endian");
    return facts.type;
  }
  return refused("not numbers that are understood here");
}

// elements * bytes, unless that is more than `available`.
std::optional<uint64_t> BytesNeeded(const std::vector<int64_t>& shape, uint64_t bytes_each,
                                    uint64_t available) {
  uint64_t bytes = bytes_each;
  for (const int64_t extent : shape) {
    if (extent == 0) return 0;
  }
  for (const int64_t extent : shape) {
    if (static_cast<uint64_t>(extent) > available / bytes) return std::nullopt;
    bytes *= static_cast<uint64_t>(extent);
  }
  return bytes;
}

}  // namespace

std::string_view ToString(NpyType type) { return FactsOf(type).name; }

int64_t BytesOf(NpyType type) { return FactsOf(type).bytes; }

bool IsInteger(NpyType type) { return type != NpyType::kF32 && type != NpyType::kF64; }

int64_t NpyArray::elements() const { return static_cast<int64_t>(values.size()) / BytesOf(type); }

double NpyArray::Number(int64_t index) const {
  return WithElement(*this, index, [](auto value) { return static_cast<double>(value); });
}

int64_t NpyArray::Integer(int64_t index) const {
  return WithElement(*this, index, [](auto value) -> int64_t {
    if constexpr (std::is_same_v<decltype(value), uint64_t>) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return -1;
    }
    return static_cast<int64_t>(value);
  });
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  if (shape.size() == 1) return fmt::format("({},)", shape[0]);
  return fmt::format("({})", fmt::join(shape, ", "));
}

absl::StatusOr<NpyArray> ParseNpy(std::string_view bytes, std::string_view name) {
  MICO_ASSIGN_OR_RETURN(const HeaderPlace place, FindHeader(bytes, name));
  MICO_ASSIGN_OR_RETURN(const Header header,
                        HeaderParser(bytes.substr(place.begin, place.size), name).Parse());
  NpyArray array;
  MICO_ASSIGN_OR_RETURN(array.type, TypeOf(header.descr, name));
  if (header.fortran_order && header.shape.size() > 1) {
    return absl::InvalidArgumentError(fmt::format(
        "array '{}' is in Fortran order; needed C order (numpy.ascontiguousarray)", name));
  }
  array.shape = header.shape;
  array.values = bytes.substr(place.begin + place.size);
  const std::optional<uint64_t> needed =
      BytesNeeded(array.shape, BytesOf(array.type), array.values.size());
  if (needed != array.values.size()) {
    return absl::InvalidArgumentError(
        fmt::format("array '{}': {} bytes of values; shape {} of {} does not have that size", name,
                    array.values.size(), ShapeText(array.shape), ToString(array.type)));
  }
  return array;
}

}  // namespace mico
