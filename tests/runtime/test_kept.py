"""Lowered graphs are found on disk, and only whole and right ones count."""

import pytest

import twain
from twain.base.config import config
from twain.ir.op import REGISTRY
from twain.ops.families import unary
from twain.runtime import cache, kept, kernels, prepare


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    monkeypatch.setattr(config, "verify", False)  # which wants to see the passes at work
    monkeypatch.setattr(kernels, "_named", {})
    monkeypatch.setattr(kernels, "_loaded", {})
    monkeypatch.setattr(kernels, "_images", {})
    return tmp_path


@pytest.fixture
def lowered(monkeypatch):
    """Names of the graphs that are lowered."""
    names = []
    before = prepare.lower

    def lower(graph, *rest):
        names.append(graph.name)
        return before(graph, *rest)

    monkeypatch.setattr(prepare, "lower", lower)
    return names


def run(function, *args):
    """The result of a plan that was just built."""
    compiled = twain.compile(function)
    compiled(*args)
    compiled(*args)
    return compiled(*args)


def step(x, w):
    y = twain.softmax(x @ w, -1)
    return (y * 2.5).sum(0), y.mean()


def entries(folder):
    """The files that hold launches."""
    return [p for p in folder.rglob("*") if p.is_file() and kept.HEADER.encode() in p.read_bytes()]


def test_a_graph_is_lowered_once(folder, lowered):
    x, w = twain.random.uniform((5, 7)), twain.random.uniform((7, 4))
    first = [t.tolist() for t in run(step, x, w)]
    assert lowered.count("step") == 1
    assert len(entries(folder)) == 1
    kernels._named.clear()
    assert [t.tolist() for t in run(step, x, w)] == first
    assert lowered.count("step") == 1
    run(step, twain.ones((6, 7)), w)
    assert lowered.count("step") == 2
    run(step, x, twain.permute_dims(twain.ones((4, 7)), (1, 0)))
    assert lowered.count("step") == 3


def test_training_step(folder, lowered):
    def train():
        twain.random.seed(3)
        model = twain.nn.Sequential(twain.nn.Linear(6, 5), twain.nn.ReLU(), twain.nn.Linear(5, 3))
        optimizer = twain.optim.Adam(model.parameters(), lr=0.01)
        x, y = twain.random.uniform((8, 6)), twain.random.randint(0, 3, (8,))

        def step(x, y):
            optimizer.zero_grad()
            loss = twain.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        compiled = twain.compile(step)
        return [compiled(x, y).item() for _ in range(6)]

    first = train()
    name = "test_training_step.<locals>.train.<locals>.step"
    once = lowered.count(name)
    assert once
    assert train() == first
    assert lowered.count(name) == once


@pytest.mark.parametrize("damage", ["empty", "cut", "numbers", "kernels", "header", "short"])
def test_damaged_entries_are_written_again(folder, lowered, damage):
    x, w = twain.random.uniform((5, 7)), twain.random.uniform((7, 4))
    first = [t.tolist() for t in run(step, x, w)]
    (path,) = entries(folder)
    whole = path.read_bytes()
    header, names, numbers = cache.get(path.name).decode().split("\n")
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(whole[:-7])
    elif damage == "numbers":
        cache.put(path.name, f"{header}\n{names}\n{numbers} 7".encode())
    elif damage == "kernels":
        cache.put(path.name, f"{header}\n{names.replace(names[:8], '0' * 8)}\n{numbers}".encode())
    elif damage == "header":
        cache.put(path.name, f"{header}0\n{names}\n{numbers}".encode())
    else:
        cache.put(path.name, f"{header}\n{names}\n{numbers[: len(numbers) // 2]}".encode())
    assert [t.tolist() for t in run(step, x, w)] == first
    assert lowered.count("step") == 2
    assert path.read_bytes() == whole


def test_ops_of_others_are_not_kept(folder, lowered):
    """Their code may change while their name stays."""
    try:
        mine = unary("one_of_mine", lambda k, x: x + 1.0)
        assert run(lambda x: mine(x) * 2.0, twain.ones((3,))).tolist() == [4.0] * 3
        assert not entries(folder)
    finally:
        REGISTRY.pop("one_of_mine", None)


def test_static_arguments_tell_graphs_apart(folder, lowered):
    x = twain.asarray([-1.0, 2.0])
    for slope in (0.0, -0.0, 1.0, 0.5):
        result = run(lambda x: twain.leaky_relu(x, slope) * 1.0, x)  # noqa: B023
        assert result.tolist() == [-1.0 * slope, 2.0]
    assert [str(v) for v in run(lambda x: x * 0.0, x).tolist()] == ["-0.0", "0.0"]
    assert [str(v) for v in run(lambda x: x * -0.0, x).tolist()] == ["0.0", "-0.0"]


def test_elementwise_calls_are_lowered_once(folder, lowered, monkeypatch):
    x = twain.asarray([0.5, -2.0, 3.0])
    calls = [
        lambda: twain.tanh(x),
        lambda: x * 2.5,
        lambda: 1 - x,
        lambda: twain.where(x > 0, x, x * x),
        lambda: twain.astype(x, twain.int32),
    ]
    first = [call().tolist() for call in calls]
    again = []
    for count in (1, 0):
        prepare._FLAT.clear()
        kernels._named.clear()
        twain._core.clear_caches()
        del lowered[:]
        again = [call().tolist() for call in calls]
        assert len(lowered) == 0 or count
    assert again == first


def test_damaged_elementwise_entries(folder, lowered):
    x = twain.asarray([0.5, -2.0, 3.0])
    wanted = (x * 3.0).tolist()
    for damage in ("", "x", " 1 2 3", " -1"):
        prepare._FLAT.clear()
        twain._core.clear_caches()
        for path in folder.rglob("*"):
            if path.is_file() and kept.FLAT.encode() in path.read_bytes():
                cache.put(path.name, cache.get(path.name) + damage.encode())
        assert (x * 3.0).tolist() == wanted
