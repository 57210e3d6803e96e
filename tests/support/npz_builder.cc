#include "tests/support/npz_builder.h"

#include <archive.h>
#include <archive_entry.h>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

la_ssize_t AppendTo(archive*, void* target, const void* bytes, size_t size) {
  static_cast<std::string*>(target)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

}  // namespace

std::string NpyBytes(std::string_view header, std::string_view body) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes += body;
  return bytes;
}

std::string ZipBytes(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string bytes;
  archive* zip = archive_write_new();
  archive_write_set_format_zip(zip);
  archive_write_set_bytes_in_last_block(zip, 1);  // no padding after the end
  archive_write_open(zip, &bytes, nullptr, &AppendTo, nullptr);
  for (const auto& [name, content] : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(zip, entry);
    archive_write_data(zip, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_free(zip);
  return bytes;
}

NpzBuilder& NpzBuilder::AddRaw(const std::string& name, std::string_view descr,
                               const std::vector<int64_t>& shape, std::string_view body) {
  const std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}\n", descr,
                  fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  return AddFile(name, NpyBytes(header, body));
}

NpzBuilder& NpzBuilder::AddFile(const std::string& name, std::string npy) {
  Remove(name);
  entries_.emplace_back(name + ".npy", std::move(npy));
  return *this;
}

NpzBuilder& NpzBuilder::Remove(const std::string& name) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.first == name + ".npy"; });
  return *this;
}

}  // namespace mico
