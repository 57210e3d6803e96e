#include "worker/compiler.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "worker/process.h"

namespace mico {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBspFiles = 256;
constexpr uint64_t kMostBspFileBytes = 16 << 20;
constexpr std::chrono::seconds kVersionTimeout{20};
constexpr size_t kMostVersionBytes = 300;
constexpr std::string_view kProgramName = "program.elf";

bool HasEnding(const std::string& path, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&path](std::string_view ending) { return path.ends_with(ending); });
}

bool IsSource(const std::string& path) { return HasEnding(path, {".c", ".S"}); }
bool IsHeader(const std::string& path) { return HasEnding(path, {".h", ".inc"}); }

bool IsPlainPath(const std::string& path) {
  if (path.empty() || path.size() > 255 || path[0] == '/') return false;
  for (const fs::path& part : fs::path(path)) {
    if (part.empty() || part == "." || part == ".." || part.string()[0] == '-') return false;
  }
  return std::all_of(path.begin(), path.end(), [](unsigned char c) {
    return c < 128 && (std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/');
  });
}

// What a person needs of a compiler's message.
std::string FirstLines(const std::string& message) {
  constexpr int kLines = 12;
  constexpr size_t kBytes = 2000;
  size_t end = 0;
  for (int line = 0; line < kLines && end < message.size(); ++line) {
    end = std::min(message.find('\n', end), message.size() - 1) + 1;
  }
  return message.substr(0, std::min(end, kBytes));
}

// The bsp folder's files as they are now; a build uses this copy, so that what was announced is
// what is compiled.
absl::StatusOr<std::vector<GeneratedFile>> ReadBsp(const fs::path& folder) {
  std::vector<GeneratedFile> files;
  if (folder.empty()) return files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!IsSource(name) && !IsHeader(name) && name != "link.ld") continue;
    const std::string path = "bsp/" + name;
    if (!IsPlainPath(path)) {
      return absl::InvalidArgumentError(fmt::format("bsp file '{}': needs a plain name", name));
    }
    if (files.size() == kMostBspFiles) {
      return absl::InvalidArgumentError(
          fmt::format("bsp folder {}: more than {} files", folder.string(), kMostBspFiles));
    }
    MICO_ASSIGN_OR_RETURN(std::string content, ReadFile(entry.path(), kMostBspFileBytes));
    files.push_back({path, std::move(content)});
  }
  if (error) {
    return absl::NotFoundError(fmt::format("bsp folder {}: {}", folder.string(), error.message()));
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

absl::StatusOr<std::string> AskVersion(const std::string& cc) {
  ProcessOptions options;
  options.timeout = kVersionTimeout;
  MICO_ASSIGN_OR_RETURN(const ProcessResult result, RunProcess({cc, "--version"}, options));
  if (!result.succeeded() || result.output.empty()) {
    return absl::FailedPreconditionError(fmt::format("{} --version: {}", cc, result.Outcome()));
  }
  const std::string line = result.output.substr(0, result.output.find('\n'));
  return PrintableLine(line.substr(0, kMostVersionBytes));
}

std::string Identity(const Toolchain& toolchain, const std::string& version,
                     const std::vector<GeneratedFile>& bsp) {
  std::string text =
      fmt::format("compiler {}\ncflags {}\nldflags {}\n", version,
                  fmt::join(toolchain.cflags, "\x1f"), fmt::join(toolchain.ldflags, "\x1f"));
  for (const GeneratedFile& file : bsp) {
    text += fmt::format("{} {}\n", file.path, Digest::Of(file.content).hex());
  }
  return text;
}

// Everything about one build that its steps share.
struct BuildPlan {
  const Toolchain& toolchain;
  const CompilerOptions& options;
  fs::path folder;
  const std::string& identity;
  std::vector<const GeneratedFile*> sources;
  std::vector<const GeneratedFile*> headers;
};

// Kernels and board support are the same in many programs: they see the headers of their own folder
// only, so that their objects can be kept. Everything else sees all and is compiled each time.
// Gives that folder, or "" for everything else.
std::string_view OwnFolder(const std::string& source) {
  for (const std::string_view folder : {"kernels/", "bsp/"}) {
    if (source.starts_with(folder)) return folder;
  }
  return "";
}

std::vector<std::string> IncludeFlags(const BuildPlan& build, const std::string& source) {
  std::set<std::string> folders;
  for (const GeneratedFile* header : build.headers) {
    if (!header->path.starts_with(OwnFolder(source))) continue;
    const std::string parent = fs::path(header->path).parent_path().string();
    folders.insert(parent.empty() ? "." : parent);
  }
  std::vector<std::string> flags;
  flags.reserve(folders.size());
  for (const std::string& folder : folders) flags.push_back("-I" + folder);
  return flags;
}

// Where the object of a source is kept; empty if it is not.
fs::path CachedObject(const BuildPlan& build, const GeneratedFile& source) {
  const std::string_view own_folder = OwnFolder(source.path);
  if (build.options.object_cache.empty() || own_folder.empty()) return {};
  std::string key = fmt::format("{}{}\n{}\n", build.identity, source.path, source.content);
  for (const GeneratedFile* header : build.headers) {
    if (!header->path.starts_with(own_folder)) continue;
    key += fmt::format("{} {}\n", header->path, Digest::Of(header->content).hex());
  }
  return build.options.object_cache / (Digest::Of(key).hex() + ".o");
}

std::string ObjectOf(const std::string& source) {
  std::string name = source;
  std::replace(name.begin(), name.end(), '/', '.');
  return "objects/" + name + ".o";
}

std::vector<std::string> CompileCommand(const BuildPlan& build, const std::string& source) {
  std::vector<std::string> command = {build.toolchain.cc, "-std=c99", "-ffunction-sections",
                                      "-fdata-sections"};
  command.insert(command.end(), build.toolchain.cflags.begin(), build.toolchain.cflags.end());
  const std::vector<std::string> includes = IncludeFlags(build, source);
  command.insert(command.end(), includes.begin(), includes.end());
  command.insert(command.end(), {"-c", source, "-o", ObjectOf(source)});
  return command;
}

std::vector<std::string> LinkCommand(const BuildPlan& build, bool has_linker_script) {
  std::vector<std::string> command = {build.toolchain.cc};
  command.insert(command.end(), build.toolchain.cflags.begin(), build.toolchain.cflags.end());
  for (const GeneratedFile* source : build.sources) command.push_back(ObjectOf(source->path));
  command.insert(command.end(), build.toolchain.ldflags.begin(), build.toolchain.ldflags.end());
  command.push_back("-Wl,--gc-sections");
  if (has_linker_script) command.push_back("-Tbsp/link.ld");
  command.insert(command.end(), {"-o", std::string(kProgramName)});
  return command;
}

ProcessOptions ProcessFor(const BuildPlan& build) {
  ProcessOptions options;
  options.working_folder = build.folder;
  options.timeout = build.options.timeout;
  options.cancelled = build.options.cancelled;
  return options;
}

absl::Status CompileOne(const BuildPlan& build, const GeneratedFile& source) {
  std::error_code error;
  const fs::path object = build.folder / ObjectOf(source.path);
  const fs::path cached = CachedObject(build, source);
  if (!cached.empty() && fs::copy_file(cached, object, error)) return absl::OkStatus();
  MICO_ASSIGN_OR_RETURN(const ProcessResult result,
                        RunProcess(CompileCommand(build, source.path), ProcessFor(build)));
  if (!result.succeeded()) {
    return absl::FailedPreconditionError(fmt::format("{} on {}: {}\n{}", build.toolchain.cc,
                                                     source.path, result.Outcome(),
                                                     FirstLines(result.errors)));
  }
  if (cached.empty()) return absl::OkStatus();
  // A cache that cannot be written costs time, nothing else.
  absl::StatusOr<std::string> bytes = ReadFile(object);
  if (bytes.ok()) WriteFileDurably(cached, *bytes).IgnoreError();
  return absl::OkStatus();
}

// Compilers run side by side; after the first error no new one is started.
absl::Status CompileAll(const BuildPlan& build) {
  absl::Mutex mutex;
  absl::Status first_error;
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  const auto work = [&] {
    for (size_t i = next++; i < build.sources.size() && !failed; i = next++) {
      const absl::Status status = CompileOne(build, *build.sources[i]);
      if (status.ok()) continue;
      const absl::MutexLock lock(&mutex);
      first_error.Update(status);
      failed = true;
    }
  };
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int wanted = build.options.parallel > 0 ? build.options.parallel : cores;
  std::vector<std::thread> threads;
  for (int i = 1; i < std::min(wanted, static_cast<int>(build.sources.size())); ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) thread.join();
  return first_error;
}

absl::Status Link(const BuildPlan& build, bool has_linker_script) {
  MICO_ASSIGN_OR_RETURN(const ProcessResult result,
                        RunProcess(LinkCommand(build, has_linker_script), ProcessFor(build)));
  if (result.succeeded()) return absl::OkStatus();
  const std::string message = fmt::format("linking with {}: {}\n{}", build.toolchain.cc,
                                          result.Outcome(), FirstLines(result.errors));
  const bool too_large = result.errors.find("overflowed by") != std::string::npos ||
                         result.errors.find("will not fit in region") != std::string::npos;
  return too_large ? absl::ResourceExhaustedError(message) : absl::FailedPreconditionError(message);
}

}  // namespace

absl::Status WriteGeneratedFiles(std::span<const GeneratedFile> files, const fs::path& folder) {
  for (const GeneratedFile& file : files) {
    if (!IsPlainPath(file.path)) {
      return absl::InvalidArgumentError(
          fmt::format("generated file '{}': not a plain relative path", file.path));
    }
    const fs::path path = folder / file.path;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    std::ofstream stream(path, std::ios::binary | std::ios::trunc);
    stream.write(file.content.data(), static_cast<std::streamsize>(file.content.size()));
    stream.close();
    if (error || !stream) {
      return absl::ResourceExhaustedError(fmt::format("cannot write {}", path.string()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Compiler> Compiler::Create(const Toolchain& toolchain) {
  Compiler compiler;
  compiler.toolchain_ = toolchain;
  MICO_ASSIGN_OR_RETURN(compiler.version_, AskVersion(toolchain.cc));
  MICO_ASSIGN_OR_RETURN(compiler.bsp_files_, ReadBsp(toolchain.bsp));
  compiler.identity_ = Identity(toolchain, compiler.version_, compiler.bsp_files_);
  return compiler;
}

absl::StatusOr<fs::path> Compiler::Build(std::span<const GeneratedFile> files,
                                         const fs::path& folder,
                                         const CompilerOptions& options) const {
  MICO_RETURN_IF_ERROR(WriteGeneratedFiles(files, folder));
  MICO_RETURN_IF_ERROR(WriteGeneratedFiles(bsp_files_, folder));
  std::error_code error;
  fs::create_directories(folder / "objects", error);
  if (!options.object_cache.empty()) fs::create_directories(options.object_cache, error);

  BuildPlan build{toolchain_, options, folder, identity_, {}, {}};
  for (const std::span<const GeneratedFile> group : {files, std::span(bsp_files_)}) {
    for (const GeneratedFile& file : group) {
      if (IsSource(file.path)) build.sources.push_back(&file);
      if (IsHeader(file.path)) build.headers.push_back(&file);
    }
  }
  MICO_RETURN_IF_ERROR(CompileAll(build));
  const bool has_linker_script =
      std::any_of(bsp_files_.begin(), bsp_files_.end(),
                  [](const GeneratedFile& file) { return file.path == "bsp/link.ld"; });
  MICO_RETURN_IF_ERROR(Link(build, has_linker_script));
  fs::path program = folder / kProgramName;
  if (!fs::is_regular_file(program, error)) {
    return absl::FailedPreconditionError(
        fmt::format("linking with {}: exit code 0, but it left no program", toolchain_.cc));
  }
  return program;
}

}  // namespace mico
