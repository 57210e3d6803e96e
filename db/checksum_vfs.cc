#include "db/checksum_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "fmt/format.h"

namespace mico {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int kHeaderBytes = 100;
constexpr int kContentBytes = kPageBytes - kReservedBytes;

using Methods = sqlite3_io_methods;

// What SQLite sees of a database file; the file of the default VFS lies behind it in memory.
struct alignas(8) ChecksumFile {
  sqlite3_file base;
  bool has_checksums;
  bool is_new;  // was empty when it was opened
};

thread_local std::optional<DamagedPage> damaged_page;

ChecksumFile& Self(sqlite3_file* file) { return *reinterpret_cast<ChecksumFile*>(file); }

sqlite3_file* Lower(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<ChecksumFile*>(file) + 1);
}

template <auto method, typename... Arguments>
auto Forward(sqlite3_file* file, Arguments... arguments) {
  sqlite3_file* lower = Lower(file);
  return (lower->pMethods->*method)(lower, arguments...);
}

uint64_t StoredChecksum(const char* page) {
  uint64_t checksum = 0;
  std::memcpy(&checksum, page + kContentBytes, sizeof(checksum));
  return checksum;
}

int ReadPage(sqlite3_file* file, char* page, int64_t number) {
  const int result = Forward<&Methods::xRead>(file, static_cast<void*>(page), kPageBytes,
                                              sqlite3_int64{number - 1} * kPageBytes);
  // What lies behind the end of the file has been filled with zeros.
  if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) return result;
  const uint64_t found = StoredChecksum(page), needed = PageChecksum(page, number);
  if (found == needed) return result;
  // While a file is being made SQLite may read a page that it set free before it was ever written.
  // Later that does not happen (WAL), and zeros are what a disk likes to leave of a page.
  if (Self(file).is_new && found == 0 &&
      std::all_of(page, page + kPageBytes, [](char c) { return c == 0; })) {
    return result;
  }
  damaged_page = {number, found, needed};
  return SQLITE_IOERR_DATA;
}

int Read(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset) {
  // The header is also read by itself, before there is a lock; nothing is believed of it before
  // the whole page has been read.
  if (!Self(file).has_checksums || offset + amount <= kHeaderBytes) {
    return Forward<&Methods::xRead>(file, buffer, amount, offset);
  }
  char* to = static_cast<char*>(buffer);
  if (amount == kPageBytes && offset % kPageBytes == 0) {
    return ReadPage(file, to, offset / kPageBytes + 1);
  }
  // Other pieces are asked for when the header names a wrong page size.
  int result = SQLITE_OK;
  std::array<char, kPageBytes> page;
  for (sqlite3_int64 at = offset; at < offset + amount;) {
    const int read = ReadPage(file, page.data(), at / kPageBytes + 1);
    if (read != SQLITE_OK && read != SQLITE_IOERR_SHORT_READ) return read;
    if (read != SQLITE_OK) result = read;
    const auto from = at % kPageBytes;
    const auto bytes = std::min<sqlite3_int64>(kPageBytes - from, offset + amount - at);
    std::memcpy(to + (at - offset), page.data() + from, static_cast<size_t>(bytes));
    at += bytes;
  }
  return result;
}

int Write(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset) {
  if (!Self(file).has_checksums) {
    return Forward<&Methods::xWrite>(file, buffer, amount, offset);
  }
  const auto* header = static_cast<const unsigned char*>(buffer);
  const bool is_page = amount == kPageBytes && offset % kPageBytes == 0;
  // There is no room for a checksum where SQLite keeps content: better no file than a broken one.
  if (!is_page || (offset == 0 && header[20] != kReservedBytes)) return SQLITE_IOERR_WRITE;
  std::array<char, kPageBytes> page;
  std::memcpy(page.data(), buffer, kContentBytes);
  const uint64_t checksum = PageChecksum(page.data(), offset / kPageBytes + 1);
  std::memcpy(page.data() + kContentBytes, &checksum, sizeof(checksum));
  return Forward<&Methods::xWrite>(file, static_cast<const void*>(page.data()), amount, offset);
}

// Version 2 has no xFetch: a page that is mapped into memory would not come past Read.
const Methods kMethods = {
    .iVersion = 2,
    .xClose = Forward<&Methods::xClose>,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Forward<&Methods::xTruncate, sqlite3_int64>,
    .xSync = Forward<&Methods::xSync, int>,
    .xFileSize = Forward<&Methods::xFileSize, sqlite3_int64*>,
    .xLock = Forward<&Methods::xLock, int>,
    .xUnlock = Forward<&Methods::xUnlock, int>,
    .xCheckReservedLock = Forward<&Methods::xCheckReservedLock, int*>,
    .xFileControl = Forward<&Methods::xFileControl, int, void*>,
    .xSectorSize = Forward<&Methods::xSectorSize>,
    .xDeviceCharacteristics = Forward<&Methods::xDeviceCharacteristics>,
    .xShmMap = Forward<&Methods::xShmMap, int, int, int, void volatile**>,
    .xShmLock = Forward<&Methods::xShmLock, int, int, int>,
    .xShmBarrier = Forward<&Methods::xShmBarrier>,
    .xShmUnmap = Forward<&Methods::xShmUnmap, int>,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

// A new file will have checksums, one that exists says itself.
int LookForChecksums(sqlite3_file* lower, ChecksumFile& self) {
  sqlite3_int64 bytes = 0;
  if (const int result = lower->pMethods->xFileSize(lower, &bytes); result != SQLITE_OK) {
    return result;
  }
  self.is_new = self.has_checksums = bytes == 0;
  if (self.is_new) return SQLITE_OK;
  std::array<char, kHeaderBytes> header{};
  const int result = lower->pMethods->xRead(lower, header.data(), kHeaderBytes, 0);
  self.has_checksums = HasChecksums({header.data(), header.size()});
  return result == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : result;
}

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  auto* lower_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) {
    return lower_vfs->xOpen(lower_vfs, name, file, flags, flags_out);
  }
  sqlite3_file* lower = Lower(file);
  file->pMethods = nullptr;  // SQLite closes what has methods
  int result = lower_vfs->xOpen(lower_vfs, name, lower, flags, flags_out);
  if (result == SQLITE_OK) result = LookForChecksums(lower, Self(file));
  if (result == SQLITE_OK) {
    file->pMethods = &kMethods;
  } else if (lower->pMethods != nullptr) {
    lower->pMethods->xClose(lower);
  }
  return result;
}

}  // namespace

const char* ChecksumVfs() {
  static sqlite3_vfs* const registered = [] {
    sqlite3_vfs* lower = sqlite3_vfs_find(nullptr);
    // Everything but Open stays what it is: these functions do not look at the object.
    static sqlite3_vfs vfs = *lower;
    vfs.zName = "mico-checksum";
    vfs.szOsFile = static_cast<int>(sizeof(ChecksumFile)) + lower->szOsFile;
    vfs.pAppData = lower;
    vfs.pNext = nullptr;
    vfs.xOpen = Open;
    sqlite3_vfs_register(&vfs, 0);
    return &vfs;
  }();
  return registered->zName;
}

bool HasChecksums(std::string_view header) {
  const auto byte = [header](size_t at) {
    return at < header.size() ? uint32_t{static_cast<unsigned char>(header[at])} : 0;
  };
  const uint32_t page_bytes = byte(16) << 8 | byte(17);
  const uint32_t id = byte(68) << 24 | byte(69) << 16 | byte(70) << 8 | byte(71);
  return id == uint32_t{kApplicationId} || (page_bytes == kPageBytes && byte(20) == kReservedBytes);
}

// Each step is a bijection of the state for a given word, and of the word for a given state: two
// pages that differ in a single word, or in their numbers alone, never have the same checksum.
uint64_t PageChecksum(const char* page, int64_t number) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  auto state = static_cast<uint64_t>(number) * kOdd;
  for (int at = 0; at < kContentBytes; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, page + at, sizeof(word));
    state = std::rotl((state ^ word) * kOdd, 29);
  }
  return state ^ state >> 32;
}

std::string ToString(const DamagedPage& page) {
  return fmt::format(
      "page {} is damaged, or not written by mico-server: found the checksum {:016x}, "
      "needed {:016x}",
      page.number, page.found, page.needed);
}

std::optional<DamagedPage> TakeDamagedPage() { return std::exchange(damaged_page, std::nullopt); }

}  // namespace mico
