#include <algorithm>
#include <filesystem>

#include "base/status_macros.h"
#include "client/byte_source.h"
#include "client/output.h"
#include "client/table.h"
#include "client/terminal.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr size_t kColumns = 80;
constexpr int kMostClasses = 30;
constexpr int kMostNumbers = 4;
constexpr int64_t kBarColumns = 20;
constexpr size_t kShortestPrefix = 4;

bool IsDigestPrefix(std::string_view text) {
  return text.size() >= kShortestPrefix && text.size() <= 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A file or folder here goes to the server if it is not there yet; anything else must be a digest.
absl::StatusOr<v1::DescribeDatasetRequest> BuildRequest(Connection& server,
                                                        const std::string& what) {
  v1::DescribeDatasetRequest request;
  std::error_code ignored;
  if (std::filesystem::exists(what, ignored)) {
    MICO_ASSIGN_OR_RETURN(const ByteSource samples, DataSource(what));
    MICO_ASSIGN_OR_RETURN(const Digest digest, server.UploadOnce(samples));
    request.set_digest(digest.hex());
    request.set_name(NameOf(what));
    return request;
  }
  if (!IsDigestPrefix(what)) {
    return absl::InvalidArgumentError(
        fmt::format("'{}': no such file or folder here, and not the digest of a data set", what));
  }
  request.set_digest(what);
  return request;
}

// "label   text", the text broken between words so that lines stay within the screen.
std::string Paragraph(std::string_view label, std::string_view text) {
  constexpr size_t kIndent = 9;
  std::string lines = fmt::format("{:<{}}", label, kIndent);
  size_t used = kIndent;
  const std::string line = PrintableLine(text);
  std::string_view rest = line;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const size_t width = DisplayWidth(word);
    if (used > kIndent && used + 1 + width > kColumns) {
      lines += "\n" + std::string(kIndent, ' ');
      used = kIndent;
    }
    if (used > kIndent) lines += ' ';
    used += width + (used > kIndent ? 1 : 0);
    lines += word;
  }
  return lines + "\n";
}

template <typename Values>
std::string Numbers(const Values& values) {
  if (values.size() > kMostNumbers) return fmt::format("one of {} numbers", values.size());
  std::vector<std::string> texts;
  for (const double value : values) texts.push_back(fmt::format("{:.6g}", value));
  return fmt::format("{}", fmt::join(texts, " "));
}

std::string Heading(const v1::DatasetDescription& set) {
  std::string text = Paragraph("data set", set.name());
  text += Paragraph("digest", set.digest());
  text += Paragraph(
      "source",
      fmt::format("{}, {}", set.source() == "images" ? "folder of images" : "arrays (.npz)",
                  FormatBytes(set.bytes())));
  const std::string answers = set.target_elements() == 0
                                  ? fmt::format("{} classes", set.classes_size())
                                  : fmt::format("{} float32 targets", set.target_elements());
  text += Paragraph("samples", fmt::format("{} {}, {}", set.sample_shape(), set.type(), answers));
  text +=
      Paragraph("input", fmt::format("(x * scale - mean) / std, {}: scale {:.6g}, mean {}, std {}",
                                     set.prepared_non_negative() ? "never negative" : "signed",
                                     set.scale(), Numbers(set.mean()), Numbers(set.std())));
  return text;
}

std::string SplitName(v1::Split split) {
  switch (split) {
    case v1::SPLIT_TRAIN:
      return "train";
    case v1::SPLIT_VAL:
      return "val";
    case v1::SPLIT_TEST:
      return "test";
    default:
      return "?";
  }
}

std::string SplitTable(const v1::DatasetDescription& set) {
  Table table({"split", "samples", "classes", "from"});
  for (const v1::DatasetSplit& split : set.splits()) {
    table.Add({SplitName(split.split()), FormatCount(split.samples()), FormatCount(split.classes()),
               split.origin()});
  }
  return table.ToText();
}

std::string Bar(int64_t count, int64_t most) {
  if (count <= 0 || most <= 0) return "";
  const auto share = static_cast<double>(count) / static_cast<double>(most);
  return std::string(std::max<size_t>(1, static_cast<size_t>(share * kBarColumns)), '#');
}

std::string ClassTable(const v1::DatasetDescription& set) {
  int64_t most = 0;
  for (const v1::DatasetClass& one : set.classes()) most = std::max(most, one.train());
  Table table({"label", "train", "val", "test", "of train", "name"});
  const int shown = std::min(set.classes_size(), kMostClasses);
  for (int i = 0; i < shown; ++i) {
    const v1::DatasetClass& one = set.classes(i);
    table.Add({FormatCount(one.label()), FormatCount(one.train()), FormatCount(one.val()),
               FormatCount(one.test()), Bar(one.train(), most), one.name()});
  }
  const int more = set.classes_size() - shown;
  return table.ToText() +
         (more > 0 ? fmt::format("and {} classes more; --output csv has all\n", more) : "");
}

std::vector<std::string> RangeRow(std::string channel, std::string values,
                                  const v1::ValueRange& range) {
  std::vector<std::string> row{std::move(channel), std::move(values)};
  for (const double number : {range.least(), range.most(), range.mean(), range.deviation()}) {
    row.push_back(fmt::format("{:.6g}", number));
  }
  return row;
}

std::string ChannelTable(const v1::DatasetDescription& set) {
  Table table({"channel", "values", "least", "most", "mean", "deviation"});
  for (int i = 0; i < set.channels_size(); ++i) {
    const v1::DatasetChannel& channel = set.channels(i);
    const bool all = set.channels_size() == 1;
    table.Add(RangeRow(all ? "all" : std::to_string(i), "stored", channel.stored()));
    table.Add(RangeRow("", "input", channel.prepared()));
  }
  return table.ToText();
}

std::string ToText(const v1::DatasetDescription& set) {
  std::string text = fmt::format("{}\n{}\n{}\n{}", Heading(set), SplitTable(set), ClassTable(set),
                                 ChannelTable(set));
  if (set.warnings_size() > 0) text += '\n';
  for (const std::string& warning : set.warnings()) text += Paragraph("warning", warning);
  return text;
}

// One table has room for one thing: the histogram. The rest is in the message.
std::string ToCsv(const v1::DatasetDescription& set) {
  Table table({"label", "name", "train", "val", "test"});
  for (const v1::DatasetClass& one : set.classes()) {
    table.Add({std::to_string(one.label()), one.name(), std::to_string(one.train()),
               std::to_string(one.val()), std::to_string(one.test())});
  }
  return table.ToCsv();
}

}  // namespace

ExitCode DescribeDataset(Connection& server, const GlobalOptions& global, const std::string& what) {
  const absl::StatusOr<v1::DescribeDatasetRequest> request = BuildRequest(server, what);
  if (!request.ok()) return Fail(request.status());
  const absl::StatusOr<v1::DatasetDescription> set =
      server.Call<v1::DatasetDescription>(&v1::ExplorationService::Stub::DescribeDataset, *request);
  if (!set.ok()) return Fail(set.status());
  switch (global.output) {
    case OutputFormat::kTable:
      Print(ToText(*set));
      break;
    case OutputFormat::kJson:
      Print(ToJson(*set));
      break;
    case OutputFormat::kCsv:
      Print(ToCsv(*set));
      for (const std::string& warning : set->warnings()) Note("warning: " + warning);
      break;
  }
  return ExitCode::kDone;
}

}  // namespace mico
