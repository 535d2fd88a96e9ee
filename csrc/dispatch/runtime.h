// What the core asks of the layer above. The binding fills this in; the core itself knows no Python.
// Functions that can fail throw CallbackFailed.
#pragma once
#include <cstddef>
#include <cstdint>

#include "dispatch/op.h"
#include "tensor/handle.h"

namespace twain {

struct Program;
struct Rule;
struct Mask;
struct Profiler;

// The arguments of a call as the recorder sees them. `handles` may be null, and so may each of them: a value from
// the tape has no handle. The recorder's marks are written back to the values.
struct RecordedCall {
  Op* op;
  Attrs* attrs;
  Value* const* inputs;
  Handle* const* handles;
  uint32_t input_count;
  Value* outputs;
  uint32_t output_count;
};

// A call that ran while its thread was profiled; its steps are profiler->steps from first_step on.
struct ProfiledCall {
  const Profiler* profiler;
  Op* op;
  Attrs* attrs;
  Program* program;
  void* line;  // where the user called the op, or the op whose rule this is; may be null
  bool backward;
  int64_t begin, end;
  size_t first_step;
};

struct Runtime {
  Program* (*prepare)(Op* op, Attrs* attrs, const Value* inputs, uint32_t count);  // new reference
  Rule* (*make_rule)(Op* op, Attrs* attrs, Program* program, const Mask& mask);    // new; never null
  void (*on_op)(const RecordedCall& call);
  void (*on_profile)(const ProfiledCall& call);
  void (*check_anomaly)(Op* op, const Value* outputs, uint32_t count, void* where);
  void* (*current_line)();  // new reference to an object that tells the user's file and line, or null
  Value (*recorded_fill)(Meta* meta, double number);  // a filled value made by an op, so that the recorder knows it
  bool (*run_hook)(void* hook, Value& gradient);      // false: the hook has been removed
  Handle* (*make_handle)(Value&& value);              // new reference
  void (*retain_handle)(Handle* handle);
  void (*release_handle)(Handle* handle);
  void (*retain_object)(void* object);
  void (*release_object)(void* object);
  void (*release_attrs)(void* object);  // of an Attrs that nobody uses any more
  void (*run_host_step)(void* callable, void* const* buffers, uint32_t count, const int64_t* params,
                        uint32_t param_count);
  void* (*release_lock)();  // the interpreter lock, around large work
  void (*take_lock)(void* state);
};
extern Runtime runtime;

}  // namespace twain
