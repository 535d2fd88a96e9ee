// What Python functions in front of ops worked out: the checks and ops of a call, done natively when a call with the
// same static arguments, on tensors of the same descriptions, comes again.
#pragma once
#include "bind/python.h"

namespace twain {

// A native function of tensors whose result's shape is data. It may be part of what is remembered.
using ReadingFunction = void (*)(const Value* const* inputs, uint32_t count, const int64_t* numbers, Values& outputs);

// Tells the observer of the call under way, if there is one, that such a function ran.
void report_reading(ReadingFunction function, Handle* const* inputs, const Value* const* values, uint32_t count,
                    const int64_t* numbers, uint32_t number_count, const Values& outputs);
// Likewise that an index was found to be in [low, high).
void report_range(Handle* index, int64_t low, int64_t high);

// The first of the least and the largest element of an integer tensor outside [low, high) as a Python int, which the
// caller owns; null: none.
PyObject* outside(const Value& value, int64_t low, int64_t high);

void forget_calls();

}  // namespace twain
