#include "plan/program.h"

#include <memory>
#include <utility>

#include "dispatch/error.h"
#include "dispatch/modes.h"
#include "dispatch/unlocked.h"
#include "memory/allocator.h"
#include "plan/profiler.h"
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

// May output `spec` be written over input i?
bool can_take_over(const Program* program, const Value* const* inputs, const Donation& donation, uint32_t i) {
  if (i >= 64 ? !donation.rest : (donation.inputs >> i & 1) == 0) return false;
  const Value& source = *inputs[i];
  if (source.storage->references != donation.holders || source.storage->borrowed || !source.meta->contiguous) return false;
  // With a reference per input on top of the handles', one that comes twice has too many.
  if (donation.holders > 1) return true;
  for (uint32_t j = 0; j < program->input_count; ++j)
    if (j != i && inputs[j] != nullptr && inputs[j]->storage == source.storage) return false;
  return true;
}

// Gives an output its storage: an input's that it views, one that was donated, or a fresh one.
void place_output(const Program* program, const OutputSpec& spec, const Value* const* inputs, Donation& donation,
                  Value& output) {
  Storage* storage = nullptr;
  char* data = nullptr;
  if (spec.alias >= 0) {
    storage = inputs[spec.alias]->storage;
    data = inputs[spec.alias]->data + spec.byte_delta;
    storage_retain(storage);
  } else if (donation.inputs != 0 || donation.rest) {
    for (uint32_t i : spec.reuse) {
      if (!can_take_over(program, inputs, donation, i)) continue;
      if (i < 64) donation.inputs &= ~(uint64_t{1} << i);
      storage = inputs[i]->storage;
      data = inputs[i]->data;
      storage_retain(storage);
      break;
    }
  }
  if (storage == nullptr) {
    storage = allocate(static_cast<size_t>(spec.meta->extent), spec.meta->size_class, spec.meta->device);
    data = storage->data - spec.meta->lowest;
  }
  meta_retain(spec.meta);
  output = Value(storage, spec.meta, data);
}

constexpr uint32_t kFewBuffers = 16;

inline void run_kernel(const Step& step, void* const* pointers, const int64_t* params) {
  if (step.total == 0) return;
  if (step.total <= step.grain)
    step.kernel(pointers, params, 0, step.total);
  else
    parallel_for(step.kernel, pointers, params, step.total, step.grain);
}

void run_steps(Program* program, char* const* slots) {
  void* few[kFewBuffers];
  std::unique_ptr<void*[]> many;
  Unlocked unlocked(program->releases_lock);
  Profiler* const profiler = modes().profiler;
  int64_t begin = profiler != nullptr ? nanoseconds_now() : 0;
  for (const Step& step : program->steps) {
    void** pointers = few;
    if (step.buffer_count > kFewBuffers) {
      many = std::make_unique<void*[]>(step.buffer_count);
      pointers = many.get();
    }
    const BufferRef* refs = program->buffers.data() + step.first_buffer;
    for (uint32_t i = 0; i < step.buffer_count; ++i) pointers[i] = slots[refs[i].slot] + refs[i].offset;
    const int64_t* params = program->params.data() + step.first_param;
    if (step.host == nullptr) {
      run_kernel(step, pointers, params);
    } else {
      unlocked.enter();
      runtime.run_host_step(step.host, pointers, step.buffer_count, params, step.param_count);
      unlocked.leave();
    }
    if (profiler != nullptr) [[unlikely]] {
      const int64_t end = nanoseconds_now();
      profiler->steps.push_back({program, static_cast<uint32_t>(&step - program->steps.data()), begin, end});
      begin = end;
    }
  }
}

struct Arena {
  Storage* storage = nullptr;
  ~Arena() {
    if (storage != nullptr) storage_release(storage);
  }
};

void fill_slots(const Program* program, const Value* const* inputs, const Value* outputs, Arena& arena, char** slots) {
  for (uint32_t i = 0; i < program->input_count; ++i) slots[i] = inputs[i] != nullptr ? inputs[i]->data : nullptr;
  slots += program->input_count;
  for (uint32_t i = 0; i < program->output_count; ++i) slots[i] = outputs[i].data;
  slots[program->output_count] = nullptr;
  if (program->arena_bytes == 0) return;
  arena.storage = allocate(program->arena_bytes, program->arena_class, program->outputs.empty() ? 0 : program->outputs[0].meta->device);
  slots[program->output_count] = arena.storage->data;
}

// While the lock is released or Python runs, handles may be given other values: hold what the kernels use.
struct Pins {
  Pins(Program* pinned, const Value* const* inputs) : program(pinned), storages(pinned->input_count) {
    program_retain(program);
    for (uint32_t i = 0; i < program->input_count; ++i) {
      if (inputs[i] == nullptr) continue;
      storages[i] = inputs[i]->storage;
      storage_retain(storages[i]);
    }
  }
  ~Pins() {
    for (Storage* storage : storages)
      if (storage != nullptr) storage_release(storage);
    program_release(program);
  }
  Program* program;
  SmallArray<Storage*, 16> storages;
};

void run_pinned(Program* program, const Value* const* inputs, const Value* outputs) {
  Arena arena;
  SmallArray<char*, 16> slots(program->input_count + program->output_count + 1);
  fill_slots(program, inputs, outputs, arena, slots.data());
  Pins pins(program, inputs);
  run_steps(program, slots.data());
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
  program->arena_class = size_class_of(program->arena_bytes);
  program->simple = is_simple(program);
  program->view = program->steps.empty() && program->outputs.size() == 1 && program->outputs[0].alias == 0;
  if (program->simple) {
    program->kernel = program->steps[0].kernel;
    program->simple_params = program->params.data();
    program->total = program->steps[0].total;
    program->simple_output = program->outputs[0].meta;
    program->in_order = program->buffers.size() == program->inputs.size() + 1;
    for (size_t i = 0; i < program->buffers.size(); ++i) {
      program->order[i] = static_cast<uint8_t>(program->buffers[i].slot);
      program->in_order = program->in_order && program->buffers[i].slot == i;
    }
  }
}

void program_run(Program* program, const Value* const* inputs, Donation donation, Value* outputs) {
  // A host callback may fail half-way, and then nothing may have been written.
  if (!program->donates || program->has_host_steps) donation = Donation();
  for (uint32_t i = 0; i < program->output_count; ++i)
    place_output(program, program->outputs[i], inputs, donation, outputs[i]);
  if (program->steps.empty()) return;
  if (program->releases_lock || program->has_host_steps || program->input_count + program->output_count >= kFewBuffers) {
    run_pinned(program, inputs, outputs);
    return;
  }
  Arena arena;
  char* slots[kFewBuffers + 1];
  fill_slots(program, inputs, outputs, arena, slots);
  run_steps(program, slots);
}

}  // namespace twain
