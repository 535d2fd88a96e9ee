#include "dispatch/modes.h"

#include <utility>

namespace twain {

constinit thread_local Modes thread_modes;
int32_t special_threads = 0;
const Modes default_modes{};

namespace {

bool is_special(const Modes& modes) { return modes.watched() || !modes.grad_enabled || modes.tracing || modes.device != 0 || modes.autocast != 0; }

template <typename T>
T change(T Modes::* field, T setting) {
  const bool before = is_special(thread_modes);
  const T previous = std::exchange(thread_modes.*field, setting);
  special_threads += static_cast<int>(is_special(thread_modes)) - static_cast<int>(before);
  return previous;
}

}  // namespace

bool set_grad_enabled(bool flag) { return change(&Modes::grad_enabled, flag); }
bool set_anomaly(bool flag) { return change(&Modes::anomaly, flag); }
bool set_tracing(bool flag) { return change(&Modes::tracing, flag); }
int set_default_device(int device) { return change(&Modes::device, device); }
CallObserver* set_observer(CallObserver* observer) { return change(&Modes::observer, observer); }
Profiler* set_profiler(Profiler* profiler) { return change(&Modes::profiler, profiler); }
uint8_t set_autocast(uint8_t dtype) { return change(&Modes::autocast, dtype); }
void* set_recorder(void* recorder) {
  if (thread_modes.parked) return std::exchange(thread_modes.parked_recorder, recorder);
  return change(&Modes::recorder, recorder);
}

ParkedRecorder::ParkedRecorder() {
  thread_modes.parked_recorder = set_recorder(nullptr);
  thread_modes.parked = true;
}

ParkedRecorder::~ParkedRecorder() {
  thread_modes.parked = false;
  set_recorder(std::exchange(thread_modes.parked_recorder, nullptr));
}

uint32_t new_epoch() {
  static uint32_t last = 0;
  return thread_modes.epoch = ++last;
}

}  // namespace twain
