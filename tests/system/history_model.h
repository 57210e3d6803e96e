#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace mico {

// What the workers of a storm remember (tests/system/storm_worker.cc), and what the database says,
// held against each other.
class HistoryModel {
 public:
  // Reads one worker's file.
  void Read(const std::filesystem::path& history);

  // Every contradiction between the histories and the tables of `database`, a sentence each:
  // acknowledged results that are missing or differ, tasks that were counted twice, results that
  // nobody sent, leases without an end. The server must have stopped.
  std::vector<std::string> Contradictions(const std::filesystem::path& database) const;

  size_t orders() const { return orders_; }
  size_t acknowledged() const { return acknowledged_.size(); }
  size_t refused() const { return refused_.size(); }

 private:
  using Scores = std::map<std::string, std::string>;  // scheme -> "correct/total"

  size_t orders_ = 0;
  std::map<std::string, Scores> sent_;  // by lease
  std::set<std::string> acknowledged_, refused_;
};

}  // namespace mico
