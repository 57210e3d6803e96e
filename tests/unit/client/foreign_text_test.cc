// Whatever a server says, nothing of it reaches a terminal raw: every verb, every text field of
// every answer filled with terminal escapes, in every format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "client/command_line.h"
#include "fake_server.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "outcome.h"

namespace mico {
namespace {

// Sets a title, clears the screen, rings, moves, in 7 and 8 bits, and turns the writing around.
constexpr char kEvil[] =
    "\x1b]0;owned\x07\x1b[2J\r\x08\x7f \xc2\x9b"
    "31m \xe2\x80\xae"
    "evil\nforged";

// Fills every text of the message, at every depth.
void Poison(google::protobuf::Message& message, int depth = 0) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->real_containing_oneof() != nullptr) continue;
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      if (field->is_repeated()) {
        reflection.AddString(&message, field, kEvil);
      } else {
        reflection.SetString(&message, field, kEvil);
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && depth < 6) {
      Poison(field->is_repeated() ? *reflection.AddMessage(&message, field)
                                  : *reflection.MutableMessage(&message, field),
             depth + 1);
    }
  }
}

void ExpectHarmless(const std::string& text, const std::string& what) {
  for (const char* raw : {"\x1b", "\x07", "\r", "\x08", "\x7f", "\xc2\x9b", "\xe2\x80\xae"}) {
    EXPECT_EQ(text.find(raw), std::string::npos) << what << ": " << ::testing::PrintToString(text);
  }
}

class ForeignTextTest : public ::testing::Test {
 protected:
  ForeignTextTest() {
    FakeExploration& server = server_.exploration;
    Poison(server.job);
    server.job.set_id("4f1c" + server.job.id());
    server.job.set_state(v1::JOB_STATE_FAILED);
    server.job.mutable_spec()->set_trials(8);
    Poison(server.preview);
    Poison(server.targets);
    Poison(server.description);
    Poison(server.workers);
    Poison(server.diagnosis);
    server.job_pages.resize(1);
    *server.job_pages[0].add_jobs() = server.job;
    server.watched = {server.job};
    Poison(server.artifact);
    server.artifact.set_state(v1::ARTIFACT_STATE_FAILED);
    std::ofstream(Path("net.onnx")) << "net";
    std::ofstream(Path("set.npz")) << "set";
  }
  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }

  void ExpectHarmless(const std::vector<std::string>& verb) {
    for (const char* format : {"table", "json", "csv"}) {
      std::vector<std::string> arguments{"--server", server_.address(), "--output", format};
      arguments.insert(arguments.end(), verb.begin(), verb.end());
      const Outcome outcome = Captured([&] { return RunCommandLine(arguments, false); });
      const std::string what = verb[0] + " as " + format;
      EXPECT_NE(outcome.out + outcome.err, "") << what;
      mico::ExpectHarmless(outcome.out, what);
      mico::ExpectHarmless(outcome.err, what);
    }
  }

  TemporaryFolder folder_ = *TemporaryFolder::Create();
  FakeServer server_;
};

TEST_F(ForeignTextTest, InAnAnswerNeverReachesTheTerminalRaw) {
  ExpectHarmless({"status", "4f1c"});
  ExpectHarmless({"status", "4f1c", "--watch"});
  ExpectHarmless({"front", "4f1c"});
  ExpectHarmless({"cancel", "4f1c"});
  ExpectHarmless({"jobs"});
  ExpectHarmless({"targets"});
  ExpectHarmless({"workers"});
  ExpectHarmless({"doctor"});
  ExpectHarmless({"datasets", "describe", Path("set.npz")});
  ExpectHarmless({"fetch", "job", "-o", Path("out")});
  const std::vector<std::string> submit{
      "submit", "--model", Path("net.onnx"), "--data", Path("set.npz"), "--target", "t"};
  ExpectHarmless(submit);
  std::vector<std::string> dry_run = submit;
  dry_run.push_back("--dry-run");
  ExpectHarmless(dry_run);
}

TEST_F(ForeignTextTest, InAnErrorNeverReachesTheTerminalRaw) {
  server_.exploration.status = {grpc::StatusCode::INTERNAL, kEvil};
  server_.exploration.watch_status = {grpc::StatusCode::INTERNAL, kEvil};
  server_.exploration.watched.clear();

  ExpectHarmless({"status", "4f1c"});
  ExpectHarmless({"status", "4f1c", "--watch"});
  ExpectHarmless({"jobs"});
  ExpectHarmless({"doctor"});
}

TEST_F(ForeignTextTest, OnAWatchingTerminalOnlyOurOwnEscapesArePainted) {
  const Outcome outcome = Captured([&] {
    return RunCommandLine({"--server", server_.address(), "status", "x", "--watch"}, true);
  });

  EXPECT_EQ(outcome.out.find("\x1b]0;"), std::string::npos);
  EXPECT_EQ(outcome.out.find("\x1b[2J"), std::string::npos);
  EXPECT_EQ(outcome.out.find('\x07'), std::string::npos);
}

TEST_F(ForeignTextTest, InWhatTheUserTypedIsNotEchoedRawEither) {
  ExpectHarmless({kEvil});
  ExpectHarmless({"status", "x", std::string("--") + kEvil});
  ExpectHarmless({"submit", "--file", Path(std::string(kEvil))});
  ExpectHarmless({"submit", "--model", kEvil, "--data", kEvil, "--target", kEvil});
  ExpectHarmless({"submit", "--max-ram", kEvil, "--model", "a", "--data", "b", "--target", "t"});
}

TEST_F(ForeignTextTest, AFilesNameTravelsAsText) {
  const std::string name = std::string("net\x1b[2J\xff\n.onnx");
  std::ofstream(Path(name)) << "net";

  const Outcome outcome = Captured([&] {
    return RunCommandLine({"--server", server_.address(), "submit", "--model", Path(name), "--data",
                           Path("set.npz"), "--target", "t"},
                          false);
  });

  EXPECT_EQ(outcome.code, ExitCode::kDone) << outcome.err;
  EXPECT_EQ(server_.exploration.submits.at(0).spec().model_name(), "net?[2J? .onnx");
}

}  // namespace
}  // namespace mico
