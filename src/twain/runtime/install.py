"""Makes this room the core's compiler. The compiler itself is loaded at the first miss."""

from __future__ import annotations

import os

from .. import _core
from ..base import dtypes as dt
from ..base.lazy import LazyModule
from ..ir.node import Node
from ..ops.elementwise import add, cast
from ..transforms import levels

compiler = LazyModule("twain.runtime.prepare")


def prepare(op, attrs: object, metas: tuple):
    return compiler.prepare(op, attrs, metas)


def prepare_vjp(op, attrs: object, metas: tuple, out_metas: tuple, mask: int):
    return compiler.prepare_vjp(op, attrs, metas, out_metas, mask)


def install() -> None:
    """Give the core its callbacks."""
    _core.set_dtypes(dt.BY_CODE)
    _core.set_symbol_type(Node)
    _core.set_accumulate(add)
    for dtype in (dt.float16, dt.bfloat16, dt.float32):
        _core.set_caster(cast, dtype.code, cast.record.bind((dtype,), {}))
    _core.install(
        prepare=prepare,
        vjp=prepare_vjp,
        trace=levels.dispatch,
        package=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    )
