#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

// Threads that do one thing after another together. C++17: for the files that train.
namespace mico {

class ThreadTeam {
 public:
  // `prepare` runs first on each thread, the caller's too.
  ThreadTeam(int size, const std::function<void()>& prepare);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }
  // Calls work(0) on the caller's thread, work(1), ... on the others, and waits for all. Rethrows
  // the first exception.
  void Run(const std::function<void(int)>& work);

 private:
  void Serve(int index);
  void Work(int index, const std::function<void(int)>& work);

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void(int)>* work_ = nullptr;
  int64_t round_ = 0;
  int busy_ = 0;
  bool leaving_ = false;
  std::exception_ptr failure_;
};

}  // namespace mico
