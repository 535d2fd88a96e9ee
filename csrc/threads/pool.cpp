// Fork/join without a shared queue. Every worker has a mailbox on a cache line of its own. The thread that calls
// parallel_for (the owner) divides the work into one contiguous share per thread, writes an offer into each mailbox and
// works too. A worker takes its offer by compare-and-swap, then takes chunks of its own share, then of the others'.
//
// Since anyone may take chunks of any share, the owner never waits for a worker that is still asleep: when no chunk is
// left it withdraws the offers nobody took and waits only for workers inside their last chunk. Waking a worker
// is therefore only a hint. And because shares are the same from call to call, a thread meets the same data again.
#include "threads/pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "threads/cpu_count.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#endif

namespace twain {
namespace {

using Clock = std::chrono::steady_clock;

// How long an idle worker spins before it sleeps: longer than the gaps between the steps of a plan. Now and then it
// offers its CPU to others, which is not free: an offer made meanwhile is seen half a microsecond late.
constexpr auto kWorkerSpin = std::chrono::microseconds(50);
constexpr auto kWorkerYield = std::chrono::microseconds(10);
// How long the owner spins for the last worker before it offers its CPU to others.
constexpr auto kJoinSpin = std::chrono::microseconds(20);
// Reading the clock costs as much as a few pauses.
constexpr int kPausesPerClock = 32;
// A share with this many grains or more is taken in about this many chunks, so that a slow thread can be helped.
constexpr int64_t kChunksPerShare = 8;

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // `yield` returns at once on most cores; `isb` takes about as long as x86's pause
#elif defined(__arm__) || (defined(__riscv) && defined(__riscv_zihintpause))
#if defined(__arm__)
  asm volatile("yield" ::: "memory");
#else
  asm volatile("pause" ::: "memory");
#endif
#endif
}

// The CPU this thread runs on, where that is cheap to ask.
inline int current_cpu() {
#if defined(__linux__) && defined(__GLIBC__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// What the low two bits of a mailbox's state say; the rest is the number of the job.
enum : uint64_t { kWithdrawn = 0, kOffered = 1, kTaken = 2, kDone = 3, kPhases = 4 };

struct Job {
  Kernel kernel;
  void* const* buffers;
  const int64_t* params;
  int64_t total, grain;
  int64_t grains;  // total / grain, rounded up
  int64_t chunk;   // grains taken at a time, at most
  bool whole;      // a share at a time: it has too few grains
  int threads;     // shares
};

// 128 bytes: neighbouring lines are fetched in pairs on many CPUs.
struct alignas(128) Seat {
  std::atomic<uint64_t> state{kWithdrawn};
  std::atomic<int64_t> next{0};  // first grain of this share not yet taken
  int64_t end = 0;               // end of this share, in grains
  std::atomic<bool> asleep{false};
  std::mutex mutex;
  std::condition_variable wake;
};

struct Pool {
  Job job{};
  uint64_t number = 0;  // of the current job
  int workers = 0;      // running ones: those of seats 1..workers
  bool oversubscribed = false;
  std::array<std::unique_ptr<Seat>, kMaxThreads> seats;  // seat 0 is the owner's
  alignas(128) std::atomic<int> sleepers{0};
  alignas(128) std::atomic<int> owner_cpu{-1};  // where the owner is; -1 if unknown

  Pool() { seats[0] = std::make_unique<Seat>(); }
};

// Whoever sets `busy` owns everything in `pool`. The pool is never destroyed: its threads may outlive main().
std::atomic<bool> busy{false};
Pool* pool = nullptr;
std::atomic<int> wanted_threads{0};  // 0: not yet decided

void take_chunks(Pool& p, int self) {
  const Job& job = p.job;
  for (int i = 0; i < job.threads; ++i) {
    Seat& seat = *p.seats[static_cast<size_t>((self + i) % job.threads)];
    int64_t first = seat.next.load(std::memory_order_relaxed);
    while (first < seat.end) {
      // Smaller chunks towards the end: where threads are not equally fast, the last one is waited for.
      const int64_t left = seat.end - first;
      const int64_t last = first + (job.whole ? left : std::clamp<int64_t>(left / 2, 1, job.chunk));
      if (!seat.next.compare_exchange_weak(first, last, std::memory_order_relaxed)) continue;
      // The last grain may be short; multiplying its end could overflow.
      const int64_t end = last == job.grains ? job.total : last * job.grain;
      job.kernel(job.buffers, job.params, first * job.grain, end);
      first = seat.next.load(std::memory_order_relaxed);
    }
  }
}

void wake_if_asleep(Seat& seat) {
  if (!seat.asleep.load(std::memory_order_seq_cst)) return;
  // Taking the lock once makes sure that the worker either sees its offer before it waits, or waits already.
  {
    std::lock_guard<std::mutex> lock(seat.mutex);
  }
  seat.wake.notify_one();
}

// Waking takes a microsecond or two each, so it is shared out: thread i wakes threads 2i+1 and 2i+2.
void wake_children(Pool& p, int self) {
  if (p.sleepers.load(std::memory_order_seq_cst) == 0) return;
  const int threads = p.job.threads;
  for (int child = 2 * self + 1; child <= 2 * self + 2 && child < threads; ++child) {
    wake_if_asleep(*p.seats[static_cast<size_t>(child)]);
  }
}

bool is_offer(uint64_t state) { return state % kPhases == kOffered; }

void sleep_until_offered(Pool& p, Seat& seat) {
  std::unique_lock<std::mutex> lock(seat.mutex);
  p.sleepers.fetch_add(1, std::memory_order_seq_cst);
  seat.asleep.store(true, std::memory_order_seq_cst);
  seat.wake.wait(lock, [&] { return is_offer(seat.state.load(std::memory_order_seq_cst)); });
  seat.asleep.store(false, std::memory_order_relaxed);
  p.sleepers.fetch_sub(1, std::memory_order_relaxed);
}

void work_forever(Pool& p, int self, bool oversubscribed) {
  std::fesetenv(FE_DFL_ENV);  // not what the starting thread happened to have set
#if defined(__linux__)
  pthread_setname_np(pthread_self(), "twain");
#endif
  Seat& seat = *p.seats[static_cast<size_t>(self)];
  // Spinning on the CPU that the owner wants to go on with would hold it up.
  bool in_the_way = oversubscribed;
  while (true) {
    uint64_t state = seat.state.load(std::memory_order_acquire);
    if (!is_offer(state)) {
      const auto start = Clock::now();
      auto yielded = start;
      for (auto now = start; !in_the_way && !is_offer(state) && now - start < kWorkerSpin; now = Clock::now()) {
        for (int i = 0; i < kPausesPerClock && !is_offer(state); ++i) {
          pause();
          state = seat.state.load(std::memory_order_acquire);
        }
        if (now - yielded > kWorkerYield) {
          std::this_thread::yield();
          yielded = now;
        }
      }
      if (!is_offer(state)) {
        sleep_until_offered(p, seat);
        continue;
      }
    }
    const uint64_t base = state - kOffered;
    if (!seat.state.compare_exchange_strong(state, base + kTaken, std::memory_order_acq_rel)) continue;
    wake_children(p, self);
    take_chunks(p, self);
    const int owner_cpu = p.owner_cpu.load(std::memory_order_relaxed);
    in_the_way = oversubscribed || (owner_cpu >= 0 && owner_cpu == current_cpu());
    seat.state.store(base + kDone, std::memory_order_release);
  }
}

// Starts workers until there are `count`, or as many as the system allows.
void start_workers(Pool& p, int count) {
  if (p.workers >= count) return;
#if !defined(_WIN32)
  // Signals are for the program's own threads; faults are reported where they happen.
  sigset_t all, previous;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
#endif
  while (p.workers < count) {
    const int self = p.workers + 1;
    p.seats[static_cast<size_t>(self)] = std::make_unique<Seat>();
    try {
      std::thread(work_forever, std::ref(p), self, p.oversubscribed).detach();
    } catch (const std::system_error&) {
      wanted_threads.store(self, std::memory_order_relaxed);  // a limit on processes: go on with what there is
      break;
    }
    p.workers = self;
  }
#if !defined(_WIN32)
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
#endif
}

// In a forked child no worker exists and the owner may be a thread that doesn't either: begin anew.
// What the old pool's memory holds is abandoned.
#if !defined(_WIN32)
void after_fork_in_child() {
  pool = nullptr;
  busy.store(false, std::memory_order_relaxed);
}
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);
#endif

Pool& prepare_pool(int threads) {
  if (pool == nullptr) pool = new Pool;
  if (pool->workers < threads - 1) {
    pool->oversubscribed = threads > schedulable_cpus();
    start_workers(*pool, threads - 1);
  }
  return *pool;
}

void offer(Pool& p) {
  const Job& job = p.job;
  for (int i = 0; i < job.threads; ++i) {
    Seat& seat = *p.seats[static_cast<size_t>(i)];
    // grains * (i + 1) could overflow for absurd totals; quotient and remainder don't.
    const int64_t share = job.grains / job.threads, extra = job.grains % job.threads;
    seat.next.store(share * i + std::min<int64_t>(i, extra), std::memory_order_relaxed);
    seat.end = share * (i + 1) + std::min<int64_t>(i + 1, extra);
  }
  const uint64_t offered = ++p.number * kPhases + kOffered;
  for (int i = 1; i < job.threads; ++i) {
    // The last store is ordered before the look at `sleepers`; the earlier ones are too on every CPU we know, and if
    // not, a worker sleeps through one job.
    p.seats[static_cast<size_t>(i)]->state.store(
        offered, i + 1 == job.threads ? std::memory_order_seq_cst : std::memory_order_release);
  }
}

void withdraw_or_wait(Pool& p) {
  const uint64_t base = p.number * kPhases;
  for (int i = 1; i < p.job.threads; ++i) {
    std::atomic<uint64_t>& state = p.seats[static_cast<size_t>(i)]->state;
    uint64_t seen = state.load(std::memory_order_acquire);
    if (seen == base + kOffered && state.compare_exchange_strong(seen, base + kWithdrawn, std::memory_order_acq_rel)) {
      continue;
    }
    if (seen == base + kDone) continue;
    const auto deadline = p.oversubscribed ? Clock::time_point::min() : Clock::now() + kJoinSpin;
    bool patient = true;
    for (int pauses = 1; state.load(std::memory_order_acquire) != base + kDone; ++pauses) {
      pause();
      if (pauses % kPausesPerClock == 0 && patient) patient = Clock::now() < deadline;
      if (!patient) std::this_thread::yield();
    }
  }
}

}  // namespace

void parallel_for(Kernel kernel, void* const* buffers, const int64_t* params, int64_t total, int64_t grain) {
  if (total <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  int threads;
  // The plain load keeps callers that lose from pulling the line away from the owner.
  if (total <= grain || (threads = get_threads()) == 1 || busy.load(std::memory_order_relaxed) ||
      busy.exchange(true, std::memory_order_acquire)) {
    kernel(buffers, params, 0, total);
    return;
  }
  Pool& p = prepare_pool(threads);
  const int64_t grains = total / grain + (total % grain != 0);
  threads = static_cast<int>(std::min<int64_t>(std::min(threads, p.workers + 1), grains));
  const int64_t share = grains / threads;
  const int64_t chunk = std::max<int64_t>(1, share / kChunksPerShare);
  p.job = {kernel, buffers, params, total, grain, grains, chunk, share < kChunksPerShare / 2, threads};
  offer(p);
  wake_children(p, 0);
  p.owner_cpu.store(current_cpu(), std::memory_order_relaxed);
  take_chunks(p, 0);
  withdraw_or_wait(p);
  busy.store(false, std::memory_order_release);
}

int get_threads() {
  int threads = wanted_threads.load(std::memory_order_relaxed);
  if (threads == 0) {
    const int decided = std::min(default_threads(), kMaxThreads);
    // Another thread's set_threads must not be overwritten.
    threads = wanted_threads.compare_exchange_strong(threads, decided, std::memory_order_relaxed) ? decided : threads;
  }
  return threads;
}

void set_threads(int n) { wanted_threads.store(std::clamp(n, 1, kMaxThreads), std::memory_order_relaxed); }

}  // namespace twain
