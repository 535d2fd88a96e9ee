// What the core throws. The binding turns each into a Python exception; none crosses into Python.
#pragma once
#include <stdexcept>
#include <string>

namespace twain {

// A callback of the layer above failed and has already set its own error.
struct CallbackFailed {};

enum class ErrorKind { runtime, value, type, overflow };

struct Error : std::runtime_error {
  Error(ErrorKind error_kind, const std::string& text) : std::runtime_error(text), kind(error_kind) {}
  ErrorKind kind;
};

struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace twain
