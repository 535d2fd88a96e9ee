"""The graph of a model as TensorBoard's graph page shows it: modules are boxes that open, ops are nodes in them."""

from __future__ import annotations

import re
from typing import Any

from twain.nn.tracing import ModuleCall, ModuleTrace, OpCall, TracedValue

# types.proto of TensorFlow; complex numbers and bfloat16 included.
_TYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8, "int64": 9, "bool": 10,
    "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip
_LONGEST = 400  # characters of an attribute's text


class _Names:
    """Unique names of nodes; what names a box names no node."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def reserve(self, name: str) -> None:
        while name:
            self.taken.add(name)
            name = name.rpartition("/")[0]

    def fresh(self, name: str) -> str:
        candidate, number = name, 0
        while candidate in self.taken:
            number += 1
            candidate = f"{name}_{number}"
        self.taken.add(candidate)
        return candidate


def clean(name: str) -> str:
    """A name as nodes may have it: no slashes and blanks of its own."""
    return re.sub(r"[^A-Za-z0-9_.\[\]-]", "_", name) or "_"


def _box(call: ModuleCall) -> str:
    """What a module's box is called: its class and its name; further calls of the same module get a number."""
    label = f"{call.kind}[{call.name}]" if call.name else call.kind
    return clean(label if call.number == 0 else f"{label}_{call.number}")


def _scope(calls: tuple[ModuleCall, ...]) -> str:
    return "/".join(map(_box, calls))


def graph_def(trace: ModuleTrace) -> Any:
    """The GraphDef (a message of tensorboardX) of a traced model."""
    from tensorboardX.proto.graph_pb2 import GraphDef
    from tensorboardX.proto.versions_pb2 import VersionDef

    return GraphDef(node=_Builder(trace).nodes, versions=VersionDef(producer=22))


class _Builder:
    def __init__(self, trace: ModuleTrace):
        self.nodes: list[Any] = []
        self.names = _Names()
        self.node_of: dict[int, str] = {}  # number of a value -> how inputs name it
        homes: dict[str, str] = {}  # path of a module -> the box of its first call
        for call in trace.calls:
            self.names.reserve(_scope(call.scope))
            for depth, module in enumerate(call.scope, start=1):
                homes.setdefault(module.path, _scope(call.scope[:depth]))
        for name, value in trace.inputs.items():
            self.leaf("Placeholder", clean(name), value, {})
        for kind, table in (("parameter", trace.parameters), ("buffer", trace.buffers)):
            for path, value in table.items():
                owner, _, name = path.rpartition(".")
                home = self._home(owner, homes)
                self.leaf("VariableV2", f"{home}/{clean(name)}" if home else clean(path), value, {kind: path})
        # Constants stand beside the op that takes them first.
        self.waiting = dict(trace.constants)
        for call in trace.calls:
            self.op(call)
        for name, value in trace.outputs.items():
            if value.number in self.waiting:
                self.leaf("Const", "constant", self.waiting.pop(value.number), {})
            label = name if name == "output" else f"output{name}"
            self.add("Identity", clean(label), [self.node_of[value.number]], (value,), {})

    def _home(self, owner: str, homes: dict[str, str]) -> str:
        while owner not in homes and owner:
            owner = owner.rpartition(".")[0]
        return homes.get(owner, "")

    def leaf(self, op: str, name: str, value: TracedValue, attributes: dict[str, Any]) -> None:
        self.node_of[value.number] = self.add(op, name, [], (value,), attributes)

    def op(self, call: OpCall) -> None:
        scope = _scope(call.scope)
        inside = f"{scope}/" if scope else ""
        inputs = []
        for x in call.inputs:
            if isinstance(x, TracedValue):
                if x.number in self.waiting:
                    self.leaf("Const", f"{inside}constant", self.waiting.pop(x.number), {})
                inputs.append(self.node_of[x.number])
            elif x is not None:
                inputs.append(self.add("Const", f"{inside}number", [], (), {"value": x}))
        attributes = call.attributes()
        if call.scope:
            attributes["module"] = call.scope[-1].path
        name = self.add(call.name, inside + clean(call.name), inputs, call.outputs, attributes)
        for i, value in enumerate(call.outputs):
            self.node_of[value.number] = name if i == 0 else f"{name}:{i}"

    def add(
        self, op: str, name: str, inputs: list[str], outputs: tuple[TracedValue, ...], attributes: dict[str, Any]
    ) -> str:
        """A node; returns the name it got."""
        from tensorboardX.proto.attr_value_pb2 import AttrValue
        from tensorboardX.proto.node_def_pb2 import NodeDef

        name = self.names.fresh(name)
        attr = {key: _attribute(value) for key, value in attributes.items()}
        if outputs:
            shapes = AttrValue.ListValue(shape=[_shape(v.shape) for v in outputs])
            attr["_output_shapes"] = AttrValue(list=shapes)
            attr["dtype"] = AttrValue(type=_TYPES.get(str(outputs[0].dtype).removeprefix("twain."), 0))
            if not inputs:
                attr["shape"] = AttrValue(shape=_shape(outputs[0].shape))
        self.nodes.append(NodeDef(name=name, op=op, input=inputs, attr=attr))
        return name


def _shape(shape: tuple[int, ...]) -> Any:
    from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in shape])


def _attribute(value: Any) -> Any:
    from tensorboardX.proto.attr_value_pb2 import AttrValue

    if isinstance(value, bool):
        return AttrValue(b=value)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return AttrValue(i=value)
    if isinstance(value, float):
        return AttrValue(f=value)
    text = value if isinstance(value, str) else repr(value)
    return AttrValue(s=(text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "...").encode())


__all__ = ["clean", "graph_def"]
