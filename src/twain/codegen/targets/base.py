"""The description of a target; one instance per instruction-set level."""

from __future__ import annotations

from ...base.dtypes import DType


class Target:
    """An instruction-set level.

    `vector_bytes` is the width of a vector register (0: scalar code, one thread per element), `registers` their number,
    `attributes` go on every function. The `has_` flags tell what would otherwise become a call into the C library:
    fused multiply-add, rounding to integral values, float16 conversion; `has_maximum`: min/max that propagate NaN;
    `has_avx512`: x * 2^n and estimates of 1 / sqrt(x) for 16 floats.
    """

    __slots__ = (
        "attributes", "cpu", "features", "has_avx512", "has_fma", "has_half", "has_maximum", "has_round", "name",
        "registers", "triple", "vector_bytes",
    )  # fmt: skip

    def __init__(self, name: str, triple: str, cpu: str, features: str, vector_bytes: int, registers: int,
                 attributes: str = "", has_fma: bool = True, has_round: bool = True, has_half: bool = True,
                 has_maximum: bool = False, has_avx512: bool = False):  # fmt: skip
        self.name = name
        self.triple = triple
        self.cpu = cpu
        self.features = features
        self.vector_bytes = vector_bytes
        self.registers = registers
        self.attributes = attributes
        self.has_fma = has_fma
        self.has_round = has_round
        self.has_half = has_half
        self.has_maximum = has_maximum
        self.has_avx512 = has_avx512

    def __repr__(self) -> str:
        return f"Target({self.name!r})"

    @property
    def key(self) -> str:
        """What cached code must agree on."""
        return f"{self.triple}/{self.cpu}/{self.features}"

    @property
    def is_gpu(self) -> bool:
        return self.vector_bytes == 0

    def lanes(self, dtype: DType) -> int:
        """Elements per vector register, in the type they are computed in (bfloat16: float32; complex: one part)."""
        size = (
            dtype.itemsize // 2
            if dtype.kind == "c"
            else 4
            if dtype.kind == "f" and dtype.itemsize == 2
            else dtype.itemsize
        )
        return max(1, self.vector_bytes // size)
