#include "worker/sandbox.h"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"
#include "worker/system_call_filter.h"

namespace mico {
namespace {

constexpr char kBubblewrap[] = "bwrap";
// Where the program lies inside.
constexpr char kProgram[] = "/program";
constexpr int kFilterFd = 3;  // ProcessOptions::inherited_fd
constexpr std::array<std::string_view, 4> kLibraryFolders{"/usr/lib", "/usr/lib64", "/lib",
                                                          "/lib64"};
// What the loader of libraries reads.
constexpr std::array<std::string_view, 2> kLoaderFiles{"/etc/ld.so.cache", "/etc/alternatives"};
constexpr std::array<std::string_view, 2> kDevices{"/dev/null", "/dev/urandom"};

// A file in memory that nobody can change any more.
class SealedFile {
 public:
  static absl::StatusOr<SealedFile> Create(std::string_view content) {
    SealedFile file(memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file.fd_ < 0) return Failed();
    while (!content.empty()) {
      const ssize_t count = write(file.fd_, content.data(), content.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return Failed();
      content.remove_prefix(static_cast<size_t>(count));
    }
    constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (lseek(file.fd_, 0, SEEK_SET) != 0 || fcntl(file.fd_, F_ADD_SEALS, kSeals) != 0) {
      return Failed();
    }
    return file;
  }
  SealedFile(SealedFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  SealedFile& operator=(SealedFile&&) = delete;
  ~SealedFile() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }

 private:
  explicit SealedFile(int fd) : fd_(fd) {}
  static absl::Status Failed() {
    return absl::ResourceExhaustedError(fmt::format("no file in memory: {}", std::strerror(errno)));
  }

  int fd_;
};

using Arguments = std::vector<std::string>;

void Append(Arguments& arguments, std::initializer_list<std::string_view> more) {
  for (const std::string_view one : more) arguments.emplace_back(one);
}

// Libraries that this process uses from elsewhere: a libtorch of somebody's own.
std::set<std::string> LibrariesElsewhere() {
  std::set<std::string> found;
  const auto note = [](dl_phdr_info* library, size_t, void* into) {
    const std::string_view path = library->dlpi_name;
    bool is_elsewhere = path.starts_with('/');
    for (const std::string_view folder : kLibraryFolders) {
      if (path.starts_with(fmt::format("{}/", folder))) is_elsewhere = false;
    }
    if (is_elsewhere) static_cast<std::set<std::string>*>(into)->emplace(path);
    return 0;
  };
  dl_iterate_phdr(note, &found);
  return found;
}

void ShowLibraries(Arguments& arguments) {
  for (const std::string_view folder : kLibraryFolders) {
    std::error_code error;
    if (std::filesystem::is_symlink(folder, error)) {
      const std::string target = std::filesystem::read_symlink(folder, error).string();
      Append(arguments, {"--symlink", target, folder});
    } else {
      Append(arguments, {"--ro-bind-try", folder, folder});
    }
  }
  for (const std::string_view file : kLoaderFiles) {
    Append(arguments, {"--ro-bind-try", file, file});
  }
  for (const std::string& file : LibrariesElsewhere()) {
    Append(arguments, {"--ro-bind", file, file});
  }
}

Arguments BubblewrapArguments(const SandboxOptions& options) {
  Arguments arguments{kBubblewrap};
  Append(arguments, {"--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534"});
  Append(arguments, {"--hostname", "sandbox", "--die-with-parent", "--new-session"});
  Append(arguments, {"--cap-drop", "ALL", "--clearenv", "--setenv", "LC_ALL", "C"});
  // Nothing is multiplied in there, and threads that wait for work cost memory.
  Append(arguments, {"--setenv", "OPENBLAS_NUM_THREADS", "1", "--setenv", "OMP_NUM_THREADS", "1"});
  ShowLibraries(arguments);
  for (const std::string_view device : kDevices) {
    Append(arguments, {"--dev-bind", device, device});
  }
  for (const std::filesystem::path& path : options.read_only) {
    Append(arguments, {"--ro-bind", path.string(), path.string()});
  }
  Append(arguments, {"--ro-bind", options.program.string(), kProgram});
  // The root itself is a file system in memory.
  Append(arguments, {"--remount-ro", "/", "--chdir", "/", "--seccomp", std::to_string(kFilterFd)});
  Append(arguments, {"--", kProgram});
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  return arguments;
}

absl::Status NoSandbox(std::string_view complaint) {
  return absl::FailedPreconditionError(
      fmt::format("no sandbox: {}; mend: {}", complaint, HowToMendSandbox(complaint)));
}

}  // namespace

std::string HowToMendSandbox(std::string_view complaint) {
  if (complaint.find("PATH") != std::string_view::npos) return "apt-get install bubblewrap";
  if (complaint.find("processor") != std::string_view::npos) {
    return "run a mico-worker on x86_64 or aarch64";
  }
  return "sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 "
         "user.max_user_namespaces=1000   # in a container: --security-opt seccomp=unconfined";
}

absl::StatusOr<ProcessResult> RunInSandbox(const SandboxOptions& options) {
  const absl::StatusOr<std::string> bubblewrap = FindProgram(kBubblewrap);
  if (!bubblewrap.ok()) return NoSandbox(std::string(bubblewrap.status().message()));
  const std::string filter = SystemCallFilter();
  if (filter.empty()) return NoSandbox("no filter of system calls for this processor");
  MICO_ASSIGN_OR_RETURN(const SealedFile filter_file, SealedFile::Create(filter));
  MICO_ASSIGN_OR_RETURN(const SealedFile input, SealedFile::Create(options.input));

  ProcessOptions process;
  process.timeout = options.timeout;
  process.most_output_bytes = options.most_output_bytes;
  process.most_file_bytes = 1;  // there is no place for files; this is for those without a name
  process.most_memory_bytes = options.most_memory_bytes;
  process.most_cpu_time = options.most_cpu_time;
  process.input_fd = input.fd();
  process.inherited_fd = filter_file.fd();
  process.cancelled = options.cancelled;
  MICO_ASSIGN_OR_RETURN(ProcessResult result, RunProcess(BubblewrapArguments(options), process));
  // A program could say the same and would only be believed that it was not started.
  if (result.exit_code != 0 && result.errors.starts_with("bwrap: ")) {
    return NoSandbox(PrintableLine(result.errors.substr(0, result.errors.find('\n'))));
  }
  return result;
}

}  // namespace mico
