// Data sets on their way from mico-cli to a server: good ones, and what strangers send.
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <limits>

#include "base/digest.h"
#include "base/file.h"
#include "fmt/format.h"
#include "tests/integration/service.h"
#include "tests/support/image_files.h"
#include "tests/support/npz_builder.h"
#include "tests/support/paths.h"
#include "tests/support/tar_builder.h"

namespace mico {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// What scripts see; docs/howto/use-mico-cli.md.
constexpr int kDone = 0, kWrongInput = 2;

struct Outcome {
  int code;
  std::string out, err;
};

class DatasetsTest : public ServiceTest {
 protected:
  // The real program; no argument has a quote in it.
  Outcome Run(const std::vector<std::string>& arguments) {
    std::string command = fmt::format("'{}/bin/mico-cli' --server {}", kBinaryFolder, address());
    for (const std::string& argument : arguments) command += fmt::format(" '{}'", argument);
    command += fmt::format(" >'{0}' 2>'{0}.err'", Path("cli"));
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadFile(Path("cli")).value_or(""),
            ReadFile(Path("cli.err")).value_or("")};
  }
  Outcome Describe(const std::string& what) { return Run({"datasets", "describe", what}); }
  Outcome SubmitSet(const std::string& data) {
    WriteFile("net.onnx", SmallNetwork());
    return Run({"submit", "--model", Path("net.onnx"), "--data", data, "--target", "fake",
                "--strategy", "uniform", "--trials", "20"});
  }

  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string WriteFile(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }
  // Three classes of 4x4 images, as SmallNetwork reads them; all images differ.
  std::string WriteImages() {
    for (int i = 0; i < 60; ++i) {
      PngFile image{.width = 4, .height = 4};
      image.rows = RandomBytes(16, static_cast<uint64_t>(i));
      WriteFile(fmt::format("shapes/class{}/{:03}.png", i % 3, i), image.Bytes());
    }
    WriteFile("shapes/preparation.json", R"({"scale": 0.00392156862745098, "mean": 0.5})");
    return Path("shapes");
  }

  // Refused by both verbs in one line to standard error with every one of `parts`; the server
  // remembers nothing and goes on.
  void ExpectRefused(const std::string& data, const std::vector<std::string>& parts) {
    for (const Outcome& outcome : {Describe(data), SubmitSet(data)}) {
      EXPECT_EQ(outcome.code, kWrongInput) << outcome.err;
      EXPECT_EQ(outcome.out, "");
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
      for (const std::string& part : parts) EXPECT_THAT(outcome.err, HasSubstr(part));
    }
    EXPECT_EQ(Run({"jobs", "--output", "csv"}).out,
              "job,state,model,data,target,strategy,trials,front,created\n");
    EXPECT_EQ(Run({"datasets", "--output", "csv"}).out, "digest,name,size,created,description\n");
  }
};

TEST_F(DatasetsTest, AFolderOfImagesIsDescribedSubmittedAndListed) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string folder = WriteImages();

  const Outcome described = Describe(folder);
  EXPECT_EQ(described.code, kDone) << described.err;
  EXPECT_THAT(described.out,
              AllOf(HasSubstr("data set shapes\n"), HasSubstr("source   folder of images"),
                    HasSubstr("samples  1x4x4 uint8, 3 classes\n"),
                    HasSubstr("train  48       3        the rest of each class, shuffled\n"),
                    HasSubstr("0      16     2    2     ####################  class0\n"),
                    HasSubstr("warning  val has 6 samples")));

  const Outcome submitted = SubmitSet(folder);
  EXPECT_EQ(submitted.code, kDone) << submitted.err;
  EXPECT_THAT(Run({"datasets"}).out,
              AllOf(HasSubstr("shapes"), HasSubstr("images of 1x4x4 uint8, 3 classes; 48 train, 6 "
                                                   "val, 6 test (each class shuffled and split)")));
  // The same folder again is the same blob, and so the same job.
  EXPECT_THAT(SubmitSet(folder + "/").out, EndsWith("(already known)\n"));
}

TEST_F(DatasetsTest, ADataSetOfTheServerIsDescribedByItsDigest) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string file = WriteFile("small.npz", SmallData());
  ASSERT_EQ(SubmitSet(file).code, kDone);
  const std::string digest = Digest::Of(SmallData()).hex();

  const Outcome whole = Describe(digest), prefix = Describe(digest.substr(0, 8));

  EXPECT_EQ(whole.code, kDone) << whole.err;
  EXPECT_THAT(whole.out, AllOf(HasSubstr("data set small.npz\n"), HasSubstr(digest),
                               HasSubstr("val    40       3        x_val\n")));
  EXPECT_EQ(prefix.out, whole.out);
}

TEST_F(DatasetsTest, DigestsThatTheServerDoesNotHaveAreNotFound) {
  const Outcome prefix = Describe("0123abcd"), whole = Describe(std::string(64, '0'));
  EXPECT_EQ(prefix.code, kWrongInput);
  EXPECT_THAT(prefix.err, HasSubstr("data set '0123abcd': no job has used one"));
  EXPECT_EQ(whole.code, kWrongInput);
  EXPECT_THAT(whole.err, HasSubstr("is not on this server: upload it"));
}

TEST_F(DatasetsTest, BadArraysAreRefusedByName) {
  FakeWorker worker = AnnouncedWorker("a");
  const auto set = [] {
    NpzBuilder builder;
    for (const std::string split : {"train", "val", "test"}) {
      builder.Add<float>("x_" + split, "<f4", {1, 16}, std::vector<float>(16, 0.5f));
      builder.Add<int64_t>("y_" + split, "<i8", {1}, {0});
    }
    return builder;
  };
  const auto write = [&](const NpzBuilder& builder) {
    return WriteFile("bad.npz", builder.Build());
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused(write(set().AddRaw("x_val", "|O", {1, 16}, "cpickle")),
                {"data set 'bad.npz'", "'x_val'", "Python objects"});
  ExpectRefused(write(set().Add<float>("x_test", "<f4", {1, 16}, std::vector<float>(16, nan))),
                {"'x_test' has nan at position 0", "needed finite numbers"});
  ExpectRefused(write(set().Add<int64_t>("y_val", "<i8", {1}, {-1})),
                {"'y_val' has label -1 at position 0", "needed 0 to 9999"});
  ExpectRefused(write(set().AddRaw("x_train", ">f4", {1, 16}, std::string(64, '\0'))),
                {"'x_train'", "big-endian"});
  const std::string whole = set().Build();
  ExpectRefused(WriteFile("cut.npz", whole.substr(0, whole.size() / 2)), {"data set 'cut.npz'"});
}

TEST_F(DatasetsTest, AFileThatExpandsAThousandfoldIsRefused) {
  FakeWorker worker = AnnouncedWorker("a");
  NpzBuilder builder;
  for (const std::string split : {"train", "val", "test"}) {
    builder.Add<int64_t>("y_" + split, "<i8", {1}, {0});
  }
  builder.AddRaw("x_train", "|u1", {80, 1'000'000}, std::string(80'000'000, '\0'));
  const std::string bytes = builder.Build();
  ASSERT_LT(bytes.size(), 100'000u);
  ExpectRefused(WriteFile("bomb.npz", bytes),
                {"'x_train.npy' makes the unpacked contents larger than 67108864 bytes"});
}

TEST_F(DatasetsTest, BadImagesAreRefusedByName) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string folder = WriteImages();
  const auto refused_with = [&](const std::string& name, const std::string& content,
                                const std::vector<std::string>& parts) {
    const std::string path = WriteFile("shapes/" + name, content);
    ExpectRefused(folder, parts);
    fs::remove(path);
  };
  refused_with("class1/other.png", PlainPng(5, 4, 1, 0),
               {"data set 'shapes': 'class1/other.png': 5x4 grey; needed 4x4 grey"});
  refused_with("class1/cut.png", PlainPng(4, 4, 1, 0).substr(0, 50),
               {"'class1/cut.png': a broken PNG: the file ends early"});
  refused_with("class1/text.jpg", "hello", {"'class1/text.jpg': neither PNG nor JPEG"});
  refused_with("class3/1.png", PlainPng(4, 4, 1, 0), {"class 'class3' has 1 image"});
  refused_with("preparation.json", R"({"scale": 0})", {"'scale' has 0; needed a positive number"});
  refused_with("class1/\x1b[2J.png", "", {"class1/?[2J.png: a name with control characters"});
}

TEST_F(DatasetsTest, AnArchiveThatMicoCliWouldNotMakeIsRefusedToo) {
  FakeWorker worker = AnnouncedWorker("a");
  TarBuilder link, escape;
  link.AddSpecial("cat/1.png", '2', "/etc/passwd");
  escape.Add("../cat/1.png", PlainPng(4, 4, 1, 0));
  ExpectRefused(WriteFile("link.tar", link.Build()),
                {"'cat/1.png': needed a regular file or a folder"});
  ExpectRefused(WriteFile("escape.tar", escape.Build()), {"needed a plain relative name"});
  ExpectRefused(WriteFile("model.npz", SmallNetwork()), {"of no known kind by its first bytes"});
}

}  // namespace
}  // namespace mico
