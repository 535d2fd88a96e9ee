// While somebody profiles a thread: when each of its calls and their steps ran.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace twain {

struct Program;

inline int64_t nanoseconds_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct StepTime {
  const Program* program;  // that the step belongs to: the call's, or one that a branch or loop runs
  uint32_t step;
  int64_t begin, end;
};

// Calls nest where a step runs Python that calls ops: each takes off `steps` what it has put there.
struct Profiler {
  void* events = nullptr;  // of the layer above, not owned
  std::vector<StepTime> steps;
};

}  // namespace twain
