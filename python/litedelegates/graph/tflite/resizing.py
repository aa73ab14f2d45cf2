"""The shapes that tensors have when inputs are given other sizes than the file's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litedelegates.errors import CompileError, OptionError, nearest
from litedelegates.model import Model, takes_shape


def shapes_when_run(model: Model, subgraph: int, shapes: Mapping[str, Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the shape of each tensor of a subgraph, as the runtime allocates it for inputs of the given shapes.

    Raises:
        OptionError: There is no such input, or the runtime refuses the shape.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    if subgraph != 0:
        raise OptionError("only the inputs of the first signature can be given another shape")
    names = model.names(0)
    tensors = model.subgraphs[0].tensors
    known = {names.get(index, tensors[index].name): index for index in model.subgraphs[0].inputs}
    for name, shape in shapes.items():
        if name not in known:
            raise OptionError(f"the model has no input {name!r}. {nearest(name, known)}")
        tensor = tensors[known[name]]
        if not takes_shape(tensor, shape):  # a folded file no longer says so itself
            stored = tuple(tensor.shape_signature or tensor.shape)
            raise OptionError(f"input {name!r} cannot have the shape {tuple(shape)}: the file says {stored}")
    # The official Interpreter, because it tells the shapes of inner tensors.
    try:
        interpreter: Any = Interpreter(
            model_content=_content(model, shapes, known),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
    except (ValueError, RuntimeError) as error:  # such as an op that it does not have
        raise OptionError(f"the shapes inside {model.name} cannot be had from the runtime: {error}") from error
    for name, shape in shapes.items():
        try:
            interpreter.resize_tensor_input(known[name], list(shape), strict=True)
        except (ValueError, RuntimeError) as error:
            raise OptionError(f"input {name!r} cannot have the shape {tuple(shape)}: {error}") from error
    try:
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise OptionError(f"the model does not run with the shapes {dict(shapes)}: {error}") from error
    found = {entry["index"]: entry["shape"] for entry in interpreter.get_tensor_details()}
    # It lists no tensor that nobody uses.
    return [tuple(map(int, found.get(index, tensor.shape))) for index, tensor in enumerate(tensors)]


def _content(model: Model, shapes: Mapping[str, Sequence[int]], known: Mapping[str, int]) -> bytes:
    """Return the file, with what it computes from the sizes of its inputs as constants where that can be had.

    The runtime allocates what has computed sizes only while the model runs, and says nothing of it before.
    """
    tensors = model.subgraphs[0].tensors
    wanted = [shapes.get(name, tensors[index].shape) for name, index in known.items()]
    try:
        folded = model.file.fold(0, [list(shape) for shape in wanted])
    except CompileError:  # these sizes are no sizes for it: the runtime says why
        return bytes(model.file.bytes)
    return bytes(model.file.bytes if folded.obstacle else folded.file.bytes)
