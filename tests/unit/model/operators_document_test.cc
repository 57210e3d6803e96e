// docs/operators.md says what the importer does: its table and its list are read here.

#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "base/file.h"
#include "gmock/gmock.h"
#include "model/onnx_constants.h"
#include "model/onnx_operators.h"
#include "tests/support/paths.h"
#include "tests/unit/model/onnx_file.h"

namespace mico {
namespace {

using ::testing::UnorderedElementsAreArray;

// A row: names of operators, and what is said of them.
struct Row {
  std::set<std::string> operators;
  std::string supported, refused, becomes;
};

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(Trimmed(part));
  return parts;
}

std::string Document() {
  absl::StatusOr<std::string> text = ReadFile(std::string(kSourceFolder) + "/docs/operators.md");
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

std::vector<Row> Table() {
  std::vector<Row> rows;
  std::istringstream lines(Document());
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> cells = Split(line, '|');
    if (!line.starts_with("| ") || cells[1] == "operator") continue;
    EXPECT_EQ(cells.size(), 5u) << line;
    if (cells.size() != 5) continue;
    const std::vector<std::string> names = Split(cells[1], ',');
    rows.push_back({{names.begin(), names.end()}, cells[2], cells[3], cells[4]});
  }
  return rows;
}

// The line behind "... when it is one of".
std::set<std::string> ListOfConstants() {
  std::istringstream lines(Document());
  for (std::string line; std::getline(lines, line);) {
    if (!line.ends_with("when it is one of")) continue;
    std::getline(lines, line);
    const std::vector<std::string> names = Split(line, ',');
    return {names.begin(), names.end()};
  }
  ADD_FAILURE() << "the page has no list of operators on constants";
  return {};
}

// x (4x8x8), a convolution `c` of it and a few constants.
OnnxFile Image(int64_t opset = 13) {
  OnnxFile file(opset);
  file.Input("x", {-1, 4, 8, 8}).Ramp("w", {4, 4, 1, 1}).Node("Conv", {"x", "w"}, "c");
  file.Floats("0", {}, {0}).Floats("1", {}, {1}).Floats("6", {}, {6});
  file.Floats("k", {4, 1, 1}, {1, 2, 3, 4}).Ramp("m", {4, 3}).Ramp("m8", {8, 8});
  file.Ramp("m256", {256, 3}).Integers("i0", {0}).Integers("i1", {1}).Integers("i2", {2});
  file.Integers("i-1", {-1}).Integers("i-9", {-9}).Integers("i0,-1", {0, -1});
  file.Integers("cut", {1, 2, 2, 64}).Integers("pads", {0, 0, 1, 0, 0, 0, 0, 2});
  return file;
}

using Build = std::function<void(OnnxFile&)>;

struct Examples {
  std::vector<Build> accepted, refused;
};

Build Norm(const char* attribute) {
  return [attribute](OnnxFile& f) {
    f.Ramp("v", {4}).Floats("spread", {4}, {1, 2, 3, 4});
    f.Node("BatchNormalization", {"c", "v", "v", "v", "spread"}, "y");
    if (attribute != nullptr) f.Int(attribute, attribute == std::string("spatial") ? 0 : 1);
  };
}

Build Pool(const char* type, const OnnxFile::Dims& kernel, const OnnxFile::Dims& pads) {
  return [=](OnnxFile& f) {
    f.Node(type, {"c"}, "y").Ints("kernel_shape", kernel).Ints("pads", pads);
    f.Text("auto_pad", "NOTSET").Int("ceil_mode", 1);
  };
}

// Operators of two inputs, in this order.
Build Two(const char* type, const char* a, const char* b) {
  return [=](OnnxFile& f) { f.Node(type, {a, b}, "y"); };
}

Build Mean(const OnnxFile::Dims& axes) {
  return [axes](OnnxFile& f) { f.Node("ReduceMean", {"c"}, "y").Ints("axes", axes); };
}

Build Soft(const char* type, int64_t axis, bool is_last) {
  return [=](OnnxFile& f) {
    f.Node(type, {"c"}, "y").Int("axis", axis);
    if (!is_last) f.Node("Relu", {"y"}, "z");
  };
}

Build Slice(const char* start, const char* end, const char* axis, const char* step) {
  return [=](OnnxFile& f) { f.Node("Slice", {"c", start, end, axis, step}, "y"); };
}

void AddLayers(std::map<std::string, Examples>& examples) {
  examples["Conv"] = {{[](OnnxFile& f) {
                        f.Ramp("u", {6, 2, 3, 2}).Node("Conv", {"c", "u"}, "y");
                        f.Int("group", 2).Ints("dilations", {2, 1}).Ints("pads", {0, 1, 2, 3});
                      }},
                      {Two("Conv", "x", "c"), [](OnnxFile& f) {
                         f.Node("Conv", {"c", "w"}, "y").Ints("pads", {-1, 0, 0, 0});
                       }}};
  examples["Gemm"] = {{[](OnnxFile& f) {
                        f.Node("Flatten", {"c"}, "f").Node("Gemm", {"f", "m256"}, "y");
                      }},
                      {[](OnnxFile& f) {
                        f.Node("Gemm", {"c", "m"}, "y").Int("transA", 1);
                      }}};
  examples["MatMul"] = {
      {[](OnnxFile& f) {
        f.Node("Flatten", {"c"}, "f").Node("MatMul", {"f", "m256"}, "y");
      }},
      {Two("MatMul", "m", "c"), Two("MatMul", "c", "x"), Two("MatMul", "c", "m8")}};
  examples["BatchNormalization"] = {{Norm(nullptr)}, {Norm("training_mode"), Norm("spatial")}};
  examples["Add"] = {{Two("Add", "c", "x"), Two("Add", "k", "c")}, {Two("Add", "c", "m8")}};
  examples["Sub"] = {{Two("Sub", "c", "x"), Two("Sub", "k", "c")}, {Two("Sub", "c", "m8")}};
  examples["Mul"] = {{Two("Mul", "c", "k")}, {Two("Mul", "c", "x"), Two("Mul", "c", "m8")}};
  examples["Div"] = {{Two("Div", "c", "k")}, {Two("Div", "c", "x"), Two("Div", "k", "c")}};
}

void AddLimitsAndPools(std::map<std::string, Examples>& examples) {
  examples["Relu"] = {{[](OnnxFile& f) { f.Node("Relu", {"c"}, "y"); }}, {}};
  examples["Clip"] = {{[](OnnxFile& f) {
                         f.Node("Clip", {"c", "0", "6"}, "y");
                       },
                       Two("Clip", "c", "0"),
                       [](OnnxFile& f) {
                         f.Node("Relu", {"c"}, "r").Node("Clip", {"r", "", "6"}, "y");
                       },
                       [](OnnxFile& f) { f.Node("Clip", {"c"}, "y"); }},
                      {Two("Clip", "c", "1"), [](OnnxFile& f) {
                         f.Node("Clip", {"c", "", "6"}, "y");
                       }}};
  examples["Max"] = {{Two("Max", "c", "0")}, {Two("Max", "c", "1"), Two("Max", "c", "x")}};
  examples["Min"] = {{[](OnnxFile& f) {
                       f.Node("Max", {"c", "0"}, "r").Node("Min", {"r", "6"}, "y");
                     }},
                     {Two("Min", "c", "6"), Two("Min", "c", "x")}};
  examples["MaxPool"] = {{Pool("MaxPool", {3, 2}, {1, 0, 2, 1})},
                         {[](OnnxFile& f) {
                            f.Node("MaxPool", {"c"}, "y").Ints("kernel_shape", {2, 2});
                            f.Ints("dilations", {2, 2});
                          },
                          [](OnnxFile& f) {
                            f.Node("MaxPool", {"c"}, "p").Ints("kernel_shape", {2, 2});
                            f.AlsoWrites("where").Node("Relu", {"where"}, "y");
                          }}};
  examples["AveragePool"] = {{Pool("AveragePool", {3, 2}, {1, 0, 2, 1}),
                              [](OnnxFile& f) {
                                Pool("AveragePool", {3, 3}, {1, 1, 1, 1})(f);
                                f.Int("count_include_pad", 1);
                              }},
                             {Pool("AveragePool", {2, 2}, {2, 0, 0, 0})}};
  examples["GlobalAveragePool"] = {{[](OnnxFile& f) { f.Node("GlobalAveragePool", {"c"}, "y"); }},
                                   {}};
  examples["ReduceMean"] = {{Mean({2, 3}), Mean({-1}), Mean({2})},
                            {Mean({1}), Mean({0}), Mean({0, 1, 2, 3})}};
}

void AddLayout(std::map<std::string, Examples>& examples) {
  examples["Concat"] = {{[](OnnxFile& f) {
                          f.Node("Concat", {"c", "x"}, "y").Int("axis", 1);
                        }},
                        {[](OnnxFile& f) {
                           f.Node("Concat", {"c", "x"}, "y").Int("axis", 3);
                         },
                         [](OnnxFile& f) {
                           f.Node("Concat", {"c", "k"}, "y").Int("axis", 1);
                         }}};
  examples["Slice"] = {{Slice("i1", "i-1", "i2", "i2")}, {Slice("i-1", "i-9", "i2", "i-1")}};
  examples["Pad"] = {
      {Two("Pad", "c", "pads")},
      {[](OnnxFile& f) {
         f.Node("Pad", {"c", "pads", "1"}, "y");
       },
       [](OnnxFile& f) {
         f.Node("Pad", {"c", "pads"}, "y").Text("mode", "reflect");
       },
       [](OnnxFile& f) {
         f.Integers("crop", {0, 0, -1, 0, 0, 0, 0, 0}).Node("Pad", {"c", "crop"}, "y");
       }}};
  const Build dense = [](OnnxFile& f) { f.Node("MatMul", {"y", "m256"}, "z"); };
  examples["Flatten"] = {{[dense](OnnxFile& f) { dense(f.Node("Flatten", {"c"}, "y")); }},
                         {[](OnnxFile& f) { f.Node("Flatten", {"c"}, "y"); }}};
  examples["Reshape"] = {{[dense](OnnxFile& f) {
                           dense(f.Node("Reshape", {"c", "i0,-1"}, "y"));
                         }},
                         {Two("Reshape", "c", "cut")}};
  examples["Squeeze"] = {{[](OnnxFile& f) {
                           f.Node("Unsqueeze", {"c", "i1"}, "u").Node("Squeeze", {"u", "i1"}, "y");
                         }},
                         {Two("Squeeze", "c", "i0")}};
  examples["Unsqueeze"] = {
      {[](OnnxFile& f) {
        f.Node("Unsqueeze", {"c", "i2"}, "y").Node("Squeeze", {"y", "i2"}, "s");
      }},
      {Two("Unsqueeze", "c", "i1")}};
  examples["Transpose"] = {
      {[](OnnxFile& f) {
        f.Node("Transpose", {"c"}, "y").Ints("perm", {0, 2, 3, 1}).Node("Flatten", {"y"}, "f");
        f.Node("MatMul", {"f", "m256"}, "z");
      }},
      {[](OnnxFile& f) {
        f.Node("Transpose", {"c"}, "y").Ints("perm", {0, 1, 3, 2});
      }}};
  examples["Identity"] = {{[](OnnxFile& f) { f.Node("Identity", {"c"}, "y"); }}, {}};
  examples["Dropout"] = {{[](OnnxFile& f) { f.Node("Dropout", {"c"}, "y"); }}, {[](OnnxFile& f) {
                           f.Node("Dropout", {"c", "", "i1"}, "y");
                         }}};
  examples["Cast"] = {{[](OnnxFile& f) { f.Node("Cast", {"c"}, "y").Int("to", 1); }},
                      {[](OnnxFile& f) { f.Node("Cast", {"c"}, "y").Int("to", 7); }}};
  examples["Softmax"] = {{Soft("Softmax", 1, true)},
                         {Soft("Softmax", 2, true), Soft("Softmax", 1, false)}};
  examples["LogSoftmax"] = {{Soft("LogSoftmax", 1, true)},
                            {Soft("LogSoftmax", 2, true), Soft("LogSoftmax", 1, false)}};
}

std::map<std::string, Examples> AllExamples() {
  std::map<std::string, Examples> examples;
  AddLayers(examples);
  AddLimitsAndPools(examples);
  AddLayout(examples);
  return examples;
}

TEST(OperatorsDocumentTest, ItsTableNamesWhatTheImporterKnows) {
  std::set<std::string> named;
  for (const Row& row : Table()) named.insert(row.operators.begin(), row.operators.end());
  const std::vector<std::string_view> known = OnnxOperatorTypes();
  EXPECT_THAT(named, UnorderedElementsAreArray(known.begin(), known.end()));
}

TEST(OperatorsDocumentTest, ItsListNamesWhatIsComputedAtImport) {
  const std::vector<std::string_view> known = ConstantOperatorTypes();
  EXPECT_THAT(ListOfConstants(), UnorderedElementsAreArray(known.begin(), known.end()));
}

TEST(OperatorsDocumentTest, EveryOperatorOfTheTableIsImported) {
  const std::map<std::string, Examples> examples = AllExamples();
  for (const Row& row : Table()) {
    EXPECT_FALSE(row.supported.empty());
    for (const std::string& name : row.operators) {
      ASSERT_TRUE(examples.contains(name)) << name;
      ASSERT_FALSE(examples.at(name).accepted.empty()) << name;
      for (const Build& build : examples.at(name).accepted) {
        OnnxFile file = Image();
        build(file);
        EXPECT_TRUE(file.Uses(name)) << name;
        const absl::StatusOr<ModelPackage> package = file.Import();
        EXPECT_TRUE(package.ok()) << name << ": " << package.status();
      }
    }
  }
}

TEST(OperatorsDocumentTest, EveryLimitOfTheTableIsMet) {
  const std::map<std::string, Examples> examples = AllExamples();
  for (const Row& row : Table()) {
    const bool has_limits = row.refused != "–";
    for (const std::string& name : row.operators) {
      EXPECT_EQ(!examples.at(name).refused.empty(), has_limits) << name;
      for (const Build& build : examples.at(name).refused) {
        OnnxFile file = Image();
        build(file);
        EXPECT_TRUE(file.Uses(name)) << name;
        const absl::StatusOr<ModelPackage> package = file.Import();
        EXPECT_EQ(package.status().code(), absl::StatusCode::kUnimplemented)
            << name << ": " << package.status();
      }
    }
  }
}

// The inputs of an operator on constants; its result is added up and added to the network's data.
std::map<std::string, std::vector<std::string>> InputsOfConstants() {
  std::map<std::string, std::vector<std::string>> inputs;
  for (const char* one :
       {"Abs", "Cast", "Ceil", "Flatten", "Floor", "Identity", "Neg", "ReduceMax", "ReduceMin",
        "ReduceProd", "ReduceSum", "Shape", "Size", "Sqrt", "Transpose"}) {
    inputs[one] = {"floats"};
  }
  for (const char* two : {"Add", "Concat", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
                          "LessOrEqual", "Max", "Min", "Mod", "Mul", "Sub"}) {
    inputs[two] = {"floats", "floats"};
  }
  for (const char* logical : {"And", "Or"}) inputs[logical] = {"ones", "ones"};
  inputs["Not"] = {"ones"};
  inputs["Constant"] = {};
  inputs["ConstantOfShape"] = {"two"};
  inputs["Expand"] = {"floats", "two"};
  inputs["Gather"] = {"floats", "one"};
  inputs["Range"] = {"one", "two", "one"};
  inputs["Reshape"] = {"floats", "two,one"};
  inputs["Slice"] = {"floats", "zero", "one"};
  inputs["Squeeze"] = {"floats"};
  inputs["Tile"] = {"floats", "two"};
  inputs["Unsqueeze"] = {"floats", "zero"};
  inputs["Where"] = {"ones", "floats", "floats"};
  return inputs;
}

TEST(OperatorsDocumentTest, EveryOperatorOfTheListIsComputed) {
  const std::map<std::string, std::vector<std::string>> inputs = InputsOfConstants();
  for (const std::string& name : ListOfConstants()) {
    ASSERT_TRUE(inputs.contains(name)) << name;
    OnnxFile file = Image();
    file.Floats("floats", {2}, {4, 9}).Integers("ones", {1, 1}).Integers("two", {2});
    file.Integers("one", {1}).Integers("zero", {0}).Integers("two,one", {2, 1});
    file.Node(name, inputs.at(name), "result");
    if (name == "Cast") file.Int("to", 7);
    if (name == "Concat") file.Int("axis", 0);
    if (name == "Constant") file.Int("value_int", 3);
    file.Node("Cast", {"result"}, "real").Int("to", 1);
    file.Node("ReduceSum", {"real"}, "sum").Int("keepdims", 0).Node("Add", {"c", "sum"}, "y");
    const absl::StatusOr<ModelPackage> package = file.Import();
    EXPECT_TRUE(package.ok()) << name << ": " << package.status();
  }
}

}  // namespace
}  // namespace mico
