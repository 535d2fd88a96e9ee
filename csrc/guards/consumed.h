// Graphs that a backward pass has used up. A function that calls backward and returns the loss leaves such a graph
// behind it; a plan that replays the function has no graph, but its loss must look, and fail, the same.
#pragma once
#include "bind/python.h"

namespace twain {

// Whether backward from this node would fail because an earlier pass has freed what it needs.
bool is_consumed(Node* node);

// A program that stands for a gradient function of this name, of a value with this Meta; a new reference. Throws
// CallbackFailed.
Program* consumed_program(PyObject* name, Meta* meta);

// Gives a value a used-up node with that program.
void mark_consumed(Value& value, Program* program);

}  // namespace twain
