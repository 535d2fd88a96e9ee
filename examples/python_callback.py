"""A Python function on NumPy arrays inside a compiled plan, with a gradient, batched by vmap."""

import numpy as np

import twain
from twain import extend


@extend.python_function(
    result=lambda x, *, width: extend.spec(x.shape, x.dtype),
    gradient=lambda g, x, y, *, width: smoothed_back(g, width=width),
)
def smoothed(x, *, width=3):
    """A moving average: something that NumPy has and twain, let us say, has not."""
    return np.convolve(x, np.full(width, 1 / width), mode="same").astype(x.dtype)


@extend.python_function  # the average is symmetric, so its transpose is the average again
def smoothed_back(g, *, width):
    return np.convolve(g, np.full(width, 1 / width), mode="same").astype(g.dtype)


@twain.compile
def loss(x, target):
    return ((smoothed(x * 2, width=5) - target) ** 2).sum()


def main() -> float:
    twain.random.seed(0)
    target = twain.sin(twain.linspace(0, 6, 50))
    x = twain.zeros((50,)).requires_grad_()
    for _ in range(200):
        loss(x, target).backward()
        with twain.no_grad():
            x -= 0.1 * x.grad
        x.grad = None
    print(loss.explain())
    print("rows one by one:", twain.vmap(lambda row: smoothed(row, width=3))(twain.eye(4))[1].tolist())
    return 1.0 - loss(x, target).item()


if __name__ == "__main__":
    print(f"fit {main():.3f}")
