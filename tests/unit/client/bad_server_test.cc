// What answers at the address is no mico-server: exit code 3 within seconds, and one clear line.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "client/command_line.h"
#include "client/connection.h"
#include "fmt/format.h"
#include "outcome.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

// Accepts every connection, says `answer` and keeps it open, or hangs up at once.
class RawServer {
 public:
  RawServer(std::string answer, bool hangs_up) : answer_(std::move(answer)), hangs_up_(hangs_up) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    address_ = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~RawServer() {
    stopping_ = true;
    thread_.join();
    for (const int connection : connections_) close(connection);
    close(listener_);
  }
  const std::string& address() const { return address_; }

 private:
  void Serve() {
    while (!stopping_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      if (!answer_.empty()) (void)send(connection, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      if (hangs_up_) {
        close(connection);
      } else {
        connections_.push_back(connection);
      }
    }
  }

  const std::string answer_;
  const bool hangs_up_;
  std::string address_;
  int listener_ = -1;
  std::vector<int> connections_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

void ExpectUnreachable(const RawServer& server, const std::string& what) {
  const std::vector<std::vector<std::string>> verbs{{"jobs"}, {"status", "4f1c", "--watch"}};
  for (const std::vector<std::string>& verb : verbs) {
    std::vector<std::string> arguments{"--server", server.address()};
    arguments.insert(arguments.end(), verb.begin(), verb.end());
    const Outcome outcome = Captured([&] { return RunCommandLine(arguments, false); });
    EXPECT_EQ(outcome.code, ExitCode::kServerUnreachable) << what << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("server " + server.address() + " does not answer")) << what;
    EXPECT_EQ(outcome.out, "") << what;
  }
}

TEST(BadServerTest, SomethingThatSpeaksAnotherProtocolIsNoServer) {
  ExpectUnreachable({"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", false},
                    "a web server");
  ExpectUnreachable({std::string(100'000, '\xaa'), false}, "garbage");
  ExpectUnreachable({"SSH-2.0-OpenSSH_9.2\r\n", true}, "an SSH server");
}

TEST(BadServerTest, SomethingThatHangsUpIsNoServer) { ExpectUnreachable({"", true}, "hangs up"); }

TEST(BadServerTest, SomethingThatNeverAnswersIsNotWaitedForLong) {
  const RawServer server("", false);

  const Outcome outcome = Captured([&] {
    return RunCommandLine({"--server", server.address(), "jobs"}, false);
  });

  EXPECT_EQ(outcome.code, ExitCode::kServerUnreachable) << outcome.err;
}

}  // namespace
}  // namespace mico
