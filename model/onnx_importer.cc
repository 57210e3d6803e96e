#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <variant>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "model/draft.h"
#include "model/importer.h"
#include "model/normal_form.h"
#include "model/onnx_constants.h"
#include "model/onnx_operators.h"
#include "model/onnx_order.h"
#include "model/onnx_wire.pb.h"

namespace mico {
namespace {

using onnx_wire::GraphProto;
using onnx_wire::ModelProto;
using onnx_wire::NodeProto;
using onnx_wire::ValueInfoProto;

constexpr int64_t kOldestOpset = 8, kNewestOpset = 18;
constexpr int kMostNodes = 100'000;
constexpr int64_t kMostFoldedElements = int64_t{1} << 26;

// What a tensor's name stands for: something computed from the network's input, a constant, or the
// result of a node that we do not support, of which is known only whether it depends on the input.
struct NotSupported {
  bool is_data = true;
};
using Tensor = std::variant<NotSupported, LayoutView, ConstantPointer>;

absl::StatusOr<int64_t> ReadOpset(const ModelProto& model) {
  int64_t opset = 1;
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") opset = import.version();
  }
  if (opset < kOldestOpset || opset > kNewestOpset) {
    return absl::UnimplementedError(
        fmt::format("the model uses ONNX operator set {}; supported "
                    "are {} to {}",
                    opset, kOldestOpset, kNewestOpset));
  }
  return opset;
}

absl::StatusOr<ModelProto> ParseFile(std::string_view bytes) {
  ModelProto model;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(
        fmt::format("{} bytes that are not an ONNX model", bytes.size()));
  }
  if (!model.has_graph() || model.graph().node_size() == 0) {
    return absl::InvalidArgumentError("the file holds no ONNX graph with nodes");
  }
  if (model.graph().node_size() > kMostNodes) {
    return absl::InvalidArgumentError(
        fmt::format("the graph has {} nodes; at most {}", model.graph().node_size(), kMostNodes));
  }
  return model;
}

// One import: walks the nodes in order and knows what every tensor so far is.
class Import {
 public:
  Import(const ModelProto& model, int64_t opset)
      : model_(model),
        proto_(model.graph()),
        opset_(opset),
        draft_(PlainName(model.graph().name())) {}

  absl::StatusOr<ModelPackage> Run() {
    if (proto_.sparse_initializer_size() > 0) AddProblem("the model has sparse initializers");
    if (model_.functions_size() > 0) AddProblem("the model defines functions of its own");
    MICO_ASSIGN_OR_RETURN(const std::vector<int> order, OrderLiveNodes(proto_));
    MICO_RETURN_IF_ERROR(ReadInitializers(order));
    MICO_RETURN_IF_ERROR(ReadInput(order));
    for (const int index : order) MICO_RETURN_IF_ERROR(Visit(proto_.node(index), index));
    MICO_RETURN_IF_ERROR(BindOutputs());
    if (!problems_.empty()) return ProblemReport();
    return Finish();
  }

 private:
  void AddProblem(std::string problem) { problems_.push_back(std::move(problem)); }

  absl::Status ProblemReport() const {
    return absl::UnimplementedError(
        fmt::format("the model is not supported for {} reason{}{}:\n  {}", problems_.size(),
                    problems_.size() == 1 ? "" : "s", BatchNote(), fmt::join(problems_, "\n  ")));
  }

  // What somebody needs to know who wonders about shapes in an error.
  std::string BatchNote() const {
    if (batch_ == 1) return "";
    return fmt::format(" (the batch, which the file fixes to {}, is taken as 1)", batch_);
  }

  // Decodes the constants that some live node reads.
  absl::Status ReadInitializers(const std::vector<int>& order) {
    std::unordered_set<std::string> read;
    for (const int index : order) {
      read.insert(proto_.node(index).input().begin(), proto_.node(index).input().end());
    }
    for (const onnx_wire::TensorProto& initializer : proto_.initializer()) {
      if (!read.contains(initializer.name())) continue;
      absl::StatusOr<ConstantTensor> tensor = DecodeTensor(initializer);
      if (absl::IsUnimplemented(tensor.status())) {
        AddProblem(std::string(tensor.status().message()));
        tensors_.emplace(initializer.name(), NotSupported{.is_data = false});
        continue;
      }
      MICO_RETURN_IF_ERROR(tensor.status());
      const auto pointer = std::make_shared<const ConstantTensor>(*std::move(tensor));
      if (!tensors_.emplace(initializer.name(), pointer).second) {
        return absl::InvalidArgumentError(
            fmt::format("two initializers are named '{}'", PlainName(initializer.name())));
      }
    }
    return absl::OkStatus();
  }

  // Old files list initializers among the inputs; the network's input is the one that is left.
  absl::Status ReadInput(const std::vector<int>& order) {
    std::unordered_set<std::string> initialized;
    for (const auto& initializer : proto_.initializer()) initialized.insert(initializer.name());
    std::vector<const ValueInfoProto*> inputs;
    for (const ValueInfoProto& input : proto_.input()) {
      if (!initialized.contains(input.name())) inputs.push_back(&input);
    }
    if (inputs.empty()) return absl::InvalidArgumentError("the model has no input");
    if (inputs.size() > 1) {
      AddProblem(fmt::format("the model has {} inputs; one is supported", inputs.size()));
      for (const ValueInfoProto* input : inputs) tensors_[input->name()] = NotSupported{};
      return absl::OkStatus();
    }
    return BindInput(*inputs[0], order);
  }

  absl::Status BindInput(const ValueInfoProto& input, const std::vector<int>& order) {
    const std::string name = UniqueName(input.name(), "input");
    const auto& type = input.type().tensor_type();
    if (type.elem_type() != onnx_wire::TensorProto::FLOAT) {
      AddProblem(fmt::format("input '{}' has element type {}; only float is supported", name,
                             type.elem_type()));
    }
    MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, InputDims(name, type.shape()));
    if (dims.empty() || dims.size() > 4) {
      AddProblem(
          fmt::format("input '{}' has {} dimensions; supported are features, batch x features, "
                      "batch x channels x length and batch x channels x height x width",
                      name, dims.size()));
      tensors_.insert_or_assign(input.name(), NotSupported{});
      return absl::OkStatus();
    }
    tensors_.insert_or_assign(
        input.name(),
        ViewInput(name, dims, IsReadAsChannelsLast(input.name(), dims.size(), order)));
    return absl::OkStatus();
  }

  // Adds the input to the draft, in the normal form, and gives how the file sees it.
  LayoutView ViewInput(const std::string& name, const std::vector<int64_t>& dims,
                       bool channels_last) {
    const auto add = [&](auto view, const Shape& shape) {
      return view(draft_.AddInput(name, shape), shape);
    };
    switch (dims.size()) {
      case 3:
        if (channels_last) return add(LayoutView::SignalChannelsLast, Shape{dims[2], 1, dims[1]});
        return add(LayoutView::Signal, Shape{dims[1], 1, dims[2]});
      case 4:
        if (channels_last) return add(LayoutView::ChannelsLast, Shape{dims[3], dims[1], dims[2]});
        return add(LayoutView::Image, Shape{dims[1], dims[2], dims[3]});
    }
    const auto features = [&](int value, const Shape& shape) {
      return LayoutView::Features(value, shape, dims.size());
    };
    return add(features, Shape{.channels = dims.back()});
  }

  absl::StatusOr<std::vector<int64_t>> InputDims(const std::string& name,
                                                 const onnx_wire::TensorShapeProto& shape) {
    std::vector<int64_t> dims;
    for (const auto& dim : shape.dim()) {
      const bool is_batch = dims.empty() && shape.dim_size() > 1;
      const bool is_known = dim.has_dim_value() && dim.dim_value() > 0;
      if (is_batch && is_known && dim.dim_value() != 1) {
        // Exported with the batch of its training. What the network does with one sample does not
        // depend on that, or is refused where it does.
        const std::vector<int64_t> batch = {dim.dim_value()};
        MICO_ASSIGN_OR_RETURN(batch_, CountElements(batch, fmt::format("input '{}'", name)));
        dims.push_back(1);
        continue;
      }
      if (!is_batch && !is_known) {
        return absl::InvalidArgumentError(
            fmt::format("input '{}': dimension {} has no fixed size; export with fixed channels, "
                        "height and width (only the batch may be symbolic)",
                        name, dims.size()));
      }
      dims.push_back(is_known ? dim.dim_value() : 1);
    }
    MICO_RETURN_IF_ERROR(CountElements(dims, fmt::format("input '{}'", name)).status());
    return dims;
  }

  // Whether the first thing done to the input is to turn batch, rows, columns, channels around (or
  // batch, length, channels): then our input is what comes out of that.
  bool IsReadAsChannelsLast(const std::string& input, size_t rank,
                            const std::vector<int>& order) const {
    const std::vector<int64_t> to_channels_first =
        rank == 3 ? std::vector<int64_t>{0, 2, 1} : std::vector<int64_t>{0, 3, 1, 2};
    bool is_read = false;
    for (const int index : order) {
      const NodeProto& proto = proto_.node(index);
      if (std::count(proto.input().begin(), proto.input().end(), input) == 0) continue;
      is_read = true;
      const OnnxNode node(proto, "", opset_);
      if (node.type() != "Transpose") return false;
      if (ReadPermutation(node, rank) != to_channels_first) return false;
    }
    return is_read;
  }

  std::string UniqueName(std::string_view name, std::string_view otherwise) {
    const std::string base = PlainName(name.empty() ? otherwise : name);
    std::string unique = base;
    // Counting goes on where it stopped for this name, so that equal names cost no more than
    // others.
    while (!names_.insert(unique).second) unique = fmt::format("{}_{}", base, ++copies_[base]);
    return unique;
  }

  // Binds the outputs of one node, or notes why it cannot.
  absl::Status Visit(const NodeProto& proto, int index) {
    const std::string type = proto.op_type().empty() ? "node" : proto.op_type();
    const OnnxNode node(proto, UniqueName(proto.name(), fmt::format("{}_{}", type, index)), opset_);
    absl::StatusOr<Tensor> result = Translate(node);
    if (absl::IsUnimplemented(result.status())) {
      AddProblem(fmt::format("'{}' ({}): {}", node.name(), node.type(),
                             std::string(result.status().message())));
      result = Tensor(NotSupported{.is_data = ReadsData(node)});
    }
    if (!result.ok()) return WithNode(node, result.status());
    for (int i = 0; i < proto.output_size(); ++i) {
      if (proto.output(i).empty()) continue;
      tensors_.insert_or_assign(proto.output(i), i == 0 ? *result : Tensor(NotSupported{}));
      if (i > 0) extra_outputs_.emplace(proto.output(i), node.name());
    }
    return absl::OkStatus();
  }

  absl::Status WithNode(const OnnxNode& node, const absl::Status& status) const {
    const std::string message(status.message());
    if (message.starts_with("node '")) return status;
    return absl::Status(status.code(), fmt::format("node '{}' ({}): {}{}", node.name(), node.type(),
                                                   message, BatchNote()));
  }

  absl::StatusOr<Tensor> Translate(const OnnxNode& node) {
    const std::string& domain = node.proto().domain();
    if (!domain.empty() && domain != "ai.onnx") {
      return Unsupported(fmt::format("operators of '{}' are not supported", PlainName(domain)));
    }
    MICO_RETURN_IF_ERROR(CheckReads(node));
    const OnnxOperator* found = FindOnnxOperator(node.type());
    if (found == nullptr && !IsConstantOperator(node.type())) {
      return Unsupported("no such operator is supported");
    }
    const bool reads_data = ReadsData(node);
    if (found == nullptr && reads_data && !AsksForShape(node.type())) {
      return Unsupported("supported on constants only, and it reads the network's data");
    }
    OnnxInputs inputs{.batch = batch_};
    bool all_supported = true, all_constant = true;
    for (const std::string& name : node.proto().input()) {
      const Tensor* tensor = name.empty() ? nullptr : &tensors_.at(name);
      const auto* view = tensor == nullptr ? nullptr : std::get_if<LayoutView>(tensor);
      const auto* constant = tensor == nullptr ? nullptr : std::get_if<ConstantPointer>(tensor);
      inputs.views.push_back(view == nullptr ? std::nullopt : std::optional(*view));
      inputs.constants.push_back(constant == nullptr ? nullptr : *constant);
      all_supported &= tensor == nullptr || view != nullptr || constant != nullptr;
      all_constant &= tensor == nullptr || constant != nullptr;
    }
    if (all_constant) return Fold(node, inputs.constants);
    if (found != nullptr && found->check != nullptr) MICO_RETURN_IF_ERROR(found->check(node));
    // A shape is a constant, even that of a tensor which we cannot compute.
    const bool is_data = reads_data && !AsksForShape(node.type());
    if (!all_supported) return Tensor(NotSupported{.is_data = is_data});
    return Translate(node, inputs, found);
  }

  absl::StatusOr<Tensor> Translate(const OnnxNode& node, const OnnxInputs& inputs,
                                   const OnnxOperator* found) {
    if (AsksForShape(node.type()) && inputs.HasView(0)) {
      return Tensor(
          std::make_shared<const ConstantTensor>(ShapeConstant(node, inputs.views[0]->dims())));
    }
    MICO_ASSIGN_OR_RETURN(LayoutView view, found->import(node, inputs, draft_));
    if (node.type() == "Softmax" || node.type() == "LogSoftmax") MarkSoftmax(node);
    return Tensor(std::move(view));
  }

  // Whether some input depends on the network's input.
  bool ReadsData(const OnnxNode& node) const {
    return std::any_of(
        node.proto().input().begin(), node.proto().input().end(), [&](const std::string& name) {
          if (name.empty()) return false;
          const Tensor& tensor = tensors_.at(name);
          const auto* missing = std::get_if<NotSupported>(&tensor);
          return missing != nullptr ? missing->is_data : std::holds_alternative<LayoutView>(tensor);
        });
  }

  // What follows a Softmax must be nothing but layout, and an output of a node beside its first
  // must not be read at all.
  absl::Status CheckReads(const OnnxNode& node) {
    for (const std::string& name : node.proto().input()) {
      if (const auto extra = extra_outputs_.find(name); extra != extra_outputs_.end()) {
        return Unsupported(
            fmt::format("reads an output of '{}' other than its first", extra->second));
      }
      const auto softmax = after_softmax_.find(name);
      if (softmax == after_softmax_.end()) continue;
      const bool is_shape = AsksForShape(node.type());
      if (!IsLayoutOperator(node.type()) && !is_shape) {
        return Unsupported(
            fmt::format("reads what Softmax '{}' gives; a Softmax is supported only "
                        "at the end",
                        softmax->second));
      }
      if (!is_shape && node.proto().output_size() > 0) {
        after_softmax_.emplace(node.proto().output(0), softmax->second);
      }
    }
    return absl::OkStatus();
  }

  void MarkSoftmax(const OnnxNode& node) {
    if (node.proto().output_size() > 0) {
      after_softmax_.emplace(node.proto().output(0), node.name());
    }
  }

  absl::StatusOr<Tensor> Fold(const OnnxNode& node, const Constants& inputs) {
    MICO_ASSIGN_OR_RETURN(ConstantTensor result, EvaluateConstant(node, inputs));
    folded_elements_ += result.size();
    if (folded_elements_ > kMostFoldedElements) {
      return absl::ResourceExhaustedError(
          fmt::format("constants of more than {} elements in all", kMostFoldedElements));
    }
    return Tensor(std::make_shared<const ConstantTensor>(std::move(result)));
  }

  absl::Status BindOutputs() {
    const int count = proto_.output_size();
    if (count < 1 || count > static_cast<int>(kMostOutputs)) {
      return absl::InvalidArgumentError(
          fmt::format("the model has {} outputs; needs 1 to {}", count, kMostOutputs));
    }
    std::set<std::string> in_file, plain;
    for (const ValueInfoProto& output : proto_.output()) {
      const std::string base = PlainName(output.name().empty() ? "output" : output.name());
      if (!in_file.insert(output.name()).second) {
        return absl::InvalidArgumentError(fmt::format("two outputs are named '{}'", base));
      }
      // Different names may become one when their characters are made plain.
      std::string name = base;
      for (int copy = 1; !plain.insert(name).second; ++copy)
        name = fmt::format("{}_{}", base, copy);
      MICO_RETURN_IF_ERROR(BindOutput(output.name(), name));
    }
    return absl::OkStatus();
  }

  absl::Status BindOutput(const std::string& tensor, const std::string& name) {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end() && !IsInitializer(tensor)) {
      return absl::InvalidArgumentError(fmt::format("output '{}' is written by no node", name));
    }
    const LayoutView* view =
        found == tensors_.end() ? nullptr : std::get_if<LayoutView>(&found->second);
    if (view != nullptr) {
      if (const std::string problem = WhyNoOutput(draft_, *view); !problem.empty()) {
        AddProblem(fmt::format("output '{}' is {}", name, problem));
      }
      draft_.AddOutput(name, view->value());
    } else if (const auto extra = extra_outputs_.find(tensor); extra != extra_outputs_.end()) {
      AddProblem(fmt::format("output '{}' is an output of '{}' other than its first", name,
                             extra->second));
    } else if (problems_.empty()) {
      // Otherwise what it comes from may be one of the problems.
      return absl::InvalidArgumentError(
          fmt::format("output '{}' does not depend on the input", name));
    }
    return absl::OkStatus();
  }

  bool IsInitializer(const std::string& tensor) const {
    return std::any_of(proto_.initializer().begin(), proto_.initializer().end(),
                       [&](const auto& initializer) { return initializer.name() == tensor; });
  }

  absl::StatusOr<ModelPackage> Finish() {
    for (std::string& problem : Normalise(draft_)) AddProblem(std::move(problem));
    if (!problems_.empty()) return ProblemReport();
    return FinishNormalised(std::move(draft_));
  }

  const ModelProto& model_;
  const GraphProto& proto_;
  const int64_t opset_;
  Draft draft_;
  std::unordered_map<std::string, Tensor> tensors_;
  std::set<std::string> names_;
  std::map<std::string, int> copies_;
  std::map<std::string, std::string> after_softmax_;  // tensor to the name of the Softmax
  std::map<std::string, std::string> extra_outputs_;  // tensor to the node that writes it
  std::vector<std::string> problems_;
  int64_t batch_ = 1;  // to which the file fixes its input
  int64_t folded_elements_ = 0;
};

}  // namespace

absl::StatusOr<ModelPackage> OnnxImporter::Import(std::string_view bytes) const {
  MICO_ASSIGN_OR_RETURN(const ModelProto model, ParseFile(bytes));
  MICO_ASSIGN_OR_RETURN(const int64_t opset, ReadOpset(model));
  return mico::Import(model, opset).Run();
}

}  // namespace mico
