// A prepared call: for one signature, which kernels run on which buffers, and what comes out.
#pragma once
#include <string>
#include <vector>

#include "dispatch/op.h"
#include "tape/rule.h"
#include "tensor/value.h"
#include "threads/pool.h"

namespace twain {

struct OutputSpec {
  Meta* meta = nullptr;
  int32_t alias = -1;          // view of this input's storage, or -1: fresh
  int64_t byte_delta = 0;      // of a view, from the input's first element
  std::vector<uint32_t> reuse; // inputs whose storage it may take over if they are donated
};

struct BufferRef {
  uint32_t slot;  // inputs, then outputs, then the arena
  int64_t offset;
};

struct Step {
  Kernel kernel = nullptr;
  void* host = nullptr;  // instead of a kernel: a callable of the layer above, owned
  uint32_t first_buffer = 0, buffer_count = 0;
  uint32_t first_param = 0, param_count = 0;
  int64_t total = 0, grain = 0;
};

struct Program {
  int32_t references = 1;
  uint32_t input_count = 0;
  uint32_t output_count = 0;
  // One kernel on the calling thread, one or two inputs, one fresh output, at most four buffers, no offsets.
  bool simple = false;
  bool view = false;     // no kernel: one output, which is a view of input 0
  bool releases_lock = false;
  bool donates = false;  // some output can take over an input
  bool has_host_steps = false;
  bool used = true;      // since the table last looked for something to forget
  Kernel kernel = nullptr;       // of a simple program
  const int64_t* simple_params = nullptr;
  int64_t total = 0;
  Meta* simple_output = nullptr;
  bool in_order = false;         // its buffers are the inputs and then the output
  uint8_t order[4] = {};         // slot of each buffer

  RuleSet rules;
  std::vector<Meta*> inputs;  // owned; null: absent
  std::vector<OutputSpec> outputs;
  std::vector<Step> steps;
  std::vector<BufferRef> buffers;
  std::vector<int64_t> params;
  size_t arena_bytes = 0;
  uint16_t arena_class = 0;
  std::string name;
  void* keep = nullptr;   // what must live as long as the code, owned by the layer above
  void* object = nullptr; // the binding's wrapper, not owned

  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();
};

// Checks every index, then works out the flags. Throws Error (value).
void program_finish(Program* program);

// Inputs that the caller won't read again, and how many references to the storage of each the caller itself holds:
// an output takes the storage over if there are no others.
struct Donation {
  uint64_t inputs = 0;
  int32_t holders = 1;
  bool rest = false;  // and all inputs from the 65th on; for two holders only
};

// Runs it. `inputs[i]` may be null where the program's input is absent. Writes output_count values to `outputs`
// (without tape links or marks).
void program_run(Program* program, const Value* const* inputs, Donation donation, Value* outputs);

inline void program_retain(Program* program) { ++program->references; }
inline void program_release(Program* program) {
  if (--program->references == 0) delete program;
}

}  // namespace twain
