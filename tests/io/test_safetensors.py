"""The safetensors reader and writer, against the package by the format's authors and against hostile files."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twain
from twain.base.errors import DTypeError, FileFormatError
from twain.io import SafetensorsFile, load_file, save_file

NUMPY_DTYPES = ["bool", "float16", "float32", "float64", "complex64"]
NUMPY_DTYPES += [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
SHAPES = [(), (1,), (0,), (3,), (2, 3), (3, 0, 2), (2, 1, 3, 2)]


def sample(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Any bit pattern, NaN with payload and infinities included (0 and 1 for bool)."""
    generator = np.random.default_rng(seed)
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(generator.bytes(size), dtype).reshape(shape)


def raw(header, data=b"", pad=0) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * pad
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.fixture
def file(tmp_path):
    def write(content: bytes):
        path = tmp_path / "some.safetensors"
        path.write_bytes(content)
        return path

    return write


def refused(path, *parts: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        load_file(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_every_bit_pattern_comes_back(tmp_path, dtype):
    arrays = {f"t{i}": sample(dtype, shape, i) for i, shape in enumerate(SHAPES)}
    save_file({name: twain.asarray(array) for name, array in arrays.items()}, tmp_path / "f")
    loaded = load_file(tmp_path / "f")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].shape == array.shape
        assert str(loaded[name].dtype) == dtype
        assert loaded[name].numpy().tobytes() == array.tobytes()


def test_bfloat16_comes_back(tmp_path):
    tensor = twain.asarray([1.5, -2.0, float("inf"), 0.0], dtype=twain.bfloat16)
    save_file({"b": tensor}, tmp_path / "f")
    with SafetensorsFile(tmp_path / "f") as opened:
        assert opened.info("b").dtype == "BF16"
        assert opened.content("b") == struct.pack("<4H", 0x3FC0, 0xC000, 0x7F80, 0)
        loaded = opened.read("b")
    assert loaded.dtype == twain.bfloat16
    assert loaded.astype(twain.float32).tolist() == [1.5, -2.0, float("inf"), 0.0]


def test_not_contiguous_tensors_are_written_row_major(tmp_path):
    array = np.arange(24, dtype="float32").reshape(2, 3, 4)
    tensor = twain.asarray(array)
    views = {
        "transposed": (twain.permute_dims(tensor, (2, 0, 1)), array.transpose(2, 0, 1)),
        "slice": (tensor[:, 1:, ::2], array[:, 1:, ::2]),
        "flipped": (twain.flip(tensor, axis=1), array[:, ::-1]),
        "broadcast": (twain.broadcast_to(tensor[0, 0], (3, 4)), np.broadcast_to(array[0, 0], (3, 4))),
        "tail": (tensor[1], array[1]),
    }
    save_file({name: view for name, (view, _) in views.items()}, tmp_path / "f")
    for name, loaded in load_file(tmp_path / "f").items():
        assert np.array_equal(loaded.numpy(), views[name][1]), name


def test_parameters_are_written_without_their_graph(tmp_path):
    weight = twain.ones((2, 2)).requires_grad_()
    save_file({"w": weight, "y": weight * 2.0}, tmp_path / "f")
    assert not load_file(tmp_path / "f")["w"].requires_grad


def test_nothing_to_write(tmp_path):
    save_file({}, tmp_path / "f")
    assert load_file(tmp_path / "f") == {}


def test_only_some_names(tmp_path):
    save_file({name: twain.ones((2,)) for name in "abc"}, tmp_path / "f")
    assert list(load_file(tmp_path / "f", ["c", "a"])) == ["c", "a"]
    with pytest.raises(KeyError, match="no tensor 'd'"):
        load_file(tmp_path / "f", ["d"])


@pytest.mark.parametrize("name", ["", "a.b", "ключ", "重み", 'quote" \\ \n', "\x00", "😀"])
def test_any_text_is_a_name(tmp_path, name):
    save_file({name: twain.ones((1,))}, tmp_path / "f", {name: name})
    with SafetensorsFile(tmp_path / "f") as opened:
        assert opened.names() == [name]
        assert name in opened and len(opened) == 1
        assert opened.metadata == {name: name}


def test_the_authors_package_reads_ours(tmp_path):
    official = pytest.importorskip("safetensors.numpy")
    arrays = {f"{dtype}.{i}": sample(dtype, shape, i) for dtype in NUMPY_DTYPES for i, shape in enumerate(SHAPES)}
    arrays = {name: array for name, array in arrays.items() if "complex" not in name}
    save_file({name: twain.asarray(array) for name, array in arrays.items()}, tmp_path / "f", {"by": "twain"})
    loaded = official.load_file(tmp_path / "f")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].shape == array.shape and loaded[name].dtype == array.dtype
        assert loaded[name].tobytes() == array.tobytes()
    with pytest.importorskip("safetensors").safe_open(tmp_path / "f", "numpy") as opened:
        assert opened.metadata() == {"by": "twain"}


def test_we_read_the_authors_package(tmp_path):
    official = pytest.importorskip("safetensors.numpy")
    arrays = {f"{dtype}.{i}": sample(dtype, shape, i) for dtype in NUMPY_DTYPES for i, shape in enumerate(SHAPES)}
    arrays = {name: array for name, array in arrays.items() if "complex" not in name}
    official.save_file(arrays, tmp_path / "f", {"by": "them"})
    loaded = load_file(tmp_path / "f")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].shape == array.shape and str(loaded[name].dtype) == array.dtype.name
        assert loaded[name].numpy().tobytes() == array.tobytes()


def test_the_same_bytes_as_the_authors_package(tmp_path):
    official = pytest.importorskip("safetensors.numpy")
    arrays = {
        f"{dtype}.{i}": sample(dtype, (2, 3), i) for dtype in ("float32", "int64", "bool", "uint8") for i in (0, 1)
    }
    official.save_file(arrays, tmp_path / "theirs")
    save_file({name: twain.asarray(array) for name, array in arrays.items()}, tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_writer_refuses_what_the_format_lacks(tmp_path):
    path = tmp_path / "f"
    one = twain.ones((1,))
    for tensors, metadata in [
        ({1: one}, None),
        ({"__metadata__": one}, None),
        ({"a": [1.0]}, None),
        ({"a": one}, {"k": 1}),
        ({"a": one}, {1: "v"}),
        ({"\ud800": one}, None),
        ({"a": one}, {"k": "\udfff"}),
    ]:
        with pytest.raises(TypeError, match=r"\[save_file\] expected"):
            save_file(tensors, path, metadata)
    with pytest.raises(TypeError, match="complex128 for tensor 'z'"):
        save_file({"z": twain.asarray(np.ones(2, "complex128"))}, path)
    assert list(tmp_path.iterdir()) == []


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "nothing")
    with pytest.raises(OSError):
        load_file(tmp_path)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["at least 8 bytes, got 0"]),
        (b"1234567", ["got 7"]),
        (struct.pack("<Q", 100_000_001) + b"{}", ["100000001"]),
        (struct.pack("<Q", 2**64 - 1) + b"{}", ["the format allows"]),
        (struct.pack("<Q", 50) + b"{}", ["claims 50 bytes", "truncated"]),
        (raw(b""), ["begin with '{'"]),
        (raw(b"[]"), ["begin with '{'"]),
        (raw(b" {}"), ["begin with '{'"]),
        (raw(b'{"a":'), ["not JSON"]),
        (raw(b"{} {}"), ["not JSON"]),
        (raw(b'{"\xff\xfe": 1}'), ["not UTF-8 at byte 2"]),
        (raw(b'{"a":' + b"[" * 200_000), ["nested too deeply"]),
        (raw(b'{"a":' * 100_000), ["nested too deeply"]),
        (raw(b'{"a":' * 900 + b"1" + b"}" * 900), ["tensor 'a'", "dtype, shape and data_offsets"]),
        (raw(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"), ["tensor 'a'"]),
        (raw(b'{"a": NaN}'), ["only integers"]),
        (raw(b'{"a": 1e400}'), ["only integers"]),
        (raw(b'{"a": ' + b"9" * 100_000 + b"}"), ["100000 digits"]),
        (raw({"a": 1}), ["tensor 'a'", "dtype, shape and data_offsets"]),
        (raw({"a": {}}), ["tensor 'a'"]),
        (raw({"a": {**entry(), "more": 1}}, bytes(4)), ["tensor 'a'"]),
        (raw({"a": entry(dtype="F33")}, bytes(4)), ["tensor 'a'", "unknown dtype 'F33'"]),
        (raw({"a": entry(dtype=["F32"])}, bytes(4)), ["unknown dtype"]),
        (raw({"a": entry(shape=(-1,))}, bytes(4)), ["tensor 'a'", "[-1]"]),
        (raw({"a": {**entry(), "shape": [True]}}, bytes(4)), ["[True]"]),
        (raw({"a": {**entry(), "shape": "1"}}, bytes(4)), ["'1'"]),
        (raw({"a": {**entry(), "shape": None}}, bytes(4)), ["None"]),
        (raw({"a": entry(shape=[1] * 33)}, bytes(4)), ["at most 32"]),
        (raw({"a": entry(shape=[1] * 100_000)}, bytes(4)), ["at most 32"]),
        (raw({"a": entry(shape=[2**62, 2**62], offsets=(0, 0))}), ["tensor 'a'", "larger than any memory"]),
        (raw({"a": entry(shape=[0, 2**62, 2**62], offsets=(0, 0))}), ["larger than any memory"]),
        (raw({"a": entry(shape=[2**64], offsets=(0, 0))}), ["tensor 'a'"]),
        (raw({"a": entry(shape=[2**50], offsets=(0, 2**52))}, bytes(4)), ["the file holds 4"]),
        (raw({"a": entry(shape=[10**19], offsets=(0, 4))}, bytes(4)), ["tensor 'a'"]),
        (raw({"a": entry(offsets=(0, 8))}, bytes(8)), ["needs 4 bytes", "[0, 8] hold 8"]),
        (raw({"a": entry(offsets=(4, 0))}, bytes(4)), ["needs 4 bytes"]),
        (raw({"a": entry(offsets=(-4, 0))}, bytes(4)), ["[-4, 0]"]),
        (raw({"a": entry(offsets=(0, 4, 8))}, bytes(4)), ["data_offsets"]),
        (raw({"a": entry(offsets=(0, 2**64))}, bytes(4)), ["data_offsets"]),
        (raw({"a": {**entry(), "data_offsets": {"0": 4}}}, bytes(4)), ["data_offsets"]),
        (raw({"a": entry("F4", (3,), (0, 1))}, bytes(1)), ["whole number of bytes"]),
        (raw({"a": entry()}, bytes(3)), ["tensor 'a'", "ends at byte 4", "file holds 3"]),
        (raw({"a": entry()}, bytes(5)), ["1 bytes at the end belong to no tensor"]),
        (raw({}, bytes(1)), ["belong to no tensor"]),
        (raw({"a": entry(), "b": entry()}, bytes(8)), ["tensor 'b'", "inside tensor 'a'"]),
        (raw({"a": entry(), "b": entry(offsets=(2, 6))}, bytes(6)), ["inside tensor"]),
        (raw({"a": entry(), "b": entry(offsets=(8, 12))}, bytes(12)), ["tensor 'b'", "hole from byte 4"]),
        (raw({"a": entry(offsets=(4, 8))}, bytes(8)), ["hole from byte 0"]),
        (raw(b'{"a":1,"a":2}'), ["key 'a' twice"]),
        (raw(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)), ["'dtype' twice"]),
        (raw({"__metadata__": {"a": 1}}), ["__metadata__"]),
        (raw({"__metadata__": []}), ["__metadata__"]),
        (raw({"\ud800": entry()}, bytes(4)), ["not valid Unicode"]),
        (raw({"a" * 1_000_000: 1}), ["tensor 'aaa"]),
        (raw({"a": entry("BOOL", (2,), (0, 2))}, b"\1\2"), ["tensor 'a'", "BOOL"]),
        (b"\x80\x04\x95" + bytes(100), ["not a safetensors file?"]),
        (b"PK\x03\x04" + bytes(100), ["not a safetensors file?"]),
    ],
)
def test_hostile_files_are_refused(file, content, parts):
    refused(file(content), *parts)


def test_a_dtype_that_twain_lacks_blocks_only_its_tensor(file):
    path = file(raw({"a": entry(), "q": entry("F8_E4M3", (2,), (4, 6))}, bytes(6)))
    with SafetensorsFile(path) as opened:
        assert opened.read("a").shape == (1,)
        with pytest.raises(TypeError, match="'q' has dtype F8_E4M3"):
            opened.read("q")


def test_padding_and_order_of_others_is_accepted(file):
    header = {
        "b": entry(offsets=(4, 8)),
        "__metadata__": {"format": "pt"},
        "a": entry(),
        "none": entry("F64", (0,), (8, 8)),
    }
    path = file(raw(header, struct.pack("<2f", 1, 2), pad=13))
    loaded = load_file(path)
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {"b": [2.0], "a": [1.0], "none": []}


VALID = raw(
    {"__metadata__": {"k": "v"}, "a": entry(shape=(2,), offsets=(0, 8)), "b": entry("BOOL", (3,), (8, 11))},
    bytes(9) + b"\1\0",
)


def test_every_truncation_is_refused(file):
    assert load_file(file(VALID))["b"].tolist() == [False, True, False]
    for length in range(len(VALID)):
        refused(file(VALID[:length]))


@given(
    cuts=st.lists(
        st.tuples(
            st.integers(0, len(VALID) - 1),
            st.integers(0, 3),
            st.sampled_from(
                [b"", b"\0", b"\xff", b"{", b"}", b"[", b"]", b'"', b"9", b"-", b",", b"\\u0000", b"a", b"\x80"]
            )
            | st.binary(max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_mutated_files_load_or_are_refused(tmp_path_factory, cuts):
    content = VALID
    for position, length, inserted in cuts:
        content = content[:position] + inserted + content[position + length :]
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    path.write_bytes(content)
    try:
        loaded = load_file(path)
    except (FileFormatError, DTypeError) as error:
        assert str(path) in str(error)
    else:
        assert sum(tensor.nbytes for tensor in loaded.values()) <= len(content)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(
            st.sampled_from(NUMPY_DTYPES), st.lists(st.integers(0, 4), max_size=4).map(tuple), st.integers(0, 99)
        ),
        max_size=6,
    ),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    ),
)
def test_anything_written_comes_back(tmp_path_factory, described, metadata):
    arrays = {name: sample(*what) for name, what in described.items()}
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    save_file({name: twain.asarray(array) for name, array in arrays.items()}, path, metadata)
    with SafetensorsFile(path) as opened:
        assert opened.metadata == metadata
        assert set(opened.names()) == arrays.keys()
        for name, array in arrays.items():
            assert opened.content(name) == array.tobytes()
            assert opened.read(name).numpy().tobytes() == array.tobytes()
