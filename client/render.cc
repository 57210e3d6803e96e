#include "client/render.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "client/output.h"
#include "client/table.h"
#include "client/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "proto/convert.h"

namespace mico {
namespace {

constexpr int kChartColumns = 64;
constexpr size_t kMostChartRows = 14;
constexpr size_t kLeastChartRows = 6;
constexpr size_t kLinesBelowChart = 3;  // the axis, its numbers and the legend
constexpr size_t kLeastTableLines = 5;

// What a server says that cannot be a score counts as none.
Score ScoreOf(const v1::Accuracy& message) { return FromProto(message).value_or(Score()); }

Metric MetricOf(const v1::Job& job) {
  return ParseMetric(job.spec().metric()).value_or(Metric::kTop1);
}

double Goodness(const Score& score) {
  return LowerIsBetter(score.metric) ? -score.value : score.value;
}

// "91.73 % ±0.54": half the width of the interval, which is not quite symmetric; "-" without
// samples.
std::string ValueAndInterval(const v1::Accuracy& message) {
  const Score score = ScoreOf(message);
  if (!score.measured()) return "-";
  const double half = 0.5 * (score.high - score.low);
  const std::string value = FormatValue(score);
  if (CountsAnswers(score.metric)) return fmt::format("{} ±{:.2f}", value, 100.0 * half);
  return score.metric == Metric::kMse ? fmt::format("{} ±{:.2g}", value, half)
                                      : fmt::format("{} ±{:.4f}", value, half);
}

// One digit a layer, as "8842" or "8 8 4 2". A width is 1-8; anything else would shift the layers
// behind it.
std::string Widths(const v1::BitScheme& scheme, bool weights, std::string_view separator) {
  std::vector<char> digits;
  for (const v1::LayerBits& layer : scheme.layers()) {
    const uint32_t bits = weights ? layer.weight_bits() : layer.input_bits();
    digits.push_back(bits >= 1 && bits <= 8 ? static_cast<char>('0' + bits) : '?');
  }
  return fmt::format("{}", fmt::join(digits, separator));
}

int64_t UniformEightLatency(const v1::Job& job) {
  for (const v1::Trial& trial : job.uniform()) {
    if (trial.label() == "uniform w8a8") return trial.cost().latency_cycles();
  }
  return 0;
}

bool IsOnFront(const v1::Job& job, const v1::Trial& trial) {
  return std::any_of(job.front().begin(), job.front().end(),
                     [&](const auto& t) { return t.number() == trial.number(); });
}

// Whether the table says which trials were trained: only where some were.
bool ShowsTraining(const v1::Job& job) {
  const auto is_trained = [](const v1::Trial& trial) { return trial.trained(); };
  return std::any_of(job.front().begin(), job.front().end(), is_trained) ||
         std::any_of(job.uniform().begin(), job.uniform().end(), is_trained);
}

// Also of which trial, where the same scheme was evaluated without training.
std::string TrainedText(const v1::Trial& trial) {
  if (!trial.trained()) return "-";
  return trial.trained_from() == 0 ? "yes" : fmt::format("of {}", trial.trained_from());
}

// Latency as a share of the uniform 8-bit network's; empty where that is not known.
std::string Relative(const v1::Trial& trial, int64_t uniform8,
                     std::string_view precision_and_unit) {
  if (uniform8 == 0) return "";
  const double share =
      static_cast<double>(trial.cost().latency_cycles()) / static_cast<double>(uniform8);
  return fmt::format(fmt::runtime(precision_and_unit), share);
}

std::vector<std::string> TextRow(const v1::Job& job, const v1::Trial& trial, bool on_front) {
  const std::string relative = Relative(trial, UniformEightLatency(job), "{:.2f}x");
  const std::string network =
      trial.label().empty() ? "front" : trial.label() + (on_front ? " *" : "");
  std::vector<std::string> row{std::to_string(trial.number()),
                               network,
                               FormatCount(trial.cost().latency_cycles()),
                               relative.empty() ? "-" : relative,
                               ValueAndInterval(trial.val()),
                               ValueAndInterval(trial.test()),
                               FormatBytes(trial.cost().peak_ram_bytes()),
                               FormatBytes(trial.cost().flash_bytes()),
                               Widths(trial.scheme(), true, ""),
                               Widths(trial.scheme(), false, "")};
  if (ShowsTraining(job)) row.push_back(TrainedText(trial));
  return row;
}

std::vector<std::string> CsvRow(const v1::Job& job, const v1::Trial& trial, bool on_front) {
  const Score val = ScoreOf(trial.val()), test = ScoreOf(trial.test());
  const auto number = [](const Score& score, double value) {
    if (!score.measured()) return std::string();
    return score.metric == Metric::kMse ? fmt::format("{:.9g}", value)
                                        : fmt::format("{:.6f}", value);
  };
  std::vector<std::string> row{std::to_string(trial.number()),
                               trial.label(),
                               on_front ? "yes" : "no",
                               std::to_string(trial.cost().latency_cycles()),
                               job.target_info().counts(),
                               Relative(trial, UniformEightLatency(job), "{:.6f}"),
                               number(val, val.value),
                               number(test, test.value),
                               std::to_string(trial.cost().peak_ram_bytes()),
                               std::to_string(trial.cost().flash_bytes()),
                               Widths(trial.scheme(), true, " "),
                               Widths(trial.scheme(), false, " "),
                               std::string(ToString(MetricOf(job))),
                               number(val, val.low),
                               number(val, val.high),
                               number(test, test.low),
                               number(test, test.high)};
  if (ShowsTraining(job)) {
    row.emplace_back(trial.trained() ? "yes" : "no");
    row.push_back(trial.trained_from() == 0 ? "" : std::to_string(trial.trained_from()));
  }
  return row;
}

std::string FrontAsCsv(const v1::Job& job) {
  std::vector<std::string> header{
      "trial",  "network", "front",     "latency",     "counts",      "latency_vs_uniform8",
      "val",    "test",    "ram_bytes", "flash_bytes", "weight_bits", "input_bits",
      "metric", "val_low", "val_high",  "test_low",    "test_high"};
  if (ShowsTraining(job)) header.insert(header.end(), {"qat", "qat_of"});
  Table table(std::move(header));
  for (const v1::Trial& trial : job.front()) table.Add(CsvRow(job, trial, true));
  for (const v1::Trial& trial : job.uniform()) {
    if (!IsOnFront(job, trial)) table.Add(CsvRow(job, trial, false));
  }
  return table.ToCsv();
}

// `most` of the front, both ends among them.
std::vector<const v1::Trial*> ThinnedFront(const v1::Job& job, size_t most) {
  const auto all = static_cast<size_t>(job.front_size());
  const size_t shown = std::min(all, most);
  std::vector<const v1::Trial*> trials;
  for (size_t i = 0; i < shown; ++i) {
    const size_t at = shown == 1 ? all - 1 : i * (all - 1) / (shown - 1);
    trials.push_back(&job.front(static_cast<int>(at)));
  }
  return trials;
}

std::string FrontAsText(const v1::Job& job, size_t most_rows) {
  const std::string_view metric = ToString(MetricOf(job));
  std::vector<std::string> header{
      "trial",
      "network",
      job.target_info().counts().empty() ? "latency" : job.target_info().counts(),
      "vs 8 bit",
      fmt::format("val {}", metric),
      fmt::format("test {}", metric),
      "RAM",
      "flash",
      "weights",
      "inputs"};
  if (ShowsTraining(job)) header.emplace_back("qat");
  Table table(std::move(header));
  std::vector<const v1::Trial*> others;
  for (const v1::Trial& trial : job.uniform()) {
    if (!IsOnFront(job, trial)) others.push_back(&trial);
  }
  const std::vector<const v1::Trial*> front = ThinnedFront(job, most_rows);
  const size_t all = static_cast<size_t>(job.front_size()) + others.size();
  others.resize(std::min(others.size(), most_rows - front.size()));
  bool uniform_on_front = false;
  for (const v1::Trial* trial : front) {
    table.Add(TextRow(job, *trial, true));
    uniform_on_front = uniform_on_front || !trial->label().empty();
  }
  for (const v1::Trial* trial : others) table.Add(TextRow(job, *trial, false));
  std::string text = table.ToText();
  const size_t shown = front.size() + others.size();
  if (shown < all) {
    text +=
        fmt::format("{} of {} rows; all: mico-cli front {}\n", shown, all, PrintableLine(job.id()));
  } else if (uniform_on_front) {
    text += "* a uniform network on the front\n";
  }
  return text;
}

// `goodness` is the value, or minus the value where less is better.
struct ChartPoint {
  int64_t latency;
  double goodness;
  char mark;
};

std::vector<ChartPoint> ChartPoints(const v1::Job& job) {
  std::vector<ChartPoint> points;
  const auto add = [&](const v1::Trial& trial, char mark) {
    points.push_back({trial.cost().latency_cycles(), Goodness(ScoreOf(trial.val())), mark});
  };
  for (const v1::Trial& trial : job.uniform()) add(trial, 'u');
  for (const v1::Trial& trial : job.front()) add(trial, 'o');
  return points;
}

// What is this good or better gets the height of the chart; what is worse shares its last row,
// because it would flatten everything worth looking at: a tenth below the best, at least, or an
// error half as large again.
double LeastCharted(const std::vector<ChartPoint>& points, Metric metric) {
  double best = -std::numeric_limits<double>::infinity();
  std::vector<double> front;
  for (const ChartPoint& point : points) {
    best = std::max(best, point.goodness);
    if (point.mark == 'o') front.push_back(point.goodness);
  }
  const double near_best = LowerIsBetter(metric) ? 1.5 * best : best - 0.1;
  if (front.empty()) return near_best;
  const size_t quarter = std::min((front.size() + 3) / 4, front.size() - 1);
  const auto quartile = front.begin() + static_cast<std::ptrdiff_t>(quarter);
  std::nth_element(front.begin(), quartile, front.end());
  return std::min(near_best, *quartile);
}

// Which of `cells` lies at `share` of the way from the first to the last. Where all are equal the
// share is 0 / 0: the first.
size_t CellAt(double share, int cells) {
  if (!(share > 0.0)) return 0;
  return static_cast<size_t>(std::lround(std::min(share, 1.0) * std::max(cells - 1, 0)));
}

// The smallest and the greatest of something.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void Include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string ValueLabel(const Range& goodness, int row, int charted_rows, Metric metric) {
  if (row >= charted_rows) return fmt::format("{:>8} ", "worse");
  const double share = static_cast<double>(row) / std::max(charted_rows - 1, 1);
  const double value = std::abs(std::lerp(goodness.high, goodness.low, share));
  return fmt::format("{:>8} ", FormatValue(metric, value));
}

// The numbers below the chart: the least latency on the left, the greatest on the right.
std::string LatencyAxis(int64_t fast, int64_t slow, const std::string& counts, int columns) {
  const std::string left = FormatCount(fast);
  const std::string right = FormatCount(slow) + " " + counts;
  const int gap = columns - static_cast<int>(left.size() + right.size());
  return left + std::string(static_cast<size_t>(std::max(gap, 1)), ' ') + right;
}

std::string RunningLines(const v1::Job& job, size_t most) {
  std::string text;
  size_t shown = 0;
  for (const v1::RunningTask& task : job.running()) {
    if (shown++ == most) {
      return text + fmt::format("  and {} more\n", static_cast<size_t>(job.running_size()) - most);
    }
    text += fmt::format("  {:<10} on {}  {:3.0f} %{}\n", PrintableLine(task.kind()),
                        PrintableLine(task.worker_name()), 100.0 * task.progress(),
                        task.attempt() > 1 ? fmt::format("  attempt {}", task.attempt()) : "");
  }
  return text;
}

std::string EndLines(const v1::Job& job) {
  std::string text;
  if (job.hypervolume() > 0.0) text += fmt::format("hypervolume {:.4f}\n", job.hypervolume());
  if (job.has_qat_rank_correlation()) {
    text += fmt::format(
        "qat: values before and after training correlate {:.3f} (ranks of {} schemes)\n",
        job.qat_rank_correlation(), job.qat_pairs());
  }
  for (const std::string& warning : job.warnings()) {
    text += fmt::format("warning: {}\n", Printable(warning));
  }
  if (!job.stop_reason().empty()) text += fmt::format("ended: {}\n", Printable(job.stop_reason()));
  if (!job.error().empty()) text += fmt::format("error: {}\n", Printable(job.error()));
  return text;
}

size_t Lines(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Chart and table in at most `room` lines.
std::string PictureOfFront(const v1::Job& job, size_t room) {
  if (job.front_size() + job.uniform_size() == 0) return "";
  std::string text;
  if (room >= kLeastChartRows + kLinesBelowChart + kLeastTableLines) {
    const size_t rows = std::min(kMostChartRows, room - kLinesBelowChart - kLeastTableLines);
    text = RenderChart(job, kChartColumns, static_cast<int>(rows));
    room -= room == kEveryRow ? 0 : Lines(text);
  }
  // Its header and the line below it.
  if (room < 3) return text;
  return text + RenderFront(job, OutputFormat::kTable, room == kEveryRow ? kEveryRow : room - 2);
}

}  // namespace

std::string JobStateName(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_PREPARING:
      return "preparing";
    case v1::JOB_STATE_SEARCHING:
      return "searching";
    case v1::JOB_STATE_FINISHING:
      return "finishing";
    case v1::JOB_STATE_DONE:
      return "done";
    case v1::JOB_STATE_FAILED:
      return "failed";
    case v1::JOB_STATE_CANCELLED:
      return "cancelled";
    default:
      return "unknown";
  }
}

bool HasEnded(v1::JobState state) {
  return state == v1::JOB_STATE_DONE || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

std::string ProgressLine(const v1::Job& job) {
  std::string line = fmt::format("{} {:<9}", job.id(), JobStateName(job.state()));
  if (job.spec().trials() > 0) {
    line += fmt::format("  {:.1f}/{} trials", job.trials_spent(), job.spec().trials());
  }
  line += fmt::format("  front {}", job.front_size());
  if (job.trials_per_second() > 0.0) line += fmt::format("  {:.2f}/s", job.trials_per_second());
  if (job.seconds_left() > 0.0) line += "  left " + FormatSeconds(job.seconds_left());
  if (!job.phase().empty()) line += "  " + job.phase();
  return PrintableLine(line);
}

std::string RenderFront(const v1::Job& job, OutputFormat format, size_t most_rows) {
  return format == OutputFormat::kCsv ? FrontAsCsv(job) : FrontAsText(job, most_rows);
}

std::string RenderChart(const v1::Job& job, int columns, int rows) {
  const std::vector<ChartPoint> points = ChartPoints(job);
  if (points.empty()) return "";
  const Metric metric = MetricOf(job);
  const double least = LeastCharted(points, metric);
  Range goodness;
  int64_t fast = points[0].latency, slow = fast;
  bool all_charted = true;
  for (const ChartPoint& point : points) {
    fast = std::min(fast, point.latency);
    slow = std::max(slow, point.latency);
    if (point.goodness >= least) goodness.Include(point.goodness);
    all_charted = all_charted && point.goodness >= least;
  }
  const int charted_rows = all_charted ? rows : rows - 1;
  const double left = static_cast<double>(fast), width = static_cast<double>(slow) - left;
  // Where all are nearly equal: enough for labels that differ.
  const double height = std::max(goodness.high - goodness.low, 1e-4 * std::abs(goodness.high));
  std::vector<std::string> canvas(static_cast<size_t>(rows),
                                  std::string(static_cast<size_t>(columns), ' '));
  for (const ChartPoint& point : points) {
    const size_t x = CellAt((static_cast<double>(point.latency) - left) / width, columns);
    const size_t y = point.goodness < least
                         ? static_cast<size_t>(rows - 1)
                         : CellAt((goodness.high - point.goodness) / height, charted_rows);
    canvas[y][x] = point.mark;
  }
  std::string text;
  for (int row = 0; row < rows; ++row) {
    text += fmt::format(
        "{}|{}\n", ValueLabel({goodness.high - height, goodness.high}, row, charted_rows, metric),
        canvas[static_cast<size_t>(row)]);
  }
  text += fmt::format("{:>9}+{}\n", "", std::string(static_cast<size_t>(columns), '-'));
  text += fmt::format("{:>10}{}\n", "",
                      LatencyAxis(fast, slow, PrintableLine(job.target_info().counts()), columns));
  return text +
         fmt::format("{:>10}o front   u uniform   up: better {} on val\n", "", ToString(metric));
}

std::string RenderJob(const v1::Job& job, size_t most_lines) {
  std::string head = ProgressLine(job) + "\n";
  head += RunningLines(job, most_lines == kEveryRow ? kEveryRow : 4);
  if (job.float_val().total() > 0) {
    head += fmt::format("  float network: {}  val {}  test {}\n", ToString(MetricOf(job)),
                        ValueAndInterval(job.float_val()), ValueAndInterval(job.float_test()));
  }
  const std::string end = EndLines(job);
  const size_t taken = Lines(head) + Lines(end);
  const size_t room =
      most_lines == kEveryRow ? kEveryRow : most_lines - std::min(most_lines, taken);
  return head + PictureOfFront(job, room) + end;
}

}  // namespace mico
