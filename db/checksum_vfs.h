#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mico {

// Every page of a database ends with eight bytes that SQLite leaves to us: a checksum. SQLite
// itself notices few of the bits that a disk turns over; docs/adr/0007 has the numbers and the
// reasons, docs/formats/database.md the bytes.
constexpr int kPageBytes = 4096;
constexpr int kReservedBytes = 8;
// `PRAGMA application_id` of a database whose pages have checksums: "MiCo".
constexpr int32_t kApplicationId = 0x4D69436F;

// The name of an SQLite VFS, the default one but for database files: there a page that is written
// gets its checksum, and one that is read and does not fit its own is SQLITE_IOERR_DATA. Journals
// and temporary files pass through, and so do databases without checksums. Thread-safe.
const char* ChecksumVfs();

// Whether a database that begins so has checksums. One of two marks suffices (the application id;
// the page size with the reserved bytes): damage must not make a file look like one without.
bool HasChecksums(std::string_view header);

// Over a page without its last eight bytes, and over its number (from 1), so that a page in
// another's place is noticed. A change within eight bytes, wherever they are, always changes it.
uint64_t PageChecksum(const char* page, int64_t number);

struct DamagedPage {
  int64_t number = 0;  // from 1
  uint64_t found = 0, needed = 0;
};
// "page 17 is damaged, or not written by mico-server: found the checksum ..., needed ..."
std::string ToString(const DamagedPage& page);
// The page of the latest SQLITE_IOERR_DATA in this thread, once.
std::optional<DamagedPage> TakeDamagedPage();

}  // namespace mico
