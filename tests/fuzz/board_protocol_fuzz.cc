// What comes from a board. The first byte chooses: any bytes, or the payloads of lines, which get
// their checksums here, because no mutation finds them.
#include "tests/fuzz/fuzz.h"
#include "worker/board/protocol.h"

namespace {

std::string Sent(std::string_view payloads) {
  std::string text;
  while (!payloads.empty()) {
    const std::string_view payload = payloads.substr(0, payloads.find('\n'));
    text += mico::BoardLine(payload);
    payloads.remove_prefix(std::min(payloads.size(), payload.size() + 1));
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  fuzz::Pieces pieces(fuzz::Bytes(data, size));
  const bool raw = pieces.Byte() % 2 == 0;
  const absl::StatusOr<BoardRun> run =
      ParseBoardOutput(raw ? std::string(pieces.Rest()) : Sent(pieces.Rest()));
  if (!run.ok() || run->program != "selftest") return 0;
  fuzz::Require(run->passed + run->failed == static_cast<int64_t>(run->cases_ok.size()),
                "the last line agrees with the cases");
  return 0;
}
