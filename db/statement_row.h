#pragma once

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "SQLiteCpp/SQLiteCpp.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/digest.h"
#include "quant/score.h"

// Between statements and records, for statements_*.cc alone.
namespace mico {

// Binds its arguments to ?1, ?2, ... in order.
class Binder {
 public:
  explicit Binder(SQLite::Statement& statement) : statement_(statement) {}

  Binder& Text(std::string_view value) {
    statement_.bind(++index_, std::string(value));
    return *this;
  }
  Binder& Blob(const std::string& value) {
    statement_.bind(++index_, value.data(), static_cast<int>(value.size()));
    return *this;
  }
  Binder& Int(int64_t value) {
    statement_.bind(++index_, value);
    return *this;
  }
  Binder& Real(double value) {
    statement_.bind(++index_, value);
    return *this;
  }
  Binder& Null() {
    statement_.bind(++index_);
    return *this;
  }
  Binder& Time(TimePoint time) { return Int(time.time_since_epoch().count()); }
  Binder& Hex(const Digest& digest) { return Text(digest.hex()); }
  Binder& HexOrNull(const Digest& digest) { return digest.empty() ? Null() : Hex(digest); }
  Binder& IntOrNull(const std::optional<int64_t>& value) { return value ? Int(*value) : Null(); }
  Binder& RealOrNull(const std::optional<double>& value) { return value ? Real(*value) : Null(); }
  // correct, total, value, low, high; metrics stand in a column of their own.
  Binder& ScoreOf(const Score& score) {
    Int(score.correct).Int(score.total);
    if (CountsAnswers(score.metric)) return Null().Null().Null();
    return Real(score.value).Real(score.low).Real(score.high);
  }

  void Run() { statement_.exec(); }
  bool Next() { return statement_.executeStep(); }

 private:
  SQLite::Statement& statement_;
  int index_ = 0;
};

// Reads a row's columns in order.
class Row {
 public:
  explicit Row(SQLite::Statement& statement) : statement_(statement) {}

  std::string Text() { return statement_.getColumn(index_++).getString(); }
  std::string Blob() { return Text(); }
  int64_t Int() { return statement_.getColumn(index_++).getInt64(); }
  bool Bool() { return Int() != 0; }
  double Real() { return statement_.getColumn(index_++).getDouble(); }
  TimePoint Time() { return TimePoint(std::chrono::milliseconds(Int())); }
  Metric MetricName() {
    const absl::StatusOr<Metric> metric = ParseMetric(Text());
    if (!metric.ok()) throw std::runtime_error(std::string(metric.status().message()));
    return *metric;
  }
  Score ScoreOf(Metric metric) {
    const int64_t correct = Int(), total = Int();
    const double value = Real(), low = Real(), high = Real();
    if (CountsAnswers(metric)) return CountScore(metric, correct, total);
    return {metric, 0, total, value, low, high};
  }
  std::optional<int64_t> IntOrNull() {
    if (SkipNull()) return std::nullopt;
    return Int();
  }
  std::optional<double> RealOrNull() {
    if (SkipNull()) return std::nullopt;
    return Real();
  }
  // A digest that we wrote; empty for NULL or empty text.
  Digest Hex() {
    const std::string text = Text();
    if (text.empty()) return Digest();
    const absl::StatusOr<Digest> digest = Digest::FromHex(text);
    if (!digest.ok()) throw std::runtime_error("not a digest in the database: " + text);
    return *digest;
  }

 private:
  bool SkipNull() {
    if (!statement_.getColumn(index_).isNull()) return false;
    ++index_;
    return true;
  }

  SQLite::Statement& statement_;
  int index_ = 0;
};

template <typename State, size_t n>
State ParseState(const std::array<std::string_view, n>& names, const std::string& text) {
  for (size_t i = 0; i < n; ++i) {
    if (names[i] == text) return static_cast<State>(i);
  }
  throw std::runtime_error("not a state in the database: " + text);
}

inline std::vector<std::string> SplitLines(const std::string& text) {
  if (text.empty()) return {};
  return absl::StrSplit(text, '\n');
}

template <typename Record, typename Read>
std::optional<Record> ReadOne(SQLite::Statement& statement, Read read) {
  if (!statement.executeStep()) return std::nullopt;
  return read(statement);
}

template <typename Record, typename Read>
std::vector<Record> ReadAll(SQLite::Statement& statement, Read read) {
  std::vector<Record> records;
  while (statement.executeStep()) records.push_back(read(statement));
  return records;
}

inline std::string ReadText(SQLite::Statement& statement) { return Row(statement).Text(); }

}  // namespace mico
