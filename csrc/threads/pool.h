// The process's one pool of worker threads, and the fork/join loop every large kernel runs in.
#pragma once

#include <cstdint>

namespace twain {

// A kernel computes [begin, end) of a step's parallel extent. It never throws, locks or calls back.
using Kernel = void (*)(void* const* buffers, const int64_t* params, int64_t begin, int64_t end);

// The most threads set_threads accepts.
inline constexpr int kMaxThreads = 1024;

// Runs `kernel` over [0, total), cut only at multiples of `grain`, and returns when all of it is done.
// Runs on the calling thread alone when total <= grain, with one thread, inside another parallel_for,
// or while another thread is using the pool.
void parallel_for(Kernel kernel, void* const* buffers, const int64_t* params, int64_t total, int64_t grain);

// How many threads share the work, the calling one included.
int get_threads();
// Takes effect at the next parallel_for; n < 1 counts as 1. Workers start when first needed and are never stopped.
void set_threads(int n);

}  // namespace twain
