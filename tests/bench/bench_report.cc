#include "tests/bench/bench_report.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string_view>
#include <utility>

#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace mico {
namespace {

constexpr int kAllMet = 0, kNotMeasured = 1, kMissed = 3;

std::string_view Sign(Goal kind) {
  switch (kind) {
    case Goal::kAtLeast:
      return ">=";
    case Goal::kAtMost:
      return "<=";
    case Goal::kBelow:
      return "<";
  }
  return "";
}

bool WriteJson(const std::string& path, const std::vector<Figure>& figures) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Figure& figure : figures) {
    rows.push_back({{"name", figure.name},
                    {"value", figure.value},
                    {"goal", figure.goal ? nlohmann::json(*figure.goal) : nlohmann::json()},
                    {"unit", figure.unit},
                    {"met", figure.met()}});
  }
  std::ofstream file(path);
  file << rows.dump(2) << "\n";
  return static_cast<bool>(file.flush());
}

}  // namespace

bool Figure::met() const {
  if (!goal.has_value()) return true;
  switch (kind) {
    case Goal::kAtLeast:
      return value >= *goal;
    case Goal::kAtMost:
      return value <= *goal;
    case Goal::kBelow:
      return value < *goal;
  }
  return false;
}

BenchReport::BenchReport(std::string title) : title_(std::move(title)) {}

void BenchReport::Start() const {
  fmt::print("{:<44} {:>12} {:<16} {:>10} {:>7}\n", title_, "figure", "", "goal", "field");
  std::fflush(stdout);
}

void BenchReport::Add(Figure figure) {
  const std::string goal =
      figure.goal ? fmt::format("{} {:.{}f}", Sign(figure.kind), *figure.goal, figure.decimals)
                  : "-";
  fmt::print("{:<44} {:>12.{}f} {:<16} {:>10} {:>7}  {}\n", figure.name, figure.value,
             figure.decimals, figure.unit, goal, figure.field, figure.met() ? "" : "missed");
  std::fflush(stdout);
  figures_.push_back(std::move(figure));
}

int BenchReport::Finish(const std::string& program, const std::string& json) const {
  if (!json.empty() && !WriteJson(json, figures_)) {
    fmt::print(stderr, "{}: cannot write {}\n", program, json);
    return kNotMeasured;
  }
  const bool all_met =
      std::all_of(figures_.begin(), figures_.end(), [](const Figure& f) { return f.met(); });
  return all_met ? kAllMet : kMissed;
}

}  // namespace mico
