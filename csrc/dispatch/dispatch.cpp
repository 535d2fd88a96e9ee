#include "dispatch/dispatch.h"

#include <optional>
#include <string>

#include "dispatch/error.h"
#include "plan/profiler.h"

namespace twain {
namespace {

void check_in_place(const Call& call, const Program* program) {
  if (program->output_count != 1)
    throw Error(ErrorKind::type, std::string("[") + call.op->name + "] an in-place operator needs one result");
  const Meta* result = program->outputs[0].meta;
  if (result->dtype != call.like->dtype || !same_shape(result, call.like))
    throw Error(ErrorKind::type, std::string("[") + call.op->name + "] expected an in-place result that fits " +
                                     describe(call.like) + ", got " + describe(result) +
                                     "; write x = x op y for a new tensor");
}

// What may be overwritten: what the caller donates, unless the rule will save it.
Donation donation(const Call& call, const Rule* rule, const Value* const* inputs, int32_t holders) {
  uint64_t donated = call.donated;
  if (rule == nullptr) return {donated, holders, call.donates_rest && holders > 1};
  if (donated == 0) return {};
  const uint32_t count = call.count;
  for (uint32_t saved : rule->saved) {
    if (saved >= count || inputs[saved] == nullptr) continue;
    for (uint32_t i = 0; i < count && i < 64; ++i)
      if (inputs[i] != nullptr && inputs[i]->storage == inputs[saved]->storage) donated &= ~(uint64_t{1} << i);
  }
  return {donated, holders};
}

Mask gradient_mask(const Value* const* inputs, uint32_t count) {
  Mask mask;
  for (uint32_t i = 0; i < count; ++i)
    if (inputs[i] != nullptr && inputs[i]->node != nullptr) mask.set(i);
  return mask;
}

// Where the user called the op: an object of the layer above, which this owns.
class Line {
 public:
  explicit Line(void* known) : object_(known != nullptr ? known : runtime.current_line()) {
    if (known != nullptr) runtime.retain_object(known);
  }
  ~Line() {
    if (object_ != nullptr) runtime.release_object(object_);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  void* get() const { return object_; }

  // So that the backward pass can tell where its work comes from.
  void note(Values& outputs) const {
    for (Value& output : outputs) {
      if (output.node == nullptr || object_ == nullptr) continue;
      NodeExtra& extra = node_extra(output.node);
      if (extra.line != nullptr) continue;
      runtime.retain_object(object_);
      extra.line = object_;
    }
  }

 private:
  void* object_;
};

// Anomaly mode: remembers the user's line on the new node, and has outputs checked for NaN.
void look_for_nan(const Call& call, bool taped, Values& outputs) {
  const Line line(call.line);
  if (taped) line.note(outputs);
  runtime.check_anomaly(call.op, outputs.data(), static_cast<uint32_t>(outputs.size()), call.line);
}

// A program that does not answer the call it was made for would be made again and again.
void check_prepared(const Call& call, const Program* program, const Value* const* inputs) {
  bool fits = program->input_count == call.count;
  for (uint32_t i = 0; i < call.count && fits; ++i)
    fits = program->inputs[i] == (inputs[i] == nullptr ? nullptr : inputs[i]->meta);
  if (!fits)
    throw Error(ErrorKind::runtime, std::string("[") + call.op->name + "] prepare made a program for other inputs");
}

// Times the call, and leaves the user's line on what it puts on the tape.
class ProfiledRun {
 public:
  ProfiledRun(Profiler* profiler, const Call& call)
      : profiler_(profiler), line_(call.line), first_(profiler->steps.size()), begin_(nanoseconds_now()) {}
  void ran(const Call& call, Program* program) {
    const int64_t end = nanoseconds_now();
    runtime.on_profile({profiler_, call.op, call.attrs, program, line_.get(), call.line != nullptr, begin_, end, first_});
    profiler_->steps.resize(first_);
  }
  void taped(Values& outputs) const { line_.note(outputs); }

 private:
  Profiler* profiler_;
  Line line_;
  size_t first_;
  int64_t begin_;
};

// Everything that may run Python in the middle of a call: inputs are copies, so that no handle can change them.
void dispatch_pinned(const Call& call, Values& pinned, Values& outputs) {
  SmallArray<Value*, 8> inputs(call.count);
  for (uint32_t i = 0; i < call.count; ++i) inputs[i] = pinned[i] ? &pinned[i] : nullptr;
  const Modes current = modes();
  const ObserverScope unobserved(nullptr);  // what preparing calls is no part of what is observed
  Program* program = table_find_any(call.op->id, attrs_id(call.attrs), inputs.data(), call.count);
  if (program != nullptr) {
    program_retain(program);
  } else {
    ++table.misses;
    program = runtime.prepare(call.op, call.attrs, pinned.data(), call.count);
    try {
      check_prepared(call, program, inputs.data());
    } catch (...) {
      program_release(program);
      throw;
    }
    // Preparing may itself have prepared the same call.
    if (table_find_any(call.op->id, attrs_id(call.attrs), inputs.data(), call.count) == nullptr)
      table_add(call.op, call.attrs, program);
  }
  struct Release {
    Program* program;
    ~Release() { program_release(program); }
  } release{program};

  if (call.like != nullptr) check_in_place(call, program);
  Rule* rule = nullptr;
  if (call.record && current.grad_enabled) {
    const Mask mask = gradient_mask(inputs.data(), call.count);
    if (!mask.empty()) {
      rule = program->rules.find(mask);
      if (rule == nullptr) rule = runtime.make_rule(call.op, call.attrs, program, mask);
    }
  }
  // The caller's and the pinned reference. A recorder may still look at what went in.
  const Donation donated = current.recorder != nullptr ? Donation() : donation(call, rule, inputs.data(), 2);
  outputs.resize(program->output_count);
  std::optional<ProfiledRun> profiled;
  if (current.profiler != nullptr) [[unlikely]] profiled.emplace(current.profiler, call);
  program_run(program, inputs.data(), donated, outputs.data());
  if (profiled) profiled->ran(call, program);
  if (current.recorder != nullptr)
    runtime.on_op({call.op, call.attrs, inputs.data(), call.handles, call.count, outputs.data(), program->output_count});
  const bool taped = rule != nullptr && rule->differentiable;
  if (taped) tape_record(program, rule, inputs.data(), outputs.data());
  if (current.observer != nullptr) [[unlikely]] current.observer->on_op(call, inputs.data(), outputs);
  if (profiled && taped) profiled->taped(outputs);
  if (current.anomaly) [[unlikely]] look_for_nan(call, taped, outputs);
}

// No copies of the inputs: their handles cannot change because nothing here runs Python, and programs that let go of
// the lock pin what they use.
bool dispatch_known(const Call& call, Values& outputs) {
  const Modes& current = modes();
  if (current.watched() || call.like != nullptr || call.donates_rest) return false;
  Program* program = table_find_any(call.op->id, attrs_id(call.attrs), call.inputs, call.count);
  if (program == nullptr || program->releases_lock || program->has_host_steps) return false;
  Rule* rule = nullptr;
  if (call.record && current.grad_enabled) {
    const Mask mask = gradient_mask(call.inputs, call.count);
    if (!mask.empty()) {
      rule = program->rules.find(mask);
      if (rule == nullptr) return false;
    }
  }
  outputs.resize(program->output_count);
  program_run(program, call.inputs, donation(call, rule, call.inputs, 1), outputs.data());
  if (rule != nullptr && rule->differentiable) tape_record(program, rule, call.inputs, outputs.data());
  return true;
}

struct Caster {
  Op* op = nullptr;
  Attrs* attrs[kDTypeCount] = {};
};
Caster caster;

bool is_autocast_dtype(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16 || dtype == DType::float32; }

// Converts operands as the op's policy says, each by a call of its own, so that recorder and tape see it; then the op
// itself. False: nothing to convert, and nothing has happened.
bool dispatch_cast(const Call& call, Values& outputs) {
  const DType wanted = call.op->autocast == 1 ? static_cast<DType>(modes().autocast) : DType::float32;
  if (call.like != nullptr || caster.attrs[static_cast<int>(wanted)] == nullptr) return false;
  const auto needs = [&](const Value* value) {
    return value != nullptr && is_autocast_dtype(value->meta->dtype) && value->meta->dtype != wanted;
  };
  bool any = false;
  for (uint32_t i = 0; i < call.count; ++i) any = any || needs(call.inputs[i]);
  if (!any) return false;
  Values values(call.count);
  SmallArray<const Value*, 8> inputs(call.count);
  SmallArray<Handle*, 8> handles(call.count);
  // Copies first: converting may run Python, which may give the handles other values.
  for (uint32_t i = 0; i < call.count; ++i)
    if (call.inputs[i] != nullptr) values[i] = *call.inputs[i];
  for (uint32_t i = 0; i < call.count; ++i) {
    inputs[i] = call.inputs[i] != nullptr ? &values[i] : nullptr;
    handles[i] = call.handles != nullptr ? call.handles[i] : nullptr;
    if (!needs(inputs[i])) continue;
    const Value* source = inputs[i];
    Handle* handle = handles[i];
    Values converted;
    Call cast{caster.op, caster.attrs[static_cast<int>(wanted)], &source, &handle, 1};
    cast.record = call.record;
    cast.line = call.line;
    dispatch(cast, converted);
    values[i] = std::move(converted[0]);
    handles[i] = nullptr;
  }
  Call converted = call;
  converted.inputs = inputs.data();
  converted.handles = handles.data();
  converted.donated = 0;
  dispatch(converted, outputs);
  return true;
}

}  // namespace

void set_caster(Op* op, uint8_t dtype, Attrs* attrs) {
  op_retain(op);
  if (caster.op != nullptr) op_release(caster.op);
  caster.op = op;
  attrs_retain(attrs);
  attrs_release(caster.attrs[dtype]);
  caster.attrs[dtype] = attrs;
}

void dispatch(const Call& call, Values& outputs) {
  if (call.op->autocast != 0 && modes().autocast != 0) [[unlikely]]
    if (dispatch_cast(call, outputs)) return;
  if (dispatch_known(call, outputs)) return;
  Values pinned(call.count);
  for (uint32_t i = 0; i < call.count; ++i)
    if (call.inputs[i] != nullptr) pinned[i] = *call.inputs[i];
  dispatch_pinned(call, pinned, outputs);
}

}  // namespace twain
