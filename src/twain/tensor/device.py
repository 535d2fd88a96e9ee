"""Devices: cpu:0, cpu:1, ... (virtual ones have their own memory accounting, so placement can be tested anywhere)."""

from __future__ import annotations

from contextlib import contextmanager

from .. import _core
from ..base.errors import DeviceError

MAX_CPU_DEVICES = 16  # as many as the core keeps accounts for


class Device:
    """A place for tensors. Compares with its name: `x.device == "cpu:0"`; "cpu" means "cpu:0"."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index

    def __str__(self) -> str:
        return f"cpu:{self.index}"

    def __repr__(self) -> str:
        return f"device('{self}')"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return other == str(self) or (other == "cpu" and self.index == 0)
        return isinstance(other, Device) and other.index == self.index

    def __hash__(self) -> int:
        return hash(("cpu", self.index))


_DEVICES: dict[int, Device] = {}


def device_of_index(index: int) -> Device:
    """The device object of the core's number."""
    found = _DEVICES.get(index)
    if found is None:
        found = _DEVICES[index] = Device(index)
    return found


def as_device(spec: object, function: str = "device") -> Device:
    """A Device from None (the default), a name or a Device."""
    if spec is None:
        return device_of_index(_core.default_device())
    if isinstance(spec, Device):
        return spec
    if isinstance(spec, str):
        kind, _, number = spec.partition(":")
        if kind == "cpu" and (not number or number.isdigit()) and int(number or 0) < MAX_CPU_DEVICES:
            return device_of_index(int(number or 0))
    raise DeviceError(
        f"[{function}] expected a device such as 'cpu:0' (devices here: cpu:0 to cpu:{MAX_CPU_DEVICES - 1}), got {spec!r}"
    )


def memory_stats(device: object = None) -> dict[str, int]:
    """Bytes of tensors on a device ("cpu:1"), or on all for None: allocated, cached, peak, cap, held, and the count of blocks."""
    return _core.memory_stats(-1 if device is None else as_device(device, "memory_stats").index)


@contextmanager
def device(spec: object):
    """`with twain.device("cpu:1"):` makes it the default place for new tensors of this thread."""
    place = as_device(spec)
    before = _core.set_default_device(place.index)
    try:
        yield place
    finally:
        _core.set_default_device(before)
