// Threads for the kernels: the work is cut into shards by the data, shards are handed out in order, and what a shard
// computes never depends on which thread took it. So the bits are the same whatever the thread count.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tastemaker {

namespace nb = nanobind;

// Call body(shard, thread) for every shard in [0, shards) on `threads` threads. To be called WITH the GIL held; it is released
// while the threads run. The calling thread works too when there is but one thread and little to do; otherwise it watches for
// Ctrl-C: a pending signal stops the hand-out of shards and is raised as the Python exception that it is.
template <class Body>
void parallel_for(int64_t shards, int threads, Body&& body) {
  threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, shards)));
  if (shards <= 0) return;
  if (shards == 1) {
    nb::gil_scoped_release release;
    body(int64_t(0), 0);
    return;
  }
  std::atomic<int64_t> next{0};
  std::atomic<int> running{threads};
  std::mutex mutex;
  std::condition_variable finished;
  std::exception_ptr failure;
  auto work = [&](int thread) {
    try {
      for (int64_t shard; (shard = next.fetch_add(1)) < shards;) body(shard, thread);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = shards;
    }
    std::lock_guard lock(mutex);
    if (--running == 0) finished.notify_one();
  };
  bool interrupted = false;
  {
    nb::gil_scoped_release release;
    std::vector<std::thread> pool;
    pool.reserve(threads);
    for (int t = 0; t < threads; ++t) pool.emplace_back(work, t);
    std::unique_lock lock(mutex);
    while (running > 0) {
      if (finished.wait_for(lock, std::chrono::milliseconds(100), [&] { return running == 0; })) break;
      lock.unlock();
      {
        nb::gil_scoped_acquire acquire;
        if (!interrupted && PyErr_CheckSignals() != 0) {
          interrupted = true;
          next = shards;
        }
        // The error indicator belongs to this thread and survives the release of the GIL.
      }
      lock.lock();
    }
    lock.unlock();
    for (auto& thread : pool) thread.join();
  }
  if (interrupted) throw nb::python_error();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace tastemaker
