"""What models with published weights share: settings from a dictionary, weights by name, generating text."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import twain
from twain import nn
from twain.io import load_file

Tensor = twain.Tensor


class Pretrained(nn.Module):
    """A model made from a configuration, whose parameters have the names of published files.

    Subclasses say: `Config`, a dataclass with the published names of settings; `prefixes` that files may put in front of
    names or leave out; `ignored`, ends of names that files hold and nobody needs; `tied`, names that are another's tensor.
    """

    Config: ClassVar[Any]
    prefixes: ClassVar[tuple[str, ...]] = ()
    ignored: ClassVar[tuple[str, ...]] = ()
    tied: ClassVar[dict[str, str]] = {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | Any, **changes: Any) -> Any:
        """A model with fresh weights.

        Args:
            config: a dictionary such as a published config.json holds (what the model doesn't know is left out), or an
                object of the model's Config.
            changes: settings that replace those of `config`; unknown ones are refused.
        """
        known = {f.name for f in dataclasses.fields(cls.Config)}
        if not isinstance(config, Mapping):
            config = dataclasses.asdict(config)
        wrong = sorted(set(changes) - known)
        if wrong:
            raise ValueError(f"[{cls.__name__}] expected settings among {', '.join(sorted(known))}, got {wrong}")
        found = {k: v for k, v in {**config, **changes}.items() if k in known}
        return cls(cls.Config(**found))  # type: ignore[call-arg]

    @classmethod
    def from_folder(cls, folder: str | Path, strict: bool = True, **changes: Any) -> Any:
        """The model of a folder with config.json and *.safetensors, as published on Hugging Face."""
        folder = Path(folder)
        path = folder / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"[{cls.__name__}] expected a folder with config.json, got {folder}")
        model = cls.from_config(json.loads(path.read_text()), **changes)
        model.load_weights(folder, strict)
        return model

    def load_weights(self, source: Any, strict: bool = True) -> tuple[list[str], list[str]]:
        """Take published weights by name, with or without their prefix.

        Args:
            source: {name: tensor or array}, a .safetensors file, or a folder of them.
            strict: whether missing and unexpected names are errors.

        Returns:
            (missing names, unexpected names).

        Raises:
            ShapeError: a ValueError that lists missing, unexpected and mis-shaped names; the model is then unchanged.
        """
        given = source if isinstance(source, Mapping) else _read(type(self).__name__, Path(source))
        names = set(self.state_dict())
        state: dict[str, Any] = {}
        for name, value in given.items():
            own = self._own_name(name, names)
            if own is not None:
                state[own] = value
        for name, other in self.tied.items():
            if name in names and name not in state and other in state:
                state[name] = state[other]
        return self.load_state_dict(state, strict)

    def _own_name(self, name: str, names: set[str]) -> str | None:
        """What a published name is called here; None for one that isn't wanted."""
        candidates = [name]
        for prefix in self.prefixes:
            if name.startswith(prefix):
                candidates.append(name[len(prefix) :])
            candidates.append(prefix + name)
        for candidate in candidates:
            if candidate in names:
                return candidate
        return None if name.endswith(self.ignored) or name.startswith(self.ignored) else name

    def start_normal(self, deviation: float) -> None:
        """Initial values: linear maps and embeddings normal, biases 0, norms as they are."""
        with twain.no_grad():
            for module in self.modules():
                if isinstance(module, (nn.Linear, nn.Embedding, Conv1D)):
                    nn.init.normal_(module.weight, 0.0, deviation)
                    bias = getattr(module, "bias", None)
                    if bias is not None:
                        nn.init.zeros_(bias)


def _read(name: str, path: Path) -> dict[str, Any]:
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"[{name}] expected *.safetensors in {path}, got none")
    state: dict[str, Any] = {}
    for file in files:
        state.update(load_file(file))
    return state


class Conv1D(nn.Module):
    """A linear map whose weight is (in, out), as GPT-2 was published."""

    def __init__(self, out_features: int, in_features: int):
        self.weight = (twain.random.normal((in_features, out_features)) * 0.02).requires_grad_()
        self.bias = twain.zeros((out_features,)).requires_grad_()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.mT, self.bias)


def activation(model: str, name: str) -> Any:
    """An activation by its name in configurations."""
    f = nn.functional
    known = {
        "gelu": f.gelu, "gelu_new": _tanh_gelu, "gelu_pytorch_tanh": _tanh_gelu, "relu": f.relu, "silu": f.silu,
        "swish": f.silu, "tanh": f.tanh,
    }  # fmt: skip
    if name not in known:
        raise ValueError(f"[{model}] expected an activation among {', '.join(known)}, got {name!r}")
    return known[name]


def _tanh_gelu(x: Tensor) -> Tensor:
    return nn.functional.gelu(x, approximate="tanh")


# ---------------------------------------------------------------- attention with a memory
class Cache:
    """Keys and values of the positions so far, in tensors of a fixed length: one compiled step serves all positions."""

    def __init__(self, layers: int, length: int):
        self.keys: list[Any] = [None] * layers
        self.values: list[Any] = [None] * layers
        self.length = length

    def extend(self, layer: int, key: Tensor, value: Tensor, position: Tensor | None) -> tuple[Tensor, Tensor]:
        """(all keys, all values) with new ones (B, heads, L, D): the first L without position, else one at `position`."""
        if position is None:
            missing = self.length - key.shape[2]
            self.keys[layer], self.values[layer] = (
                twain.concat([x, twain.zeros((*x.shape[:2], missing, x.shape[3]), dtype=x.dtype)], axis=2)
                for x in (key, value)
            )
        else:
            here = (twain.arange(self.length) == position).reshape((self.length, 1))
            self.keys[layer] = twain.where(here, key, self.keys[layer])
            self.values[layer] = twain.where(here, value, self.values[layer])
        return self.keys[layer], self.values[layer]


def attend(
    layer: int, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, cache: Cache | None, position: Tensor | None,
    dropout: float = 0.0,
) -> Tensor:  # fmt: skip
    """Causal attention of q (B, heads, L, D) to k and v, which may have fewer heads: (B, L, heads * D)."""
    if cache is not None:
        keys, values = cache.extend(layer, k, v, position)
        if position is not None:
            k, v, mask = keys, values, twain.arange(cache.length) <= position
    causal = mask is None
    y = nn.functional.scaled_dot_product_attention(
        q, k, v, mask, dropout, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
    )
    return y.transpose(1, 2).reshape((q.shape[0], q.shape[2], q.shape[1] * q.shape[3]))


def heads(x: Tensor, count: int) -> Tensor:
    """(B, L, heads * D) -> (B, heads, L, D)."""
    return x.reshape((*x.shape[:2], count, x.shape[2] // count)).transpose(1, 2)


def causal_mask(attention_mask: Tensor | None, length: int) -> Tensor | None:
    """(B, 1, L, L) bools from (B, L) of 1 where there is a token; None if all are."""
    if attention_mask is None:
        return None
    seen = (attention_mask != 0).reshape((attention_mask.shape[0], 1, 1, length))
    rows = twain.arange(length)
    return (rows.reshape((length, 1)) >= rows) & seen


# ---------------------------------------------------------------- generating
class Generates(Pretrained):
    """Models called with (ids, cache=, position=) that return logits: `generate`."""

    layer_count: int
    longest: int

    def generate(
        self,
        ids: Tensor,
        max_new_tokens: int = 20,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        eos_token_id: int | None = None,
        generator: Any = None,
        compile: bool = True,
    ) -> Tensor:
        """`ids` (B, L), followed by up to max_new_tokens more.

        Args:
            do_sample: draw the next token instead of taking the likeliest.
            temperature: logits are divided by it before drawing: below 1 bolder, above 1 more even.
            top_k: draw among the k likeliest.
            top_p: draw among the likeliest that together reach this probability (Holtzman et al. 2020).
            eos_token_id: a sequence that has it is done and goes on with it; when all are, generating ends.
            generator: a twain.random.Generator, the global one by default.
            compile: run the step per token as one compiled call.
        """
        name = type(self).__name__
        if ids.ndim != 2 or ids.shape[1] == 0 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"[{name}.generate] expected integer ids (B, L) with L > 0, got {ids.dtype}{list(ids.shape)}"
            )
        if not isinstance(max_new_tokens, int) or max_new_tokens < 0:
            raise ValueError(
                f"[{name}.generate] expected max_new_tokens to be an int of 0 or more, got {max_new_tokens!r}"
            )
        if not temperature > 0 or (top_p is not None and not 0 < top_p <= 1) or (top_k is not None and top_k < 1):
            raise ValueError(
                f"[{name}.generate] expected temperature > 0, top_k of at least 1 and top_p in (0, 1], got {temperature}, "
                f"{top_k} and {top_p}"
            )
        total = ids.shape[1] + max_new_tokens
        if total > self.longest:
            raise ValueError(f"[{name}.generate] expected at most {self.longest} positions in all, got {total}")
        training = self.training
        self.eval()
        try:
            with twain.no_grad():
                return self._generate(
                    ids, max_new_tokens, do_sample, temperature, top_k, top_p, eos_token_id, generator, compile
                )
        finally:
            self.train(training)

    def _generate(self, ids, count, do_sample, temperature, top_k, top_p, eos, generator, compiled):
        # Lengths in steps of 64, so that prompts of many lengths share plans.
        cache = Cache(self.layer_count, min(self.longest, 64 * math.ceil((ids.shape[1] + count) / 64)))
        step = _compiled_step if compiled else _step
        rows, done = [ids], None
        logits = None
        for i in range(count):
            if logits is None:
                logits = self(ids, cache=cache)[:, -1]
            else:
                position = twain.asarray(ids.shape[1] + i - 1, dtype="int64")
                logits = step(self, rows[-1], cache, position)
            new = choose(logits, do_sample, temperature, top_k, top_p, generator).astype(ids.dtype)
            if eos is not None:
                new = new if done is None else twain.where(done, eos, new)
                done = new == eos if done is None else done | (new == eos)
            rows.append(new.reshape((-1, 1)))
            if done is not None and bool(done.all()):
                break
        return twain.concat(rows, axis=1)


def _step(model: Any, ids: Tensor, cache: Cache, position: Tensor) -> Tensor:
    return model(ids, cache=cache, position=position)[:, -1]


_compiled_step = twain.compile(_step)


def choose(
    logits: Tensor, do_sample: bool, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
    generator: Any = None,
) -> Tensor:  # fmt: skip
    """A token per row of logits (B, V): the likeliest, or drawn."""
    if not do_sample:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        lowest = twain.topk(logits, top_k)[0][:, -1:]
        logits = twain.where(logits < lowest, -math.inf, logits)
    if top_p is not None and top_p < 1:
        ordered = twain.sort(logits, descending=True)
        shares = nn.functional.softmax(ordered, -1)
        before = twain.cumulative_sum(shares, axis=-1) - shares
        lowest = twain.where(before < top_p, ordered, math.inf).min(axis=-1, keepdims=True)
        logits = twain.where(logits < lowest, -math.inf, logits)
    return twain.random.categorical(logits, generator=generator)
