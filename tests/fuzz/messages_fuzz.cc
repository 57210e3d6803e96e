// What a worker and a client read from a server. The first byte chooses the message.
#include "client/output.h"
#include "client/render.h"
#include "proto/convert.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mico;

// A message that is believed says the same after a second journey.
template <typename Message>
void CheckConversion(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto value = FromProto(message);
  if (!value.ok()) return;
  const Message sent = ToProto(*value);
  const auto again = FromProto(sent);
  fuzz::Require(again.ok(), "what we send is believed");
  fuzz::Require(SerializeDeterministically(ToProto(*again)) == SerializeDeterministically(sent),
                "what we send is understood");
}

void CheckRendering(std::string_view bytes) {
  v1::Job job;
  if (!job.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  ProgressLine(job);
  RenderJob(job);
  RenderJob(job, 24);
  RenderFront(job, OutputFormat::kCsv);
  ToJson(job);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // a line for every text that is not UTF-8
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Pieces pieces(fuzz::Bytes(data, size));
  switch (pieces.Byte() % 6) {
    case 0:
      CheckConversion<v1::SynchronizeResponse>(pieces.Rest());
      break;
    case 1:
      CheckConversion<v1::SynchronizeRequest>(pieces.Rest());
      break;
    case 2:
      CheckConversion<v1::JobSpec>(pieces.Rest());
      break;
    case 3:
      CheckConversion<v1::TaskOrder>(pieces.Rest());
      break;
    case 4:
      CheckConversion<v1::TaskResult>(pieces.Rest());
      break;
    default:
      CheckRendering(pieces.Rest());
  }
  return 0;
}
