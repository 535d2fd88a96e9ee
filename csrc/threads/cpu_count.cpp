#include "threads/cpu_count.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace twain {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

// The lesser of two limits, where 0 means "no limit".
int tighter(int a, int b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

int quota_in_cpus(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return 0;
  const double cpus = quota / period;
  return cpus > 1e6 ? 0 : std::max(1, static_cast<int>(cpus + 0.999));
}

// Version 2: one file, "max 100000" or "150000 100000".
int quota_v2(const std::string& directory) {
  std::istringstream text(read_file(directory + "/cpu.max"));
  double quota = 0, period = 0;
  return text >> quota >> period ? quota_in_cpus(quota, period) : 0;
}

// Version 1: two files; a quota of -1 means none.
int quota_v1(const std::string& directory) {
  std::istringstream quota_text(read_file(directory + "/cpu.cfs_quota_us"));
  std::istringstream period_text(read_file(directory + "/cpu.cfs_period_us"));
  double quota = 0, period = 0;
  return quota_text >> quota && period_text >> period ? quota_in_cpus(quota, period) : 0;
}

// Quotas hold for a group and all its ancestors. In a container the path may be the host's and lead nowhere below
// `mount`; the walk then still ends at the mount point itself, which is the container's own group.
int quota_up_the_tree(const std::string& mount, std::string path, int (*quota)(const std::string&)) {
  int least = 0;
  while (true) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    least = tighter(least, quota(mount + path));
    const size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) return least;
    path.erase(slash);
  }
}

#if defined(__linux__)
// The CPUs of the affinity mask; the mask grows until the kernel accepts it (machines with over 1024 CPUs).
std::set<int> affinity_mask() {
  std::set<int> cpus;
  for (int capacity = 1024; capacity <= 1 << 18; capacity *= 4) {
    cpu_set_t* mask = CPU_ALLOC(capacity);
    if (mask == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(capacity);
    const bool accepted = sched_getaffinity(0, bytes, mask) == 0;
    for (int cpu = 0; accepted && cpu < capacity; ++cpu) {
      if (CPU_ISSET_S(static_cast<size_t>(cpu), bytes, mask)) cpus.insert(cpu);
    }
    CPU_FREE(mask);
    if (accepted) break;
  }
  return cpus;
}

// Hardware threads of one core list the same siblings. 0 where the kernel does not say.
int physical_cores(const std::set<int>& cpus) {
  std::set<std::string> cores;
  for (int cpu : cpus) {
    std::string siblings =
        read_file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    if (siblings.empty()) return 0;
    cores.insert(std::move(siblings));
  }
  return static_cast<int>(cores.size());
}
#endif

int threads_from_environment() {
  const char* text = std::getenv("TWAIN_THREADS");
  if (text == nullptr) return 0;
  char* rest = nullptr;
  const long value = std::strtol(text, &rest, 10);
  return rest != text && *rest == '\0' && value >= 1 && value <= 1 << 20 ? static_cast<int>(value) : 0;
}

}  // namespace

int cpu_quota(const std::string& membership, const std::string& root) {
  // Each line reads "hierarchy:controllers:path"; version 2 is hierarchy 0 without controllers.
  std::istringstream lines(membership);
  int least = 0;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      least = tighter(least, quota_up_the_tree(root, path, quota_v2));
      least = tighter(least, quota_up_the_tree(root + "/unified", path, quota_v2));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      least = tighter(least, quota_up_the_tree(root + "/" + controllers, path, quota_v1));
      if (controllers != "cpu") least = tighter(least, quota_up_the_tree(root + "/cpu", path, quota_v1));
    }
  }
  return least;
}

int schedulable_cpus() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  if (const int allowed = static_cast<int>(affinity_mask().size())) cpus = allowed;
#endif
  return std::max(1, cpus);
}

int default_threads() {
  if (const int asked = threads_from_environment()) return asked;
  int threads = schedulable_cpus();
#if defined(__linux__)
  threads = tighter(threads, physical_cores(affinity_mask()));
  threads = tighter(threads, cpu_quota(read_file("/proc/self/cgroup"), "/sys/fs/cgroup"));
#elif defined(__APPLE__)
  // The fast cores where there are two kinds: a slow core would hold up every equal share of the work.
  for (const char* name : {"hw.perflevel0.physicalcpu", "hw.physicalcpu"}) {
    int cores = 0;
    size_t size = sizeof cores;
    if (sysctlbyname(name, &cores, &size, nullptr, 0) == 0 && cores > 0) {
      threads = std::min(threads, cores);
      break;
    }
  }
#endif
  return std::max(1, threads);
}

}  // namespace twain
