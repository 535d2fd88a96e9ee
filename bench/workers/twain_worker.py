"""twain's rows."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import functions
import layers
import loaders
import optimizers
import sequences
import twain
from protocol import serve
from rows import GEMM, SIZES
from twain import nn, optim

ROWS: dict = {}


def row(function):
    ROWS[function.__name__] = function
    return function


def four(requires_grad: bool = False):
    x = twain.asarray([0.1, 0.2, 0.3, 0.4])
    return x.requires_grad_() if requires_grad else x


@row
def add4():
    a, b = four(), four()
    return lambda: a + b


@row
def add4_grad():
    a, b = four(True), four(True)
    return lambda: a + b


@row
def chain():
    x, b = four(True), four(True)

    def step():
        y = x
        for _ in range(10):
            y = twain.tanh(y * b + b)
        y.sum().backward()

    return step


def mlp(compiled: bool, last: bool = False):
    twain.random.seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    x, y = twain.random.uniform((32, 784)), twain.random.randint(0, 10, (32,))

    def step(x, y):
        if not last:
            optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        if last:
            optimizer.zero_grad()
        return loss

    run = twain.compile(step) if compiled else step
    return lambda: run(x, y)


@row
def mlp_eager():
    return mlp(False)


@row
def mlp_compiled():
    return mlp(True)


@row
def mlp_compiled_last():
    return mlp(True, last=True)


def per_sample(clip: bool):
    """The gradient of each sample; with clip, the mean of those scaled to norm 1 at most (as private training does)."""
    twain.random.seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    x, y = twain.random.uniform((32, 784)), twain.random.randint(0, 10, (32,))

    def loss_of(p, x, y):
        return twain.cross_entropy(twain.functional_call(model, p, x[None]), y[None])

    each = twain.vmap(twain.grad(loss_of), in_axes=(None, 0, 0))

    def clipped(p, x, y):
        g = each(p, x, y)
        norms = sum((v * v).reshape((32, -1)).sum(axis=1) for v in g.values()).sqrt()
        scale = twain.clip(1.0 / norms, None, 1.0)
        return {name: twain.tensordot(scale, v, 1) / 32 for name, v in g.items()}

    run = twain.compile(clipped) if clip else each
    return lambda: run(parameters, x, y)


@row
def per_sample_eager():
    return per_sample(False)


@row
def per_sample_compiled():
    return per_sample(True)


@row
def cnn_compiled():
    twain.random.seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    x, y = twain.random.uniform((64, 1, 28, 28)), twain.random.randint(0, 10, (64,))

    @twain.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return lambda: step(x, y)


def gemm(n):
    def make():
        a, b = twain.random.uniform((n, n)), twain.random.uniform((n, n))
        return lambda: a @ b

    return make


def elementwise(op, n):
    def make():
        x, y = twain.random.uniform((n,)), twain.random.uniform((n,))
        rows = twain.random.uniform((n // 100, 100))
        return {
            "add": lambda: x + y,
            "exp": lambda: twain.exp(x),
            "sum": lambda: x.sum(),
            "softmax": lambda: twain.softmax(rows, -1),
            "mean0": lambda: rows.mean(0),
        }[op]

    return make


for size in GEMM:
    ROWS[f"gemm{size}"] = gemm(size)
for name in ("add", "exp", "sum", "softmax", "mean0"):
    for size in SIZES:
        ROWS[f"{name}_{size}"] = elementwise(name, size)


def optimizer_step(name, shapes, settings):
    parameters = [twain.ones(shape).requires_grad_() for shape in shapes]
    for p in parameters:
        p.grad = twain.full(tuple(p.shape), 1e-3)
    optimizer = getattr(optim, name)(parameters, **settings)
    if name != "LBFGS":
        return optimizer.step

    def closure():
        optimizer.zero_grad()
        loss = sum(p.sum() for p in parameters)  # goes on for ever, so no iteration is left out
        loss.backward()
        return loss

    return lambda: optimizer.step(closure)


def compiled_or_not(maker, mode):
    step = maker({})
    return twain.compile(lambda: step()) if mode == "c" else step


ROWS.update(optimizers.rows(optimizer_step, compiled_or_not))


def load(data, options, texts):
    if type(data) is tuple:
        data = twain.data.ArrayDataset(*map(twain.asarray, data))
    return twain.data.DataLoader(data, **options, collate=twain.data.PaddedCollate() if texts else None)


ROWS.update(loaders.rows(load))
ROWS.update(layers.rows(nn, twain.asarray, twain.compile))
ROWS.update(functions.rows("twain", twain, twain.asarray))
ROWS.update(sequences.rows(nn, lambda *shape: twain.random.normal(shape), twain.no_grad, twain.compile))

if __name__ == "__main__":
    serve(ROWS)
