#include "client/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

namespace mico {
namespace {

using ::testing::ExitedWithCode;

TEST(InterruptDeathTest, CtrlCExitsWith130) {
  EXPECT_EXIT(
      {
        ExitOnInterrupt();
        std::raise(SIGINT);
      },
      ExitedWithCode(130), "^$");
}

TEST(InterruptDeathTest, CtrlCSaysTheLastThingItWasTold) {
  EXPECT_EXIT(
      {
        ExitOnInterrupt();
        SayOnInterrupt("nothing has happened yet");
        SayOnInterrupt("the job goes on");
        std::raise(SIGINT);
      },
      ExitedWithCode(130), "^the job goes on\n$");
}

TEST(InterruptDeathTest, ALongFarewellIsCut) {
  EXPECT_EXIT(
      {
        ExitOnInterrupt();
        SayOnInterrupt(std::string(10'000, 'x'));
        std::raise(SIGINT);
      },
      ExitedWithCode(130), "^x+\n$");
}

}  // namespace
}  // namespace mico
