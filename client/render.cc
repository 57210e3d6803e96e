#include "client/render.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "client/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "google/protobuf/util/json_util.h"

namespace mico {
namespace {

std::string CsvField(const std::string& field) {
  if (field.find_first_of(",\"\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

double Share(const v1::Accuracy& accuracy) {
  return accuracy.total() == 0
             ? 0.0
             : static_cast<double>(accuracy.correct()) / static_cast<double>(accuracy.total());
}

std::string Percent(const v1::Accuracy& accuracy) {
  return accuracy.total() == 0 ? "-" : fmt::format("{:.2f} %", 100.0 * Share(accuracy));
}

// One digit a layer: "8842".
std::string Widths(const v1::BitScheme& scheme, bool weights) {
  std::string digits;
  for (const v1::LayerBits& layer : scheme.layers()) {
    digits += std::to_string(weights ? layer.weight_bits() : layer.input_bits());
  }
  return digits;
}

const v1::Trial* UniformEight(const v1::Job& job) {
  for (const v1::Trial& trial : job.uniform()) {
    if (trial.label() == "uniform w8a8") return &trial;
  }
  return nullptr;
}

// Latency as a share of the uniform 8-bit network's.
std::string Relative(const v1::Trial& trial, const v1::Trial* uniform8) {
  if (uniform8 == nullptr || uniform8->cost().latency_cycles() == 0) return "-";
  return fmt::format("{:.2f}x", static_cast<double>(trial.cost().latency_cycles()) /
                                    static_cast<double>(uniform8->cost().latency_cycles()));
}

std::vector<std::string> TrialRow(const v1::Trial& trial, const v1::Trial* uniform8,
                                  const std::string& kind, bool exact_numbers) {
  const auto bytes = [&](int64_t n) { return exact_numbers ? std::to_string(n) : FormatBytes(n); };
  const auto count = [&](int64_t n) { return exact_numbers ? std::to_string(n) : FormatCount(n); };
  const auto share = [&](const v1::Accuracy& accuracy) {
    return exact_numbers ? fmt::format("{:.6f}", Share(accuracy)) : Percent(accuracy);
  };
  return {std::to_string(trial.number()),
          kind,
          count(trial.cost().latency_cycles()),
          Relative(trial, uniform8),
          share(trial.val()),
          trial.has_test() ? share(trial.test()) : "-",
          bytes(trial.cost().peak_ram_bytes()),
          bytes(trial.cost().flash_bytes()),
          Widths(trial.scheme(), true),
          Widths(trial.scheme(), false)};
}

struct ChartPoint {
  double latency, accuracy;
  char mark;
};

std::vector<ChartPoint> ChartPoints(const v1::Job& job) {
  std::vector<ChartPoint> points;
  for (const v1::Trial& trial : job.uniform()) {
    points.push_back(
        {static_cast<double>(trial.cost().latency_cycles()), Share(trial.val()), 'u'});
  }
  for (const v1::Trial& trial : job.front()) {
    points.push_back(
        {static_cast<double>(trial.cost().latency_cycles()), Share(trial.val()), 'o'});
  }
  // What lies far below the best would flatten everything worth looking at.
  double best = 0.0;
  for (const ChartPoint& point : points) best = std::max(best, point.accuracy);
  std::erase_if(points, [&](const ChartPoint& point) { return point.accuracy < best - 0.25; });
  return points;
}

}  // namespace

std::string Table::ToText() const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string Table::ToCsv() const {
  std::string text;
  for (const auto& row : rows_) {
    std::vector<std::string> fields;
    for (const std::string& field : row) fields.push_back(CsvField(field));
    text += fmt::format("{}\n", fmt::join(fields, ","));
  }
  return text;
}

std::string Printable(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    const auto code = static_cast<unsigned char>(c);
    if ((code < 0x20 && c != '\n') || code == 0x7f) c = '?';
  }
  return clean;
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : fmt::format("{{\"error\": \"{}\"}}\n", status.ToString());
}

std::string JobStateName(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_PREPARING: return "preparing";
    case v1::JOB_STATE_SEARCHING: return "searching";
    case v1::JOB_STATE_FINISHING: return "finishing";
    case v1::JOB_STATE_DONE: return "done";
    case v1::JOB_STATE_FAILED: return "failed";
    case v1::JOB_STATE_CANCELLED: return "cancelled";
    default: return "unknown";
  }
}

std::string ProgressLine(const v1::Job& job) {
  std::string line = fmt::format("{} {:<10}", job.id(), JobStateName(job.state()));
  if (job.spec().trials() > 0) {
    line += fmt::format("  {:.1f}/{} trials", job.trials_spent(), job.spec().trials());
  }
  line += fmt::format("  front {}", job.front_size());
  if (job.trials_per_second() > 0.0) line += fmt::format("  {:.2f}/s", job.trials_per_second());
  if (job.seconds_left() > 0.0) line += "  left " + FormatSeconds(job.seconds_left());
  if (!job.phase().empty()) line += "  " + Printable(job.phase());
  return line;
}

std::string RenderFront(const v1::Job& job, OutputFormat format) {
  const std::string counter =
      job.target_info().counts().empty() ? "latency" : Printable(job.target_info().counts());
  Table table({"trial", "network", counter, "vs 8 bit", "val", "test", "RAM", "flash", "weights",
               "inputs"});
  const v1::Trial* uniform8 = UniformEight(job);
  const bool exact = format == OutputFormat::kCsv;
  for (const v1::Trial& trial : job.front()) {
    table.Add(TrialRow(trial, uniform8, trial.label().empty() ? "front" : trial.label() + " *",
                       exact));
  }
  for (const v1::Trial& trial : job.uniform()) {
    const bool on_front = std::any_of(job.front().begin(), job.front().end(), [&](const auto& t) {
      return t.number() == trial.number();
    });
    if (!on_front) table.Add(TrialRow(trial, uniform8, trial.label(), exact));
  }
  return table.Render(format);
}

std::string RenderChart(const v1::Job& job, int columns, int rows) {
  const std::vector<ChartPoint> points = ChartPoints(job);
  if (points.empty()) return "";
  const auto [fast, slow] = std::minmax_element(
      points.begin(), points.end(), [](auto& a, auto& b) { return a.latency < b.latency; });
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(), [](auto& a, auto& b) { return a.accuracy < b.accuracy; });
  const double width = std::max(slow->latency - fast->latency, 1.0);
  const double height = std::max(high->accuracy - low->accuracy, 1e-4);
  std::vector<std::string> canvas(rows, std::string(columns, ' '));
  for (const ChartPoint& point : points) {
    const auto x = std::lround((point.latency - fast->latency) / width * (columns - 1));
    const auto y = std::lround((high->accuracy - point.accuracy) / height * (rows - 1));
    canvas[y][x] = point.mark;
  }
  std::string text;
  for (int row = 0; row < rows; ++row) {
    const double accuracy = high->accuracy - height * row / std::max(rows - 1, 1);
    text += fmt::format("{:6.2f} % |{}\n", 100.0 * accuracy, canvas[row]);
  }
  text += fmt::format("{:>9}+{}\n", "", std::string(columns, '-'));
  const std::string left = FormatCount(static_cast<int64_t>(fast->latency));
  const std::string right = FormatCount(static_cast<int64_t>(slow->latency)) + " " +
                            Printable(job.target_info().counts());
  const int gap = columns - static_cast<int>(left.size()) - static_cast<int>(right.size());
  text += fmt::format("{:>10}{}{}{}\n", "", left, std::string(std::max(gap, 1), ' '), right);
  return text + fmt::format("{:>10}o front   u uniform\n", "");
}

ExitCode Fail(const absl::Status& status) {
  fmt::print(stderr, "mico-cli: {}\n", Printable(std::string(status.message())));
  return ToExitCode(status);
}

}  // namespace mico
