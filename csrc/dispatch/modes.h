// Switches of the current thread: is the tape on, is someone recording.
#pragma once
#include <cstdint>

namespace twain {

class CallObserver;
struct Profiler;

struct Modes {
  bool grad_enabled = true;
  bool anomaly = false;
  bool tracing = false;      // calls on Python scalars alone give traced values, not tensors
  void* recorder = nullptr;  // the binding's object, owned
  bool parked = false;       // the recorder is at work: what it does is not told to itself, and it waits here
  void* parked_recorder = nullptr;
  CallObserver* observer = nullptr;  // sees the ops of one call of a Python function, not owned
  Profiler* profiler = nullptr;  // is told of calls, not owned
  uint8_t autocast = 0;      // the low dtype that ops with a policy compute in; 0: none
  int device = 0;            // where new tensors are made
  uint32_t epoch = 0;        // number of the current recording; marks of other recordings don't count

  // Somebody wants to see each call: no short cuts.
  bool watched() const { return recorder != nullptr || anomaly || observer != nullptr || profiler != nullptr; }
};
extern constinit thread_local Modes thread_modes;

// How many threads have any switch away from its default. While 0, nobody needs to look at thread-local memory.
extern int32_t special_threads;
extern const Modes default_modes;

inline const Modes& modes() { return special_threads == 0 ? default_modes : thread_modes; }

bool set_grad_enabled(bool flag);     // returns the previous setting
bool set_anomaly(bool flag);          // likewise
bool set_tracing(bool flag);          // likewise
int set_default_device(int device);   // likewise
CallObserver* set_observer(CallObserver* observer);  // likewise
Profiler* set_profiler(Profiler* profiler);  // likewise
uint8_t set_autocast(uint8_t dtype);  // likewise
void* set_recorder(void* recorder);   // likewise; ownership moves in and out
uint32_t new_epoch();

// For the time that the recorder itself works. A recorder that is taken away or replaced meanwhile stays so.
class ParkedRecorder {
 public:
  ParkedRecorder();
  ~ParkedRecorder();
  ParkedRecorder(const ParkedRecorder&) = delete;
  ParkedRecorder& operator=(const ParkedRecorder&) = delete;
};

// Switches the tape off (or on) for one scope.
class GradScope {
 public:
  explicit GradScope(bool flag) : previous_(set_grad_enabled(flag)) {}
  ~GradScope() { set_grad_enabled(previous_); }
  GradScope(const GradScope&) = delete;
  GradScope& operator=(const GradScope&) = delete;

 private:
  bool previous_;
};

// Sets the observer for one scope.
class ObserverScope {
 public:
  explicit ObserverScope(CallObserver* observer) : previous_(set_observer(observer)) {}
  ~ObserverScope() { set_observer(previous_); }
  ObserverScope(const ObserverScope&) = delete;
  ObserverScope& operator=(const ObserverScope&) = delete;

 private:
  CallObserver* previous_;
};

}  // namespace twain
