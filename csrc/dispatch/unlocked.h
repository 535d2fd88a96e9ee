// Leaving the interpreter lock for a while.
#pragma once
#include <utility>

#include "dispatch/runtime.h"

namespace twain {

// Takes the interpreter lock again however the scope is left.
class Unlocked {
 public:
  explicit Unlocked(bool wanted) : wanted_(wanted) { leave(); }
  ~Unlocked() { enter(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  void leave() {
    if (wanted_) state_ = runtime.release_lock();
  }
  void enter() {
    if (wanted_ && state_ != nullptr) runtime.take_lock(std::exchange(state_, nullptr));
  }

 private:
  bool wanted_;
  void* state_ = nullptr;
};

}  // namespace twain
