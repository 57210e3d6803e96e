#include "worker/torch/thread_team.h"

namespace mico {

ThreadTeam::ThreadTeam(int size, const std::function<void()>& prepare) {
  prepare();
  for (int i = 1; i < size; ++i) {
    threads_.emplace_back([this, i, prepare] {
      prepare();
      Serve(i);
    });
  }
}

ThreadTeam::~ThreadTeam() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::Run(const std::function<void(int)>& work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_ = &work;
    busy_ = static_cast<int>(threads_.size());
    ++round_;
  }
  changed_.notify_all();
  Work(0, work);
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return busy_ == 0; });
  if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadTeam::Serve(int index) {
  int64_t done = 0;
  while (true) {
    const std::function<void(int)>* work = nullptr;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return leaving_ || round_ > done; });
      if (leaving_) return;
      done = round_;
      work = work_;
    }
    Work(index, *work);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      --busy_;
    }
    changed_.notify_all();
  }
}

void ThreadTeam::Work(int index, const std::function<void(int)>& work) {
  try {
    work(index);
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failure_ == nullptr) failure_ = std::current_exception();
  }
}

}  // namespace mico
