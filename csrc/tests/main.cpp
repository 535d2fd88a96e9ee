// Tests of the parts of the core that need no Python, made to be run under ThreadSanitizer or AddressSanitizer.
// Usage: core_tests [part of a test's name]...
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "threads/cpu_count.h"
#include "threads/pool.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#elif defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#elif __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#endif

// Forking while threads run is what one of the tests is about.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0:halt_on_error=1"; }

#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                  \
    }                                                                                \
  } while (false)

namespace {

using twain::parallel_for;

// buffers[0]: int32 counts, one per element, not atomic: an element given to two threads is a race that
// ThreadSanitizer reports, and one given twice or never has a wrong count. params: total, grain.
void count_elements(void* const* buffers, const int64_t* params, int64_t begin, int64_t end) {
  auto* counts = static_cast<int32_t*>(buffers[0]);
  const int64_t total = params[0], grain = params[1];
  CHECK(0 <= begin && begin < end && end <= total);
  CHECK(begin % grain == 0);
  CHECK(end % grain == 0 || end == total);
  for (int64_t i = begin; i < end; ++i) ++counts[i];
}

void check_one(int64_t total, int64_t grain) {
  std::vector<int32_t> counts(static_cast<size_t>(total), 0);
  void* buffers[] = {counts.data()};
  const int64_t params[] = {total, grain};
  parallel_for(count_elements, buffers, params, total, grain);
  for (int32_t count : counts) CHECK(count == 1);
}

void check_random(uint32_t seed, int rounds) {
  std::mt19937 random(seed);
  for (int i = 0; i < rounds; ++i) {
    const int64_t total = 1 + static_cast<int64_t>(random() % 3000);
    const int64_t grain = 1 + static_cast<int64_t>(random() % (random() % 2 ? 5 : 800));
    check_one(total, grain);
  }
}

void every_element_once() {
  for (int threads : {1, 2, 3, 4, 7, 16}) {
    twain::set_threads(threads);
    CHECK(twain::get_threads() == threads);
    check_random(static_cast<uint32_t>(threads), 3000);
    for (int64_t total : {1, 2, 3, 63, 64, 65, 1000}) {
      for (int64_t grain : {1, 2, 64, 999, 1000, 1001}) check_one(total, grain);
    }
  }
}

void nothing_to_do() {
  twain::set_threads(4);
  auto never = [](void* const*, const int64_t*, int64_t, int64_t) { CHECK(false); };
  parallel_for(never, nullptr, nullptr, 0, 16);
  parallel_for(never, nullptr, nullptr, -5, 16);
  twain::set_threads(-3);
  CHECK(twain::get_threads() == 1);
}

// Totals near the end of int64: no sum or product may overflow.
void huge_totals() {
  twain::set_threads(4);
  static std::atomic<uint64_t> sum;
  auto add_length = [](void* const*, const int64_t*, int64_t begin, int64_t end) {
    CHECK(begin < end);
    sum += static_cast<uint64_t>(end - begin);
  };
  for (int64_t total : {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2}) {
    for (int64_t grain : {total / 2, total / 3, total / 100, int64_t{1} << 50}) {
      sum = 0;
      parallel_for(add_length, nullptr, nullptr, total, grain);
      CHECK(sum == static_cast<uint64_t>(total));
    }
  }
}

void one_thread_runs_inline() {
  static std::thread::id caller;
  caller = std::this_thread::get_id();
  auto inline_once = [](void* const*, const int64_t* params, int64_t begin, int64_t end) {
    CHECK(std::this_thread::get_id() == caller && begin == 0 && end == params[0]);
  };
  const int64_t params[] = {1000};
  twain::set_threads(1);
  parallel_for(inline_once, nullptr, params, 1000, 1);
  twain::set_threads(4);
  parallel_for(inline_once, nullptr, params, 1000, 1000);
  parallel_for(inline_once, nullptr, params, 1000, INT64_MAX);
}

void nested_calls() {
  twain::set_threads(4);
  static std::atomic<int64_t> cells;
  cells = 0;
  auto inner = [](void* const*, const int64_t*, int64_t begin, int64_t end) { cells += end - begin; };
  static twain::Kernel inner_kernel = inner;
  auto outer = [](void* const*, const int64_t*, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) parallel_for(inner_kernel, nullptr, nullptr, 50, 3);
  };
  for (int i = 0; i < 500; ++i) parallel_for(outer, nullptr, nullptr, 20, 1);
  CHECK(cells == 500 * 20 * 50);
}

// Jobs met by workers that are awake, about to sleep and asleep.
void sleeping_workers() {
  twain::set_threads(5);
  std::mt19937 random(5);
  for (int i = 0; i < 1000; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
    check_one(2000, 7);
    if (i % 10 == 0) check_one(3, 1);
  }
}

void many_callers() {
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int n = 1; !stop; n = n % 6 + 1) {
      twain::set_threads(n);
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  std::vector<std::thread> callers;
  for (uint32_t i = 0; i < 4; ++i) callers.emplace_back([i] { check_random(100 + i, 10000); });
  for (std::thread& caller : callers) caller.join();
  stop = true;
  changer.join();
}

#if !defined(_WIN32) && !defined(ADDRESS_SANITIZER)  // whose allocator may be locked for ever in a forked child
#define TEST_FORK
// A child starts with no workers, whatever the other threads were doing, and builds a pool of its own.
void fork_at_any_time() {
  twain::set_threads(3);
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    for (uint32_t seed = 0; !stop; ++seed) check_random(seed, 10);
  });
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(60);  // a deadlock becomes a failure
      if (twain::get_threads() != 3) _exit(1);
#if defined(THREAD_SANITIZER)
      twain::set_threads(1);  // it takes the child's threads for the parent's, which have the same addresses, and stops
#endif
      for (int round = 0; round < 20; ++round) check_one(1000 + round, 10);
      _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_one(777, 5);
  }
  stop = true;
  busy.join();
}
#endif

void control_group_quotas() {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("twain-core-tests-" + std::to_string(std::random_device{}()));
  auto write = [&](const char* path, const char* text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  auto quota = [&](const char* membership) { return twain::cpu_quota(membership, root.string()); };
  CHECK(quota("") == 0);
  CHECK(quota("0::/\n") == 0);
  write("cpu.max", "max 100000\n");
  CHECK(quota("0::/\n") == 0);
  write("a/cpu.max", "250000 100000\n");
  write("a/b/cpu.max", "max 100000\n");
  CHECK(quota("0::/a/b\n") == 3);  // the parent's, rounded up
  CHECK(quota("0::/a\n") == 3);
  write("a/b/cpu.max", "10000 100000\n");
  CHECK(quota("0::/a/b\n") == 1);
  CHECK(quota("0::/on/the/host\n") == 0);
  write("cpu.max", "400000 100000\n");
  CHECK(quota("0::/on/the/host\n") == 4);
  write("cpu,cpuacct/g/cpu.cfs_quota_us", "200000\n");
  write("cpu,cpuacct/g/cpu.cfs_period_us", "100000\n");
  CHECK(quota("3:memory:/g\n4:cpu,cpuacct:/g\n") == 2);
  write("cpu,cpuacct/g/cpu.cfs_quota_us", "-1\n");
  CHECK(quota("4:cpu,cpuacct:/g\n") == 0);
  CHECK(quota("nonsense\n:\n::\n") == 4);
  write("cpu.max", "nonsense");
  CHECK(quota("0::/\n") == 0);
  fs::remove_all(root);
}

void default_thread_count() {
  CHECK(twain::schedulable_cpus() >= 1);
  CHECK(twain::default_threads() >= 1);
}

struct Test {
  const char* name;
  void (*run)();
};

// Forking comes first: a sanitizer's own threads and locks are then few.
const Test kTests[] = {
#if defined(TEST_FORK)
    {"fork_at_any_time", fork_at_any_time},
#endif
    {"every_element_once", every_element_once},
    {"nothing_to_do", nothing_to_do},
    {"huge_totals", huge_totals},
    {"one_thread_runs_inline", one_thread_runs_inline},
    {"nested_calls", nested_calls},
    {"sleeping_workers", sleeping_workers},
    {"many_callers", many_callers},
    {"control_group_quotas", control_group_quotas},
    {"default_thread_count", default_thread_count},
};

}  // namespace

int main(int argc, char** argv) {
  int ran = 0;
  for (const Test& test : kTests) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted |= std::strstr(test.name, argv[i]) != nullptr;
    if (!wanted) continue;
    const auto start = std::chrono::steady_clock::now();
    test.run();
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("ok  %-24s %.2f s\n", test.name, seconds);
    std::fflush(stdout);
    ++ran;
  }
  std::printf("%d tests\n", ran);
  return ran > 0 ? 0 : 1;
}
