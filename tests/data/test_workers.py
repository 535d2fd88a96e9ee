"""Worker processes: the same batches as without them, and nothing left behind however they end."""

import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import twain
from twain.base.errors import WorkerError
from twain.data import ArrayDataset, ChainDataset, DataLoader, GeneratorDataset, IterableDataset, Subset
from twain.data.workers import server

sys.path.insert(0, str(Path(__file__).parent))
import worker_cases as cases

PATIENCE = 120  # seconds, on a machine that does much else


def plain(value):
    """Something to compare."""
    if isinstance(value, twain.Tensor):
        return str(value.dtype), value.astype(twain.float64).tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value


def loader(dataset, workers, **options):
    return DataLoader(dataset, options.pop("batch_size", 4), num_workers=workers, **options)


def children() -> set[int]:
    """The processes that the server of this process has."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == server().popen.pid and fields[0] != "Z":
            found.add(int(path.parent.name))
    return found


def wait_until(true) -> bool:
    until = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("persistent", [False, True])
def test_same_batches_for_any_number_of_workers(persistent):
    """Order and random numbers, over two epochs, and resumed in the middle of the second."""
    made = []
    for workers in (0, 1, 3):
        options = {"shuffle": True, "seed": 3, "persistent_workers": persistent}
        before = np.random.get_state()[1].tolist()
        whole = loader(cases.Noisy(), workers, **options)
        epochs = [plain(list(whole)) for _ in range(2)]
        assert np.random.get_state()[1].tolist() == before  # the main process' own draws are left alone
        other = loader(cases.Noisy(), workers, **options)
        list(other)
        passing = iter(other)
        seen = [plain(next(passing)) for _ in range(2)]
        resumed = loader(cases.Noisy(), workers, **{**options, "seed": 0})
        resumed.load_state_dict(other.state_dict())
        assert [*seen, *plain(list(resumed))] == epochs[1]
        made.append(epochs)
    assert made[0] == made[1] == made[2]
    drawn = [value for batch in made[0][0] for value in batch["drawn"][0][1]]
    assert len(set(drawn)) == len(drawn) == 23
    assert made[0][0] != made[0][1]


def test_streams_have_one_order():
    streams = [
        cases.Numbers(),
        cases.Numbers().map(cases.jitter),
        ChainDataset([range(5), range(9)]),
        GeneratorDataset(range, 3),
        GeneratorDataset(range, 0),
    ]
    for stream in streams:
        for drop_last in (False, True):
            expected = plain(list(loader(stream, 0, drop_last=drop_last)))
            for workers in (1, 3):
                whole = loader(stream, workers, drop_last=drop_last)
                assert plain(list(whole)) == expected
        position = loader(stream, 2)
        first = [plain(batch) for _, batch in zip(range(2), position, strict=False)]
        resumed = loader(stream, 2)
        resumed.load_state_dict(position.state_dict())
        assert len(first) < 2 or first[:2] + plain(list(resumed)) == plain(list(loader(stream, 0)))
    assert [v for b in loader(cases.Splitting(), 0, batch_size=3) for v in b.tolist()] == list(range(20))
    split = [b.tolist() for b in loader(cases.Splitting(), 2, batch_size=3)]
    assert split[:2] == [[0, 2, 4], [1, 3, 5]] and sorted(v for b in split for v in b) == list(range(20))
    resumed = loader(cases.Splitting(), 2, batch_size=3)
    resumed.load_state_dict({**resumed.state_dict(), "batch": 3})
    assert [b.tolist() for b in resumed] == split[3:]


def test_single_samples_and_samplers():
    for workers in (0, 2):
        single = list(DataLoader(cases.Noisy(3), None, num_workers=workers))
        assert [s["index"] for s in single] == [0, 1, 2] and single[1]["image"].shape == (3, 5)
        assert [v for v, *_ in DataLoader(cases.Numbers(3), None, num_workers=workers)] == [0, 1, 2]
        batches = DataLoader(range(10), batch_sampler=[[3, 1], [9]], num_workers=workers)
        assert len(batches) == 2 and [b.tolist() for b in batches] == [[3, 1], [9]]


def test_workers_share_the_work_and_end():
    whole = loader(cases.Where(), 2, batch_size=1)
    samples = [tuple(int(part) for part in sample) for sample in whole]
    assert [s[0] for s in samples] == list(range(12))
    assert os.getpid() not in {s[1] for s in samples} and {s[2] for s in samples} <= {0, 1}
    kept = loader(cases.Where(), 2, batch_size=1, persistent_workers=True)
    processes = {int(pid) for _ in range(3) for _, pid, _ in kept}
    assert len(processes) <= 2 and processes <= children()
    del kept
    gc.collect()
    passing = iter(whole)
    next(passing)
    del passing  # left early
    assert wait_until(lambda: not children())
    names = list(loader(cases.Environment(), 1, worker_init_fn=cases.initialise))
    assert names == [["0", "0"]]


def test_batches_outlive_their_workers_and_each_other():
    """More batches are held than there are blocks; sizes grow; a data set keeps what it made."""
    batches = list(loader(cases.Growing(), 2, collate=list, batch_size=1))
    for index, [(array, name, matrix)] in enumerate(batches):
        assert array.shape == (index * 500,) and (array == index).all() and name == [str(index)]
        assert matrix.tolist() == [[0, 3], [1, 4], [2, 5]]
    array[:] = 5  # the user's own
    held = [(i, batch) for i, batch in enumerate(loader(cases.Keeping(), 1, batch_size=1)) if i % 3 == 0]
    assert all((batch.numpy() == i).all() for i, batch in held)
    x = next(iter(loader(cases.Keeping(), 1))).requires_grad_()
    gc.collect()
    (x * x).sum().backward()
    assert x.grad.numpy()[:, 0].tolist() == [0, 2, 4, 6]


def test_what_a_data_set_holds_arrives(tmp_path):
    file = tmp_path / "rows.npy"
    rows = np.random.default_rng(0).normal(size=(50, 4))
    np.save(file, rows)
    mapped = np.load(file, mmap_mode="r")
    arrays = {
        "array": rows, "turned": rows.T[::-2], "whole": mapped, "part": mapped[10:20, 1:3], "turned part": mapped[::-1],
        "tensor": twain.asarray(rows), "half": twain.ones((3,)).astype(twain.bfloat16), "empty": np.zeros((0, 3)),
        "none": twain.zeros((0,)), "objects": np.array([1, 2], object),
    }  # fmt: skip
    dataset = cases.Arrays(**arrays)
    expected = plain(list(loader(dataset, 0)))
    assert plain(list(loader(dataset, 2, batch_size=2))) == plain(list(loader(dataset, 0, batch_size=2)))
    assert plain(list(loader(dataset, 1))) == expected
    images = ArrayDataset(twain.asarray(rows), np.arange(50), mapped)
    for source in (images, Subset(images, [4, 9, 2])):
        options = {"shuffle": True, "batch_size": 2}
        assert plain(list(loader(source, 1, **options))) == plain(list(loader(source, 0, **options)))


def test_an_exception_comes_with_its_traceback():
    for workers in (0, 2):
        seen = []
        with pytest.raises(ValueError, match="no sample 9") as caught:
            for batch in loader(cases.Failing("raise"), workers, batch_size=2):
                seen += batch.tolist()
        assert seen == list(range(8))  # what came before it in the order
    text = str(caught.value.__cause__)
    assert re.search(r"in worker \d, while it made batch 4, sample 9", text) and "worker_cases.py" in text
    with pytest.raises(WorkerError, match="Unpicklable"):
        list(loader(cases.Failing("odd"), 1))
    with pytest.raises(RuntimeError, match="has no licence") as caught:
        list(loader(cases.Where(), 2, worker_init_fn=cases.fail_to_initialise))
    assert "while it started" in str(caught.value.__cause__)
    assert wait_until(lambda: not children())


@pytest.mark.parametrize("how, said", [("exit", "ended with exit code 7"), ("kill", "ended with SIGKILL .*memory")])
def test_a_worker_that_dies_is_reported(how, said):
    broken = loader(cases.Failing(how), 2, batch_size=2, persistent_workers=True)
    with pytest.raises(WorkerError, match=rf"worker \d \(process \d+\) {said}"):
        list(broken)
    assert wait_until(lambda: not children())
    with pytest.raises(WorkerError, match=r"batch 4 \(samples 8, 9\)"):  # it can be tried again
        list(broken)
    assert len(list(loader(cases.Failing("none"), 2))) == 4


def test_a_worker_that_dies_is_noticed_whatever_others_hold():
    """Workers that were asked for at once are forked one after the other: none may keep another's connection open."""
    starter = server().popen.pid
    os.kill(starter, signal.SIGSTOP)
    passing = iter(loader(cases.Failing("sleep"), 3, batch_size=1, timeout=30))
    os.kill(starter, signal.SIGCONT)
    assert next(passing).tolist() == [0]
    last = max(children())
    os.kill(last, signal.SIGKILL)
    with pytest.raises(WorkerError, match=rf"process {last}\) ended with SIGKILL"):
        list(passing)
    assert wait_until(lambda: not children())


def test_a_worker_that_dies_is_noticed_though_its_child_lives():
    """What a data set forks holds the connection too."""
    with pytest.raises(WorkerError, match="ended with exit code 7"):
        list(loader(cases.Failing("fork"), 2, batch_size=1, timeout=30))


def test_a_fork_of_the_main_process_keeps_nothing_alive(tmp_path):
    started = time.monotonic()
    done = run(tmp_path / "forks.py", """
        import os
        passing = iter(DataLoader(ArrayDataset(twain.arange(6)), 1, num_workers=1))
        next(passing)
        if os.fork() == 0:
            os.close(1), os.close(2)
            time.sleep(60)
            os._exit(0)
    """)  # fmt: skip
    assert done.returncode == 0 and time.monotonic() - started < 50, done.stderr


def test_a_worker_that_hangs_is_ended():
    with pytest.raises(WorkerError, match=r"within timeout=0.5 s.*worker \d \(process \d+\) is at batch 2"):
        list(loader(cases.Failing("sleep"), 1, timeout=0.5))
    assert wait_until(lambda: not children())


def test_the_server_may_die_too():
    passing = iter(loader(cases.Where(), 2, batch_size=1, persistent_workers=True))
    next(passing)
    server().popen.kill()
    server().popen.wait()
    assert len(list(loader(cases.Where(), 2))) == 3


def test_what_cannot_be_sent_is_named():
    for dataset, options, place in (
        (cases.ViaAttribute(lambda x: x), {}, r"dataset.options\['value'\]\[0\] is function .*lambda"),
        (cases.ViaAttribute(open(__file__)), {}, r"dataset.options\['value'\]\[0\] is a TextIOWrapper"),  # noqa: SIM115
        (cases.ViaAttribute(1), {"collate": lambda s: s}, "collate is function"),
        (cases.ViaAttribute(1), {"worker_init_fn": lambda s: s}, "worker_init_fn is function"),
        (cases.Arrays(x=twain.ones((2,), ).requires_grad_() * 2), {}, r"dataset.arrays\['x'\] is a Tensor"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=place):
            list(loader(dataset, 1, **options))
        for part in getattr(dataset, "options", {}).get("value", []):
            getattr(part, "close", lambda: None)()


def test_bad_arguments():
    for options, message in (
        ({"num_workers": -1}, "num_workers"),
        ({"num_workers": 1.0}, "num_workers"),
        ({"prefetch_factor": 0}, "prefetch_factor"),
        ({"timeout": -1}, "timeout"),
    ):
        with pytest.raises(ValueError, match=message):
            DataLoader(range(3), **options)
    with pytest.raises(TypeError, match="no shuffle or sampler with the stream Numbers"):
        DataLoader(cases.Numbers(), shuffle=True)
    with pytest.raises(TypeError, match="GeneratorDataset"):
        DataLoader(iter([1]))
    with pytest.raises(TypeError, match="give the function itself"):
        GeneratorDataset(i for i in range(3))
    with pytest.raises(TypeError, match=r"has no len\(\)"):
        len(DataLoader(cases.Splitting()))
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())


SCRIPT = """
import sys, time
import twain
from twain.data import DataLoader, Dataset, ArrayDataset
print("loaded", flush=True)

class Mine(Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, index):
        return index
"""


def run(path, text, *arguments, **options):
    path.write_text(SCRIPT + textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, str(path), *arguments], capture_output=True, text=True, timeout=PATIENCE, **options
    )


def test_scripts_with_and_without_a_guard(tmp_path):
    """Workers run the script again only if something of it is needed, and say so where that goes wrong."""
    guarded = run(tmp_path / "a.py", """
        if __name__ == "__main__":
            print([b.tolist() for b in DataLoader(Mine(), 4, num_workers=1)])
    """)  # fmt: skip
    assert guarded.stdout.split("\n")[-2] == "[[0, 1, 2, 3], [4, 5]]" and guarded.stderr == ""
    unguarded = run(tmp_path / "b.py", "print([b.tolist() for b in DataLoader(Mine(), 4, num_workers=1)])")
    assert unguarded.returncode == 1
    assert 'if __name__ == "__main__":' in unguarded.stderr and "WorkerError" in unguarded.stderr
    assert unguarded.stdout.count("loaded") == 2
    nothing_of_it = run(tmp_path / "c.py", """
        print([b[0].tolist() for b in DataLoader(ArrayDataset(twain.arange(6)), 4, num_workers=2)])
    """)  # fmt: skip
    assert nothing_of_it.stdout == "loaded\n[[0, 1, 2, 3], [4, 5]]\n" and nothing_of_it.stderr == ""
    prompt = subprocess.run(
        [sys.executable, "-c", SCRIPT + "list(DataLoader(Mine(), 4, num_workers=1))"],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert "from my_data import Mine" in prompt.stderr


LONG = """
    import os, signal
    class Slow(Mine):
        def __getitem__(self, index):
            time.sleep(600 if index > 3 else 0)
            return os.getpid()
    if __name__ == "__main__":
        passing = iter(DataLoader(Slow(), 1, num_workers=2))
        pids = {next(passing).item() for _ in range(4)}
        print("pids", *pids, flush=True)
        next(passing)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_main_process(tmp_path, number):
    path = tmp_path / "long.py"
    path.write_text(SCRIPT + textwrap.dedent(LONG))
    process = subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        lines = [process.stdout.readline()]
        while not lines[-1].startswith("pids"):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        pids = [int(pid) for pid in lines[-1].split()[1:]]
        os.killpg(process.pid, number)
        # The workers hold the pipes as well: these close when all are gone.
        _, errors = process.communicate(timeout=PATIENCE)
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert "Traceback" not in errors or (number == signal.SIGINT and errors.rstrip().endswith("KeyboardInterrupt"))
    assert errors.count("Traceback") <= 1


def test_memory_stays_flat():
    """Descriptors and mappings of this process after many epochs and many batches."""
    kept = loader(cases.Growing(), 1, batch_size=2, collate=list, persistent_workers=True)
    list(kept)
    for _ in kept:
        pass
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        for _ in kept:
            pass
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    for _ in range(3):
        list(loader(cases.Where(), 2))
    assert len(os.listdir("/proc/self/fd")) <= before + 2
