// Loads a relocatable ELF64 object, as LLVM emits for kernels, into executable memory of this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace twain {

// The `e_machine` numbers of the ELF format.
enum class Machine : uint16_t { x86_64 = 62, aarch64 = 183 };

// The code and constants of one object; unmapped when destroyed. Read-only and executable from the start,
// so it may be used by any number of threads.
class ObjectCode {
 public:
  ObjectCode(const ObjectCode&) = delete;
  ObjectCode& operator=(const ObjectCode&) = delete;
  ~ObjectCode();

  // Addresses of the global symbols that the object defines.
  const std::map<std::string, uint64_t>& symbols() const { return symbols_; }
  // Where the object's memory begins, and how much of it there is (whole pages).
  const void* base() const { return base_; }
  size_t nbytes() const { return nbytes_; }

 private:
  friend std::unique_ptr<ObjectCode> load_object(const void* data, size_t size, Machine machine);
  ObjectCode() = default;

  void* base_ = nullptr;
  size_t nbytes_ = 0;
  std::map<std::string, uint64_t> symbols_;
};

// The machine this process runs on. Throws Error where objects cannot be loaded.
Machine host_machine();

// Checks, places and relocates the object in data[0..size). The only symbols it may want from outside are memcpy,
// memmove and memset. Throws Error (value) for anything damaged, unknown or for another machine: no input makes it
// crash, though nothing here can vouch for what the code does when it is called. An object for another machine than the
// host's is relocated but must not be called: tests look at it.
std::unique_ptr<ObjectCode> load_object(const void* data, size_t size, Machine machine);

}  // namespace twain
