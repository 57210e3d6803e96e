// mico-torchscript: what a worker starts inside a sandbox to read one TorchScript file.
//
//   mico-torchscript 3x32x32 <net.ts.pt >net.package
//
// The argument is the shape of one sample. Exit code 0: stdout is the serialized ModelPackage;
// 64 + a status code: stdout says why there is none.
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/model_package.h"
#include "worker/torch/convert_script.h"

namespace mico {
namespace {

constexpr int kFirstErrorCode = 64;

// Empty if it is not a shape.
std::vector<int64_t> ReadDims(std::string_view text) {
  std::vector<int64_t> dims;
  while (!text.empty()) {
    int64_t extent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
    if (error != std::errc()) return {};
    dims.push_back(extent);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.starts_with('x') && text.size() > 1) {
      text.remove_prefix(1);
    } else if (!text.empty()) {
      return {};
    }
  }
  return dims;
}

std::string ReadAll(int descriptor) {
  std::string bytes;
  std::vector<char> buffer(size_t{1} << 20);
  while (true) {
    const ssize_t count = read(descriptor, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return bytes;
    bytes.append(buffer.data(), static_cast<size_t>(count));
  }
}

bool WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

int Answer(int output, const absl::Status& status) {
  const std::string message(status.message());
  return WriteAll(output, message) ? kFirstErrorCode + static_cast<int>(status.code()) : 1;
}

int Convert(int output, std::string_view shape) {
  const std::vector<int64_t> dims = ReadDims(shape);
  if (dims.empty()) return Answer(output, absl::InvalidArgumentError("the shape is not one"));
  try {
    const absl::StatusOr<ModelPackage> package = ConvertScript(ReadAll(STDIN_FILENO), dims);
    if (!package.ok()) return Answer(output, package.status());
    return WriteAll(output, Serialize(*package)) ? 0 : 1;
  } catch (const std::bad_alloc&) {
    return Answer(output, absl::ResourceExhaustedError("its memory does not suffice"));
  }
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  if (argc != 2) {
    (void)std::fprintf(stderr, "usage: mico-torchscript SHAPE <FILE >PACKAGE\n");
    return 2;
  }
  // A file can print while it is loaded; that must not get into the answer.
  const int output = dup(STDOUT_FILENO);
  if (output < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 1;
  const int code = mico::Convert(output, argv[1]);
  // Threads that a file has started do not keep the answer waiting, and no destructor runs for
  // them.
  _exit(code);
}
