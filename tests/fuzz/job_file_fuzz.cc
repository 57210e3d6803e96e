// A job file of mico-cli, and the limits in it.
#include "base/file.h"
#include "client/job_file.h"
#include "client/units.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  static const std::filesystem::path path = fuzz::ScratchFolder() / "job.yaml";
  fuzz::WriteScratch(path, fuzz::Bytes(data, size));
  SubmitOptions options;
  if (!MergeJobFile(path, options).ok()) return 0;
  if (options.max_latency) ParseLatencyLimit(*options.max_latency).IgnoreError();
  if (options.max_ram) ParseBytesLimit("max-ram", *options.max_ram).IgnoreError();
  if (options.max_flash) ParseBytesLimit("max-flash", *options.max_flash).IgnoreError();
  if (options.min_accuracy) ParseAccuracyLimit(*options.min_accuracy).IgnoreError();
  return 0;
}
