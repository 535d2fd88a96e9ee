"""An op from a kernel expression, one from other ops, and a function with a gradient of its own, in a network that learns."""

import twain
from twain import extend, nn
from twain.datasets import digits
from twain.train import Model


@extend.elementwise(derivatives=lambda x, y, *, slope: twain.where(x > 0, 1.0, y / slope + 1))
def soft_floor(k, x, *, slope=0.5):
    """x where it is positive, else slope * (exp(x / slope) - 1): one vector loop, with a static argument."""
    return k.select(x > 0, x, (k.exp(k.minimum(x, 0) / slope) - 1) * slope)


@extend.composition
def unit_rows(x, *, eps=1e-5):
    """Rows of mean square 1: made of twain's ops, so its derivative follows."""
    return x * twain.rsqrt((x * x).mean(axis=-1, keepdims=True) + eps)


def _rounded_gradient(residuals, g):
    return (g,)


def _rounded(x):
    return twain.round(x * 8) / 8


# Rounding has the derivative 0; training goes on if it counts as the identity.
quantized = twain.custom_gradient(_rounded, backward=_rounded_gradient)


class Network(nn.Module):
    def __init__(self):
        self.first = nn.Linear(64, 48)
        self.last = nn.Linear(48, 10)

    def forward(self, x):
        hidden = soft_floor(self.first(x.reshape(x.shape[0], 64)))
        return self.last(quantized(unit_rows(hidden)))


def main(epochs: int = 4) -> float:
    twain.random.seed(0)
    model = Model(Network())
    model.compile("adam", "cross_entropy", ["accuracy"], lr=0.01)
    model.fit(*digits("train"), epochs=epochs)
    print(twain.vmap(twain.grad(lambda row: soft_floor(row, slope=2.0).sum()))(twain.linspace(-2, 2, 6).reshape(2, 3)))
    return model.evaluate(*digits("test"))["accuracy"]


if __name__ == "__main__":
    print(f"accuracy {main():.3f}")
