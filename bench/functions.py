"""Single calls of many functions, at several sizes, against PyTorch and NumPy: `./dev bench --peers torch --functions`.

One line each: name | twain | torch | numpy. "=" stands for the same text with the framework's own module; "-" for none.
In the expressions `m` is the module; x, y are floats, p floats in (0, 1), i, j ints, b bools, all of n elements; r is x as
rows of 10 (of 100 from 1,000 elements on); q a square matrix of about n elements, w another; k indices below n.
"""

from __future__ import annotations

SIZES = (10, 1_000, 1_000_000)
LINES = """
add | x + y | = | =
multiply, a number | x * 2.5 | = | =
divide | x / y | = | =
power | m.power(p, y) | m.pow(p, y) | m.power(p, y)
maximum | m.maximum(x, y) | = | =
where | m.where(b, x, y) | = | =
clip | m.clip(x, -0.5, 0.5) | = | =
abs | m.abs(x) | = | =
sqrt | m.sqrt(p) | = | =
exp | m.exp(x) | = | =
log | m.log(p) | = | =
sin | m.sin(x) | = | =
tanh | m.tanh(x) | = | =
atan2 | m.atan2(x, y) | = | m.arctan2(x, y)
erf | m.erf(x) | = | -
erfinv | m.erfinv(p) | = | -
lgamma | m.lgamma(p) | = | -
digamma | m.digamma(p) | = | -
i0 | m.i0(x) | = | m.i0(x)
sigmoid | m.sigmoid(x) | = | -
gelu | m.gelu(x) | m.nn.functional.gelu(x) | -
silu | m.silu(x) | m.nn.functional.silu(x) | -
isnan | m.isnan(x) | = | =
equal | x == y | = | =
logical and | m.logical_and(b, x > 0) | = | =
add, ints | i + j | = | =
floor divide, ints | i // 7 | = | =
remainder, ints | i % 7 | = | =
cast to int | x.astype(m.int32) | x.to(m.int32) | x.astype(m.int32)
sum | m.sum(x) | = | =
sum over rows | m.sum(r, axis=1) | m.sum(r, dim=1) | m.sum(r, axis=1)
sum over columns | m.sum(r, axis=0) | m.sum(r, dim=0) | m.sum(r, axis=0)
mean | m.mean(x) | = | =
var | m.var(x) | = | =
max | m.max(x) | = | =
argmax | m.argmax(x) | = | =
argmax over rows | m.argmax(r, axis=1) | m.argmax(r, dim=1) | m.argmax(r, axis=1)
prod | m.prod(x) | = | =
any | m.any(b) | = | =
count nonzero | m.count_nonzero(x) | = | =
logsumexp over rows | m.logsumexp(r, axis=1) | m.logsumexp(r, dim=1) | -
norm | m.linalg.vector_norm(x) | = | m.linalg.norm(x)
cumulative sum | m.cumulative_sum(x) | m.cumsum(x, 0) | m.cumsum(x)
cumulative sum over rows | m.cumulative_sum(r, axis=1) | m.cumsum(r, 1) | m.cumsum(r, 1)
cumulative sum over columns | m.cumulative_sum(r, axis=0) | m.cumsum(r, 0) | m.cumsum(r, 0)
cumulative product | m.cumulative_prod(p) | m.cumprod(p, 0) | m.cumprod(p)
cumulative max | m.cummax(x, 0) | = | m.maximum.accumulate(x)
logcumsumexp | m.logcumsumexp(x, 0) | = | -
diff | m.diff(x) | = | =
sort | m.sort(x) | m.sort(x) | m.sort(x)
sort rows | m.sort(r, axis=1) | m.sort(r, dim=1) | m.sort(r, axis=1)
sort ints | m.sort(i) | m.sort(i) | m.sort(i)
argsort | m.argsort(x) | = | =
argsort rows | m.argsort(r, axis=1) | m.argsort(r, dim=1) | m.argsort(r, axis=1)
topk | m.topk(x, 5) | = | -
topk of rows | m.topk(r, 3) | = | -
kthvalue | m.kthvalue(x, 3) | = | m.partition(x, 2)
quantile | m.quantile(x, 0.3) | = | =
median | m.median(x) | = | =
unique | m.unique_values(i) | m.unique(i) | m.unique(i)
unique, inverse too | m.unique(i, return_inverse=True) | = | =
isin | m.isin(i, j) | = | =
searchsorted | m.searchsorted(s, y) | = | =
bincount | m.bincount(k) | = | =
histogram | m.histogram(x, 50) | = | =
masked select | m.masked_select(x, b) | = | x[b]
scatter | m.scatter(x, 0, k, y) | = | -
take | m.take(x, k, axis=0) | x[k] | m.take(x, k)
index by ints | x[k] | = | =
index by bools | x[b] | = | =
slice | x[1:-1:2] | = | =
nonzero | m.nonzero(b) | = | =
flip | m.flip(x) | m.flip(x, (0,)) | m.flip(x).copy()
roll | m.roll(x, 3) | = | =
transpose, copied | m.contiguous(q.T) | q.T.contiguous() | q.T.copy()
concat | m.concat([x, y]) | m.cat([x, y]) | m.concatenate([x, y])
stack | m.stack([x, y]) | = | =
repeat | m.repeat(x, 2) | m.repeat_interleave(x, 2) | m.repeat(x, 2)
tile | m.tile(x, (2,)) | = | m.tile(x, 2)
pad | m.pad(x, (2, 2)) | m.nn.functional.pad(x, (2, 2)) | m.pad(x, (2, 2))
tril | m.tril(q) | = | =
eye | m.eye(len(q)) | = | =
arange | m.arange(len(x)) | = | =
zeros | m.zeros((len(x),)) | = | m.zeros((len(x),), "float32")
matrix times vector | q @ q[0] | = | =
dot | m.dot(x, y) | = | =
outer, summed | m.einsum("ij,kj->ik", q, w) | = | =
einsum, batched | m.einsum("ij,ij->i", r, r) | = | =
softmax | m.softmax(r, -1) | = | -
log softmax | m.log_softmax(r, -1) | = | -
layer norm | m.layer_norm(r, (r.shape[-1],)) | m.nn.functional.layer_norm(r, (r.shape[-1],)) | -
cross entropy | m.cross_entropy(r, c) | m.nn.functional.cross_entropy(r, c) | -
mean squared error | m.mse_loss(x, y) | m.nn.functional.mse_loss(x, y) | -
one hot | m.one_hot(c, 10) | m.nn.functional.one_hot(c, 10) | -
uniform | m.random.uniform((len(x),)) | m.rand(len(x)) | m.random.default_rng(0).random(len(x), "float32")
normal | m.random.normal((len(x),)) | m.randn(len(x)) | m.random.default_rng(0).standard_normal(len(x), "float32")
random ints | m.random.randint(0, 9, (len(x),)) | m.randint(0, 9, (len(x),)) | m.random.default_rng(0).integers(0, 9, len(x))
fft | m.fft.fft(z) | = | =
rfft | m.fft.rfft(x) | = | =
complex multiply | z * z | = | =
scatter add | m.scatter_add(x, 0, k, y) | = | -
index add | m.index_add(x, 0, k, y) | = | -
"""
SMALL = 3.0  # small calls: at least so many times faster than PyTorch
LARGE = 1 / 1.2  # from 1,000 elements on: within 1.2 of the better peer


def parsed() -> list[tuple]:
    """[(name, {framework: expression or None})]"""
    found = []
    for line in LINES.strip().splitlines():
        name, ours, torch, numpy = (cell.strip() for cell in line.split(" | "))
        texts = {"twain": ours}
        for peer, text in (("torch", torch), ("numpy", numpy)):
            texts[peer] = None if text == "-" else ours if text == "=" else text
        found.append((name, texts))
    return found


def key(name: str, size: int) -> str:
    return f"f_{name.replace(' ', '_').replace(',', '')}_{size}"


FUNCTION_ROWS = [
    {
        "name": key(name, size),
        "text": f"{name}, {size:,}",
        "targets": [("torch", SMALL)]
        if size == SIZES[0]
        else [(peer, LARGE) for peer in ("torch", "numpy") if texts[peer]],
    }
    for name, texts in parsed()
    for size in SIZES
]


def operands(size: int) -> dict:
    """The operands, as NumPy arrays."""
    import numpy as np

    rng = np.random.default_rng(size)
    width, side = (10 if size < 1000 else 100), max(2, round(size**0.5))
    x, y = rng.standard_normal((2, size)).astype("float32")
    q, w = rng.standard_normal((2, side, side)).astype("float32")
    rows = x.reshape(-1, width)
    return {
        "x": x, "y": y, "p": rng.uniform(0.05, 0.95, size).astype("float32"), "q": q, "w": w, "r": rows, "s": np.sort(x),
        "i": rng.integers(-50, 50, size), "j": rng.integers(-50, 50, size), "k": rng.integers(0, size, size),
        "c": rng.integers(0, 10, len(rows)), "b": rng.random(size) < 0.5, "z": (x + 1j * y).astype("complex64"),
    }  # fmt: skip


def rows(framework: str, module, convert) -> dict:
    """The rows of a framework: `convert` makes its tensors of NumPy arrays."""
    made = {}
    for name, texts in parsed():
        if texts[framework] is None:
            continue
        code = compile(f"lambda: {texts[framework]}", name, "eval")
        for size in SIZES:

            def make(code=code, size=size):
                names = {key: convert(value) for key, value in operands(size).items()}
                return eval(code, {"m": module, **names})

            made[key(name, size)] = make
    return made
