// The one front door: every op, whoever calls it, looks up its program here, runs it, and is recorded.
#pragma once
#include "dispatch/modes.h"
#include "dispatch/runtime.h"
#include "dispatch/table.h"
#include "memory/allocator.h"
#include "tape/node.h"
#include "tensor/small_array.h"

#if defined(_MSC_VER)
#define TWAIN_INLINE __forceinline
#else
#define TWAIN_INLINE inline __attribute__((always_inline))
#endif

namespace twain {

using Values = SmallArray<Value, 4>;

struct Call {
  Op* op = nullptr;
  Attrs* attrs = nullptr;
  const Value* const* inputs = nullptr;   // null: absent
  Handle* const* handles = nullptr;       // the handles they came from; null if there are none
  uint32_t count = 0;
  uint64_t donated = 0;                   // inputs that the caller won't read afterwards: taken over if nobody else holds them
  bool donates_rest = false;              // likewise all inputs from the 65th on; what is to stay needs another holder
  const Meta* like = nullptr;             // in-place: output 0 must have this dtype and shape
  bool record = true;                     // on the tape, if an input needs a gradient
  void* line = nullptr;                   // anomaly mode, backward: where the user called the op whose rule this is
};

// Runs any call: looks up or prepares its program, tells the recorder, records the tape node.
void dispatch(const Call& call, Values& outputs);

// The op that converts, and its static arguments for a dtype; what autocasting calls. Owned.
void set_caster(Op* op, uint8_t dtype, Attrs* attrs);

// Sees what a call of a Python function is made of (see Modes).
class CallObserver {
 public:
  virtual void on_op(const Call& call, const Value* const* inputs, const Values& outputs) = 0;
  virtual void spoil() = 0;  // something else than ops and what it is told of: a value was read

 protected:
  ~CallObserver() = default;
};

namespace detail {

inline Value run_simple(Program* program, const Value* a, const Value* b) {
  Meta* meta = program->simple_output;
  Storage* storage = allocate(static_cast<size_t>(meta->extent), meta->size_class, meta->device);
  void* const slots[3] = {a->data, b != nullptr ? b->data : storage->data, storage->data};
  if (program->in_order) [[likely]] {
    program->kernel(slots, program->simple_params, 0, program->total);
  } else {
    void* buffers[4];
    for (int i = 0; i < 4; ++i) buffers[i] = slots[program->order[i]];
    program->kernel(buffers, program->simple_params, 0, program->total);
  }
  meta_retain(meta);
  return {storage, meta, storage->data};
}

inline Value run_view(const Program* program, const Value* a) {
  const OutputSpec& spec = program->outputs[0];
  storage_retain(a->storage);
  meta_retain(spec.meta);
  return {a->storage, spec.meta, a->data + spec.byte_delta};
}

}  // namespace detail

// The fast way for one or two inputs, one output (or view) and no special mode. `b` may be null: one input. False: nothing has
// happened, call dispatch().
TWAIN_INLINE bool dispatch_fast(const Op* op, const Attrs* attrs, const Value* a, const Value* b, Value& output) {
  if (special_threads != 0) [[unlikely]] {
    const Modes& current = thread_modes;
    if (current.watched() || (current.autocast != 0 && op->autocast != 0)) return false;
  }
  Program* program = table_find(op->id, attrs_id(attrs), a->meta->id, b != nullptr ? b->meta->id : 0, b != nullptr ? 2 : 1);
  if (program == nullptr || !(program->simple || program->view)) [[unlikely]] return false;
  Rule* rule = nullptr;
  const uint64_t mask = (a->node != nullptr ? 1 : 0) | (b != nullptr && b->node != nullptr ? 2 : 0);
  if (mask != 0 && (special_threads == 0 || thread_modes.grad_enabled)) {
    rule = program->rules.find(mask);
    if (rule == nullptr) [[unlikely]] return false;
  }
  output = program->simple ? detail::run_simple(program, a, b) : detail::run_view(program, a);
  if (rule != nullptr && rule->differentiable) {
    const Value* inputs[2] = {a, b};
    tape_record(program, rule, inputs, &output);
  }
  return true;
}

}  // namespace twain
