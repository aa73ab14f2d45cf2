"""What is known of layers and variants without running them: names, shapes, bytes of outputs and of cuts."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from pathlib import Path

from litedelegates.errors import OptionError, nearest
from litedelegates.files import hash_file
from litedelegates.graph import Cut, Graph, Op, Tensor
from litedelegates.layers.records import LayerInfo, VariantInfo
from litedelegates.layers.variants import Variant


def layer_ops(graph: Graph) -> tuple[Op, ...]:
    """Return the ops that are layers: all but those that only make constants."""
    return tuple(op for op in graph.ops if not op.is_fixed)


def layer_infos(graph: Graph) -> list[LayerInfo]:
    """Return the layers of a float32 model."""
    return [_info(op, cut) for op, cut in _with_cuts(graph)]


def variant_info(variant: Variant, note: str = "") -> VariantInfo:
    """Return what the layers of a variant hand on, in the types that its file has.

    What the variant does not hold as one tensor (it was fused away) is None.
    """
    nbytes, cut_nbytes = {}, {}
    for op, cut in _with_cuts(variant.source):
        nbytes[op.index] = _held(variant, op.makes)
        if cut is not None and cut.refusal is None:
            cut_nbytes[op.index] = _held(variant, cut.tensors)
    file = Path(variant.path)
    return VariantInfo(variant.precision, hash_file(file), file.stat().st_size, nbytes, cut_nbytes, note)


def choose_layers(graph: Graph, wanted: Sequence[str] = ()) -> tuple[int, ...]:
    """Return the indices of the layers that are meant; of all where nothing is named.

    Args:
        graph: The float32 model.
        wanted: An index ("3"), a range of them, both ends included ("10-20"), a type ("CONV_2D"), or a name, which may
            be a pattern ("block2/*").

    Raises:
        OptionError: One of them means no layer; names the nearest type.
    """
    ops = layer_ops(graph)
    chosen: set[int] = set()
    for text in wanted:
        found = {op.index for op in ops if _is_meant(op, text)}
        if not found:
            raise OptionError(
                f"layers={text!r} means none of the {len(ops)} layers of {graph.name}: give indices up to "
                f"{ops[-1].index}, a type or a name. {nearest(text, {op.type for op in ops})}"
            )
        chosen |= found
    return tuple(op.index for op in ops if not wanted or op.index in chosen)


def _is_meant(op: Op, text: str) -> bool:
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() or not dash):
        return int(first) <= op.index <= int(last or first)
    return op.type.lower() == text.lower() or fnmatch.fnmatchcase(op.name, text)


def _with_cuts(graph: Graph) -> list[tuple[Op, Cut | None]]:
    """Return each layer with the cut after it; None for the last, after which nothing computes."""
    ops = layer_ops(graph)
    return [(op, graph.cuts[op.index] if op is not ops[-1] else None) for op in ops]


def _info(op: Op, cut: Cut | None) -> LayerInfo:
    made = op.makes
    nbytes = {
        "float32": _total(tensor.nbytes for tensor in made),
        "float16": _total(tensor.float16_nbytes for tensor in made),
        "int8": _total(tensor.int8_nbytes for tensor in made),
    }
    is_cut = cut is not None and cut.refusal is None
    return LayerInfo(
        index=op.index,
        type=op.type,
        name=op.name,
        output=made[0].name if made else "",
        shape=made[0].shape if made else None,
        nbytes=nbytes,
        cut_nbytes={"float32": cut.nbytes, "float16": cut.float16_nbytes, "int8": cut.int8_nbytes}
        if cut is not None and is_cut
        else {},
        refusal=None if cut is None else cut.refusal,
        computes_shape=op.computes_shape,
    )


def _held(variant: Variant, tensors: Iterable[Tensor]) -> int | None:
    found = [variant.tensor_of(tensor) for tensor in tensors]
    return _total(None if tensor is None else tensor.nbytes for tensor in found)


def _total(sizes: Iterable[int | None]) -> int | None:
    known = list(sizes)
    return None if None in known else sum(size for size in known if size is not None)
