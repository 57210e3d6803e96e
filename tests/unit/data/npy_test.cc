#include "data/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/npz_builder.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Header(std::string_view descr, std::string_view order, std::string_view shape) {
  return "{'descr': " + std::string(descr) + ", 'fortran_order': " + std::string(order) +
         ", 'shape': " + std::string(shape) + ", }\n";
}

std::string MessageFor(const std::string& bytes) {
  return std::string(ParseNpy(bytes, "x").status().message());
}

TEST(NpyTest, ReadsTypeShapeAndValues) {
  const std::string bytes =
      NpyBytes(Header("'<i2'", "False", "(1, 2)"), std::string("\x01\x00\xff\xff", 4));

  const auto array = ParseNpy(bytes, "x");

  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->type, NpyType::kI16);
  EXPECT_THAT(array->shape, ElementsAre(1, 2));
  EXPECT_EQ(array->Integer(0), 1);
  EXPECT_EQ(array->Integer(1), -1);
}

TEST(NpyTest, ReadsAScalar) {
  const std::string bytes =
      NpyBytes(Header("'<f8'", "False", "()"), std::string("\0\0\0\0\0\0\xf8\x3f", 8));

  const auto array = ParseNpy(bytes, "scale");

  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->elements(), 1);
  EXPECT_EQ(array->Number(0), 1.5);
}

TEST(NpyTest, ReadsVersionTwoHeaders) {
  const std::string header = Header("'|u1'", "False", "(1,)");
  std::string bytes("\x93NUMPY\x02\x00", 8);
  bytes += static_cast<char>(header.size());
  bytes += std::string(3, '\0') + header + "\x07";

  const auto array = ParseNpy(bytes, "x");

  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->Integer(0), 7);
}

TEST(NpyTest, RefusesFortranOrderByName) {
  EXPECT_THAT(MessageFor(NpyBytes(Header("'|u1'", "True", "(1, 2)"), "ab")),
              HasSubstr("Fortran order"));
}

TEST(NpyTest, RefusesObjectArraysByName) {
  EXPECT_THAT(MessageFor(NpyBytes(Header("'|O'", "False", "(1,)"), "cpickle")),
              HasSubstr("Python objects"));
}

TEST(NpyTest, RefusesStructuredTypesAndBigEndian) {
  EXPECT_THAT(MessageFor(NpyBytes(Header("[('a', '<i4')]", "False", "(1,)"), "abcd")),
              HasSubstr("structured"));
  EXPECT_THAT(MessageFor(NpyBytes(Header("'>i4'", "False", "(1,)"), "abcd")),
              HasSubstr("big-endian"));
}

TEST(NpyTest, RefusesSizesThatDoNotMatchTheBytes) {
  EXPECT_THAT(MessageFor(NpyBytes(Header("'|u1'", "False", "(3,)"), "ab")), HasSubstr("2 bytes"));
  EXPECT_THAT(MessageFor(NpyBytes(Header("'|u1'", "False", "(1,)"), "ab")), HasSubstr("2 bytes"));
  EXPECT_FALSE(
      ParseNpy(NpyBytes(Header("'<f8'", "False", "(4294967296, 4294967296)"), ""), "x").ok());
  EXPECT_FALSE(
      ParseNpy(NpyBytes(Header("'<f8'", "False", "(2305843009213693952, 8)"), ""), "x").ok());
}

TEST(NpyTest, RefusesBrokenHeaders) {
  for (const std::string_view header :
       {"", "{", "{}", "{'descr'", "{'descr': '|u1'}", "{'shape': (", "{'shape': (-1,)}",
        "{'shape': (99999999999999999999,)}", "{'descr': '|u1", "{'fortran_order': Maybe}",
        "{'descr': '', 'fortran_order': False, 'shape': ()}",
        "{'shape': (), 'shape': (), 'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), } x"}) {
    EXPECT_FALSE(ParseNpy(NpyBytes(header, "a"), "x").ok()) << header;
  }
}

TEST(NpyTest, RefusesEveryTruncation) {
  const std::string whole = NpyBytes(Header("'|u1'", "False", "(4,)"), "abcd");
  ASSERT_TRUE(ParseNpy(whole, "x").ok());

  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseNpy(whole.substr(0, size), "x").ok()) << size << " bytes";
  }
}

}  // namespace
}  // namespace mico
