"""Programs and backward rules that are made by a function of the sizes are those that lowering would give."""

import random

import pytest

import twain
from twain.base.config import config
from twain.base.sizes import Size, SizeTrace
from twain.runtime import shaped


@pytest.fixture
def checked():
    """Every program from a function of the sizes is compared with what lowering gives (see prepare.py)."""
    before = config.verify
    config.verify = True
    shaped._CLASSES.clear()
    yield
    config.verify = before


def _tensor(*shape):
    return twain.ones(shape)


# name -> (operands for three sizes, function)
CALLS = {
    "sum of rows": (lambda a, b, c: [_tensor(a, b)], lambda x: x.sum(-1)),
    "sum of columns": (lambda a, b, c: [_tensor(a, b)], lambda x: x.sum(0)),
    "sum of middle": (lambda a, b, c: [_tensor(a, b, c)], lambda x: x.sum(1, keepdims=True)),
    "maximum": (lambda a, b, c: [_tensor(a, b, c)], lambda x: x.max((0, 2))),
    "argmax": (lambda a, b, c: [_tensor(a, b)], lambda x: twain.argmax(x, axis=1) * twain.sum(x)),
    "mean": (lambda a, b, c: [_tensor(a, b)], lambda x: x.mean(-1)),
    "vector": (lambda a, b, c: [_tensor(a, b), _tensor(b)], lambda x, y: x * y),
    "outer": (lambda a, b, c: [_tensor(a, 1), _tensor(1, b)], lambda x, y: x - y),
    "transposed": (lambda a, b, c: [_tensor(b, a), _tensor(a, b)], lambda x, y: twain.permute_dims(x, (1, 0)) / y),
    "where": (lambda a, b, c: [_tensor(a, 1, c), _tensor(b, c)], lambda x, y: twain.where(x > 0, x, y)),
    "matmul": (lambda a, b, c: [_tensor(a, b), _tensor(b, c)], lambda x, y: x @ y),
    "matmul of transposed": (lambda a, b, c: [_tensor(b, a), _tensor(c, b)],
                             lambda x, y: twain.permute_dims(x, (1, 0)) @ twain.permute_dims(y, (1, 0))),
    "batched matmul": (lambda a, b, c: [_tensor(3, a, b), _tensor(b, c)], lambda x, y: x @ y),
    "matrix and vector": (lambda a, b, c: [_tensor(a, b), _tensor(b)], lambda x, y: x @ y),
    "linear": (lambda a, b, c: [_tensor(a, b), _tensor(c, b), _tensor(c)], lambda x, w, b: twain.linear(x, w, b)),
    "softmax": (lambda a, b, c: [_tensor(a, b)], lambda x: twain.softmax(x, -1)),
    "log_softmax over the first": (lambda a, b, c: [_tensor(a, b)], lambda x: twain.log_softmax(x, 0)),
    "layer_norm": (lambda a, b, c: [_tensor(a, b, 5), _tensor(5), _tensor(5)],
                   lambda x, w, b: twain.layer_norm(x, (5,), w, b)),
    "conv2d": (lambda a, b, c: [_tensor(2, 3, a, b), _tensor(4, 3, 3, 3)],
               lambda x, w: twain.conv2d(x, w, padding=1)),
    "max_pool2d": (lambda a, b, c: [_tensor(2, 3, a, b)], lambda x: twain.max_pool2d(x, 2)),
    "concat": (lambda a, b, c: [_tensor(a, b), _tensor(c, b)], lambda x, y: twain.concat([x, y])),
    "reshape": (lambda a, b, c: [_tensor(a, b, c)], lambda x: x.reshape(-1, x.shape[2]) * 2.0),
    "slice": (lambda a, b, c: [_tensor(a, b)], lambda x: x[1:, ::2]),
    "broadcast_to": (lambda a, b, c: [_tensor(b)], lambda x: twain.broadcast_to(x, (3, x.shape[0]))),
    "zeros": (lambda a, b, c: [_tensor(a)], lambda x: twain.zeros((x.shape[0], 7)) + x[:, None]),
    "uniform": (lambda a, b, c: [_tensor(a, b)], lambda x: twain.random.uniform(x.shape) * x),
    "layer_norm of all": (lambda a, b, c: [_tensor(a, b)], lambda x: twain.layer_norm(x, x.shape)),
    "cumulative": (lambda a, b, c: [_tensor(a, b)], lambda x: twain.tril(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_equals_lowering(name, checked):
    make, call = CALLS[name]
    choose = random.Random(name)
    ranges = [(2, 9), (2, 70), (60, 300)]
    for turn in range(14):
        low, high = ranges[turn % 2 if "conv" in name or "pool" in name or turn < 9 else 2]
        operands = [x.requires_grad_() for x in make(*(choose.randint(low + 2, high + 2) for _ in range(3)))]
        result = call(*operands)
        if result.dtype.kind == "f":
            result.sum().backward()
    assert sum(c.hits + len(c.variants) for c in shaped._CLASSES.values()) > 0


def test_second_derivative(checked):
    for rows in range(3, 10):
        x = twain.random.uniform((rows, 4)).requires_grad_()
        (twain.softmax(x, -1) * x).sum().backward(create_graph=True)
        first = x.grad
        x.grad = None
        (first * first).sum().backward()
        assert x.grad.shape == (rows, 4)


def test_questions_become_conditions():
    trace = SizeTrace()
    n, m = trace.symbol(10), trace.symbol(7)
    assert (n + m - n) is m
    assert n * m // m is n
    assert type(n * 0) is int
    assert n != 1  # of a symbol that is at least 2, without a condition
    total = 1
    for d in (n, m):
        total *= d
    blocks = -(-total // 32)
    larger = n > m
    function = trace.function((total, blocks, max(n, 8)))
    assert larger
    assert function(10, 7) == (70, 3, 10)
    assert function(20, 3) == (60, 2, 20)
    assert function(7, 10) is None  # n > m no longer holds
    assert function(7, 3) is None  # nor n >= 8


def test_what_leaves_the_integers_is_fixed():
    trace = SizeTrace()
    n, m = trace.symbol(10), trace.symbol(7)
    number = 1.0 / n
    function = trace.function((m, 5 if number == 0.1 else 6))
    assert function(10, 3) == (3, 5)
    assert function(11, 3) is None


@pytest.mark.parametrize("seed", range(30))
def test_random_arithmetic(seed):
    choose = random.Random(seed)

    def compute(a, b, c, choose):
        values = [a, b, c, 3, -2, 64]
        for _ in range(25):
            x, y = choose.choice(values), choose.choice(values)
            kind = choose.randrange(8)
            if kind == 0:
                values.append(x + y)
            elif kind == 1:
                values.append(x - y)
            elif kind == 2 and len(values) < 20:
                values.append(x * y)
            elif kind == 3 and y != 0:
                values.append(x // y)
            elif kind == 4 and y != 0:
                values.append(x % y)
            elif kind == 5:
                values.append(max(x, y))
            elif kind == 6 and x < y:
                values.append(y)
            elif kind == 7:
                values.append(-x)
        return tuple(values)

    trace = SizeTrace()
    numbers = [choose.randint(2, 40), choose.randint(2, 40), -choose.randint(2, 40)]
    symbols = [trace.symbol(n) for n in numbers]
    function = trace.function(compute(*symbols, random.Random(seed)))
    served = 0
    for _ in range(200):
        given = [choose.randint(2, 40), choose.randint(2, 40), -choose.randint(2, 40)]
        found = function(*given)
        if found is not None:
            served += 1
            assert found == compute(*given, random.Random(seed))
    assert function(*numbers) == compute(*numbers, random.Random(seed))
    assert type(symbols[0]) is Size
    assert served >= 0
