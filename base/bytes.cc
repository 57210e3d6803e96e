#include "base/bytes.h"

#include <bit>
#include <cstring>

#include "fmt/format.h"

namespace mico {
namespace {

static_assert(std::endian::native == std::endian::little,
              "byte formats are copied from memory; a big-endian host needs swaps here");

template <typename T>
void Append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <typename T>
T Load(std::string_view bytes) {
  T value{};
  if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <typename T>
std::vector<T> LoadVector(ByteReader& reader) {
  const uint64_t count = reader.Count(sizeof(T));
  const std::string_view raw = reader.Raw(count * sizeof(T));
  std::vector<T> values(raw.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

template <typename T>
void AppendVector(std::string& bytes, std::span<const T> values) {
  Append<uint64_t>(bytes, values.size());
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

}  // namespace

void ByteWriter::U8(uint8_t value) { Append(bytes_, value); }
void ByteWriter::U32(uint32_t value) { Append(bytes_, value); }
void ByteWriter::U64(uint64_t value) { Append(bytes_, value); }
void ByteWriter::F32(float value) { Append(bytes_, value); }
void ByteWriter::F64(double value) { Append(bytes_, value); }
void ByteWriter::Text(std::string_view text) {
  U64(text.size());
  bytes_.append(text);
}
void ByteWriter::F32s(std::span<const float> values) { AppendVector(bytes_, values); }
void ByteWriter::I32s(std::span<const int32_t> values) { AppendVector(bytes_, values); }
void ByteWriter::I8s(std::span<const int8_t> values) { AppendVector(bytes_, values); }

ByteReader::ByteReader(std::string_view bytes, std::string what)
    : bytes_(bytes), what_(std::move(what)) {}

void ByteReader::Fail(std::string_view reason) {
  if (!status_.ok()) return;
  status_ = absl::DataLossError(fmt::format("{}: at byte {}: {}", what_, position_, reason));
}

std::string_view ByteReader::Raw(uint64_t size) {
  if (!status_.ok()) return {};
  if (size > bytes_.size() - position_) {
    Fail(fmt::format("{} bytes needed, {} left", size, bytes_.size() - position_));
    return {};
  }
  const std::string_view raw = bytes_.substr(position_, size);
  position_ += size;
  return raw;
}

void ByteReader::Magic(std::string_view needed) {
  const std::string_view found = Raw(needed.size());
  if (!status_.ok() || found == needed) return;
  const char version = found.back(), needed_version = needed.back();
  const bool same_format = found.substr(0, found.size() - 1) == needed.substr(0, needed.size() - 1);
  if (same_format && version >= '0' && version <= '9') {
    Fail(fmt::format("version {}; this program reads version {}", version, needed_version));
  } else {
    Fail(fmt::format("does not begin with {}", needed));
  }
}

uint64_t ByteReader::Count(uint64_t least_bytes_each) {
  const uint64_t count = U64();
  if (!status_.ok()) return 0;
  if (count > (bytes_.size() - position_) / std::max<uint64_t>(least_bytes_each, 1)) {
    Fail(fmt::format("a count of {} with {} bytes left", count, bytes_.size() - position_));
    return 0;
  }
  return count;
}

uint8_t ByteReader::U8() { return Load<uint8_t>(Raw(1)); }
uint32_t ByteReader::U32() { return Load<uint32_t>(Raw(4)); }
uint64_t ByteReader::U64() { return Load<uint64_t>(Raw(8)); }
float ByteReader::F32() { return Load<float>(Raw(4)); }
double ByteReader::F64() { return Load<double>(Raw(8)); }
std::string ByteReader::Text() { return std::string(Raw(Count(1))); }
std::vector<float> ByteReader::F32s() { return LoadVector<float>(*this); }
std::vector<int32_t> ByteReader::I32s() { return LoadVector<int32_t>(*this); }
std::vector<int8_t> ByteReader::I8s() { return LoadVector<int8_t>(*this); }

absl::Status ByteReader::Finish() const {
  if (!status_.ok()) return status_;
  if (!at_end()) {
    return absl::DataLossError(
        fmt::format("{}: {} bytes after the end", what_, bytes_.size() - position_));
  }
  return absl::OkStatus();
}

}  // namespace mico
