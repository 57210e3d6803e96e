#include "model/model_package.h"

#include <limits>

#include "gmock/gmock.h"
#include "model/text_form.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

// Every operator and every kind of attribute.
ModelPackage Example(uint64_t seed = 1) {
  absl::StatusOr<Graph> graph = ParseGraph(
      "input x 2x9x9\n"
      "a = Conv(x) k=3x3 p=1,1,1,1 out=4 relu=6\n"
      "b = Conv(a) k=3x3 p=1,1,1,1 g=4 out=4 relu\n"
      "c = Add(a, b)\n"
      "d = MaxPool(c) k=2x2 s=2x2\n"
      "e = AveragePool(d) k=3x3 s=1x1 p=1,1,1,1 include_pad\n"
      "f = Relu(e)\n"
      "g = Concat(e, f)\n"
      "h = Slice(g) step=2,1,1 size=4x4x4\n"
      "i = Pad(h) c=1,1 p=0,1,0,0\n"
      "j = Conv(i) k=4x5 out=3\n"
      "output j\n"
      "output features = g\n"
      "output same = j\n");
  EXPECT_TRUE(graph.ok()) << graph.status();
  absl::StatusOr<ModelPackage> package = WithRandomWeights(*std::move(graph), seed);
  EXPECT_TRUE(package.ok()) << package.status();
  return *std::move(package);
}

TEST(ModelPackageTest, ComesBackFromItsBytes) {
  const ModelPackage package = Example();
  const std::string bytes = Serialize(package);

  const absl::StatusOr<ModelPackage> parsed = ParseModelPackage(bytes);

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(Serialize(*parsed), bytes);
  EXPECT_EQ(parsed->digest, package.digest);
  EXPECT_EQ(parsed->digest, Digest::Of(bytes));
  EXPECT_EQ(PrintGraph(parsed->graph), PrintGraph(package.graph));
  ASSERT_EQ(parsed->weights.layers.size(), 3u);
  EXPECT_EQ(parsed->weights.layers[2].weights, package.weights.layers[2].weights);
  EXPECT_EQ(parsed->weights.layers[2].bias, package.weights.layers[2].bias);
}

TEST(ModelPackageTest, SeedsDecideTheWeights) {
  EXPECT_EQ(Example(1).digest, Example(1).digest);
  EXPECT_NE(Example(1).digest, Example(2).digest);
}

TEST(ModelPackageTest, EveryTruncationIsRefused) {
  const std::string bytes = Serialize(Example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseModelPackage(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

TEST(ModelPackageTest, BytesBehindTheEndAreRefused) {
  EXPECT_EQ(ParseModelPackage(Serialize(Example()) + '\0').status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(ModelPackageTest, AChangedByteIsRefusedOrReadAsItStands) {
  const ModelPackage package = Example();
  const std::string bytes = Serialize(package);
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const char flip : {'\x01', '\x40', '\xff'}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const absl::StatusOr<ModelPackage> parsed = ParseModelPackage(changed);
      if (!parsed.ok()) continue;
      // Whatever is accepted is exactly what Serialize would have written.
      EXPECT_EQ(Serialize(*parsed), changed) << i;
    }
  }
}

TEST(ModelPackageTest, GarbageIsRefused) {
  EXPECT_FALSE(ParseModelPackage("").ok());
  EXPECT_FALSE(ParseModelPackage(std::string(4096, '\xff')).ok());
  EXPECT_FALSE(ParseModelPackage("MICOPKG2" + std::string(4096, '\x7f')).ok());
}

TEST(ModelPackageTest, AnotherVersionIsRefusedByName) {
  std::string bytes = Serialize(Example());
  bytes[7] = '1';
  const absl::Status status = ParseModelPackage(bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("model package: at byte 8: version 1; this program reads version 2"));
  bytes[0] = 'X';
  EXPECT_THAT(std::string(ParseModelPackage(bytes).status().message()),
              HasSubstr("does not begin with MICOPKG2"));
}

TEST(MakeModelPackageTest, WeightsMustFitTheGraph) {
  const ModelPackage package = Example();
  Weights weights = package.weights;
  weights.layers[1].weights.pop_back();
  EXPECT_THAT(std::string(MakeModelPackage(package.graph, weights).status().message()),
              HasSubstr("layer 'b' has 35 weights and 4 biases; needs 36 and 4"));

  weights = package.weights;
  weights.layers.pop_back();
  EXPECT_THAT(std::string(MakeModelPackage(package.graph, weights).status().message()),
              HasSubstr("weights for 2 layers; the graph has 3"));
}

TEST(MakeModelPackageTest, WeightsMustBeFinite) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const ModelPackage package = Example();
    Weights weights = package.weights;
    weights.layers[0].bias[2] = bad;
    EXPECT_THAT(std::string(MakeModelPackage(package.graph, weights).status().message()),
                HasSubstr("layer 'a' has a weight or bias that is not a finite number"));
  }
}

}  // namespace
}  // namespace mico
