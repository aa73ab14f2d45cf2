"""Trials of ops that move values: reshaping, transposing, joining, padding, slicing and gathering."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from op_trials import Const, In, Out, Trial, integers, normal, options


def rearranging() -> Iterator[Trial]:
    """Return trials of ops that reshape, transpose, join, split and repeat."""
    for shape, to in (
        ((1, 4, 6, 2), (1, 48)),
        ((1, 4, 6, 2), (48,)),
        ((1, 4, 6, 2), (1, 6, 4, 2)),
        ((1, 4, 6, 2), (1, 2, 2, 12)),
        ((2, 4, 6, 2), (2, 48)),
        ((2, 4, 6, 2), (4, 4, 3, 2)),
        ((2, 4, 6, 2), (1, 4, 6, 4)),
        ((6, 4), (2, 3, 4)),
        ((6, 4), (1, 2, 3, 4)),
        ((1, 4, 6, 2), (1, 2, 2, 6, 2)),
        ((1, 2, 2, 6, 2), (1, 4, 6, 2)),
    ):
        yield Trial("RESHAPE", f"{shape} to {to}", (In(shape), integers(*to)), options("Reshape", newShape=list(to)))
    for shape, order in (
        *(((2, 3, 4, 5), order) for order in itertools.permutations(range(4))),
        *(((2, 3, 4), order) for order in itertools.permutations(range(3))),
        ((3, 4), (1, 0)),
        ((1, 2, 3, 4, 5), (0, 2, 1, 4, 3)),
    ):
        yield Trial("TRANSPOSE", f"{shape} {order}", (In(shape), integers(*order)), options("Transpose"))
    for shape, axes in (((1, 4, 1, 3), (0,)), ((1, 4, 1, 3), (2,)), ((1, 4, 1, 3), (0, 2)), ((1, 4, 3), ())):
        table = options("Squeeze", squeezeDims=list(axes))
        yield Trial("SQUEEZE", f"{shape} {axes}", (In(shape),), table)
    for shape, axis in (((4, 3), 0), ((4, 3), 1), ((4, 3), -1), ((2, 4, 3), 1)):
        yield Trial("EXPAND_DIMS", f"{shape} {axis}", (In(shape), Const(np.int32(axis))), options("ExpandDims"))
    for shape, block in (((1, 4, 6, 8), 2), ((2, 6, 6, 9), 3), ((1, 6, 6, 9), 3), ((2, 4, 4, 4), 2), ((1, 2, 2, 4), 2)):
        yield Trial("DEPTH_TO_SPACE", f"{shape} {block}", (In(shape),), options("DepthToSpace", blockSize=block))
        yield Trial("SPACE_TO_DEPTH", f"{shape} {block}", (In(shape),), options("SpaceToDepth", blockSize=block))
    pads = Const(np.array([[0, 0], [0, 0]], np.int32))
    more = Const(np.array([[1, 1], [0, 2]], np.int32))
    for shape in ((1, 4, 6, 3), (2, 4, 6, 3)):
        table = options("SpaceToBatchND")
        yield Trial("SPACE_TO_BATCH_ND", f"{shape}", (In(shape), integers(2, 2), pads), table)
        yield Trial("SPACE_TO_BATCH_ND", f"{shape} padded", (In(shape), integers(2, 2), more), table)
    for crops, said in ((pads, ""), (Const(np.array([[1, 0], [0, 1]], np.int32)), " cropped")):
        table = options("BatchToSpaceND")
        yield Trial("BATCH_TO_SPACE_ND", f"(4, 3, 2, 3){said}", (In((4, 3, 2, 3)), integers(2, 2), crops), table)
        yield Trial("BATCH_TO_SPACE_ND", f"(8, 3, 2, 3){said}", (In((8, 3, 2, 3)), integers(2, 2), crops), table)
    for shape in ((1, 4, 6, 3), (2, 4, 6, 3), (6, 3), (2, 5, 3)):
        for axis in range(len(shape)):
            two = (In(shape), In(shape))
            yield Trial("CONCATENATION", f"two {shape} axis {axis}", two, options("Concatenation", axis=axis))
            three = (*two, Const(normal(*shape)))
            yield Trial(
                "CONCATENATION", f"with a constant {shape} axis {axis}", three, options("Concatenation", axis=axis)
            )
            five = (In(shape),) * 5
            yield Trial("CONCATENATION", f"five {shape} axis {axis}", five, options("Concatenation", axis=axis))
            yield Trial("PACK", f"{shape} axis {axis}", two, options("Pack", axis=axis, valuesCount=2))
            count = shape[axis]
            yield Trial(
                "UNPACK",
                f"{shape} axis {axis}",
                (In(shape),),
                options("Unpack", num=count, axis=axis),
                (Out(),) * count,
            )
            if count % 2 == 0:
                reads = (Const(np.int32(axis)), In(shape))
                yield Trial("SPLIT", f"{shape} axis {axis}", reads, options("Split", numSplits=2), (Out(), Out()))
            if count > 2:
                reads = (In(shape), integers(1, count - 1), Const(np.int32(axis)))
                yield Trial("SPLIT_V", f"{shape} axis {axis}", reads, options("SplitV", numSplits=2), (Out(), Out()))
            yield Trial("REVERSE_V2", f"{shape} axis {axis}", (In(shape), integers(axis)), options("ReverseV2"))
            times = [1] * len(shape)
            times[axis] = 3
            yield Trial("TILE", f"{shape} {times}", (In(shape), integers(*times)), options("Tile"))
    for shape, to in (((1, 1, 1, 3), (1, 4, 5, 3)), ((1, 4, 1, 1), (1, 4, 5, 3)), ((3,), (4, 3)), ((1, 3), (2, 3))):
        yield Trial("BROADCAST_TO", f"{shape} to {to}", (In(shape), integers(*to)), options("BroadcastTo"))
    lengths = Const(np.array([2, 4], np.int32))
    table = options("ReverseSequence", seqDim=1, batchDim=0)
    yield Trial("REVERSE_SEQUENCE", "(2, 5, 3)", (In((2, 5, 3)), lengths), table)


def padding() -> Iterator[Trial]:
    """Return trials of padding."""
    for shape, pads in (
        ((1, 5, 6, 3), ((0, 0), (1, 1), (1, 1), (0, 0))),
        ((1, 5, 6, 3), ((0, 0), (0, 2), (3, 0), (0, 0))),
        ((1, 5, 6, 3), ((0, 0), (0, 0), (0, 0), (1, 2))),
        ((1, 5, 6, 4), ((0, 0), (0, 0), (0, 0), (0, 4))),
        ((1, 5, 6, 3), ((1, 1), (0, 0), (0, 0), (0, 0))),
        ((2, 5, 6, 3), ((0, 0), (1, 0), (0, 1), (0, 0))),
        ((5, 6), ((1, 1), (0, 2))),
        ((2, 5, 6), ((0, 0), (1, 1), (0, 2))),
    ):
        widths = Const(np.array(pads, np.int32))
        yield Trial("PAD", f"{shape} {pads}", (In(shape), widths), options("Pad"))
        for value in (0.0, -9.0, 0.5, float("-inf")):
            reads = (In(shape), widths, Const(np.float32(value)))
            yield Trial("PADV2", f"{shape} {pads} with {value:g}", reads, options("PadV2"))
        for mode, said in ((0, "reflect"), (1, "symmetric")):
            yield Trial("MIRROR_PAD", f"{shape} {pads} {said}", (In(shape), widths), options("MirrorPad", mode=mode))


def slicing() -> Iterator[Trial]:
    """Return trials of slices."""
    for shape, begin, size in (
        ((1, 5, 6, 4), (0, 1, 2, 0), (1, 3, 3, 4)),
        ((1, 5, 6, 4), (0, 0, 0, 1), (1, 5, 6, 2)),
        ((1, 5, 6, 4), (0, 1, 0, 0), (-1, -1, -1, -1)),
        ((3, 5, 6, 4), (1, 0, 0, 0), (2, 5, 6, 4)),
        ((5, 6), (1, 2), (3, 3)),
        ((2, 5, 6), (1, 1, 2), (1, 3, 3)),
    ):
        yield Trial(
            "SLICE", f"{shape} {begin} {size}", (In(shape), integers(*begin), integers(*size)), options("Slice")
        )
    for shape, begin, end, step, masks in (
        ((1, 5, 6, 4), (0, 1, 2, 0), (1, 4, 5, 4), (1, 1, 1, 1), {}),
        ((1, 5, 6, 4), (0, 0, 0, 0), (1, 5, 6, 4), (1, 2, 2, 1), {}),
        ((1, 5, 6, 4), (0, 1, 0, 1), (1, 5, 6, 4), (1, 3, 2, 2), {}),
        ((1, 5, 6, 4), (0, 4, 5, 3), (1, -6, -7, -5), (1, -1, -1, -1), {}),
        ((1, 5, 6, 4), (0, -3, -4, 0), (1, -1, -1, 4), (1, 1, 1, 1), {}),
        ((1, 5, 6, 4), (0, 1, 0, 0), (0, 3, 0, 0), (1, 1, 1, 1), {"beginMask": 13, "endMask": 13}),
        ((1, 5, 6, 4), (0, 1, 0, 0), (1, 2, 6, 4), (1, 1, 1, 1), {"shrinkAxisMask": 2}),
        ((1, 5, 6, 4), (0, 1, 0, 0), (1, 2, 6, 4), (1, 1, 1, 1), {"shrinkAxisMask": 3}),
        ((1, 5, 6, 4), (0, 0, 0, 2), (1, 5, 6, 3), (1, 1, 1, 1), {"shrinkAxisMask": 8}),
        ((3, 5, 6, 4), (1, 0, 0, 0), (3, 5, 6, 4), (1, 1, 1, 1), {}),
        ((4, 5, 6, 4), (0, 0, 0, 0), (4, 5, 6, 4), (2, 1, 1, 1), {}),
        ((5, 6), (1, 2), (4, 6), (1, 2), {}),
        ((2, 5, 6), (0, 1, 2), (2, 4, 6), (1, 1, 2), {}),
        ((2, 5, 6), (1, 0, 0), (2, 5, 6), (1, 1, 1), {"shrinkAxisMask": 1}),
    ):
        table = options("StridedSlice", **masks)
        reads = (In(shape), integers(*begin), integers(*end), integers(*step))
        yield Trial("STRIDED_SLICE", f"{shape} {begin} {end} {step} {masks or ''}", reads, table)
    reads = (In((1, 5, 6, 4)), In((1, 2, 3, 4)), integers(0, 1, 2, 0))
    yield Trial("DYNAMIC_UPDATE_SLICE", "(1, 5, 6, 4)", reads, options("DynamicUpdateSlice"))


def gathering() -> Iterator[Trial]:
    """Return trials of ops that take values by index."""
    for shape in ((1, 5, 6, 4), (2, 5, 6, 4), (7, 3), (9,), (2, 5, 3)):
        for axis in range(len(shape)):
            table = options("Gather", axis=axis)
            chosen = np.random.default_rng(0).integers(0, shape[axis], 3).astype(np.int32)
            yield Trial("GATHER", f"{shape} axis {axis}", (In(shape), Const(chosen)), table)
            index = In((3,), 0, shape[axis] - 1, "int32")
            yield Trial("GATHER", f"{shape} axis {axis}, indices are an input", (In(shape), index), table)
            yield Trial("GATHER", f"{shape} axis {axis}, one index", (In(shape), Const(np.int32(chosen[0]))), table)
    at = Const(np.array([[0, 1], [2, 0]], np.int32))
    yield Trial("GATHER_ND", "(3, 4)", (In((3, 4)), at), options("GatherNd"))
    yield Trial("GATHER_ND", "(3, 4, 5)", (In((3, 4, 5)), at), options("GatherNd"))
    index = In((3,), 0, 6, "int32")
    yield Trial("EMBEDDING_LOOKUP", "(7, 4)", (index, Const(normal(7, 4))))
    reads = (In((5,), 0, 6, "int32"), Const(np.int32(7)), Const(np.float32(1)), Const(np.float32(0)))
    yield Trial("ONE_HOT", "7 classes", reads, options("OneHot", axis=-1))
    yield Trial("ONE_HOT", "axis 0", reads, options("OneHot", axis=0))
    other = (*reads[:2], Const(np.float32(3)), Const(np.float32(-1)))
    yield Trial("ONE_HOT", "of 3 and -1", other, options("OneHot", axis=-1))
    at = Const(np.array([[1], [3]], np.int32))
    yield Trial("SCATTER_ND", "(5, 3)", (at, In((2, 3)), integers(5, 3)), options("ScatterNd"))
