"""Checkpoints: what comes back, and what stays when writing fails."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twain
from twain import io
from twain.base.errors import FileFormatError, FileWriteError
from twain.io import atomic, load, load_file, load_metadata, restore, save, save_file


def same(a, b) -> bool:
    """Equal structure, types and bits."""
    if isinstance(a, twain.Tensor):
        return isinstance(b, twain.Tensor) and a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


STATE = {
    "model": {"0.weight": [[1.0, 2.0]], "0.bias": [0.5]},
    "optimizer": {"state": {0: {"step": 7}, 1: {}}, "groups": [{"lr": 0.1, "betas": (0.9, 0.999), "name": "a"}]},
    "epoch": 3,
    "best": math.inf,
    "loss": math.nan,
    "flags": [True, None, -0.0, 10**40, "ü\ud800"],
}


def filled():
    state = {**STATE, "model": {name: twain.asarray(value) for name, value in STATE["model"].items()}}
    state["optimizer"]["state"][1] = {"momentum": twain.asarray(np.arange(6.0).reshape(2, 3))}
    return state


def test_nested_state_comes_back(tmp_path):
    save(tmp_path / "c", filled(), metadata={"note": "first", "when": (1, 2.5)})
    assert same(load(tmp_path / "c"), filled())
    assert load_metadata(tmp_path / "c") == {"note": "first", "when": (1, 2.5)}
    names = {"model.0.weight", "model.0.bias", "optimizer.state.1.momentum"}
    assert load_file(tmp_path / "c").keys() == names


def test_names_that_would_collide(tmp_path):
    one, two, three = (twain.asarray([value]) for value in (1.0, 2.0, 3.0))
    state = {"a.b": one, "a": {"b": two}, "__metadata__": three}
    save(tmp_path / "c", state)
    assert same(load(tmp_path / "c"), state)


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, (), {"a": [{}]}])
def test_state_without_tensors(tmp_path, value):
    save(tmp_path / "c", value)
    assert same(load(tmp_path / "c"), value)
    assert load_metadata(tmp_path / "c") is None


def test_one_tensor(tmp_path):
    save(tmp_path / "c", twain.ones((2, 2)))
    assert load(tmp_path / "c").tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_files_by_others_are_flat_dictionaries(tmp_path):
    save_file({"w": twain.ones((2,))}, tmp_path / "f", {"format": "pt"})
    assert load(tmp_path / "f")["w"].tolist() == [1.0, 1.0]
    assert load_metadata(tmp_path / "f") is None


def test_numpy_scalars_become_python_ones(tmp_path):
    save(tmp_path / "c", [np.int64(3), np.float32(0.5), np.float64(0.1)])
    assert same(load(tmp_path / "c"), [3, 0.5, 0.1])


def test_what_cannot_be_stored_is_named(tmp_path):
    for state, place in [
        ({"a": [1, {2}]}, r"got set at a\.1"),
        ({"a": object()}, "got object at a"),
        (1j, "got complex at the state itself"),
        ({"a": {1.5: 2}}, r"keys in a, got 1\.5"),
        ({"a": {True: 2}}, "keys in a, got True"),
        ({"a": np.ones(3)}, "got ndarray at a"),
        ({"f": print}, "at f"),
    ]:
        with pytest.raises(TypeError, match=place):
            save(tmp_path / "c", state)
    with pytest.raises(TypeError, match="metadata without tensors"):
        save(tmp_path / "c", {}, metadata={"t": twain.ones((1,))})
    endless: list = []
    endless.append(endless)
    with pytest.raises(TypeError, match="100 levels"):
        save(tmp_path / "c", endless)
    assert list(tmp_path.iterdir()) == []


class Counter:
    def __init__(self, count):
        self.count = count

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def test_restore_gives_each_object_its_part(tmp_path):
    save(tmp_path / "c", {"a": Counter(1), "b": Counter(2), "epoch": 5})
    a, b = Counter(0), Counter(0)
    assert restore(tmp_path / "c", {"a": a, "b": b}) == {"epoch": 5}
    assert (a.count, b.count) == (1, 2)
    with pytest.raises(KeyError, match="no part 'c'"):
        restore(tmp_path / "c", {"a": Counter(0), "c": Counter(0)})


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(trees)
def test_any_nesting_comes_back(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "tree.safetensors"
    save(path, tree, metadata=tree)
    assert same(load(path), tree)
    assert same(load_metadata(path), tree)


def test_every_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "c"
    save(path, {"w": twain.asarray([1.0, 2.0, 3.0]), "epoch": 1})
    good = path.read_bytes()
    begin = 8 + int.from_bytes(good[:8], "little")
    for position in range(begin, len(good)):
        bad = bytearray(good)
        bad[position] ^= 1
        path.write_bytes(bad)
        with pytest.raises(FileFormatError, match="tensor 'w': its checksum is wrong"):
            load(path)
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        with pytest.raises(FileFormatError):
            load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"crc32": {}},
        {"crc32": {"w": None}},
        {"crc32": {"w": "x"}},
        {"crc32": 1},
        {"state": {"tensor": "v"}},
        {"state": {"tensor": ["w"]}},
        {"state": {"pickle": "cos"}},
        {"state": {}},
        {"state": {"dict": [["a"]]}},
        {"state": {"dict": [[[], 1]]}},
        {"state": {"dict": {"a": 1}}},
        {"state": {"tuple": 1}},
        {"state": {"float": "1e3"}},
        {"more": 1},
    ],
)
def test_hostile_descriptions_are_refused(tmp_path, change):
    path = tmp_path / "c"
    save(path, twain.ones((1,)))
    with io.SafetensorsFile(path) as file:
        tensors = {"w": file.read("tensor")}
        header = json.loads(file.metadata["twain"])
    header["crc32"] = {"w": header["crc32"]["tensor"]}
    header["state"] = {"tensor": "w"}
    save_file(tensors, path, {"twain": json.dumps(header)})
    assert load(path).tolist() == [1.0]
    save_file(tensors, path, {"twain": json.dumps({**header, **change})})
    with pytest.raises(FileFormatError) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "[]", '{"state": ' + "[" * 500 + "]" * 500 + "}"])
def test_descriptions_that_are_not_ours_are_refused(tmp_path, text):
    save_file({}, tmp_path / "c", {"twain": text})
    with pytest.raises(FileFormatError):
        load(tmp_path / "c")


def test_deep_state_is_refused(tmp_path):
    header = {"format": 1, "metadata": None, "crc32": {}, "state": None}
    text = json.dumps(header).replace('"state": null', '"state": ' + "[" * 300 + "]" * 300)
    save_file({}, tmp_path / "c", {"twain": text})
    with pytest.raises(FileFormatError, match="nested deeper"):
        load(tmp_path / "c")


# Writing that fails.


@pytest.fixture
def earlier(tmp_path):
    path = tmp_path / "c.safetensors"
    save(path, {"epoch": 1})
    return path


def unchanged(path) -> None:
    assert load(path) == {"epoch": 1}
    assert os.listdir(path.parent) == [path.name]


class Failing:
    """A file that takes some bytes and then fails as a full disk does."""

    def __init__(self, file, room, step):
        self.file, self.room, self.step = file, room, step

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, data):
        self.room -= len(data)
        if self.step == "write" and self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def flush(self):
        if self.step == "flush":
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        self.file.flush()


@pytest.mark.parametrize("step", ["write", "flush", "fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_file(earlier, monkeypatch, step):
    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step in ("write", "flush"):
        monkeypatch.setattr(atomic, "open", lambda *a: Failing(open(*a), 100, step), raising=False)  # noqa: SIM115
    else:
        monkeypatch.setattr(atomic.os, step, fails)
    with pytest.raises(FileWriteError) as caught:
        save(earlier, {"w": twain.ones((100,))})
    monkeypatch.undo()
    assert caught.value.errno in (errno.ENOSPC, errno.EDQUOT)
    assert "[save] could not write" in str(caught.value) and "is unchanged" in str(caught.value)
    unchanged(earlier)


def test_the_file_size_limit_leaves_the_earlier_file(earlier):
    """A real failure of the operating system, in a process of its own."""
    resource = pytest.importorskip("resource")
    code = f"""
        import resource, signal, twain
        from twain.io import save
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        state = {{"w": twain.ones((100_000,))}}
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            save({str(earlier)!r}, state)
        except OSError as error:
            print(type(error).__name__, error.errno == {errno.EFBIG})
        """
    assert resource.RLIM_INFINITY is not None
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert result.stdout.strip() == "FileWriteError True", result.stderr
    unchanged(earlier)


def test_ctrl_c_leaves_the_earlier_file(earlier):
    with pytest.raises(KeyboardInterrupt), atomic.atomic_write(earlier) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    unchanged(earlier)


def test_missing_folder_and_folder_as_file(tmp_path):
    with pytest.raises(FileWriteError, match="no file was left there") as caught:
        save(tmp_path / "none" / "c", {})
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(FileWriteError) as caught:
        save(tmp_path, {})
    assert caught.value.errno == errno.EISDIR


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_kill_while_writing_leaves_the_earlier_file(earlier):
    code = f"""
        import time, twain
        from twain.io import atomic
        with atomic.atomic_write({str(earlier)!r}) as file:
            file.write(b"x" * 100_000)
            file.flush()
            print("written", flush=True)
            time.sleep(60)
        """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written\n"
            leftovers = [name for name in os.listdir(earlier.parent) if name != earlier.name]
            assert len(leftovers) == 1
            old = time.time() - 2 * atomic.LEFTOVER_AGE
            os.utime(earlier.parent / leftovers[0], (old, old))
            save(earlier, {"epoch": 1})  # a second writer leaves the file of the living one alone
            assert leftovers[0] in os.listdir(earlier.parent)
        finally:
            process.send_signal(signal.SIGKILL)
    assert load(earlier) == {"epoch": 1}
    save(earlier, {"epoch": 1})  # and the next save clears up after the killed one
    unchanged(earlier)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_and_links_are_kept(earlier, tmp_path):
    os.chmod(earlier, 0o640)
    link = tmp_path / "latest"
    link.symlink_to(earlier.name)
    save(link, {"epoch": 2})
    assert link.is_symlink()
    assert load(earlier) == {"epoch": 2}
    assert earlier.stat().st_mode & 0o777 == 0o640


def test_restore_that_fails_leaves_the_objects_as_they_were(tmp_path):
    model, other = twain.nn.Linear(3, 2), twain.nn.Linear(3, 2)
    adam, sgd = twain.optim.Adam(model.parameters()), twain.optim.SGD(other.parameters(), lr=0.1)
    model(twain.ones((1, 3))).sum().backward()
    adam.step()
    save(tmp_path / "c", {"model": model, "optimizer": adam})
    before = other.weight.tolist()
    with pytest.raises(ValueError, match=r"\[SGD.load_state_dict\]"):
        restore(tmp_path / "c", {"model": other, "optimizer": sgd})
    assert other.weight.tolist() == before
