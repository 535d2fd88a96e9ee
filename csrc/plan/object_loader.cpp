// After the ELF-64 object file format, version 1.5; the System V ABI supplements for AMD64 (relocation types: section
// 4.4) and for the Arm 64-bit architecture (AAELF64, section 5.7).
//
// All of an object lies in one mapping: code, constants, call stubs and the table of addresses (GOT) share read-only
// executable pages, so that a small kernel takes one page; sections that are written to, which kernels do not have,
// would follow on pages of their own.
#include "plan/object_loader.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string_view>
#include <vector>

#include "dispatch/error.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#define TWAIN_CAN_MAP_CODE 1
#else
#define TWAIN_CAN_MAP_CODE 0
#endif

namespace twain {
namespace {

// Far above what kernels have; keeps a damaged size field from asking for all memory.
constexpr uint64_t kMaxImage = uint64_t{1} << 28;
constexpr uint64_t kMaxAlignment = 4096;
constexpr uint64_t kStubBytes = 16;

[[noreturn]] void fail(const std::string& text) { throw Error(ErrorKind::value, "[load_object] " + text); }

// -- the file format ------------------------------------------------------------------------------------------------

struct Header {
  uint8_t ident[16];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, program_headers, section_headers;
  uint32_t flags;
  uint16_t header_size, program_header_size, program_header_count;
  uint16_t section_header_size, section_count, section_names;
};
static_assert(sizeof(Header) == 64);

struct SectionHeader {
  uint32_t name, type;
  uint64_t flags, address, offset, size;
  uint32_t link, info;
  uint64_t alignment, entry_size;
};
static_assert(sizeof(SectionHeader) == 64);

struct SymbolEntry {
  uint32_t name;
  uint8_t info, other;
  uint16_t section;
  uint64_t value, size;
};
static_assert(sizeof(SymbolEntry) == 24);

struct RelocationEntry {
  uint64_t offset;
  uint32_t type, symbol;  // the two halves of r_info, little-endian
  int64_t addend;
};
static_assert(sizeof(RelocationEntry) == 24);

enum : uint32_t { kProgramBits = 1, kSymbolTable = 2, kStringTable = 3, kRela = 4, kNote = 7, kNoBits = 8, kRel = 9 };
enum : uint32_t { kUnwindX86 = 0x70000001 };
enum : uint64_t { kWrite = 1, kAllocate = 2, kExecute = 4, kCompressed = 0x800, kThreadLocal = 0x400 };
enum : uint16_t { kUndefined = 0, kReservedSections = 0xff00, kAbsolute = 0xfff1 };
enum : uint8_t { kLocal = 0, kThreadLocalSymbol = 6, kIndirectFunction = 10 };

struct Section : SectionHeader {
  std::string_view label;
  bool loaded = false;
  uint64_t place = 0;  // in the image
};

struct Symbol {
  std::string_view name;
  bool global = false;
  bool defined = false;
  bool usable = false;    // has an address; others are errors only when something refers to them
  uint64_t external = 0;  // address outside, when not defined
  uint64_t value = 0;     // in the image when defined and not absolute
  bool absolute = false;
  int64_t stub = -1, slot = -1;  // places in the image, once wanted
};

struct RelocationTable {
  uint32_t target;
  std::vector<RelocationEntry> entries;
};

class File {
 public:
  File(const void* data, size_t size) : data_(static_cast<const char*>(data)), size_(size) {}

  // [offset, offset + length) of the file.
  const char* range(uint64_t offset, uint64_t length, const char* what) const {
    if (offset > size_ || length > size_ - offset)
      fail(std::string("truncated or damaged object: ") + what + " lies outside the file");
    return data_ + offset;
  }

  // Entries of a table; read by copying, since nothing promises alignment.
  template <typename T>
  std::vector<T> table(uint64_t offset, uint64_t bytes, const char* what) const {
    if (bytes % sizeof(T) != 0) fail(std::string("damaged object: ") + what + " has a broken size");
    const char* from = range(offset, bytes, what);
    std::vector<T> entries(bytes / sizeof(T));
    if (bytes != 0) std::memcpy(static_cast<void*>(entries.data()), from, bytes);
    return entries;
  }

  std::string_view text(const SectionHeader& strings, uint32_t offset) const {
    if (strings.type != kStringTable) fail("damaged object: names are not in a string table");
    const char* table = range(strings.offset, strings.size, "string table");
    if (offset >= strings.size) fail("damaged object: a name lies outside its string table");
    const void* end = std::memchr(table + offset, 0, strings.size - offset);
    if (end == nullptr) fail("damaged object: a name does not end");
    const std::string_view name(table + offset, static_cast<size_t>(static_cast<const char*>(end) - (table + offset)));
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
      fail("damaged object: a name is not in plain ASCII");
    }
    return name;
  }

  size_t size() const { return size_; }

 private:
  const char* data_;
  size_t size_;
};

// -- what an object may use from outside ----------------------------------------------------------------------------

uint64_t external_address(std::string_view name) {
  if (name == "memcpy")
    return reinterpret_cast<uint64_t>(static_cast<void* (*)(void*, const void*, size_t)>(&std::memcpy));
  if (name == "memmove")
    return reinterpret_cast<uint64_t>(static_cast<void* (*)(void*, const void*, size_t)>(&std::memmove));
  if (name == "memset") return reinterpret_cast<uint64_t>(static_cast<void* (*)(void*, int, size_t)>(&std::memset));
  return 0;
}

// -- relocations ----------------------------------------------------------------------------------------------------

// What the place must be given, before the rule of the type is applied. S, A, P, G as in the ABI documents.
enum class Reach : uint8_t {
  direct,  // the symbol itself
  call,    // the symbol, or a stub that jumps to it when it is outside
  slot,    // a GOT slot that holds the symbol's address
};

struct Rule {
  uint32_t type;
  uint8_t width;  // bytes written
  Reach reach;
};

namespace x86 {
enum : uint32_t {
  kNone = 0,
  k64 = 1,
  kPC32 = 2,
  kPLT32 = 4,
  kGOTPCREL = 9,
  k32 = 10,
  k32S = 11,
  kPC64 = 24,
  kGOTPCRELX = 41,
  kREX_GOTPCRELX = 42
};
constexpr Rule kRules[] = {
    {k64, 8, Reach::direct},     {kPC32, 4, Reach::call},      {kPLT32, 4, Reach::call},
    {kGOTPCREL, 4, Reach::slot}, {k32, 4, Reach::direct},      {k32S, 4, Reach::direct},
    {kPC64, 8, Reach::direct},   {kGOTPCRELX, 4, Reach::slot}, {kREX_GOTPCRELX, 4, Reach::slot},
};
// jmp *0(%rip), then the address
constexpr unsigned char kStub[] = {0xff, 0x25, 0, 0, 0, 0};
constexpr size_t kStubAddress = 6;
}  // namespace x86

namespace arm {
enum : uint32_t {
  kNone = 0,
  kABS64 = 257,
  kABS32 = 258,
  kPREL64 = 260,
  kPREL32 = 261,
  kADR_LO21 = 274,
  kADR_PAGE = 275,
  kADR_PAGE_NC = 276,
  kADD_LO12 = 277,
  kLDST8 = 278,
  kTSTBR14 = 279,
  kCONDBR19 = 280,
  kJUMP26 = 282,
  kCALL26 = 283,
  kLDST16 = 284,
  kLDST32 = 285,
  kLDST64 = 286,
  kLDST128 = 299,
  kGOT_PAGE = 311,
  kLD64_GOT = 312
};
constexpr Rule kRules[] = {
    {kABS64, 8, Reach::direct},       {kABS32, 4, Reach::direct},    {kPREL64, 8, Reach::direct},
    {kPREL32, 4, Reach::direct},      {kADR_LO21, 4, Reach::direct}, {kADR_PAGE, 4, Reach::direct},
    {kADR_PAGE_NC, 4, Reach::direct}, {kADD_LO12, 4, Reach::direct}, {kLDST8, 4, Reach::direct},
    {kTSTBR14, 4, Reach::call},       {kCONDBR19, 4, Reach::call},   {kJUMP26, 4, Reach::call},
    {kCALL26, 4, Reach::call},        {kLDST16, 4, Reach::direct},   {kLDST32, 4, Reach::direct},
    {kLDST64, 4, Reach::direct},      {kLDST128, 4, Reach::direct},  {kGOT_PAGE, 4, Reach::slot},
    {kLD64_GOT, 4, Reach::slot},
};
// ldr x16, #8; br x16; then the address
constexpr unsigned char kStub[] = {0x50, 0x00, 0x00, 0x58, 0x00, 0x02, 0x1f, 0xd6};
constexpr size_t kStubAddress = 8;
}  // namespace arm

const Rule& rule_for(Machine machine, uint32_t type) {
  const bool is_x86 = machine == Machine::x86_64;
  const Rule* begin = is_x86 ? std::begin(x86::kRules) : std::begin(arm::kRules);
  const Rule* end = is_x86 ? std::end(x86::kRules) : std::end(arm::kRules);
  const Rule* rule = std::find_if(begin, end, [&](const Rule& r) { return r.type == type; });
  if (rule == end) fail("relocation type " + std::to_string(type) + " is not supported");
  return *rule;
}

template <typename T>
T read(const char* place) {
  T value;
  std::memcpy(&value, place, sizeof value);
  return value;
}

template <typename T>
void write(char* place, T value) {
  std::memcpy(place, &value, sizeof value);
}

[[noreturn]] void out_of_range(uint32_t type, std::string_view name) {
  fail("relocation type " + std::to_string(type) + " to '" + std::string(name) +
       "' does not reach: emit the object with relocation model \"pic\"");
}

bool fits_signed(int64_t value, int bits) {
  return value >= -(int64_t{1} << (bits - 1)) && value < int64_t{1} << (bits - 1);
}

// `target` is S + A (or G + A), `address` is P. Sums wrap, as the ABI documents define them.
void apply_x86(char* place, uint32_t type, uint64_t target, uint64_t address, std::string_view name) {
  const auto absolute = static_cast<int64_t>(target);
  const auto relative = static_cast<int64_t>(target - address);
  switch (type) {
    case x86::k64:
      write(place, target);
      return;
    case x86::kPC64:
      write(place, relative);
      return;
    case x86::k32:
      if (target > UINT32_MAX) out_of_range(type, name);
      write(place, static_cast<uint32_t>(target));
      return;
    case x86::k32S:
      if (!fits_signed(absolute, 32)) out_of_range(type, name);
      write(place, static_cast<int32_t>(absolute));
      return;
    default:
      if (!fits_signed(relative, 32)) out_of_range(type, name);
      write(place, static_cast<int32_t>(relative));
  }
}

void apply_arm(char* place, uint32_t type, uint64_t target, uint64_t address, std::string_view name) {
  const auto relative = static_cast<int64_t>(target - address);
  const auto pages = static_cast<int64_t>((target & ~uint64_t{0xfff}) - (address & ~uint64_t{0xfff})) >> 12;
  // Puts `bits` of value at bit `at` of the instruction.
  auto set_field = [&](uint64_t value, int bits, int at) {
    const uint32_t mask = ((uint32_t{1} << bits) - 1) << at;
    write(place, (read<uint32_t>(place) & ~mask) | (static_cast<uint32_t>(value << at) & mask));
  };
  auto branch = [&](int bits, int at) {
    if (relative % 4 != 0 || !fits_signed(relative / 4, bits)) out_of_range(type, name);
    set_field(static_cast<uint64_t>(relative / 4), bits, at);
  };
  // The low 12 bits of an address, in units of what the instruction loads or stores.
  auto low = [&](int shift) {
    if ((target & ((uint64_t{1} << shift) - 1)) != 0)
      fail("relocation to '" + std::string(name) + "', which is not aligned");
    set_field((target & 0xfff) >> shift, 12, 10);
  };
  auto split_21 = [&](int64_t value) {
    if (!fits_signed(value, 21)) out_of_range(type, name);
    set_field(static_cast<uint64_t>(value), 2, 29);
    set_field(static_cast<uint64_t>(value >> 2), 19, 5);
  };
  switch (type) {
    case arm::kABS64:
      write(place, target);
      return;
    case arm::kPREL64:
      write(place, relative);
      return;
    case arm::kABS32:
      if (target > UINT32_MAX) out_of_range(type, name);
      write(place, static_cast<uint32_t>(target));
      return;
    case arm::kPREL32:
      if (!fits_signed(relative, 32)) out_of_range(type, name);
      write(place, static_cast<int32_t>(relative));
      return;
    case arm::kADR_LO21:
      split_21(relative);
      return;
    case arm::kADR_PAGE_NC:
    case arm::kADR_PAGE:
    case arm::kGOT_PAGE:
      split_21(pages);
      return;
    case arm::kADD_LO12:
    case arm::kLDST8:
      low(0);
      return;
    case arm::kLDST16:
      low(1);
      return;
    case arm::kLDST32:
      low(2);
      return;
    case arm::kLDST64:
    case arm::kLD64_GOT:
      low(3);
      return;
    case arm::kLDST128:
      low(4);
      return;
    case arm::kTSTBR14:
      branch(14, 5);
      return;
    case arm::kCONDBR19:
      branch(19, 5);
      return;
    default:
      branch(26, 0);  // JUMP26, CALL26
  }
}

// -- reading, placing, linking --------------------------------------------------------------------------------------

class Linker {
 public:
  Linker(const void* data, size_t size, Machine machine) : file_(data, size), machine_(machine) {
    read_sections();
    read_symbols();
    read_relocations();
    place();
  }

  uint64_t image_bytes() const { return image_bytes_; }
  uint64_t fixed_bytes() const { return fixed_bytes_; }  // of them never written again: a whole number of pages
  bool wants_low_addresses() const { return wants_low_addresses_; }

  void link(char* image, uint64_t base) {
    for (const Section& section : sections_) {
      if (!section.loaded || section.type == kNoBits || section.size == 0) continue;
      std::memcpy(image + section.place, file_.range(section.offset, section.size, "section"), section.size);
    }
    for (const Symbol& symbol : symbols_) {
      if (symbol.slot >= 0) write(image + symbol.slot, address_of(symbol, base));
      if (symbol.stub < 0) continue;
      char* stub = image + symbol.stub;
      const bool is_x86 = machine_ == Machine::x86_64;
      std::memcpy(stub, is_x86 ? x86::kStub : arm::kStub, is_x86 ? sizeof x86::kStub : sizeof arm::kStub);
      write(stub + (is_x86 ? x86::kStubAddress : arm::kStubAddress), address_of(symbol, base));
    }
    for (const RelocationTable& table : relocations_) {
      const Section& target = sections_[table.target];
      for (const RelocationEntry& entry : table.entries) apply(entry, target, image, base);
    }
  }

  std::map<std::string, uint64_t> exported(uint64_t base) const {
    std::map<std::string, uint64_t> symbols;
    for (const Symbol& symbol : symbols_) {
      if (symbol.global && symbol.defined && symbol.usable && !symbol.absolute) {
        symbols.emplace(symbol.name, address_of(symbol, base));
      }
    }
    return symbols;
  }

 private:
  static bool is_none(const RelocationEntry& entry) { return entry.type == 0; }  // on both machines

  void read_sections() {
    const Header header = file_.table<Header>(0, sizeof(Header), "header")[0];
    static constexpr uint8_t kIdent[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};  // 64 bits, little-endian, version 1
    if (std::memcmp(header.ident, kIdent, sizeof kIdent) != 0) fail("not a 64-bit little-endian ELF object");
    if (header.type != 1) fail("expected a relocatable ELF object, got type " + std::to_string(header.type));
    if (header.machine != static_cast<uint16_t>(machine_)) {
      fail("expected code for machine " + std::to_string(static_cast<int>(machine_)) + " (ELF number), got " +
           std::to_string(header.machine));
    }
    if (header.section_header_size != sizeof(SectionHeader)) fail("damaged object: section headers have a broken size");
    if (header.section_count == 0 || header.section_count >= kReservedSections)
      fail("damaged object: number of sections");
    for (const SectionHeader& entry : file_.table<SectionHeader>(
             header.section_headers, uint64_t{header.section_count} * sizeof(SectionHeader), "section headers")) {
      sections_.push_back(Section{entry, {}});
    }
    if (header.section_names >= sections_.size()) fail("damaged object: section names");
    const SectionHeader names = sections_[header.section_names];
    for (Section& section : sections_) {
      section.label = file_.text(names, section.name);
      if ((section.flags & kAllocate) != 0) accept(section);
    }
  }

  // Decides whether the section takes part. Unwind tables and notes don't: kernels neither throw nor are unwound.
  void accept(Section& section) {
    if (section.type == kNote || section.type == kUnwindX86 || section.label == ".eh_frame") return;
    const std::string label(section.label);
    const bool runs_at_start = label.starts_with(".ctors") || label.starts_with(".dtors");
    if (runs_at_start || (section.type != kProgramBits && section.type != kNoBits))
      fail("section '" + label + "' is of an unsupported type");
    if ((section.flags & (kThreadLocal | kCompressed)) != 0)
      fail("section '" + label + "' is thread-local or compressed");
    if ((section.flags & kWrite) != 0 && (section.flags & kExecute) != 0)
      fail("section '" + label + "' is writable code");
    if (section.alignment > kMaxAlignment || (section.alignment != 0 && !std::has_single_bit(section.alignment))) {
      fail("section '" + label + "' has a broken alignment");
    }
    if (section.type == kProgramBits) file_.range(section.offset, section.size, "section");
    if (section.size > kMaxImage) fail("section '" + label + "' is too large");
    section.loaded = true;
  }

  void read_symbols() {
    const auto found =
        std::find_if(sections_.begin(), sections_.end(), [](const Section& s) { return s.type == kSymbolTable; });
    if (found == sections_.end()) fail("the object has no symbol table");
    symbol_table_ = static_cast<uint32_t>(found - sections_.begin());
    if (found->link >= sections_.size()) fail("damaged object: symbol names");
    const SectionHeader names = sections_[found->link];
    for (const SymbolEntry& entry : file_.table<SymbolEntry>(found->offset, found->size, "symbol table")) {
      Symbol symbol;
      symbol.name = file_.text(names, entry.name);
      symbol.global = (entry.info >> 4) != kLocal;
      const uint8_t type = entry.info & 0xf;
      symbol.usable = type != kThreadLocalSymbol && type != kIndirectFunction;
      if (entry.section == kUndefined) {
        symbol.external = external_address(symbol.name);
        symbol.usable &= symbol.external != 0;
      } else if (entry.section == kAbsolute) {
        symbol.defined = symbol.absolute = true;
        symbol.value = entry.value;
      } else if (entry.section < sections_.size()) {
        const Section& section = sections_[entry.section];
        if (section.loaded && entry.value > section.size)
          fail("damaged object: symbol '" + std::string(symbol.name) + "' lies outside its section");
        symbol.defined = true;
        symbol.usable &= section.loaded;
        symbol.value = entry.value;
      } else {
        symbol.usable = false;  // common, or an index that doesn't exist
      }
      symbol_sections_.push_back(entry.section);
      symbols_.push_back(symbol);
    }
  }

  // Reads the relocations of what is loaded, checks them, and notes which symbols need a stub or a slot.
  void read_relocations() {
    for (const Section& section : sections_) {
      if (section.type != kRela && section.type != kRel) continue;
      if (section.info >= sections_.size()) fail("damaged object: relocations of a section that does not exist");
      const Section& target = sections_[section.info];
      if (!target.loaded) continue;
      if (section.type == kRel) fail("relocations without addends are not supported");
      if (section.link != symbol_table_) fail("damaged object: relocations without a symbol table");
      if (target.type == kNoBits) fail("damaged object: relocations of a section without content");
      RelocationTable table{section.info,
                            file_.table<RelocationEntry>(section.offset, section.size, "relocation table")};
      relocation_count_ += table.entries.size();
      if (relocation_count_ > file_.size() / sizeof(RelocationEntry)) fail("damaged object: relocation tables overlap");
      std::erase_if(table.entries, is_none);
      for (const RelocationEntry& entry : table.entries) check(entry, target);
      relocations_.push_back(std::move(table));
    }
  }

  void check(const RelocationEntry& entry, const Section& target) {
    const Rule& rule = rule_for(machine_, entry.type);
    if (entry.offset > target.size || rule.width > target.size - entry.offset) {
      fail("damaged object: a relocation lies outside its section");
    }
    if (entry.symbol >= symbols_.size()) fail("damaged object: a relocation to a symbol that does not exist");
    Symbol& symbol = symbols_[entry.symbol];
    if (!symbol.usable) {
      if (symbol.defined) fail("the object refers to '" + std::string(symbol.name) + "', which cannot be loaded");
      fail("the object needs the symbol '" + std::string(symbol.name) +
           "', but may only use memcpy, memmove and memset");
    }
    if (rule.reach == Reach::slot) symbol.slot = 0;
    if (rule.reach == Reach::call && !symbol.defined) symbol.stub = 0;
    wants_low_addresses_ |= machine_ == Machine::x86_64 && (entry.type == x86::k32 || entry.type == x86::k32S);
  }

  // Gives every section, stub and slot its place.
  void place() {
    auto place_sections = [&](auto&& belongs) {
      for (Section& section : sections_) {
        if (section.loaded && belongs(section))
          section.place = take(section.size, std::max<uint64_t>(section.alignment, 1));
      }
    };
    // Relocated constants (.data.rel.ro) are marked writable, for the loader's sake only.
    auto written = [](const Section& s) { return (s.flags & kWrite) != 0 && !s.label.starts_with(".data.rel.ro"); };
    place_sections([](const Section& s) { return (s.flags & kExecute) != 0; });
    for (Symbol& symbol : symbols_) {
      if (symbol.stub >= 0) symbol.stub = static_cast<int64_t>(take(kStubBytes, kStubBytes));
    }
    place_sections([&](const Section& s) { return (s.flags & kExecute) == 0 && !written(s); });
    for (Symbol& symbol : symbols_) {
      if (symbol.slot >= 0) symbol.slot = static_cast<int64_t>(take(sizeof(uint64_t), sizeof(uint64_t)));
    }
    fixed_bytes_ = take(0, page_bytes());
    place_sections(written);
    take(0, page_bytes());
    for (size_t i = 0; i < symbols_.size(); ++i) {
      Symbol& symbol = symbols_[i];
      if (symbol.defined && symbol.usable && !symbol.absolute) symbol.value += sections_[symbol_sections_[i]].place;
    }
  }

  uint64_t take(uint64_t bytes, uint64_t alignment) {
    const uint64_t start = (image_bytes_ + alignment - 1) / alignment * alignment;
    image_bytes_ = start + bytes;
    if (image_bytes_ > kMaxImage) fail("the object is too large");
    return start;
  }

  static uint64_t page_bytes() {
#if TWAIN_CAN_MAP_CODE
    static const long bytes = sysconf(_SC_PAGESIZE);
    return bytes > 0 ? static_cast<uint64_t>(bytes) : kMaxAlignment;
#else
    return kMaxAlignment;
#endif
  }

  static uint64_t address_of(const Symbol& symbol, uint64_t base) {
    if (!symbol.defined) return symbol.external;
    return symbol.absolute ? symbol.value : base + symbol.value;
  }

  void apply(const RelocationEntry& entry, const Section& target, char* image, uint64_t base) const {
    const Symbol& symbol = symbols_[entry.symbol];
    const Rule& rule = rule_for(machine_, entry.type);
    uint64_t destination = address_of(symbol, base);
    if (rule.reach == Reach::slot) destination = base + static_cast<uint64_t>(symbol.slot);
    if (rule.reach == Reach::call && symbol.stub >= 0) destination = base + static_cast<uint64_t>(symbol.stub);
    destination += static_cast<uint64_t>(entry.addend);
    const uint64_t at = target.place + entry.offset;
    (machine_ == Machine::x86_64 ? apply_x86 : apply_arm)(image + at, entry.type, destination, base + at, symbol.name);
  }

  File file_;
  Machine machine_;
  std::vector<Section> sections_;
  uint32_t symbol_table_ = 0;
  std::vector<Symbol> symbols_;
  std::vector<uint16_t> symbol_sections_;
  std::vector<RelocationTable> relocations_;
  size_t relocation_count_ = 0;
  uint64_t image_bytes_ = 0, fixed_bytes_ = 0;
  bool wants_low_addresses_ = false;
};

}  // namespace

Machine host_machine() {
#if TWAIN_CAN_MAP_CODE && defined(__x86_64__)
  return Machine::x86_64;
#elif TWAIN_CAN_MAP_CODE && defined(__aarch64__) && !defined(__APPLE__)  // whose kernel wants MAP_JIT and signed code
  return Machine::aarch64;
#else
  throw Error(ErrorKind::runtime, "[load_object] loading kernels is not supported on this platform yet");
#endif
}

#if TWAIN_CAN_MAP_CODE

std::unique_ptr<ObjectCode> load_object(const void* data, size_t size, Machine machine) {
  static_assert(std::endian::native == std::endian::little, "the file's integers are read as they are");
  Linker linker(data, size, machine);
  std::unique_ptr<ObjectCode> code(new ObjectCode);
  if (linker.image_bytes() == 0) return code;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_32BIT)
  if (linker.wants_low_addresses()) flags |= MAP_32BIT;
#endif
  void* memory = mmap(nullptr, linker.image_bytes(), PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) {
    throw OutOfMemory("[load_object] no memory for " + std::to_string(linker.image_bytes()) +
                      " bytes of code: " + std::strerror(errno));
  }
  code->base_ = memory;
  code->nbytes_ = linker.image_bytes();
  const auto base = reinterpret_cast<uint64_t>(memory);
  linker.link(static_cast<char*>(memory), base);
  code->symbols_ = linker.exported(base);
#if defined(__GNUC__)
  __builtin___clear_cache(static_cast<char*>(memory), static_cast<char*>(memory) + linker.fixed_bytes());
#endif
  if (linker.fixed_bytes() != 0 && mprotect(memory, linker.fixed_bytes(), PROT_READ | PROT_EXEC) != 0) {
    throw Error(ErrorKind::runtime,
                std::string("[load_object] the system refuses executable memory: ") + std::strerror(errno));
  }
  return code;
}

ObjectCode::~ObjectCode() {
  if (base_ != nullptr) munmap(base_, nbytes_);
}

#else

std::unique_ptr<ObjectCode> load_object(const void*, size_t, Machine) {
  host_machine();  // throws
  return nullptr;
}

ObjectCode::~ObjectCode() = default;

#endif

}  // namespace twain
