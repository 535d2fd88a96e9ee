"""The rows of the table: what is measured, against whom, and what is promised.

target: (peer, factor): the peer's time over twain's must be at least the factor.
"""

from __future__ import annotations

import sequences

SIZES = (1_000, 100_000, 10_000_000)
GEMM = (512, 1024, 2048)

ROWS: list[dict] = [
    {"name": "add4", "text": "`a + b`, 4 floats", "targets": [("torch", 10), ("numpy", 1)]},
    {"name": "add4_grad", "text": "`a + b`, 4 floats, recorded", "targets": [("torch", 10)]},
    {"name": "chain", "text": "30-op chain, forward and backward", "targets": [("torch", 25)]},
    {"name": "mlp_eager", "text": "MLP 784-128-10, batch 32, Adam, eager", "targets": [("torch", 3)]},
    {"name": "mlp_compiled", "text": "the same step compiled, `zero_grad` first", "targets": [("jax", 2)]},
    {"name": "mlp_compiled_last", "text": "the same step compiled, `zero_grad` last", "targets": [("jax", 2.5)]},
    {
        "name": "cnn_compiled",
        "text": "MNIST-size CNN, batch 64, Adam, compiled (torch: eager)",
        "targets": [("torch", 2)],
    },
    {
        "name": "per_sample_eager",
        "text": "gradient of each of 32 samples, MLP 784-128-10: `vmap(grad(loss))`, eager",
        "targets": [("torch", 2)],
    },
    {
        "name": "per_sample_compiled",
        "text": "the same compiled, with clipping and the mean",
        "targets": [("jax", 1)],
    },
    *[
        {"name": f"gemm{n}", "text": f"matrix product {n} x {n}, float32, eager", "targets": [("torch", 1)]}
        for n in GEMM
    ],
    *[
        {"name": f"{op}_{n}", "text": f"{text}, {n:,} floats, fresh output", "targets": [("torch", 1)]}
        for op, text in (
            ("add", "add"),
            ("exp", "exp"),
            ("sum", "sum"),
            ("softmax", "softmax of rows of 100"),
            ("mean0", "mean over axis 0 of rows of 100"),
        )
        for n in SIZES
    ],
    *sequences.DESCRIPTIONS,
]
