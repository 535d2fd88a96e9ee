#include "dispatch/table.h"

#include <algorithm>
#include <vector>

namespace twain {
namespace {

constexpr uint32_t kFirstSlots = 1024;

constexpr size_t kDeadOps = 64;  // so many dead ops are worth a sweep

// The attrs of each entry, owned. Cold, so they lie apart.
std::vector<Attrs*>& owned_attrs() {
  static auto* all = new std::vector<Attrs*>(kFirstSlots);
  return *all;
}
std::vector<uint32_t>& dead_ops() {
  static auto* all = new std::vector<uint32_t>();
  return *all;
}

uint32_t hash_of(const TableEntry& entry) {
  return table_hash(entry.op, entry.attrs, entry.ids[0], entry.ids[1], entry.ids[2]);
}

void place(TableEntry* entries, Attrs** attrs_slots, uint32_t mask, const TableEntry& entry, Attrs* attrs) {
  uint32_t i = hash_of(entry) & mask;
  while (entries[i].op != 0) i = (i + 1) & mask;
  entries[i] = entry;
  attrs_slots[i] = attrs;
}

// Rebuilds the table with the entries for which keep(entry) holds, without those of dead ops. What is dropped is
// released only after the table is whole again: releasing runs Python, which may come back here.
template <typename Keep>
void rebuild(uint32_t slots, Keep keep) {
  std::vector<uint32_t> dead;
  dead.swap(dead_ops());
  std::sort(dead.begin(), dead.end());
  auto* entries = new TableEntry[slots]();
  std::vector<Attrs*> attrs_slots(slots);
  std::vector<std::pair<Program*, Attrs*>> dropped;
  uint32_t kept = 0;
  for (uint32_t i = 0; i <= table.mask; ++i) {
    const TableEntry& entry = table.entries[i];
    if (entry.op == 0) continue;
    if (keep(entry) && !std::binary_search(dead.begin(), dead.end(), entry.op)) {
      place(entries, attrs_slots.data(), slots - 1, entry, owned_attrs()[i]);
      ++kept;
    } else {
      dropped.emplace_back(entry.program, owned_attrs()[i]);
    }
  }
  delete[] table.entries;
  table.entries = entries;
  table.mask = slots - 1;
  table.count = kept;
  ++table.generation;
  table.evicted += dropped.size();
  owned_attrs().swap(attrs_slots);
  for (uint32_t id : dead) op_number_free(id);
  for (auto& [program, attrs] : dropped) {
    program_release(program);
    attrs_release(attrs);
  }
}

// Second chance: what was used since the last time stays; if that is nearly everything, every second goes.
void evict() {
  uint32_t used = 0;
  for (uint32_t i = 0; i <= table.mask; ++i)
    if (table.entries[i].op != 0 && table.entries[i].program->used) ++used;
  const bool crowded = used > table.bound / 4 * 3;
  bool odd = false;
  rebuild(table.mask + 1, [&](const TableEntry& entry) {
    const bool was_used = entry.program->used;
    entry.program->used = false;
    odd = !odd;
    return was_used && (!crowded || odd);
  });
}

}  // namespace

Table table = {new TableEntry[kFirstSlots](), kFirstSlots - 1, 0, 8192, 1, 0, 0};

Program* table_find_any(uint32_t op, uint32_t attrs, const Value* const* inputs, uint32_t count) {
  uint32_t ids[3] = {};
  for (uint32_t i = 0; i < count && i < 3; ++i) ids[i] = input_id(inputs[i]);
  for (uint32_t i = table_hash(op, attrs, ids[0], ids[1], ids[2]);; ++i) {
    TableEntry& entry = table.entries[i & table.mask];
    if (entry.op == 0) return nullptr;
    if (entry.op != op || entry.attrs != attrs || entry.count != count || !std::equal(ids, ids + 3, entry.ids)) continue;
    bool equal = true;
    for (uint32_t k = 3; k < count && equal; ++k) {
      const Meta* meta = entry.program->inputs[k];
      equal = (meta == nullptr ? 0 : meta->id) == input_id(inputs[k]);
    }
    if (!equal) continue;
    entry.program->used = true;
    return entry.program;
  }
}

void table_add(Op* op, Attrs* attrs, Program* program) {
  if (table.count >= table.bound) evict();
  if ((table.count + 1) * 2 > table.mask) rebuild((table.mask + 1) * 2, [](const TableEntry&) { return true; });
  TableEntry entry;
  entry.op = op->id;
  entry.attrs = attrs_id(attrs);
  entry.count = program->input_count;
  for (uint32_t i = 0; i < entry.count && i < 3; ++i) entry.ids[i] = program->inputs[i] == nullptr ? 0 : program->inputs[i]->id;
  entry.program = program;
  program_retain(program);
  attrs_retain(attrs);
  op->in_table = true;
  program->used = true;
  place(table.entries, owned_attrs().data(), table.mask, entry, attrs);
  ++table.count;
}

void table_forget_later(uint32_t op) {
  dead_ops().push_back(op);
  if (dead_ops().size() >= kDeadOps) rebuild(table.mask + 1, [](const TableEntry&) { return true; });
}

void table_clear() {
  rebuild(kFirstSlots, [](const TableEntry&) { return false; });
}

void table_set_bound(uint32_t bound) {
  table.bound = std::max<uint32_t>(bound, 16);
  while (table.count > table.bound) evict();
}

}  // namespace twain
