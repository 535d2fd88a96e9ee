"""Recurrent and Transformer layers: the same work for twain and torch, whose layers have the same names and arguments."""

from __future__ import annotations

# (steps, batch, features)
SIZES = {"small": (16, 4, 32), "ordinary": (32, 32, 256)}
LAYERS = {
    "lstm": ("LSTM", lambda nn, n: nn.LSTM(n, n)),
    "gru": ("GRU", lambda nn, n: nn.GRU(n, n)),
    "encoder": ("TransformerEncoderLayer", lambda nn, n: nn.TransformerEncoderLayer(n, n // 16, 4 * n, 0.0)),
}
WAYS = {
    "forward": "forward",
    "train": "forward and backward",
    "compiled": "forward and backward, compiled (torch: eager)",
}

DESCRIPTIONS: list[dict] = [
    {
        "name": f"{layer}_{size}_{way}",
        "text": f"{text}, {steps} steps, batch {batch}, {features} features: {words}",
        "targets": [("torch", 3 if size == "small" else 1)],
    }
    for layer, (text, _) in LAYERS.items()
    for size, (steps, batch, features) in SIZES.items()
    for way, words in WAYS.items()
]


def rows(nn, randn, no_grad, compile=None) -> dict:
    """{name: function that makes a step}."""
    found = {}
    for layer, (_, make) in LAYERS.items():
        for size, shape in SIZES.items():
            for way in WAYS:
                found[f"{layer}_{size}_{way}"] = _maker(nn, randn, no_grad, compile, make, shape, way)
    return found


def _maker(nn, randn, no_grad, compile, make, shape, way):
    def build():
        layer, x = make(nn, shape[-1]), randn(*shape)
        parameters = list(layer.parameters())

        def first(result):
            return result[0] if isinstance(result, tuple) else result

        def forward():
            with no_grad():
                return first(layer(x))

        def train():
            first(layer(x)).sum().backward()
            gradients = [p.grad for p in parameters]
            layer.zero_grad()
            return gradients

        if way == "forward":
            return forward
        return compile(train) if way == "compiled" and compile else train

    return build
