"""PyTorch's rows, eager unless said otherwise."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import torch
from torch import nn

import functions
import layers
import loaders
import optimizers
import sequences
from protocol import serve
from rows import GEMM, SIZES

ROWS: dict = {}


def row(function):
    ROWS[function.__name__] = function
    return function


def four(requires_grad: bool = False):
    return torch.tensor([0.1, 0.2, 0.3, 0.4], requires_grad=requires_grad)


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
            y = torch.tanh(y * b + b)
        y.sum().backward()

    return step


def trained(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def mlp():
    torch.manual_seed(0)
    return trained(
        nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)),
        torch.rand(32, 784),
        torch.randint(0, 10, (32,)),
    )


ROWS["mlp_eager"] = ROWS["mlp_compiled"] = ROWS["mlp_compiled_last"] = mlp


def per_sample(clip: bool):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    x, y = torch.rand(32, 784), torch.randint(0, 10, (32,))

    def loss_of(p, x, y):
        return nn.functional.cross_entropy(torch.func.functional_call(model, p, (x[None],)), y[None])

    each = torch.func.vmap(torch.func.grad(loss_of), in_dims=(None, 0, 0))

    def clipped(p, x, y):
        g = each(p, x, y)
        norms = sum((v * v).reshape(32, -1).sum(1) for v in g.values()).sqrt()
        scale = torch.clip(1.0 / norms, None, 1.0)
        return {name: torch.tensordot(scale, v, 1) / 32 for name, v in g.items()}

    run = clipped if clip else each
    return lambda: run(parameters, x, y)


ROWS["per_sample_eager"] = lambda: per_sample(False)
ROWS["per_sample_compiled"] = lambda: per_sample(True)


@row
def cnn_compiled():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 10),
    )  # fmt: skip
    return trained(model, torch.rand(64, 1, 28, 28), torch.randint(0, 10, (64,)))


def gemm(n):
    def make():
        a, b = torch.rand(n, n), torch.rand(n, n)
        return lambda: a @ b

    return make


def elementwise(op, n):
    def make():
        x, y, rows = torch.rand(n), torch.rand(n), torch.rand(n // 100, 100)
        return {
            "add": lambda: x + y,
            "exp": lambda: torch.exp(x),
            "sum": lambda: x.sum(),
            "softmax": lambda: torch.softmax(rows, -1),
            "mean0": lambda: rows.mean(0),
        }[op]

    return make


for size in GEMM:
    ROWS[f"gemm{size}"] = gemm(size)
for name in ("add", "exp", "sum", "softmax", "mean0"):
    for size in SIZES:
        ROWS[f"{name}_{size}"] = elementwise(name, size)


def optimizer_step(name, shapes, settings):
    parameters = [torch.ones(shape, requires_grad=True) for shape in shapes]
    for p in parameters:
        p.grad = torch.full(p.shape, 1e-3)
        if name == "SparseAdam":
            p.grad = p.grad.to_sparse(1)
    optimizer = getattr(torch.optim, name)(parameters, **settings)
    if name != "LBFGS":
        return optimizer.step

    def closure():
        optimizer.zero_grad()
        loss = sum(p.sum() for p in parameters)  # goes on for ever, so no iteration is left out
        loss.backward()
        return loss

    return lambda: optimizer.step(closure)


ROWS.update(optimizers.rows(optimizer_step, optimizers.quickest_of_ways))


def padded(batch):
    rows = [torch.tensor(row) for row, _ in batch]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([label for _, label in batch])


def load(data, options, texts):
    if type(data) is tuple:
        data = torch.utils.data.TensorDataset(*map(torch.from_numpy, data))
    return torch.utils.data.DataLoader(data, **options, collate_fn=padded if texts else None)


ROWS.update(loaders.rows(load))
ROWS.update(layers.rows(nn, torch.from_numpy, lambda step: step))
ROWS.update(functions.rows("torch", torch, torch.from_numpy))
ROWS.update(sequences.rows(nn, torch.randn, torch.no_grad))

if __name__ == "__main__":
    serve(ROWS)
