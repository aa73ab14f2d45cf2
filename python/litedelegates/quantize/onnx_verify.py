"""Whether each op of a quantized ONNX model is what was asked: onnxruntime silently leaves what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from litedelegates.errors import NothingToQuantizeError, OptionError, QuantizationError
from litedelegates.graph.tflite.tree import name_some
from litedelegates.quantize.onnx_dynamic import MATMUL_SUFFIX
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.plan import Op
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request

if TYPE_CHECKING:
    import onnx

QUANTIZED_SUFFIX = "_quant"  # what onnxruntime calls the ops that it puts in the place of others
DYNAMIC_OPS = {"ConvInteger", "MatMulInteger", "DynamicQuantizeLSTM"}
FOLLOWERS = {
    "Clip",
    "Flatten",
    "MaxPool",
    "Pad",
    "Relu",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
BIASED = {"Conv", "ConvTranspose", "Gemm"}  # their third input is added in 32 bits, or in float32 where it is computed
# Of the tensor types that TensorProto numbers.
KINDS = {1: FLOAT32, 2: "int8", 3: "int8", 4: "int16x8", 5: "int16x8", 10: "float16"}


def says_something(index: GraphIndex, node: Any, precision: str) -> bool:
    """Return whether ``precision`` can change ``node``: by its float32 weights, or the floats it computes with."""
    if precision in ("dynamic", "weight_only"):
        return bool(index.weights_of(node))
    computed = [name for name in node.input if name and not index.is_stored(name)]
    if precision == "float16":
        computed += node.output
    return any(KINDS.get(index.types.get(name, 0)) == FLOAT32 for name in computed)


def check_ops(
    before: GraphIndex,
    result: onnx.ModelProto,
    ops: Sequence[Op],
    wanted: Mapping[int, str],
    named: set[int],
    request: Request,
    left_out: Mapping[str, str],
) -> None:
    """Raise unless each op of ``result`` has the precision that ``wanted`` says.

    An op with weights is judged by its weights and its activations, one without by its activations. Unless the plan
    names it one by one (``named``), one without weights may have the type of its neighbours where it should stay
    float32, and stay float32 where it only hands on float32 values. Those that do not run otherwise (``left_out``, with
    the reason) have to be float32, unless the plan names them one by one.

    Raises:
        QuantizationError: Some op is different: lists them. With ``request.allow_float32_ops`` an op left in float32
            passes, as long as one is not.
        OptionError: The plan names an op for which its precision says nothing; not with ``request.allow_unchanged``.
    """
    left, different, done = [], [], 0
    index = GraphIndex(result)
    follows = _Followers(
        before, {op.name for op in ops if wanted[op.index] in STATIC_PRECISIONS and op.name not in left_out}
    )
    for op in ops:
        node, asked = before.nodes.get(op.name), wanted[op.index]
        if node is None:  # computed or folded into a neighbour beforehand
            continue
        if asked != FLOAT32 and not says_something(before, node, asked):
            if op.index in named and not request.allow_unchanged:
                raise OptionError(f"the plan asks for op {op} in {asked!r}, which says nothing about it: {_why(asked)}")
            continue
        if op.name in left_out:
            if op.index in named and not request.allow_float32_ops:
                raise QuantizationError(f"the plan asks for op {op} in {asked!r}, but {left_out[op.name]}")
            follows.note(node)
            continue
        found = precision_of(index, op.name)
        if found is None and asked in STATIC_PRECISIONS:
            found = asked  # a Relu that the range of the op before it replaces
        done += found == asked != FLOAT32
        if asked not in STATIC_PRECISIONS:
            follows.note(node)
        own = op.index in named or before.weights_of(node)
        borrowed = not own and (asked == FLOAT32 or (found == FLOAT32 and follows.float32(node)))
        if found in (asked, None) or borrowed:
            continue
        if found == FLOAT32:
            left.append(str(op))
        else:
            different.append(f"{op} is {found} instead of {asked}")
    asked_for = f"asked for {request.label}, but"
    if not done:
        raise NothingToQuantizeError(f"{asked_for} nothing was quantized: {name_some(left) or 'no op'} stayed float32")
    if different:
        raise QuantizationError(f"{asked_for} {len(different)} ops differ: {name_some(different)}")
    if left and not request.allow_float32_ops:
        raise QuantizationError(
            f"{asked_for} {len(left)} ops stayed float32: {name_some(left)}. onnxruntime does not quantize them here; "
            "allow_float32_ops=True accepts a model of mixed precision"
        )


class _Followers:
    """Ops that hand values on, or cut them off: onnxruntime leaves them in the precision of what they read.

    Rounding what was not rounded before would cost time and precision and save nothing.
    """

    def __init__(self, before: GraphIndex, rounded: set[str]) -> None:
        self._before = before
        self._rounded = rounded
        self._in_float32: set[str] = set()  # the outputs of ops that stayed float32 on purpose

    def note(self, node: Any) -> None:
        """Remember that ``node`` is float32 as it should be."""
        self._in_float32.update(node.output)

    def float32(self, node: Any) -> bool:
        """Return whether ``node`` hands on values from or to what should be float32, and remember that it does."""
        source = node.input[0] if node.input else ""
        readers = [reader for output in node.output for reader in self._before.consumers.get(output, ())]
        found = node.op_type in FOLLOWERS and (
            source not in self._before.producer
            or source in self._in_float32
            or (bool(readers) and not any(reader.name in self._rounded for reader in readers))
        )
        if found:
            self.note(node)
        return found


def precision_of(index: GraphIndex, name: str) -> str | None:
    """Return the precision that the op once called ``name`` computes in, by its tensors; None where it is gone."""
    for candidate in (name, name + QUANTIZED_SUFFIX, name + MATMUL_SUFFIX + QUANTIZED_SUFFIX):
        node = index.nodes.get(candidate)
        if node is not None:
            break
    else:
        return None
    if node.op_type in DYNAMIC_OPS:
        return "dynamic"
    if node.op_type.startswith("QLinear") or node.op_type == "QGemm":
        return "int8"
    read = node.input[:2] if node.op_type in BIASED else node.input
    data = {_kind_behind(index, name) for name in read if name and not index.is_stored(name)}
    made = {_kind_ahead(index, name) for name in node.output if name in index.consumers or name in index.outputs}
    kinds = (data | made) - {None}
    if "float16" in {_kind(index, name) for name in (*node.output, *node.input)}:
        return "float16"
    weights = [node.input[position] for position in index.weights_of(node)]
    widened = [name for name in weights if name in index.producer]
    if len(kinds) == 1 and not kinds & {FLOAT32} and len(widened) == len(weights):
        return kinds.pop()
    if made - {None} == {"int16x8"} and kinds == {"int8", "int16x8"} and len(widened) == len(weights):
        return "int16x8"  # the op before it rounds to 8 bits, and that is what travels
    return "weight_only" if widened else FLOAT32


def _kind(index: GraphIndex, name: str) -> str | None:
    """Return the precision that the type of a tensor stands for; None where it is no number to compute with."""
    known = index.types.get(name)
    if known is not None:
        return KINDS.get(known)
    maker = index.producer.get(name)  # onnx knows nothing of the outputs of onnxruntime's own ops
    if maker is None:
        return None
    if maker.op_type.startswith("QLinear") or maker.op_type == "QGemm":
        return "int8"
    return _kind(index, maker.input[0]) if maker.input else None


def _kind_behind(index: GraphIndex, name: str) -> str | None:
    maker = index.producer.get(name)
    return _kind(index, maker.input[0] if maker is not None and maker.op_type == "DequantizeLinear" else name)


def _kind_ahead(index: GraphIndex, name: str) -> str | None:
    rounded = [node for node in index.consumers.get(name, ()) if node.op_type == "QuantizeLinear"]
    return _kind(index, rounded[0].output[0] if rounded else name)


def _why(precision: str) -> str:
    if precision in ("dynamic", "weight_only"):
        return "it stores no float32 weights"
    return "it does not compute with float32 values"
