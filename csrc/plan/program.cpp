#include "plan/program.h"

#include <cstring>

#include "dispatch/error.h"
#include "dispatch/runtime.h"
#include "memory/allocator.h"
#include "tensor/small_array.h"

namespace twain {
namespace {

// Work above this is worth letting other Python threads run meanwhile.
constexpr size_t kLargeBytes = size_t{1} << 20;

[[noreturn]] void malformed(const Program* program, const std::string& why) {
  throw Error(ErrorKind::value, "[Program] " + program->name + ": " + why);
}

void check(const Program* program) {
  const size_t slots = program->inputs.size() + program->outputs.size() + 1;
  for (const BufferRef& ref : program->buffers) {
    if (ref.slot >= slots) malformed(program, "a step uses slot " + std::to_string(ref.slot) + ", there are " + std::to_string(slots));
    if (ref.slot == slots - 1 && (ref.offset < 0 || static_cast<size_t>(ref.offset) > program->arena_bytes))
      malformed(program, "a step reaches outside the arena");
  }
  auto present = [&](int64_t i) { return i >= 0 && i < static_cast<int64_t>(program->inputs.size()) && program->inputs[static_cast<size_t>(i)] != nullptr; };
  for (const OutputSpec& output : program->outputs) {
    if (output.alias >= 0 && !present(output.alias)) malformed(program, "an output is a view of an absent input");
    for (uint32_t i : output.reuse)
      if (!present(i) || program->inputs[i]->nbytes != output.meta->nbytes || !output.meta->contiguous)
        malformed(program, "an output cannot reuse input " + std::to_string(i));
  }
  for (const Step& step : program->steps)
    if (step.total < 0 || (step.kernel == nullptr && step.host == nullptr)) malformed(program, "a step has no kernel or a negative total");
}

bool is_simple(const Program* program) {
  if (program->steps.size() != 1 || program->outputs.size() != 1 || program->arena_bytes != 0) return false;
  if (program->inputs.empty() || program->steps[0].total == 0) return false;
  if (program->outputs[0].alias >= 0 || program->outputs[0].meta->lowest != 0 || program->releases_lock || program->has_host_steps) return false;
  if (program->inputs.size() > 2 || program->buffers.size() > 4) return false;
  for (const BufferRef& ref : program->buffers)
    if (ref.slot > program->inputs.size() || ref.offset != 0) return false;
  for (Meta* meta : program->inputs)
    if (meta == nullptr) return false;
  return true;
}

// Storage of one output: an input's that it views, one that was donated, or a fresh one.
void place_output(const Program* program, const OutputSpec& spec, const Value* const* inputs, uint64_t& donated, Value& output) {
  if (spec.alias >= 0) {
    const Value& source = *inputs[spec.alias];
    storage_retain(source.storage);
    meta_retain(spec.meta);
    output = Value(source.storage, spec.meta, source.data + spec.byte_delta);
    return;
  }
  if (donated != 0)
    for (uint32_t i : spec.reuse) {
      if (i >= 64 || (donated >> i & 1) == 0) continue;
      const Value& source = *inputs[i];
      bool shared = !source.meta->contiguous;
      for (uint32_t j = 0; j < program->input_count; ++j) shared = shared || (j != i && inputs[j] != nullptr && inputs[j]->storage == source.storage);
      if (shared) continue;
      donated &= ~(uint64_t{1} << i);
      storage_retain(source.storage);
      meta_retain(spec.meta);
      output = Value(source.storage, spec.meta, source.data);
      return;
    }
  Storage* storage = allocate(static_cast<size_t>(spec.meta->extent), spec.meta->size_class, spec.meta->device);
  meta_retain(spec.meta);
  output = Value(storage, spec.meta, storage->data - spec.meta->lowest);
}

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

void run_steps(Program* program, char* const* slots) {
  Unlocked unlocked(program->releases_lock);
  SmallArray<void*, 16> pointers;
  for (const Step& step : program->steps) {
    if (pointers.size() < step.buffer_count) pointers.resize(step.buffer_count < 16 ? 16 : step.buffer_count);
    const BufferRef* refs = program->buffers.data() + step.first_buffer;
    for (uint32_t i = 0; i < step.buffer_count; ++i) pointers[i] = slots[refs[i].slot] + refs[i].offset;
    const int64_t* params = program->params.data() + step.first_param;
    if (step.host != nullptr) {
      unlocked.enter();
      runtime.run_host_step(step.host, pointers.data(), step.buffer_count, params, step.param_count);
      unlocked.leave();
    } else if (step.total == 0) {
      continue;
    } else if (step.total <= step.grain) {
      step.kernel(pointers.data(), params, 0, step.total);
    } else {
      parallel_for(step.kernel, pointers.data(), params, step.total, step.grain);
    }
  }
}

}  // namespace

Program::~Program() {
  for (Meta* meta : inputs)
    if (meta != nullptr) meta_release(meta);
  for (OutputSpec& output : outputs) meta_release(output.meta);
  for (Step& step : steps)
    if (step.host != nullptr) runtime.release_object(step.host);
  if (keep != nullptr) runtime.release_object(keep);
}

void program_finish(Program* program) {
  check(program);
  program->input_count = static_cast<uint32_t>(program->inputs.size());
  program->output_count = static_cast<uint32_t>(program->outputs.size());
  size_t fresh = program->arena_bytes;
  for (const OutputSpec& output : program->outputs) {
    if (output.alias < 0) fresh += static_cast<size_t>(output.meta->extent);
    program->donates = program->donates || !output.reuse.empty();
  }
  program->releases_lock = fresh > kLargeBytes && !program->steps.empty();
  for (const Step& step : program->steps) {
    program->releases_lock = program->releases_lock || (step.host == nullptr && step.total > step.grain);
    program->has_host_steps = program->has_host_steps || step.host != nullptr;
  }
  // A host step may fail half way: its inputs must still be whole then.
  if (program->has_host_steps) program->donates = false;
  program->simple = is_simple(program);
  if (program->simple) {
    program->kernel = program->steps[0].kernel;
    program->simple_params = program->params.data();
    program->total = program->steps[0].total;
    program->simple_output = program->outputs[0].meta;
    for (size_t i = 0; i < program->buffers.size(); ++i) program->order[i] = static_cast<uint8_t>(program->buffers[i].slot);
  }
}

void program_run(Program* program, const Value* const* inputs, uint64_t donated, Value* outputs) {
  const uint32_t input_count = program->input_count, output_count = program->output_count;
  if (!program->donates) donated = 0;
  for (uint32_t i = 0; i < output_count; ++i) place_output(program, program->outputs[i], inputs, donated, outputs[i]);
  if (program->steps.empty()) return;

  SmallArray<char*, 16> slots(input_count + output_count + 1);
  for (uint32_t i = 0; i < input_count; ++i) slots[i] = inputs[i] != nullptr ? inputs[i]->data : nullptr;
  for (uint32_t i = 0; i < output_count; ++i) slots[input_count + i] = outputs[i].data;

  // While the lock is released or Python runs, handles may be given other values: hold what the kernels use.
  const bool pinned = program->releases_lock || program->has_host_steps;
  Storage* arena = nullptr;
  if (program->arena_bytes != 0) {
    arena = allocate(program->arena_bytes, size_class_of(program->arena_bytes), 0);
    slots[input_count + output_count] = arena->data;
  }
  struct Pins {  // released whichever way the scope is left
    Program* program = nullptr;
    Storage* arena = nullptr;
    SmallArray<Storage*, 16> storages;
    ~Pins() {
      for (Storage* storage : storages)
        if (storage != nullptr) storage_release(storage);
      if (arena != nullptr) storage_release(arena);
      if (program != nullptr) program_release(program);
    }
  } pins;
  pins.arena = arena;
  if (pinned) {
    program_retain(program);
    pins.program = program;
    pins.storages.resize(input_count);
    for (uint32_t i = 0; i < input_count; ++i)
      if (inputs[i] != nullptr) {
        storage_retain(inputs[i]->storage);
        pins.storages[i] = inputs[i]->storage;
      }
  }
  run_steps(program, slots.data());
}

}  // namespace twain
