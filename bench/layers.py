"""Layers, forward and backward, against PyTorch: `./dev bench --peers torch --layers`.

One line each: name | how it is made, with `nn` the framework's module | shape of a small input | of an ordinary one. An input
of whole numbers is written as the number of classes before its shape. twain runs eagerly (rows ending in "e") and compiled
("c"), PyTorch eagerly in both.
"""

from __future__ import annotations

LINES = """
linear | nn.Linear(64, 32) | 4, 64 | 256, 64
linear, wide | nn.Linear(512, 512) | 2, 512 | 128, 512
conv 1d | nn.Conv1d(16, 16, 3, padding=1) | 1, 16, 16 | 16, 16, 256
conv 2d | nn.Conv2d(16, 16, 3, padding=1) | 1, 16, 4, 4 | 16, 16, 32, 32
conv 3d | nn.Conv3d(4, 8, 3, padding=1) | 1, 4, 4, 4, 4 | 2, 4, 12, 12, 12
transposed conv 2d | nn.ConvTranspose2d(16, 8, 2, stride=2) | 1, 16, 4, 4 | 8, 16, 32, 32
max pool 2d | nn.MaxPool2d(2) | 1, 4, 8, 8 | 16, 16, 64, 64
average pool 2d | nn.AvgPool2d(2) | 1, 4, 8, 8 | 16, 16, 64, 64
adaptive average pool 2d | nn.AdaptiveAvgPool2d(1) | 1, 4, 8, 8 | 16, 64, 16, 16
batch norm 1d | nn.BatchNorm1d(16) | 8, 16 | 1024, 16
batch norm 2d | nn.BatchNorm2d(16) | 2, 16, 4, 4 | 16, 16, 32, 32
layer norm | nn.LayerNorm(64) | 4, 64 | 1024, 64
rms norm | nn.RMSNorm(64) | 4, 64 | 1024, 64
group norm | nn.GroupNorm(4, 16) | 2, 16, 4, 4 | 16, 16, 32, 32
instance norm | nn.InstanceNorm2d(16) | 2, 16, 4, 4 | 16, 16, 32, 32
embedding | nn.Embedding(1000, 64) | 1000: 8 | 1000: 32, 128
embedding bag | nn.EmbeddingBag(1000, 64) | 1000: 2, 4 | 1000: 128, 16
relu | nn.ReLU() | 4, 16 | 256, 1024
gelu | nn.GELU() | 4, 16 | 256, 1024
silu | nn.SiLU() | 4, 16 | 256, 1024
softmax | nn.Softmax(-1) | 4, 16 | 256, 1024
dropout | nn.Dropout(0.5) | 4, 16 | 256, 1024
reflection pad | nn.ReflectionPad2d(1) | 1, 4, 8, 8 | 16, 16, 64, 64
upsample, nearest | nn.Upsample(scale_factor=2) | 1, 4, 8, 8 | 8, 16, 32, 32
pixel shuffle | nn.PixelShuffle(2) | 1, 8, 4, 4 | 8, 16, 32, 32
prelu | nn.PReLU() | 4, 16 | 256, 1024
glu | nn.GLU() | 4, 16 | 256, 1024
"""
SIZES = ("small", "ordinary")
SMALL = 3.0  # small layers: at least so many times faster than PyTorch
ORDINARY = 1.0  # ordinary ones: never slower


def parsed() -> list[tuple]:
    """[(name, text of the constructor, {size: (classes or None, shape)})]"""
    found = []
    for line in LINES.strip().splitlines():
        name, make, *shapes = (cell.strip() for cell in line.split(" | "))
        sizes = {}
        for size, text in zip(SIZES, shapes):
            classes, _, shape = text.rpartition(":")
            sizes[size] = (int(classes) if classes else None, tuple(int(d) for d in shape.split(",")))
        found.append((name, make, sizes))
    return found


def key(name: str, size: str, mode: str) -> str:
    return f"l_{name.replace(' ', '_').replace(',', '')}_{mode}_{size}"


LAYER_ROWS = [
    {
        "name": key(name, size, mode),
        "text": f"{name}, {size}, {mode}",
        "targets": [("torch", SMALL if size == "small" else ORDINARY)],
    }
    for name, _, _ in parsed()
    for size in SIZES
    for mode in ("eager", "compiled")
]


def rows(nn, convert, compiled) -> dict:
    """The rows of a framework: `convert` makes its tensors of NumPy arrays, `compiled` its compiled functions."""
    import numpy as np

    made = {}
    for name, text, sizes in parsed():
        code = compile(text, name, "eval")
        for size, (classes, shape) in sizes.items():
            for mode in ("eager", "compiled"):

                def make(code=code, classes=classes, shape=shape, mode=mode):
                    rng = np.random.default_rng(0)
                    layer = eval(code, {"nn": nn})
                    x = convert(
                        rng.integers(0, classes, shape) if classes else rng.standard_normal(shape).astype("float32")
                    )
                    if classes is None:
                        x.requires_grad_()
                    parameters = list(layer.parameters())

                    def step():
                        x.grad = None
                        for p in parameters:
                            p.grad = None
                        layer(x).sum().backward()

                    return compiled(step) if mode == "compiled" else step

                made[key(name, size, mode)] = make
    return made
