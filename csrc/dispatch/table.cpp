#include "dispatch/table.h"

#include <algorithm>
#include <vector>

namespace twain {
namespace {

constexpr uint32_t kFirstSlots = 1024;

// Beside each entry: what it needs to be forgotten. Cold, so it lies apart.
struct Owner {
  Op* op = nullptr;
  Attrs* attrs = nullptr;
};
std::vector<Owner>& owners() {
  static auto* all = new std::vector<Owner>(kFirstSlots);
  return *all;
}

uint32_t hash_of(const TableEntry& entry) {
  return table_hash(entry.op, entry.attrs, entry.ids[0], entry.ids[1], entry.ids[2]);
}

void place(TableEntry* entries, Owner* owner_slots, uint32_t mask, const TableEntry& entry, const Owner& owner) {
  uint32_t i = hash_of(entry) & mask;
  while (entries[i].op != 0) i = (i + 1) & mask;
  entries[i] = entry;
  owner_slots[i] = owner;
}

// Rebuilds the table with the entries for which keep(entry, owner) holds. What is dropped is released only after
// the table is whole again: releasing runs Python, which may come back here.
template <typename Keep>
void rebuild(uint32_t slots, Keep keep) {
  auto* entries = new TableEntry[slots]();
  std::vector<Owner> owner_slots(slots);
  std::vector<std::pair<TableEntry, Owner>> dropped;
  uint32_t kept = 0;
  for (uint32_t i = 0; i <= table.mask; ++i) {
    const TableEntry& entry = table.entries[i];
    if (entry.op == 0) continue;
    const Owner& owner = owners()[i];
    if (keep(entry, owner)) {
      place(entries, owner_slots.data(), slots - 1, entry, owner);
      ++kept;
    } else {
      dropped.emplace_back(entry, owner);
    }
  }
  delete[] table.entries;
  table.entries = entries;
  table.mask = slots - 1;
  table.count = kept;
  ++table.generation;
  owners().swap(owner_slots);
  for (auto& [entry, owner] : dropped) --owner.op->programs;
  table.evicted += dropped.size();
  for (auto& [entry, owner] : dropped) {
    program_release(entry.program);
    attrs_release(owner.attrs);
  }
}

// Second chance: what was used since the last time stays; if that is nearly everything, every second goes.
void evict() {
  uint32_t used = 0;
  for (uint32_t i = 0; i <= table.mask; ++i)
    if (table.entries[i].op != 0 && table.entries[i].program->used) ++used;
  const bool crowded = used > table.bound / 4 * 3;
  bool odd = false;
  rebuild(table.mask + 1, [&](const TableEntry& entry, const Owner&) {
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
  if ((table.count + 1) * 2 > table.mask) rebuild((table.mask + 1) * 2, [](const TableEntry&, const Owner&) { return true; });
  TableEntry entry;
  entry.op = op->id;
  entry.attrs = attrs_id(attrs);
  entry.count = program->input_count;
  for (uint32_t i = 0; i < entry.count && i < 3; ++i) entry.ids[i] = program->inputs[i] == nullptr ? 0 : program->inputs[i]->id;
  entry.program = program;
  program_retain(program);
  attrs_retain(attrs);
  ++op->programs;
  program->used = true;
  place(table.entries, owners().data(), table.mask, entry, {op, attrs});
  ++table.count;
}

void table_forget(Op* op) {
  if (op->programs != 0) rebuild(table.mask + 1, [&](const TableEntry&, const Owner& owner) { return owner.op != op; });
}

void table_clear() {
  rebuild(kFirstSlots, [](const TableEntry&, const Owner&) { return false; });
}

void table_set_bound(uint32_t bound) {
  table.bound = std::max<uint32_t>(bound, 16);
  while (table.count > table.bound) evict();
}

}  // namespace twain
