"""What in a model keeps it off the compiled route."""

from __future__ import annotations

from litedelegates import _core
from litedelegates.model import Model, Subgraph

# Border types that the compiled route hands over packed, where everybody expects one value an element.
_PACKED = frozenset({"int4", "int2", "uint4"})
# Types that the runtime's loader does not know.
_UNKNOWN_TO_LOADER = frozenset({"complex128", "resource", "variant"})


def why_classic(model: Model) -> str | None:
    """Return why a model cannot run on the compiled route, as far as the file tells; None when it can.

    Outputs whose size is only known while the model runs show after compiling (`CompiledSession.dynamic_outputs`).
    """
    for index, subgraph in enumerate(model.subgraphs):
        for tensor in map(subgraph.tensor, subgraph.tensors_not_compiled):
            if tensor.is_variable:
                return f"tensor {tensor.name!r} is a variable"
            if tensor.element_type == "complex128":
                return f"tensor {tensor.name!r} is complex128"
            # It lacks a buffer: shapes that it decides are only known while the model runs.
            return f"tensor {tensor.name!r} is a constant without elements and without a buffer"
        reason = (_why_border(subgraph) or _why_names(model, index)) if _is_entry(model, index) else None
        if reason:
            return reason
    # Where the model computes shapes, whether they depend on values is found out for the shapes at hand.
    reason = None if model.file.computes_shapes else _why_run_time_size(model.subgraphs[0])
    if reason:
        return reason
    if model.signatures and model.signature_of(0) is None:
        return "no signature runs the first subgraph"
    for signature in model.signatures:
        if not _covers(signature, model.subgraphs[signature.subgraph_index]):
            return f"signature {signature.key!r} does not name every input and output of its subgraph"
    return None


def _why_run_time_size(subgraph: Subgraph) -> str | None:
    """Outputs of unknown size where every input's size is known can only depend on values."""
    if any(-1 in subgraph.tensor(index).shape_signature for index in subgraph.inputs):
        return None
    for index in subgraph.outputs:
        if -1 in subgraph.tensor(index).shape_signature:
            return f"the size of output {subgraph.tensor(index).name!r} is only known while the model runs"
    return None


def _is_entry(model: Model, subgraph: int) -> bool:
    return subgraph == 0 or model.signature_of(subgraph) is not None


def _why_border(subgraph: Subgraph) -> str | None:
    inputs, outputs = subgraph.inputs, subgraph.outputs
    if not outputs:
        return "it has no outputs"
    if len(set(outputs)) < len(outputs) or len(set(inputs)) < len(inputs):
        return "a tensor is listed twice among its inputs or outputs"
    if set(inputs) & set(outputs):
        return "an input is passed straight through as an output"
    for index in (*inputs, *outputs):
        tensor = subgraph.tensor(index)
        if tensor.element_type in _PACKED | _UNKNOWN_TO_LOADER | {"string"}:
            return f"input or output {tensor.name!r} is of type {tensor.element_type}"
        if 0 in tensor.shape:
            return f"input or output {tensor.name!r} is empty"
    return None


def _why_names(model: Model, number: int) -> str | None:
    """The runtime finds inputs and outputs by their names."""
    given, subgraph = model.names(number), model.subgraphs[number]
    for side in (subgraph.inputs, subgraph.outputs):
        shown = (given[index] if index in given else subgraph.tensor(index).name for index in side)
        names = [name for name in shown if name]
        if len(set(names)) < len(names):
            return f"several of its inputs or outputs are called {max(names, key=names.count)!r}"
    return None


def _covers(signature: _core.Signature, subgraph: Subgraph) -> bool:
    inputs = {tensor for _, tensor in signature.inputs}
    outputs = {tensor for _, tensor in signature.outputs}
    return inputs == set(subgraph.inputs) and outputs == set(subgraph.outputs)
