"""JAX's rows; compiled rows are jitted whole, with donated state."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import jax
import jax.numpy as jnp
import numpy as np

from protocol import serve
from rows import GEMM, SIZES

ROWS: dict = {}
B1, B2, LR, EPS = 0.9, 0.999, 1e-3, 1e-8


def done(x):
    return jax.block_until_ready(x)


def add4():
    a, b = jnp.ones(4), jnp.ones(4)
    return lambda: done(a + b)


def chain():
    def f(x, b):
        y = x
        for _ in range(10):
            y = jnp.tanh(y * b + b)
        return y.sum()

    g = jax.jit(jax.grad(f, argnums=(0, 1)))
    x, b = jnp.ones(4), jnp.ones(4)
    return lambda: done(g(x, b))


def adam(loss_of, parameters, x, y):
    def step(p, m, v, t, x, y):
        loss, g = jax.value_and_grad(loss_of)(p, x, y)
        t = t + 1
        m = [B1 * a + (1 - B1) * b for a, b in zip(m, g)]
        v = [B2 * a + (1 - B2) * b * b for a, b in zip(v, g)]
        p = [a - LR * (b / (1 - B1**t)) / (jnp.sqrt(c / (1 - B2**t)) + EPS) for a, b, c in zip(p, m, v)]
        return p, m, v, t, loss

    compiled = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    state = [
        parameters,
        [jnp.zeros_like(a) for a in parameters],
        [jnp.zeros_like(a) for a in parameters],
        jnp.float32(0),
    ]

    def run():
        *state[:], loss = compiled(*state, x, y)
        done(loss)

    return run


def cross_entropy(z, y):
    return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(y)), y])


def mlp():
    r = np.random.default_rng(0)
    p = [jnp.array(r.normal(0, 0.03, s), jnp.float32) for s in ((784, 128), (128,), (128, 10), (10,))]

    def loss_of(p, x, y):
        return cross_entropy(jax.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3], y)

    return adam(loss_of, p, jnp.array(r.random((32, 784)), jnp.float32), jnp.array(r.integers(0, 10, 32)))


def per_sample(clip):
    r = np.random.default_rng(0)
    p = [jnp.array(r.normal(0, 0.03, s), jnp.float32) for s in ((784, 128), (128,), (128, 10), (10,))]
    x, y = jnp.array(r.random((32, 784)), jnp.float32), jnp.array(r.integers(0, 10, 32))

    def loss_of(p, x, y):
        return -jax.nn.log_softmax(jax.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3])[y]

    each = jax.vmap(jax.grad(loss_of), in_axes=(None, 0, 0))

    def clipped(p, x, y):
        g = each(p, x, y)
        norms = jnp.sqrt(sum((v * v).reshape(32, -1).sum(1) for v in g))
        scale = jnp.minimum(1.0 / norms, 1.0)
        return [jnp.tensordot(scale, v, 1) / 32 for v in g]

    run = jax.jit(clipped if clip else each)
    return lambda: done(run(p, x, y))


def cnn():
    r = np.random.default_rng(0)
    shapes = ((32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (64 * 49, 10), (10,))
    p = [jnp.array(r.normal(0, 0.03, s), jnp.float32) for s in shapes]

    def conv(x, w, b):
        return jax.nn.relu(jax.lax.conv(x, w, (1, 1), "SAME") + b[:, None, None])

    def pool(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss_of(p, x, y):
        h = pool(conv(pool(conv(x, p[0], p[1])), p[2], p[3]))
        return cross_entropy(h.reshape(len(y), -1) @ p[4] + p[5], y)

    return adam(loss_of, p, jnp.array(r.random((64, 1, 28, 28)), jnp.float32), jnp.array(r.integers(0, 10, 64)))


def gemm(n):
    def make():
        a, b = jnp.array(np.random.rand(n, n), jnp.float32), jnp.array(np.random.rand(n, n), jnp.float32)
        return lambda: done(a @ b)

    return make


def elementwise(op, n):
    def make():
        x, y = jnp.array(np.random.rand(n), jnp.float32), jnp.array(np.random.rand(n), jnp.float32)
        rows = jnp.array(np.random.rand(n // 100, 100), jnp.float32)
        return {
            "add": lambda: done(x + y),
            "exp": lambda: done(jnp.exp(x)),
            "sum": lambda: done(x.sum()),
            "softmax": lambda: done(jax.nn.softmax(rows, -1)),
            "mean0": lambda: done(rows.mean(0)),
        }[op]

    return make


ROWS["add4"] = add4
ROWS["chain"] = chain
ROWS["mlp_compiled"] = ROWS["mlp_compiled_last"] = mlp
ROWS["per_sample_eager"] = lambda: per_sample(False)  # jitted: the only way it is used
ROWS["per_sample_compiled"] = lambda: per_sample(True)
ROWS["cnn_compiled"] = cnn
for size in GEMM:
    ROWS[f"gemm{size}"] = gemm(size)
for name in ("add", "exp", "sum", "softmax", "mean0"):
    for size in SIZES:
        ROWS[f"{name}_{size}"] = elementwise(name, size)

if __name__ == "__main__":
    serve(ROWS)
