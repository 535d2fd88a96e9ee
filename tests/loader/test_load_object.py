"""The loader of relocatable objects: real LLVM output is run; damaged files raise ValueError and nothing else."""

import ctypes
import gc
import platform
import random
import struct

import pytest

from twain import _core

llvm = pytest.importorskip("llvmlite.binding")

MACHINES = {"x86_64": 62, "AMD64": 62, "aarch64": 183, "arm64": 183}
TRIPLES = {62: "x86_64-unknown-linux-gnu", 183: "aarch64-unknown-linux-gnu"}
HOST = MACHINES.get(platform.machine())

pytestmark = pytest.mark.skipif(HOST is None or platform.system() != "Linux", reason="kernels load on Linux only")


@pytest.fixture(scope="module", autouse=True)
def targets():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def emit(ir: str, machine: int = 0, reloc: str = "pic", codemodel: str = "small", opt: int = 2) -> bytes:
    machine = machine or HOST
    native = machine == HOST
    target = llvm.Target.from_triple(TRIPLES[machine])
    target_machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name() if native else "",
        features=llvm.get_host_cpu_features().flatten() if native else "",
        opt=opt,
        reloc=reloc,
        codemodel=codemodel,
    )
    module = llvm.parse_assembly(ir)
    module.triple = TRIPLES[machine]
    module.verify()
    return target_machine.emit_object(module)


def function(code, name, result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)(code.symbol(name))


# Constants of every width that LLVM merges (.rodata.cst4 to .cst64), a table that is indexed, a table of addresses
# (.data.rel.ro), a call inside the object, and the three functions from outside.
IR = """
@table = private unnamed_addr constant [7 x i64] [i64 3, i64 1, i64 4, i64 1, i64 5, i64 9, i64 2], align 64
@a = private unnamed_addr constant [4 x i32] [i32 10, i32 11, i32 12, i32 13]
@b = private unnamed_addr constant [4 x i32] [i32 20, i32 21, i32 22, i32 23]
@addresses = internal unnamed_addr constant [2 x ptr] [ptr @a, ptr @b]
declare ptr @memcpy(ptr, ptr, i64)
declare ptr @memmove(ptr, ptr, i64)
declare ptr @memset(ptr, i32, i64)

define void @vectors(ptr %buffers, ptr %params, i64 %begin, i64 %end) nounwind {
entry:
  %y = load ptr, ptr %buffers
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]
  %at = getelementptr <16 x float>, ptr %y, i64 %i
  %v = load <16 x float>, ptr %at, align 4
  %w = fadd <16 x float> %v, <float 0.5, float 1.5, float 2.5, float 3.5, float 4.5, float 5.5, float 6.5, float 7.5,
      float 8.5, float 9.5, float 10.5, float 11.5, float 12.5, float 13.5, float 14.5, float 15.5>
  %z = fmul <16 x float> %w, splat (float 3.0)
  store <16 x float> %z, ptr %at, align 4
  %next = add i64 %i, 1
  %done = icmp sge i64 %next, %end
  br i1 %done, label %exit, label %loop
exit:
  ret void
}
define double @scalar(double %x) nounwind { %y = fmul double %x, 0x3FF3AE147AE147AE  ret double %y }
define i64 @lookup(i64 %i) nounwind {
  %at = getelementptr i64, ptr @table, i64 %i
  %v = load i64, ptr %at
  ret i64 %v
}
define i32 @indirect(i64 %which, i64 %i) nounwind {
  %at = getelementptr ptr, ptr @addresses, i64 %which
  %row = load ptr, ptr %at
  %cell = getelementptr i32, ptr %row, i64 %i
  %v = load i32, ptr %cell
  ret i32 %v
}
define internal i64 @helper(i64 %x) noinline nounwind { %y = mul i64 %x, %x  ret i64 %y }
define i64 @call_inside(i64 %x) noinline nounwind { %y = call i64 @helper(i64 %x) %z = add i64 %y, 1 ret i64 %z }
define i64 @call_global(i64 %x) nounwind { %y = call i64 @call_inside(i64 %x) %z = add i64 %y, 1 ret i64 %z }
define void @copy(ptr %to, ptr %from, i64 %n) nounwind { call ptr @memcpy(ptr %to, ptr %from, i64 %n) ret void }
define void @move(ptr %to, ptr %from, i64 %n) nounwind { call ptr @memmove(ptr %to, ptr %from, i64 %n) ret void }
define void @fill(ptr %to, i32 %v, i64 %n) nounwind { call ptr @memset(ptr %to, i32 %v, i64 %n) ret void }
define ptr @address_of_memcpy() nounwind { ret ptr @memcpy }
define i64 @choose(i64 %i) nounwind {
  switch i64 %i, label %other [i64 0, label %b0 i64 1, label %b1 i64 2, label %b2 i64 3, label %b3
                               i64 4, label %b4 i64 5, label %b5 i64 6, label %b6]
b0:
  %r0 = call i64 @call_inside(i64 2) ret i64 %r0
b1:
  %r1 = call i64 @lookup(i64 1) ret i64 %r1
b2:
  ret i64 102
b3:
  %r3 = call i64 @call_inside(i64 9) ret i64 %r3
b4:
  ret i64 104
b5:
  %r5 = call i64 @call_global(i64 9) ret i64 %r5
b6:
  ret i64 106
other:
  ret i64 -1
}
"""


def check(code):
    values = (ctypes.c_float * 64)(*range(64))
    buffers = (ctypes.c_void_p * 1)(ctypes.addressof(values))
    kernel = function(code, "vectors", None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    kernel(buffers, None, 1, 4)
    expected = [float(i) if i < 16 else (i + i % 16 + 0.5) * 3 for i in range(64)]
    assert list(values) == expected
    assert function(code, "scalar", ctypes.c_double, ctypes.c_double)(2.0) == 2.46
    lookup = function(code, "lookup", ctypes.c_int64, ctypes.c_int64)
    assert [lookup(i) for i in range(7)] == [3, 1, 4, 1, 5, 9, 2]
    indirect = function(code, "indirect", ctypes.c_int32, ctypes.c_int64, ctypes.c_int64)
    assert [[indirect(row, i) for i in range(4)] for row in range(2)] == [[10, 11, 12, 13], [20, 21, 22, 23]]
    assert function(code, "call_global", ctypes.c_int64, ctypes.c_int64)(7) == 51
    choose = function(code, "choose", ctypes.c_int64, ctypes.c_int64)
    assert [choose(i) for i in range(8)] == [5, 1, 102, 82, 104, 83, 106, -1]
    source, target = ctypes.create_string_buffer(b"0123456789"), ctypes.create_string_buffer(11)
    move = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    function(code, "copy", None, *move)(target, source, 10)
    assert target.value == b"0123456789"
    function(code, "move", None, *move)(ctypes.addressof(target) + 2, target, 8)
    assert target.value == b"0101234567"
    function(code, "fill", None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)(target, 120, 3)
    assert target.value == b"xxx1234567"
    copy = ctypes.CFUNCTYPE(None, *move)(function(code, "address_of_memcpy", ctypes.c_void_p)())
    copy(target, source, 5)
    assert target.value == b"0123434567"


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("codemodel", ["small", "default"])
@pytest.mark.parametrize("reloc", ["pic", "static"])
def test_runs_what_llvm_emits(reloc, codemodel, opt):
    try:
        code = _core.load_object(emit(IR, reloc=reloc, codemodel=codemodel, opt=opt))
    except ValueError as error:
        # Non-pic code may want addresses below 2 GB, which the system need not have.
        assert reloc == "static" and 'relocation model "pic"' in str(error)
        return
    check(code)


def test_symbols():
    code = _core.load_object(emit(IR))
    symbols = code.symbols()
    assert {"vectors", "scalar", "lookup", "copy", "choose"} <= set(symbols)
    assert not {"memcpy", "helper", "table"} & set(symbols)
    assert all(code.symbol(name) == address for name, address in symbols.items())
    assert code.nbytes >= 4096 and code.nbytes % 4096 == 0
    with pytest.raises(KeyError, match=r"no symbol 'nothing'; there are: .*scalar"):
        code.symbol("nothing")


def test_many_objects_live_side_by_side():
    codes = [
        _core.load_object(emit(f"define i64 @f(i64 %x) {{ %y = add i64 %x, {n} ret i64 %y }}", opt=0))
        for n in range(50)
    ]
    assert [function(code, "f", ctypes.c_int64, ctypes.c_int64)(1) for code in codes] == [n + 1 for n in range(50)]
    assert len({code.symbol("f") for code in codes}) == 50


def mapped_pages(address: int) -> str:
    """The permissions of the mapping that holds `address`, or ''."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            bounds, permissions = line.split()[:2]
            low, high = (int(bound, 16) for bound in bounds.split("-"))
            if low <= address < high:
                return permissions
    return ""


def test_memory_is_read_only_and_executable_then_freed():
    data = emit(IR)
    code = _core.load_object(data)
    assert mapped_pages(code.symbol("scalar")) == "r-xp"
    del code
    gc.collect()
    with open("/proc/self/statm") as statm:
        before = int(statm.read().split()[0])
    for _ in range(2000):
        _core.load_object(data)
    with open("/proc/self/statm") as statm:
        assert int(statm.read().split()[0]) - before < 1000  # pages; each object has at least one


def test_writable_and_zeroed_sections():
    code = _core.load_object(
        emit("""
        @counter = internal global i64 41
        @zeros = internal global [1000 x i64] zeroinitializer, align 64
        define i64 @next() {
          %a = load i64, ptr @counter
          %b = add i64 %a, 1
          store i64 %b, ptr @counter
          %at = getelementptr i64, ptr @zeros, i64 %b
          %z = load i64, ptr %at
          store i64 7, ptr %at
          %r = add i64 %b, %z
          ret i64 %r
        }""")
    )
    step = function(code, "next", ctypes.c_int64)
    assert [step(), step(), step()] == [42, 43, 44]
    assert mapped_pages(code.symbol("next")) == "r-xp"


def test_object_without_code():
    code = _core.load_object(emit(""))
    assert code.symbols() == {}


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_unknown_symbol_is_named():
    ir = "declare float @expf(float) define float @f(float %x) { %y = call float @expf(float %x) ret float %y }"
    with pytest.raises(ValueError, match="needs the symbol 'expf', but may only use memcpy, memmove and memset"):
        _core.load_object(emit(ir))


def test_unused_declaration_is_fine():
    ir = "declare float @expf(float) define float @f(float %x) { ret float %x }"
    assert function(_core.load_object(emit(ir)), "f", ctypes.c_float, ctypes.c_float)(2.0) == 2.0


def test_thread_local_is_refused():
    ir = "@t = internal thread_local global i32 5 define i32 @f() { %v = load i32, ptr @t ret i32 %v }"
    with pytest.raises(ValueError, match=r"\[load_object\]"):
        _core.load_object(emit(ir))


def test_constructors_are_refused():
    ir = """
    @llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @f, ptr null }]
    define void @f() { ret void }"""
    with pytest.raises(ValueError, match=r"section '\.(ctors|init_array).*unsupported type"):
        _core.load_object(emit(ir))


def test_other_machine_is_refused():
    other = 183 if HOST == 62 else 62
    with pytest.raises(ValueError, match=f"expected code for machine {HOST} .*got {other}"):
        _core.load_object(emit("define void @f() { ret void }", machine=other))


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"not an object" * 100, bytes(64), bytes(10000)])
def test_no_object_at_all(data):
    with pytest.raises(ValueError, match=r"\[load_object\]"):
        _core.load_object(data)
    with pytest.raises(TypeError):
        _core.load_object(list(data))


# -- damaged files ----------------------------------------------------------------------------------------------------


def section_headers(data):
    """(type, file offset, size, offset of the header itself) of every section."""
    (start,) = struct.unpack_from("<Q", data, 40)
    (count,) = struct.unpack_from("<H", data, 60)
    for i in range(count):
        at = start + 64 * i
        _, kind, _, _, offset, size = struct.unpack_from("<IIQQQQ", data, at)
        yield kind, offset, size, at


def metadata_ranges(data):
    """Every byte range that is not code or constants: header, section headers, symbols, names, relocations."""
    yield 0, 64
    for kind, offset, size, at in section_headers(data):
        yield at, 64
        if kind in (2, 3, 4):
            yield offset, size


def attempt(data) -> bool:
    """Whether it loads; anything but ValueError or MemoryError fails the test, and a crash fails the whole run."""
    for machine in TRIPLES:
        try:
            _core._relocated_image(data, machine)
            return True
        except (ValueError, MemoryError) as error:
            assert "[load_object]" in str(error)
    return False


@pytest.mark.parametrize("machine", TRIPLES)
def test_every_truncation_raises(machine):
    data = emit(IR, machine=machine)
    last = max(max(offset + size, at + 64) for kind, offset, size, at in section_headers(data) if kind not in (0, 8))
    for length in range(0, last, 7):
        assert not attempt(data[:length])


@pytest.mark.parametrize("machine", TRIPLES)
def test_random_damage_never_crashes(machine):
    generator = random.Random(machine)
    intact = emit(IR, machine=machine)
    assert attempt(intact)
    ranges = [r for r in metadata_ranges(intact) if r[1]]
    interesting = [0, 1, 0x7F, 0x80, 0xFF]
    loaded = 0
    for _ in range(20000):
        data = bytearray(intact)
        for _ in range(generator.choice([1, 1, 2, 5])):
            offset, size = generator.choice(ranges)
            at = offset + generator.randrange(size)
            choice = generator.randrange(4)
            if choice == 0:
                data[at] ^= 1 << generator.randrange(8)
            elif choice == 1:
                data[at] = generator.choice(interesting)
            elif choice == 2:
                data[at] = generator.randrange(256)
            else:  # a whole field of extreme value
                width = generator.choice([2, 4, 8])
                at = at // width * width
                value = generator.choice([0, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), len(intact), len(intact) - 1])
                data[at : at + width] = value.to_bytes(width, "little")
        loaded += attempt(bytes(data))
    assert 0 < loaded < 20000  # names may change and the file still load


# -- relocations of the other machine ---------------------------------------------------------------------------------


def field(word, bits, at):
    return word >> at & ((1 << bits) - 1)


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


def test_aarch64_relocations_point_at_their_constants():
    """Reads the instructions back: every adrp pair must lead to the constant it is for, every call to its function."""
    base, image, symbols = _core._relocated_image(emit(IR, machine=183), 183)

    def words(name):
        at = symbols[name]
        while True:
            (word,) = struct.unpack_from("<I", image, at - base)
            yield at, word
            if word == 0xD65F03C0 or field(word, 6, 26) == 0b000101:  # ret, or a tail call
                return
            at += 4

    def address_after_adrp(name):
        pages = {}  # register: the page that adrp put there
        for at, word in words(name):
            page = pages.get(field(word, 5, 5))
            if field(word, 1, 31) == 1 and field(word, 5, 24) == 0b10000:
                offset = signed(field(word, 19, 5) << 2 | field(word, 2, 29), 21)
                pages[field(word, 5, 0)] = (at & ~0xFFF) + (offset << 12)
            elif page is not None and field(word, 9, 23) == 0b100100010:  # add x, x, #low
                return page + field(word, 12, 10)
            elif page is not None and field(word, 10, 22) in (0b1111110101, 0b1111100101):  # ldr d or x, [x, #low]
                return page + field(word, 12, 10) * 8
        raise AssertionError("no address found")

    table = address_after_adrp("lookup")
    assert struct.unpack_from("<7q", image, table - base) == (3, 1, 4, 1, 5, 9, 2)
    assert struct.unpack_from("<d", image, address_after_adrp("scalar") - base) == (1.23,)
    rows = struct.unpack_from("<2Q", image, address_after_adrp("indirect") - base)
    assert [struct.unpack_from("<4i", image, row - base) for row in rows] == [(10, 11, 12, 13), (20, 21, 22, 23)]
    slot = address_after_adrp("address_of_memcpy")
    (memcpy,) = struct.unpack_from("<Q", image, slot - base)

    def call_targets(name):
        for at, word in words(name):
            if field(word, 5, 26) == 0b00101:  # b, bl
                yield at + 4 * signed(field(word, 26, 0), 26)

    assert list(call_targets("call_global")) == [symbols["call_inside"]]
    (stub,) = call_targets("copy")
    assert struct.unpack_from("<2IQ", image, stub - base) == (0x58000050, 0xD61F0200, memcpy)


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("reloc", ["pic", "static"])
def test_aarch64_code_runs_in_an_emulator(reloc, opt):
    unicorn = pytest.importorskip("unicorn")
    arm = pytest.importorskip("unicorn.arm64_const")
    base, image, symbols = _core._relocated_image(emit(IR, machine=183, reloc=reloc, opt=opt), 183)
    emulator = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
    emulator.mem_map(base, len(image))
    emulator.mem_write(base, image)
    stack, back, data = 0x10000, 0x40000, 0x50000
    for region in (stack, back, data):
        emulator.mem_map(region, 0x10000)
    emulator.reg_write(arm.UC_ARM64_REG_CPACR_EL1, 3 << 20)  # floating point allowed

    def call(name, *arguments):
        for register, argument in zip(
            (arm.UC_ARM64_REG_X0, arm.UC_ARM64_REG_X1, arm.UC_ARM64_REG_X2, arm.UC_ARM64_REG_X3),
            arguments,
            strict=False,
        ):
            emulator.reg_write(register, argument)
        emulator.reg_write(arm.UC_ARM64_REG_SP, stack + 0x8000)
        emulator.reg_write(arm.UC_ARM64_REG_LR, back)
        emulator.emu_start(symbols[name], back)
        return emulator.reg_read(arm.UC_ARM64_REG_X0)

    assert [call("lookup", i) for i in range(7)] == [3, 1, 4, 1, 5, 9, 2]
    assert [[call("indirect", row, i) & 0xFFFFFFFF for i in range(4)] for row in range(2)] == [
        [10, 11, 12, 13],
        [20, 21, 22, 23],
    ]
    assert call("call_global", 7) == 51
    assert [call("choose", i) for i in range(7)] == [5, 1, 102, 82, 104, 83, 106]
    emulator.mem_write(data, struct.pack("<Q", data + 64) + bytes(56) + struct.pack("<64f", *range(64)))
    call("vectors", data, 0, 1, 4)
    values = struct.unpack("<64f", emulator.mem_read(data + 64, 256))
    assert list(values) == [float(i) if i < 16 else (i + i % 16 + 0.5) * 3 for i in range(64)]
