"""A broken kernel cache, no memory, a full disk, Ctrl-C, threads and fork: work goes on, and nothing is lost."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import twain
from twain import nn
from twain.train import Callback, Checkpoint, Model

# Compiles a kernel that is not in the memory of the process, runs it, and says where kernels were kept.
PROGRAM = """
    import twain
    from twain.runtime import cache
    x = twain.asarray([0.5, 1.0, 2.0])
    y = (x * x + x.exp()).sum()
    print(round(y.item(), 4), cache.folder() is not None, cache.size() > 0)
"""


def run(program, *, cache=None, **environment):
    env = {**os.environ, **environment, **({} if cache is None else {"TWAIN_CACHE": str(cache)})}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels") / "cache"
    result = run(PROGRAM, cache=folder)
    assert result.stdout.split()[1:] == ["True", "True"], result.stderr
    return folder, result.stdout.split()[0]


def entries(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "changed": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "empty": lambda data: b"",
    "foreign": lambda data: b"x" * 99,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_corrupted_cache_is_compiled_anew(filled, damage):
    folder, value = filled
    before = {path: path.read_bytes() for path in entries(folder)}
    for path, data in before.items():
        path.write_bytes(damage(data))
    result = run(PROGRAM, cache=folder)
    assert result.stdout.split() == [value, "True", "True"] and result.stderr == ""
    assert any(path.read_bytes() == data for path, data in before.items())  # good entries again


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_cache_that_others_can_write_to_is_not_used(filled, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o770)
    result = run(PROGRAM, cache=folder)
    assert result.stdout.split() == [filled[1], "False", "False"] and result.stderr == ""
    assert not entries(folder)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_a_cache_of_somebody_else_is_not_used(filled, tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir(mode=0o755)
    os.chown(folder, 12345, 12345)
    result = run(PROGRAM, cache=folder)
    assert result.stdout.split() == [filled[1], "False", "False"] and result.stderr == ""
    assert not entries(folder)


def test_a_cache_that_cannot_be_written(filled, tmp_path):
    """A folder below a file can't be made by anybody; root may write to folders that are read-only for others."""
    (tmp_path / "file").write_text("")
    result = run(PROGRAM, cache=tmp_path / "file" / "cache")
    assert result.stdout.split() == [filled[1], "False", "False"] and result.stderr == ""
    if hasattr(os, "getuid") and os.getuid() != 0:
        folder = tmp_path / "read-only"
        folder.mkdir(mode=0o500)
        result = run(PROGRAM, cache=folder)
        assert result.stdout.split()[0] == filled[1] and result.stderr == ""


def test_a_full_disk_under_the_cache(filled, tmp_path):
    pytest.importorskip("resource")
    limit = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        """
    result = run(textwrap.dedent(limit) + textwrap.dedent(PROGRAM), cache=tmp_path / "cache")
    assert result.stdout.split() == [filled[1], "True", "False"] and result.stderr == ""
    assert not entries(tmp_path / "cache")


def test_a_setting_that_is_no_number():
    result = run("import twain", TWAIN_CACHE_BYTES="1 GB")
    assert (
        result.returncode
        and "expected the environment's TWAIN_CACHE_BYTES to be a number of bytes, got '1 GB'" in result.stderr
    )


def test_out_of_memory_leaves_values_whole():
    w = twain.ones((256, 256))
    w.requires_grad = True
    big = twain.ones((4096, 1024))
    step = twain.compile(lambda x: (x * 2 + 1).sum(axis=1))
    expected = step(big)[0].item()
    step(big)  # recorded once more to compare; the next call replays the plan, which needs no memory for x * 2 + 1
    twain.empty_cache()
    twain.set_memory_cap(twain.memory_stats()["held"] + (1 << 20))
    try:
        for call in (lambda: big + big, lambda: twain.concat([big, big]), lambda: big @ twain.ones((1024, 16384))):
            with pytest.raises(MemoryError, match=r"cannot allocate .* on cpu:0: .* the cap is .*smaller batches"):
                call()
        with pytest.raises(MemoryError):
            big += 1.5 * big
        assert big[0, 0].item() == 1.0 and step(big)[0].item() == expected
        assert (twain.ones(3) + 1).tolist() == [2.0] * 3
        (w * 0.5).sum().backward()
    finally:
        twain.set_memory_cap(None)
    assert w.grad[0, 0].item() == 0.5 and (big + big)[0, 0].item() == 2.0


X = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


def test_a_full_disk_during_fit_says_so_and_keeps_the_earlier_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"

    def full(*_):
        raise OSError(28, os.strerror(28))

    class Fill(Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 1:
                monkeypatch.setattr(os, "fsync", full)

    model = Model(nn.Linear(4, 2)).compile("sgd", "cross_entropy", lr=0.1)
    with pytest.raises(OSError, match=r"could not write .*run\.safetensors.*No space left.*unchanged"):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[Fill(), Checkpoint(path)])
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
    other = Model(nn.Linear(4, 2)).compile("sgd", "cross_entropy", lr=0.1)
    assert len(other.fit(X, Y, epochs=3, verbose=0, resume=path)["loss"]) == 3  # one epoch from the file, two new
    assert np.isfinite(model.evaluate(X, Y, verbose=0)["loss"])


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_in_fit(tmp_path):
    path = tmp_path / "run.safetensors"
    code = f"""
        import numpy as np, twain
        from twain import nn
        from twain.train import Checkpoint, Model
        x = np.random.default_rng(0).standard_normal((4096, 16)).astype("float32")
        model = Model(nn.Linear(16, 2)).compile("sgd", "mse", lr=0.01)
        print("go", flush=True)
        model.fit(x, x[:, :2], epochs=1_000_000, batch_size=8, verbose=0, callbacks=[Checkpoint({str(path)!r})])
        """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "go\n"
            for _ in range(200):  # the first epoch has been written
                if path.exists():
                    break
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode != 0 and "interrupted after epoch" in told and str(path) in told
    state = twain.io.load(path)
    assert state and [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_eight_threads_run_one_compiled_function_and_eager_ops():
    generator = np.random.default_rng(0)
    w = twain.asarray(generator.standard_normal((16, 16)).astype("float32"))

    @twain.compile
    def step(x, w):
        y = twain.tanh(x @ w)
        return y * 2 if y.sum() > 0 else y

    data = [generator.standard_normal((8, 16)).astype("float32") for _ in range(8)]
    counts, failures = [0] * 8, []

    def work(number):
        choose = random.Random(number)
        x = twain.asarray(data[number])
        y = np.tanh(data[number] @ w.numpy())
        expected = y * 2 if y.sum() > 0 else y
        try:
            while time.monotonic() < end:
                np.testing.assert_allclose(step(x, w).numpy(), expected, rtol=1e-4, atol=1e-5)
                z = twain.ones((choose.randint(1, 6), choose.randint(1, 6)))
                z.requires_grad = True
                (z * z).sum().backward()
                assert z.grad.numpy().min() == z.grad.numpy().max() == 2
                assert twain.concat([z.detach(), z.detach()])[1:].T.size == z.size * 2 - z.shape[1]
                counts[number] += 1
        except BaseException as error:
            failures.append(error)

    for array in data:  # both branches
        step(twain.asarray(array), w)
    end = time.monotonic() + 2
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and min(counts) > 0


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux only")
@pytest.mark.skipif("TWAIN_SANITIZED" in os.environ, reason="a sanitizer keeps freed memory aside")
def test_twenty_thousand_shapes_leave_memory_flat():
    choose = random.Random(0)

    def work(count):
        for _ in range(count):
            x = twain.ones((choose.randint(1, 150), choose.randint(1, 150)))
            (x * 2.0).exp()

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    work(10_000)
    before = resident()
    work(10_000)
    assert resident() - before < 32 << 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_fork_while_the_pool_is_at_work():
    result = run("""
        import os, threading, warnings
        warnings.simplefilter("ignore")  # newer Pythons warn of forking with threads: that is the point here
        import twain
        twain.set_threads(2)
        x = twain.ones((512, 512))
        step = twain.compile(lambda x: ((x @ x) * 2).sum())
        expected = step(x).item()
        stop = threading.Event()
        def work():
            while not stop.is_set(): x @ x
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                good = step(x).item() == expected and twain.take(x, twain.asarray([1]), axis=0).shape == (1, 512)
                os._exit(0 if good else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads: thread.join()
        print(step(x).item() == expected)
        """)
    assert result.stdout == "True\n", result.stderr
