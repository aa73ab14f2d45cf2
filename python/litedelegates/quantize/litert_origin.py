"""Finds the op of a quantized ``.tflite`` at which its values begin to be off, or which does not run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

from numpy.typing import NDArray

from litedelegates.border import Quantization
from litedelegates.graph.tflite.tree import (
    Tree,
    is_quantized,
    op_name,
    parse,
    repair,
    serialize,
    shape_of,
    text,
    type_name,
)
from litedelegates.interpreter import Interpreter
from litedelegates.measure.error import real_values
from litedelegates.quantize.float16_weights import fold_in_tree
from litedelegates.quantize.litert_names import PlacedOp
from litedelegates.quantize.litert_ranges import Samples
from litedelegates.quantize.value_check import InnerError, OutputError, OutputSums, ValueCheck, where_error_begins

# Every inner tensor of both models is held; of larger models nothing is told.
_MOST_BYTES = 1 << 30
_SAMPLES = 4
# How the runtime and the check of a file name an op: by its number in a model that the user has never seen.
_NUMBERED = re.compile(r"Node number (?P<node>\d+) \((?P<ran>\w+)\)|operator \d+ of subgraph \d+: (?P<stored>\w+)")


def describe_origin(
    source: bytes, result: bytes, rows: Samples, names: Sequence[str], check: ValueCheck, num_threads: int
) -> str:
    """Return where values begin to be off and what to do, as the end of a text; empty where it cannot be told.

    Args:
        source: The model that was quantized.
        result: What it became, whose tensors have the indices that they had.
        rows: Samples by input name.
        names: Of the inputs, in order.
        check: How the outputs differ.
        num_threads: Threads of the kernels.
    """
    before, after = parse(source), parse(result)
    fold_in_tree(before)
    repair(before)
    if _computed_bytes(before) > _MOST_BYTES:
        return ""
    explained = check.outputs[0].explained
    try:
        few = rows[: _SAMPLES if check.samples > _SAMPLES else 1]  # of a model that takes long
        errors = _inner_errors(before, after, result, few, names, explained, num_threads)
    except (ValueError, RuntimeError):
        return ""  # the kernels without delegates do not take it: what is known is said already
    found = _origin(before, errors, explained, any(output.columns for output in check.outputs))
    if found is None:
        return ""
    op, how = found
    kind, name = op_name(before, op), _name(before, op)
    is_alone = [op_name(before, other) for other in before.subgraphs[0].operators].count(kind) == 1
    return f". It begins at {kind} {name!r}{how}: exclude=[{(kind if is_alone else name)!r}] leaves that op in float32"


def describe_failure(ops: Sequence[PlacedOp], result: bytes | None, label: str, said: str) -> str:
    """Return that the model in ``label`` does not run: which op it is, what to do, and what was ``said``.

    Args:
        ops: Those of the model that was quantized.
        result: What it became, whose tensors have the names that they had; None where it is not known.
        label: The precision.
        said: By the runtime, or by the check of the file.
    """
    found = _NUMBERED.search(said)
    kind = (found["ran"] or found["stored"]) if found is not None else ""
    alike = [op for op in ops if op.type == kind]
    if found is None or not alike:
        return f"the model in {label} does not run: {said}"
    name = _failing_name(parse(result), found) if result is not None else ""
    op = next((op for op in alike if op.name == name), alike[0] if len(alike) == 1 else None)
    if op is None:
        return f"{kind} does not run in {label}: exclude=[{kind!r}] leaves such ops in float32. Tried: {said}"
    key = kind if len(alike) == 1 else op.name
    return f"op {op.index}, {op}, does not run in {label}: exclude=[{key!r}] leaves it in float32. Tried: {said}"


def _failing_name(result: Tree, found: re.Match[str]) -> str:
    operators = result.subgraphs[0].operators
    # Each subgraph counts its own, and ops that compute shapes are folded away before the runtime counts.
    if len(result.subgraphs) > 1 or any(op_name(result, op) == "SHAPE" for op in operators):
        return ""
    number = int(found["node"] or -1)
    if 0 <= number < len(operators) and op_name(result, operators[number]) == found["ran"]:
        return _name(result, operators[number])
    return ""


def _inner_errors(
    before: Tree, after: Tree, result: bytes, rows: Samples, names: Sequence[str], explained: float, num_threads: int
) -> dict[int, OutputError]:
    """Return the error of each tensor that both models compute, by its index."""
    sums = {place: OutputSums() for place in _common(before, after)}
    keep: dict[str, Any] = {"num_threads": num_threads, "experimental_preserve_all_tensors": True}
    with (
        closing(Interpreter(serialize(before), None, **keep)) as one,
        closing(Interpreter(result, None, **keep)) as other,
    ):
        for row in rows:
            for interpreter in (one, other):
                interpreter.reset_all_variables()
                interpreter.run(*(row[name] for name in names), quantize=True)
            for place, sum_ in sums.items():
                x, y = _value(one, place), _value(other, place)
                if x is not None and y is not None and x.shape == y.shape:
                    sum_.add(x, real_values(y, _quantization(after.subgraphs[0].tensors[place])))
    return {place: sum_.result(_tensor_name(before, place), explained) for place, sum_ in sums.items()}


def _origin(
    before: Tree, errors: Mapping[int, OutputError], explained: float, by_columns: bool
) -> tuple[Any, str] | None:
    """Return the op and what it does to the values, as the end of a sentence."""
    inner, ops = [], {}
    for number, op in enumerate(before.subgraphs[0].operators):
        made = [errors[index] for index in op.outputs if index in errors]
        read = [errors[index] for index in op.inputs if index in errors]
        if not made:
            continue
        if by_columns and any(error.columns for error in made) and not any(error.columns for error in read):
            return op, ""
        after_it = max(error.relative_error for error in made)
        inner.append(InnerError(str(number), max((error.relative_error for error in read), default=0.0), after_it))
        ops[str(number)] = op
    first = where_error_begins(inner, explained)
    if first is None:
        return None
    if math.isinf(first.after):
        return ops[first.op], ", whose values are no longer finite or no longer zero"
    return ops[first.op], f", where it grows from {first.before:.0%} to {first.after:.0%}"


def _common(before: Tree, after: Tree) -> Iterator[int]:
    """Yield the real tensors of the first subgraph that are computed and are the same in both models."""
    one, other = before.subgraphs[0], after.subgraphs[0]
    for index in dict.fromkeys(index for op in one.operators for index in op.outputs if index >= 0):
        if index < len(other.tensors) and type_name(one.tensors[index]) == "FLOAT32":
            tensor = other.tensors[index]
            is_real = type_name(tensor) == "FLOAT32" or is_quantized(tensor)
            same = text(tensor.name) == text(one.tensors[index].name) and shape_of(tensor) == shape_of(
                one.tensors[index]
            )
            if is_real and same:
                yield index


def _value(interpreter: Interpreter, index: int) -> NDArray[Any] | None:
    with suppress(ValueError, RuntimeError):
        value: NDArray[Any] = interpreter.get_tensor(index)
        return value
    return None


def _quantization(tensor: Any) -> Quantization | None:
    if not is_quantized(tensor):
        return None
    scales = tuple(float(scale) for scale in tensor.quantization.scale)
    stored = tensor.quantization.zeroPoint
    zero_points = tuple(int(zero) for zero in stored) if stored is not None and len(stored) else (0,) * len(scales)
    return Quantization(scales, zero_points, tensor.quantization.quantizedDimension)


def _computed_bytes(tree: Tree) -> int:
    made = (graph.tensors[index] for graph in tree.subgraphs for op in graph.operators for index in op.outputs)
    return sum(4 * math.prod(shape_of(tensor)) for tensor in made)


def _name(tree: Tree, op: Any) -> str:
    return next((_tensor_name(tree, index) for index in op.outputs if index >= 0), "")


def _tensor_name(tree: Tree, index: int) -> str:
    return text(tree.subgraphs[0].tensors[index].name)
