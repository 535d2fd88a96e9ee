// The signature cache: (op, attrs, meta ids) -> Program, an open-addressing table of 32-byte entries.
#pragma once
#include <cstddef>
#include <cstdint>

#include "plan/program.h"

namespace twain {

struct TableEntry {
  uint32_t op = 0;  // 0: free
  uint32_t attrs = 0;
  uint32_t ids[3] = {};  // of the first inputs; further ones are compared in the program
  uint32_t count = 0;    // of inputs
  Program* program = nullptr;
};

struct Table {
  TableEntry* entries;
  uint32_t mask;   // slots - 1
  uint32_t count;
  uint32_t bound;  // most programs kept
  uint32_t generation;  // counts up whenever programs may have been forgotten
  uint64_t misses;
  uint64_t evicted;
};
extern Table table;

inline uint32_t table_hash(uint32_t op, uint32_t attrs, uint32_t a, uint32_t b, uint32_t c) {
  uint64_t hash = (uint64_t{op} << 32 | a) * 0x9E3779B97F4A7C15ull;
  hash ^= (uint64_t{attrs} << 32 | b) * 0xC2B2AE3D27D4EB4Full;
  hash += c * uint64_t{0x165667B19E3779F9};
  return static_cast<uint32_t>(hash >> 32 ^ hash >> 15);
}

inline uint32_t input_id(const Value* value) { return value == nullptr ? 0 : value->meta->id; }

// The hot look-up, for one and two present inputs. Null: not there.
inline Program* table_find(uint32_t op, uint32_t attrs, uint32_t a, uint32_t b, uint32_t count) {
  for (uint32_t i = table_hash(op, attrs, a, b, 0);; ++i) {
    TableEntry& entry = table.entries[i & table.mask];
    if (entry.op == op && entry.ids[0] == a && entry.ids[1] == b && entry.attrs == attrs && entry.count == count) [[likely]] {
      entry.program->used = true;
      return entry.program;
    }
    if (entry.op == 0) return nullptr;
  }
}

Program* table_find_any(uint32_t op, uint32_t attrs, const Value* const* inputs, uint32_t count);

// Adds a program under its own inputs' metas; the table takes a reference to it and to `attrs`.
void table_add(Op* op, Attrs* attrs, Program* program);
// For an op that is gone. Sweeping the table costs the same for one op as for many, so it waits for more.
void table_forget_later(uint32_t op);
void op_number_free(uint32_t id);  // nothing in the table has it any more
void table_clear();
void table_set_bound(uint32_t bound);

}  // namespace twain
