"""Whether a quantized model is what was asked for: litert-quantizer leaves what it cannot do in float32, silently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litedelegates.errors import NothingToQuantizeError, OptionError, QuantizationError
from litedelegates.graph.tflite.tree import Tree, is_quantized, name_some, tensor_data, text, type_name
from litedelegates.quantize.litert_names import PlacedOp
from litedelegates.quantize.litert_precision import WEIGHT_INPUT, WIDENED_INPUTS, OpReader
from litedelegates.quantize.plan import NO_INNER, Inner, match, meant
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request

# Ops that hand their values on unchanged, and so may take the type of their neighbours.
PASS_THROUGH = {
    "BROADCAST_TO",
    "CONCATENATION",
    "DEPTH_TO_SPACE",
    "EXPAND_DIMS",
    "GATHER",
    "GATHER_ND",
    "MAX_POOL_2D",
    "PACK",
    "PAD",
    "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR",
    "REVERSE_V2",
    "SLICE",
    "SPACE_TO_DEPTH",
    "SPLIT",
    "SPLIT_V",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TILE",
    "TRANSPOSE",
    "UNPACK",
}
# No kernel of these computes with integers: their weights are stored as for the other precision.
_STORED_AS = {"dynamic": "weight_only"}
BORDER_TYPE = {"float32": "FLOAT32", "int8": "INT8", "uint8": "UINT8", "int16": "INT16"}


def check_float32(tree: Tree) -> None:
    """Raise unless ``tree`` is a plain float32 model.

    Raises:
        QuantizationError: It is quantized already, or holds float16 or sparse tensors.
    """
    tensors = [tensor for graph in tree.subgraphs for tensor in graph.tensors]
    sparse = [text(tensor.name) for tensor in tensors if tensor.sparsity is not None]
    if sparse:
        raise QuantizationError(
            f"the model stores {len(sparse)} sparse weights ({name_some([*map(repr, sparse)], 2)}), which "
            "litert-quantizer does not read. Start from the model with dense weights"
        )
    for fault, found in {
        "is quantized already": [tensor for tensor in tensors if is_quantized(tensor)],
        "computes in float16": [tensor for tensor in tensors if type_name(tensor) == "FLOAT16"],
    }.items():
        if found:
            types = "/".join(sorted({type_name(tensor) for tensor in found}))
            examples = name_some([repr(text(tensor.name)) for tensor in found], 3)
            raise QuantizationError(
                f"the model {fault}: {len(found)} of its {len(tensors)} tensors are {types} ({examples}). "
                "Start from the float32 model"
            )


def check_something_to_do(tree: Tree, ops: Sequence[PlacedOp], wanted: dict[int, str]) -> None:
    """Raise where only stored weights should change and no op that should change stores any.

    Raises:
        NothingToQuantizeError: There is nothing to quantize.
    """
    reader = OpReader(tree)
    asked = [op for op in ops if wanted[op.index] != FLOAT32]
    if not asked:
        raise QuantizationError("the plan leaves every op in float32: name a precision for some of them")
    if not any(wanted[op.index] in STATIC_PRECISIONS or reader.weights_of(op) for op in asked):
        which = "the ops asked for have" if len(asked) < len(ops) else "the model has"
        kinds = ", ".join([*WEIGHT_INPUT, "GATHER", "LSTM"])
        raise NothingToQuantizeError(f"{which} nothing to quantize: no weights stored for one of {kinds}")


def check_ops(
    tree: Tree,
    ops: Sequence[PlacedOp],
    wanted: dict[int, str],
    named: set[int],
    request: Request,
    inner: Inner = NO_INNER,
) -> None:
    """Raise unless each op of ``tree`` has the precision that ``wanted`` says.

    An op with weights is judged by its weights and its activations, one without by its activations; an op that only
    hands values on may have the type of its neighbours, unless the plan names it one by one (``named``) or it is
    float32 where integers were asked for.

    Raises:
        QuantizationError: Some op is different: lists them. With ``request.allow_float32_ops`` an op left in float32
            passes, as long as one is not.
        OptionError: A key of the plan means only ops for which its precision says nothing.
    """
    reader = OpReader(tree)
    left, different, done = [], [], set()
    for op in ops:
        asked, found = wanted[op.index], reader.precision_of(op)
        if FLOAT32 != found in (asked, _STORED_AS.get(asked) if op.type in WIDENED_INPUTS else asked):
            done.add(op.index)
        if _is_as_asked(reader, op, asked, found, op.index in named):
            continue
        if found == FLOAT32:
            left.append(op)
        else:
            different.append(f"{op} is {found} instead of {asked}")
    asked_for = f"asked for {request.label}, but"
    if not done:
        raise NothingToQuantizeError(
            f"{asked_for} nothing was quantized: {name_some([*map(str, left)])} stayed float32"
        )
    if different:
        raise QuantizationError(f"{asked_for} {len(different)} ops differ: {name_some(different)}")
    if left and not request.allow_float32_ops:
        types = sorted({op.type for op in left})
        raise QuantizationError(
            f"{asked_for} {len(left)} ops stayed float32: {name_some([*map(str, left)])}. litert-quantizer does not do "
            f"them here: exclude={types} leaves them out, allow_float32_ops=True accepts them"
        )
    _check_keys(ops, wanted, done, {op.index for op in left}, request, inner)


def check_values(tree: Tree) -> None:
    """Raise unless all scales are usable and all float16 weights finite.

    Raises:
        QuantizationError: A scale is not positive and finite, or a weight is too large for float16.
    """
    for graph in tree.subgraphs:
        for tensor in graph.tensors:
            if is_quantized(tensor):
                scales = np.asarray(tensor.quantization.scale)
                if not (np.isfinite(scales).all() and (scales > 0).all()):
                    raise QuantizationError(
                        f"tensor {text(tensor.name)!r} got scales from {scales.min()} to {scales.max()}, which must be "
                        "positive and finite: look for extreme weights or calibration values"
                    )
            elif type_name(tensor) == "FLOAT16":
                data = tensor_data(tree, tensor)
                if data is not None and not np.isfinite(data).all():
                    bad = np.count_nonzero(~np.isfinite(data))
                    raise QuantizationError(
                        f"weights {text(tensor.name)!r} hold {bad} values that are not finite in float16, whose "
                        "largest number is 65504: use 'dynamic' or 'int8', or retrain"
                    )


def check_border(tree: Tree, border: str) -> None:
    """Raise unless the inputs and outputs of ``tree`` that carry real numbers have the type ``border``.

    Raises:
        QuantizationError: One has another.
    """
    graph = tree.subgraphs[0]
    for role, indices in {"input": graph.inputs, "output": graph.outputs}.items():
        for index in indices:
            tensor = graph.tensors[index]
            found = type_name(tensor)
            if (found == "FLOAT32" or is_quantized(tensor)) and found != BORDER_TYPE[border]:
                raise QuantizationError(f"asked for border={border!r}, but {role} {text(tensor.name)!r} is {found}")


def _is_as_asked(reader: OpReader, op: PlacedOp, asked: str, found: str | None, named: bool) -> bool:
    if found is None or found == asked:
        return True
    if op.type in WIDENED_INPUTS and found == _STORED_AS.get(asked):
        return True
    if op.type in PASS_THROUGH and not named:
        return not (found == FLOAT32 and asked in STATIC_PRECISIONS)
    # Precisions of weights say nothing of an op that stores none: it computes in float32, as it should.
    return found == FLOAT32 and asked not in STATIC_PRECISIONS and reader.weights_of(op) is None


def _check_keys(
    ops: Sequence[PlacedOp], wanted: dict[int, str], done: set[int], left: set[int], request: Request, inner: Inner
) -> None:
    keys = dict.fromkeys(request.only, request.precision) if request.only else dict(request.plan)
    for key, precision in keys.items():
        found = match(key, ops)
        ours = {index for index in meant(found, inner) if wanted[index] == precision}
        if not request.allow_unchanged and precision != FLOAT32 and ours and not ours & (done | left):
            shown = name_some([str(op) for op in ops if op.index in ours and op.index in found.ops])
            raise OptionError(
                f"plan key {key!r} asks for {precision}, which changes nothing here: {shown} "
                + ("computes no real numbers" if precision in STATIC_PRECISIONS else "stores no weights")
            )
