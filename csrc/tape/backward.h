// Reverse-mode differentiation over the tape.
#pragma once
#include <span>
#include <vector>

#include "dispatch/op.h"
#include "tensor/handle.h"

namespace twain {

struct BackwardOptions {
  bool retain_graph = false;
  bool create_graph = false;
  bool allow_unused = false;
};

// Fills .grad of every leaf reached. `seeds` (consumed; may be shorter than roots) are the roots' gradients; an empty
// one means ones, for a root of one element.
void backward(std::span<const Value> roots, std::span<Value> seeds, const BackwardOptions& options);

// The gradients for `inputs` (each with a tape link); no .grad is touched. An empty value: unused.
std::vector<Value> gradients(std::span<const Value> roots, std::span<Value> seeds, std::span<const Value> inputs,
                             const BackwardOptions& options);

// The op that adds two gradients, with its default attrs; the caller keeps both alive.
void set_accumulate(Op* op, Attrs* attrs);

}  // namespace twain
