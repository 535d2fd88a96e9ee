// How many threads this process may usefully run.
#pragma once

#include <string>

namespace twain {

// TWAIN_THREADS if it is a positive number, else the least of: CPUs in the affinity mask, physical cores among
// them (where known), and the CPU quota of the control group, rounded up. At least 1.
int default_threads();

// CPUs this process may be scheduled on (hardware threads, no quota applied).
int schedulable_cpus();

// The tightest CPU quota over a process's control groups and their ancestors, in CPUs rounded up; 0 if there is none.
// `membership` is the text of /proc/self/cgroup, `root` the place where control groups are mounted.
int cpu_quota(const std::string& membership, const std::string& root);

}  // namespace twain
