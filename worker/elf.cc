#include "worker/elf.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

class ElfFile {
 public:
  static absl::StatusOr<ElfFile> Open(const std::filesystem::path& path) {
    if (elf_version(EV_CURRENT) == EV_NONE) return absl::InternalError("libelf is too old");
    ElfFile file;
    file.name_ = path.string();
    file.fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file.fd_ < 0) {
      return absl::NotFoundError(fmt::format("{}: {}", path.string(), std::strerror(errno)));
    }
    file.elf_ = elf_begin(file.fd_, ELF_C_READ, nullptr);
    if (file.elf_ == nullptr || elf_kind(file.elf_) != ELF_K_ELF) {
      return absl::InvalidArgumentError(fmt::format("{}: no ELF file", path.string()));
    }
    return file;
  }

  ElfFile(ElfFile&& other) noexcept
      : name_(std::move(other.name_)),
        fd_(std::exchange(other.fd_, -1)),
        elf_(std::exchange(other.elf_, nullptr)) {}
  ~ElfFile() {
    if (elf_ != nullptr) elf_end(elf_);
    if (fd_ >= 0) close(fd_);
  }

  Elf* get() const { return elf_; }

  // The section headers are the last thing in a file; libelf overlooks it where some are missing.
  absl::Status CheckWhole() const {
    GElf_Ehdr header;
    size_t size = 0;
    if (gelf_getehdr(elf_, &header) == nullptr || elf_rawfile(elf_, &size) == nullptr) {
      return Damaged("no header");
    }
    const uint64_t sections = uint64_t{header.e_shnum} * header.e_shentsize;
    if (sections == 0 || header.e_shoff > size || sections > size - header.e_shoff) {
      return Damaged("it is cut");
    }
    return absl::OkStatus();
  }

  absl::Status Damaged(std::string_view what) const {
    return absl::InvalidArgumentError(fmt::format("{}: damaged ELF file: {}", name_, what));
  }

 private:
  ElfFile() = default;

  std::string name_;
  int fd_ = -1;
  Elf* elf_ = nullptr;
};

// Tables for unwinding exist in object files; the linker scripts of our boards drop them.
bool IsForUnwinding(std::string_view section) {
  return section.starts_with(".eh_frame") || section.starts_with(".ARM.ex");
}

void AddSection(const GElf_Shdr& header, std::string_view name, ElfContent& content) {
  if ((header.sh_flags & SHF_ALLOC) == 0) return;
  const auto size = static_cast<int64_t>(header.sh_size);
  const bool is_writable = (header.sh_flags & SHF_WRITE) != 0;
  const bool is_code = (header.sh_flags & SHF_EXECINSTR) != 0;
  const bool has_bytes = header.sh_type != SHT_NOBITS;
  if (has_bytes) content.flash_bytes += size;
  if (is_writable) content.ram_bytes += size;
  if (has_bytes && !is_writable && !is_code && !IsForUnwinding(name)) {
    content.constant_bytes += size;
  }
}

std::string MachineOf(const GElf_Ehdr& header) {
  const char* bits = header.e_ident[EI_CLASS] == ELFCLASS64 ? "64" : "32";
  switch (header.e_machine) {
    case EM_RISCV:
      return fmt::format("RISC-V, {} bits", bits);
    case EM_ARM:
      return fmt::format("Arm, {} bits", bits);
    case EM_X86_64:
      return fmt::format("x86-64, {} bits", bits);
    default:
      return fmt::format("machine {}, {} bits", header.e_machine, bits);
  }
}

class SymbolReader {
 public:
  SymbolReader(const ElfFile& file, size_t section_names) : file_(file), names_(section_names) {}

  absl::Status Read(Elf_Scn* section, const GElf_Shdr& header, std::vector<ElfSymbol>& symbols) {
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr || header.sh_entsize == 0) return file_.Damaged("symbol table");
    const uint64_t count = header.sh_size / header.sh_entsize;
    for (uint64_t i = 0; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) {
        return file_.Damaged("symbol");
      }
      const char* name = elf_strptr(file_.get(), header.sh_link, symbol.st_name);
      if (name == nullptr) return file_.Damaged("name of a symbol");
      Take(symbol, name, symbols);
    }
    return absl::OkStatus();
  }

 private:
  // Local symbols follow the name of their source file; global ones follow all local ones.
  void Take(const GElf_Sym& symbol, const char* name, std::vector<ElfSymbol>& symbols) {
    const int type = GELF_ST_TYPE(symbol.st_info);
    if (type == STT_FILE) source_file_ = name;
    if ((type != STT_FUNC && type != STT_OBJECT) || symbol.st_shndx == SHN_UNDEF) return;
    const bool is_local = GELF_ST_BIND(symbol.st_info) == STB_LOCAL;
    symbols.push_back({name, SectionName(symbol.st_shndx), is_local ? source_file_ : "",
                       static_cast<int64_t>(symbol.st_size), type == STT_FUNC});
  }

  std::string SectionName(size_t index) const {
    GElf_Shdr header;
    Elf_Scn* section = elf_getscn(file_.get(), index);
    if (section == nullptr || gelf_getshdr(section, &header) == nullptr) return "";
    const char* name = elf_strptr(file_.get(), names_, header.sh_name);
    return name == nullptr ? "" : name;
  }

  const ElfFile& file_;
  const size_t names_;
  std::string source_file_;
};

}  // namespace

absl::StatusOr<ElfContent> ReadElf(const std::filesystem::path& path) {
  MICO_ASSIGN_OR_RETURN(const ElfFile file, ElfFile::Open(path));
  MICO_RETURN_IF_ERROR(file.CheckWhole());
  size_t names = 0;
  if (elf_getshdrstrndx(file.get(), &names) != 0) return file.Damaged("section names");

  ElfContent content;
  GElf_Ehdr file_header;
  if (gelf_getehdr(file.get(), &file_header) == nullptr) return file.Damaged("header");
  content.machine = MachineOf(file_header);
  SymbolReader symbols(file, names);
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(file.get(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) return file.Damaged("section header");
    const char* name = elf_strptr(file.get(), names, header.sh_name);
    AddSection(header, name == nullptr ? "" : name, content);
    if (header.sh_type == SHT_SYMTAB) {
      MICO_RETURN_IF_ERROR(symbols.Read(section, header, content.symbols));
    }
  }
  std::sort(content.symbols.begin(), content.symbols.end(),
            [](const ElfSymbol& a, const ElfSymbol& b) {
              return std::tie(a.name, a.file) < std::tie(b.name, b.file);
            });
  return content;
}

}  // namespace mico
