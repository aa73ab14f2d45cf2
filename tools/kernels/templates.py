"""A small model of each builtin op that the runtime has a kernel for, as slots that an experiment can change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# "T" is the type that an experiment gives the data; the others are what an op wants beside it.
DATA = "T"
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """A tensor of an op.

    Attributes:
        shape: Its shape.
        of_type: `DATA` or the name of an element type.
        value: Where it comes from: "input", "constant" (some values), "variable", "none" (not given), or its integers.
    """

    shape: Shape
    of_type: str = DATA
    value: str | tuple[int, ...] = "input"


@dataclass(frozen=True)
class Template:
    """One op: its tensors, the name and fields of its options, the types that its data has in models that run."""

    op: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    options: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    bias_after: int | None = None  # the input that is int32 where the data is quantized


def data(*shape: int) -> Slot:
    return Slot(shape)


def weights(*shape: int) -> Slot:
    return Slot(shape, DATA, "constant")


def numbers(*values: int, shape: Shape | None = None, of_type: str = "INT32") -> Slot:
    return Slot((len(values),) if shape is None else shape, of_type, values)


def typed(of_type: str, *shape: int, value: str = "input") -> Slot:
    return Slot(shape, of_type, value)


def state(*shape: int) -> Slot:
    return Slot(shape, DATA, "variable")


NONE = Slot((), DATA, "none")

UNARY = {
    "RELU": None,
    "RELU6": None,
    "RELU_N1_TO_1": None,
    "RELU_0_TO_1": None,
    "LOGISTIC": None,
    "TANH": None,
    "ABS": "AbsOptions",
    "NEG": "NegOptions",
    "SIN": None,
    "COS": "CosOptions",
    "EXP": "ExpOptions",
    "LOG": None,
    "SQRT": None,
    "RSQRT": None,
    "SQUARE": "SquareOptions",
    "FLOOR": None,
    "CEIL": None,
    "ROUND": None,
    "SIGN": "SignOptions",
    "ELU": None,
    "GELU": "GeluOptions",
    "HARD_SWISH": "HardSwishOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "LOGICAL_NOT": "LogicalNotOptions",
    "ZEROS_LIKE": "ZerosLikeOptions",
    "LOG_SOFTMAX": "LogSoftmaxOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "QUANTIZE": "QuantizeOptions",
    "FAKE_QUANT": "FakeQuantOptions",
    "SOFTMAX": "SoftmaxOptions",
}
FIELDS: dict[str, dict[str, Any]] = {
    "LEAKY_RELU": {"alpha": 0.1},
    "FAKE_QUANT": {"min": 0.0, "max": 1.0, "numBits": 8},
    "SOFTMAX": {"beta": 1.0},
}
BINARY = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "FLOOR_DIV": "FloorDivOptions",
    "FLOOR_MOD": "FloorModOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "POW": "PowOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "PRELU": None,
    "ATAN2": "ATan2Options",
    "BITWISE_XOR": "BitwiseXorOptions",
    "RIGHT_SHIFT": "RightShiftOptions",
    "LOGICAL_AND": "LogicalAndOptions",
    "LOGICAL_OR": "LogicalOrOptions",
    "STABLEHLO_ADD": None,
    "STABLEHLO_MULTIPLY": None,
    "STABLEHLO_MAXIMUM": None,
    "STABLEHLO_MINIMUM": None,
    "STABLEHLO_SHIFT_LEFT": None,
}
COMPARISONS = {
    "EQUAL": "EqualOptions",
    "NOT_EQUAL": "NotEqualOptions",
    "LESS": "LessOptions",
    "LESS_EQUAL": "LessEqualOptions",
    "GREATER": "GreaterOptions",
    "GREATER_EQUAL": "GreaterEqualOptions",
}
REDUCTIONS = ("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ANY", "REDUCE_ALL")
STRIDES = {"strideW": 1, "strideH": 1, "padding": 0}
DILATION = {"dilationWFactor": 1, "dilationHFactor": 1}


def _elementwise() -> list[Template]:
    found = []
    for op, options in UNARY.items():
        found.append(Template(op, (data(2, 3, 4),), (data(2, 3, 4),), options, FIELDS.get(op, {})))
    for op, options in BINARY.items():
        fields = [{}, {"potScaleInt16": False}] if op in ("ADD", "SUB") else [{}]
        for given in fields:
            for other in (data(2, 3, 4), weights(1, 3, 4)):
                found.append(Template(op, (data(2, 3, 4), other), (data(2, 3, 4),), options, given))
    for op, options in COMPARISONS.items():
        for other in (data(2, 3, 4), weights(1, 3, 4)):
            found.append(Template(op, (data(2, 3, 4), other), (typed("BOOL", 2, 3, 4),), options))
    for op in ("SELECT", "SELECT_V2"):
        inputs = (typed("BOOL", 2, 3, 4), data(2, 3, 4), data(2, 3, 4))
        found.append(Template(op, inputs, (data(2, 3, 4),), "SelectOptions" if op == "SELECT" else "SelectV2Options"))
    found += [
        Template("ADD_N", (data(2, 3), data(2, 3), data(2, 3)), (data(2, 3),), "AddNOptions"),
        Template("DEQUANTIZE", (data(2, 3, 4),), (typed("FLOAT32", 2, 3, 4),), "DequantizeOptions"),
        Template("DEQUANTIZE", (weights(2, 3, 4),), (typed("FLOAT32", 2, 3, 4),), "DequantizeOptions"),
        Template("QUANTIZE", (typed("FLOAT32", 2, 3, 4),), (data(2, 3, 4),), "QuantizeOptions"),
        Template("DENSIFY", (weights(2, 3),), (data(2, 3),), "DensifyOptions"),
        Template("REAL", (typed("COMPLEX64", 2, 3),), (typed("FLOAT32", 2, 3),)),
        Template("IMAG", (typed("COMPLEX64", 2, 3),), (typed("FLOAT32", 2, 3),)),
        Template("COMPLEX_ABS", (typed("COMPLEX64", 2, 3),), (typed("FLOAT32", 2, 3),)),
        Template("BUCKETIZE", (data(2, 3),), (typed("INT32", 2, 3),), "BucketizeOptions", {"boundaries": [0.0, 1.0]}),
        Template(
            "LOCAL_RESPONSE_NORMALIZATION",
            (data(1, 4, 4, 3),),
            (data(1, 4, 4, 3),),
            "LocalResponseNormalizationOptions",
            {"radius": 2, "bias": 1.0, "alpha": 1.0, "beta": 0.5},
        ),
    ]
    found.append(Template("CAST", (data(2, 3),), (typed("FLOAT32", 2, 3),), "CastOptions"))
    found.append(Template("BITCAST", (data(2, 4),), (typed("FLOAT32", 2, 4),), "BitcastOptions"))
    return found


def _convolutions() -> list[Template]:
    conv = {**STRIDES, **DILATION}
    depthwise = {**conv, "depthMultiplier": 2}
    image, deep = data(1, 8, 8, 3), data(1, 4, 4, 4, 2)
    conv_3d = {"strideD": 1, "strideW": 1, "strideH": 1, **DILATION, "dilationDFactor": 1, "padding": 0}
    size = numbers(1, 8, 8, 4)
    found = [
        Template("CONV_2D", (image, weights(4, 3, 3, 3), weights(4)), (data(1, 8, 8, 4),), "Conv2DOptions", conv, 2),
        Template("CONV_2D", (image, data(4, 3, 3, 3), data(4)), (data(1, 8, 8, 4),), "Conv2DOptions", conv, 2),
        Template("CONV_2D", (image, weights(6, 3, 3, 1), weights(6)), (data(1, 8, 8, 6),), "Conv2DOptions", conv, 2),
        Template(
            "DEPTHWISE_CONV_2D",
            (image, weights(1, 3, 3, 6), weights(6)),
            (data(1, 8, 8, 6),),
            "DepthwiseConv2DOptions",
            depthwise,
            2,
        ),
        Template(
            "DEPTHWISE_CONV_2D",
            (data(1, 48, 48, 32), weights(1, 3, 3, 32), weights(32)),
            (data(1, 24, 24, 32),),
            "DepthwiseConv2DOptions",
            {**depthwise, "depthMultiplier": 1, "strideW": 2, "strideH": 2},
            2,
        ),
        Template(
            "DEPTHWISE_CONV_2D",
            (image, data(1, 3, 3, 6), data(6)),
            (data(1, 8, 8, 6),),
            "DepthwiseConv2DOptions",
            depthwise,
            2,
        ),
        Template(
            "TRANSPOSE_CONV",
            (size, weights(4, 3, 3, 3), image, weights(4)),
            (data(1, 8, 8, 4),),
            "TransposeConvOptions",
            STRIDES,
            3,
        ),
        Template(
            "TRANSPOSE_CONV",
            (size, data(4, 3, 3, 3), image),
            (data(1, 8, 8, 4),),
            "TransposeConvOptions",
            STRIDES,
        ),
        Template(
            "CONV_3D", (deep, weights(2, 2, 2, 2, 3), weights(3)), (data(1, 4, 4, 4, 3),), "Conv3DOptions", conv_3d, 2
        ),
        Template(
            "CONV_3D_TRANSPOSE",
            (numbers(1, 4, 4, 4, 3), weights(2, 2, 2, 3, 2), deep, weights(3)),
            (data(1, 4, 4, 4, 3),),
            "Conv3DOptions",
            conv_3d,
            3,
        ),
    ]
    pool = {**STRIDES, "strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
    for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
        found.append(Template(op, (image,), (data(1, 4, 4, 3),), "Pool2DOptions", pool))
    return found


def _products() -> list[Template]:
    found = []
    for other in (weights, data):
        for shape, out, fields in (
            ((2, 8), (2, 4), {}),
            ((1, 3, 8), (1, 3, 4), {"keepNumDims": True}),
            ((1, 8), (1, 4), {"asymmetricQuantizeInputs": True}),
        ):
            inputs = (data(*shape), other(4, 8), other(4))
            found.append(Template("FULLY_CONNECTED", inputs, (data(*out),), "FullyConnectedOptions", fields, 2))
        product = (data(2, 3, 4), other(2, 4, 5))
        found.append(Template("BATCH_MATMUL", product, (data(2, 3, 5),), "BatchMatMulOptions"))
        turned = (data(2, 3, 4), other(2, 5, 4))
        found.append(Template("BATCH_MATMUL", turned, (data(2, 3, 5),), "BatchMatMulOptions", {"adjY": True}))
    inputs = (data(2, 16), weights(4, 16), weights(4))
    shuffled = {"weightsFormat": 1}
    outputs = (data(2, 4), data(2, 16))
    found.append(Template("FULLY_CONNECTED", inputs, outputs, "FullyConnectedOptions", shuffled, 2))
    return found


def _rearrangements() -> list[Template]:
    return [
        Template("RESHAPE", (data(2, 6), numbers(3, 4)), (data(3, 4),), "ReshapeOptions", {"newShape": [3, 4]}),
        Template("SQUEEZE", (data(1, 2, 3),), (data(2, 3),), "SqueezeOptions", {"squeezeDims": [0]}),
        Template("EXPAND_DIMS", (data(2, 3), numbers(0)), (data(1, 2, 3),), "ExpandDimsOptions"),
        Template("TRANSPOSE", (data(2, 3, 4), numbers(2, 0, 1)), (data(4, 2, 3),), "TransposeOptions"),
        Template("SPACE_TO_DEPTH", (data(1, 4, 4, 2),), (data(1, 2, 2, 8),), "SpaceToDepthOptions", {"blockSize": 2}),
        Template("DEPTH_TO_SPACE", (data(1, 2, 2, 8),), (data(1, 4, 4, 2),), "DepthToSpaceOptions", {"blockSize": 2}),
        Template(
            "SPACE_TO_BATCH_ND",
            (data(1, 4, 4, 2), numbers(2, 2), numbers(0, 0, 0, 0, shape=(2, 2))),
            (data(4, 2, 2, 2),),
            "SpaceToBatchNDOptions",
        ),
        Template(
            "BATCH_TO_SPACE_ND",
            (data(4, 2, 2, 2), numbers(2, 2), numbers(0, 0, 0, 0, shape=(2, 2))),
            (data(1, 4, 4, 2),),
            "BatchToSpaceNDOptions",
        ),
        Template("CONCATENATION", (data(2, 3), data(2, 4)), (data(2, 7),), "ConcatenationOptions", {"axis": 1}),
        Template("CONCATENATION", (data(2, 3), weights(2, 4)), (data(2, 7),), "ConcatenationOptions", {"axis": 1}),
        Template("PACK", (data(2, 3), data(2, 3)), (data(2, 2, 3),), "PackOptions", {"valuesCount": 2, "axis": 0}),
        Template("UNPACK", (data(2, 3),), (data(3), data(3)), "UnpackOptions", {"num": 2, "axis": 0}),
        Template("SPLIT", (numbers(1, shape=()), data(2, 4)), (data(2, 2),) * 2, "SplitOptions", {"numSplits": 2}),
        Template(
            "SPLIT_V",
            (data(2, 5), numbers(2, 3), numbers(1, shape=())),
            (data(2, 2), data(2, 3)),
            "SplitVOptions",
            {"numSplits": 2},
        ),
        Template("SLICE", (data(3, 4), numbers(1, 1), numbers(2, 2)), (data(2, 2),), "SliceOptions"),
        Template(
            "STRIDED_SLICE",
            (data(3, 4), numbers(0, 0), numbers(3, 4), numbers(1, 2)),
            (data(3, 2),),
            "StridedSliceOptions",
        ),
        Template("PAD", (data(2, 3), numbers(1, 1, 1, 1, shape=(2, 2))), (data(4, 5),), "PadOptions"),
        Template("PADV2", (data(2, 3), numbers(1, 1, 1, 1, shape=(2, 2)), weights()), (data(4, 5),), "PadV2Options"),
        Template("MIRROR_PAD", (data(2, 3), numbers(1, 1, 1, 1, shape=(2, 2))), (data(4, 5),), "MirrorPadOptions"),
        Template("TILE", (data(2, 3), numbers(2, 2)), (data(4, 6),), "TileOptions"),
        Template("BROADCAST_TO", (data(1, 3), numbers(2, 3)), (data(2, 3),), "BroadcastToOptions"),
        Template("FILL", (numbers(2, 3), data()), (data(2, 3),), "FillOptions"),
        Template("FILL", (numbers(2, 3), weights()), (data(2, 3),), "FillOptions"),
        Template("RANGE", (data(), data(), data()), (data(0),), "RangeOptions"),
        Template(
            "DYNAMIC_UPDATE_SLICE", (data(4, 4), data(2, 2), numbers(1, 1)), (data(4, 4),), "DynamicUpdateSliceOptions"
        ),
        Template("REVERSE_V2", (data(2, 3), numbers(1)), (data(2, 3),), "ReverseV2Options"),
        Template(
            "REVERSE_SEQUENCE",
            (data(2, 3, 4), numbers(1, 2)),
            (data(2, 3, 4),),
            "ReverseSequenceOptions",
            {"seqDim": 1, "batchDim": 0},
        ),
        Template("MATRIX_DIAG", (data(2, 30),), (data(2, 30, 30),), "MatrixDiagOptions"),
        Template("MATRIX_SET_DIAG", (data(2, 3, 3), data(2, 3)), (data(2, 3, 3),), "MatrixSetDiagOptions"),
        Template("DILATE", (data(3, 4), numbers(2, 2), weights()), (data(5, 7),), "DilateOptions"),
        Template(
            "STABLEHLO_PAD",
            (data(2, 3), weights()),
            (data(4, 5),),
            "StablehloPadOptions",
            {"edgePaddingLow": [1, 1], "edgePaddingHigh": [1, 1], "interiorPadding": [0, 0]},
        ),
        Template("SHAPE", (data(2, 3),), (typed("INT32", 2),), "ShapeOptions", {"outType": 2}),
        Template("RANK", (data(2, 3),), (typed("INT32"),), "RankOptions"),
        Template("RESIZE_BILINEAR", (data(1, 4, 4, 2), numbers(8, 8)), (data(1, 8, 8, 2),), "ResizeBilinearOptions"),
        Template(
            "RESIZE_NEAREST_NEIGHBOR",
            (data(1, 4, 4, 2), numbers(8, 8)),
            (data(1, 8, 8, 2),),
            "ResizeNearestNeighborOptions",
        ),
        Template("BROADCAST_ARGS", (numbers(2, 3), numbers(1, 3)), (typed("INT32", 2),)),
        Template("BROADCAST_ARGS", (Slot((2,)), Slot((2,))), (data(2),)),
    ]


def _lookups() -> list[Template]:
    ids = numbers(0, 1, 1)
    found = [
        Template("GATHER", (data(4, 3), numbers(1, 2)), (data(2, 3),), "GatherOptions", {"axis": 0}),
        Template("GATHER", (weights(4, 3), numbers(1, 2)), (data(2, 3),), "GatherOptions", {"axis": 0}),
        Template("GATHER_ND", (data(4, 3), numbers(1, 2, shape=(1, 2))), (data(1),), "GatherNdOptions"),
        Template("SCATTER_ND", (numbers(1, 2, shape=(2, 1)), data(2), numbers(4)), (data(4),), "ScatterNdOptions"),
        Template(
            "ONE_HOT",
            (numbers(0, 1), numbers(3, shape=()), data(), data()),
            (data(2, 3),),
            "OneHotOptions",
            {"axis": -1},
        ),
        Template("EMBEDDING_LOOKUP", (numbers(0, 1), weights(4, 3)), (data(2, 3),)),
        Template("EMBEDDING_LOOKUP", (numbers(0, 1), weights(4, 3)), (typed("FLOAT32", 2, 3),)),
        Template(
            "EMBEDDING_LOOKUP_SPARSE",
            (ids, numbers(0, 0, 0, 1, 1, 0, shape=(3, 2)), numbers(2, 2), weights(3), weights(5, 4)),
            (data(2, 4),),
            "EmbeddingLookupSparseOptions",
        ),
        Template("HASHTABLE_LOOKUP", (numbers(1, 2), numbers(1, 2), data(2, 3)), (data(2, 3), typed("UINT8", 2))),
        Template(
            "LSH_PROJECTION",
            (typed("FLOAT32", 2, 3, value="constant"), data(5, 2), typed("FLOAT32", 5)),
            (typed("INT32", 2),),
            "LSHProjectionOptions",
            {"type": 1},
        ),
        Template(
            "SPARSE_TO_DENSE",
            (numbers(0, 2), numbers(5), data(2), data()),
            (data(5),),
            "SparseToDenseOptions",
        ),
        Template("SEGMENT_SUM", (data(3, 2), ids), (data(2, 2),), "SegmentSumOptions"),
        Template("UNIQUE", (data(4),), (data(4), typed("INT32", 4)), "UniqueOptions", {"idxOutType": 2}),
        Template("WHERE", (data(2, 3),), (typed("INT64", 0, 2),), "WhereOptions"),
        Template("TOPK_V2", (data(2, 5), numbers(2, shape=())), (data(2, 2), typed("INT32", 2, 2)), "TopKV2Options"),
        Template("CUMSUM", (data(2, 3), numbers(0, shape=())), (data(2, 3),), "CumsumOptions"),
        Template(
            "ARG_MAX", (data(2, 3), numbers(1, shape=())), (typed("INT64", 2),), "ArgMaxOptions", {"outputType": 4}
        ),
        Template(
            "ARG_MIN", (data(2, 3), numbers(1, shape=())), (typed("INT32", 2),), "ArgMinOptions", {"outputType": 2}
        ),
        Template(
            "STABLEHLO_GATHER",
            (data(4, 3), numbers(0, 1, shape=(2, 1))),
            (data(2, 3),),
            "StablehloGatherOptions",
            {
                "offsetDims": [1],
                "collapsedSliceDims": [0],
                "startIndexMap": [0],
                "indexVectorDim": 1,
                "sliceSizes": [1, 3],
            },
        ),
    ]
    for op in ("UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "UNSORTED_SEGMENT_MIN"):
        found.append(Template(op, (data(3, 2), ids, numbers(2, shape=())), (data(2, 2),)))
    for op in REDUCTIONS:
        for axes, out in (((1,), (2, 4)), ((0, 1, 2), ())):
            found.append(Template(op, (data(2, 3, 4), numbers(*axes)), (data(*out),), "ReducerOptions"))
        kept = (data(1, 4, 4, 3), numbers(1, 2)), (data(1, 1, 1, 3),)
        found.append(Template(op, *kept, "ReducerOptions", {"keepDims": True}))
    return found


def _recurrences() -> list[Template]:
    gates = (weights(3, 4),) * 4 + (weights(3, 3),) * 4 + (NONE,) * 3 + (weights(3),) * 4 + (NONE,) * 2
    states = (state(2, 3), state(2, 3))
    peephole = (weights(3, 4),) * 4 + (weights(3, 3),) * 4 + (weights(3),) * 3 + (weights(3),) * 4
    projection = (weights(3, 3), weights(3))
    lstm = {"fusedActivationFunction": 4}
    norm = (weights(3),) * 4
    sequence = "UnidirectionalSequenceLSTMOptions"
    one_way = (weights(3, 4),) * 4 + (weights(3, 3),) * 4 + (NONE,) * 3 + (weights(3),) * 4 + (NONE,) * 2
    both = (data(2, 5, 4), *one_way, *one_way, *states, *states, *(NONE,) * 9)
    cell = (weights(3, 4), weights(3, 3), weights(3))
    return [
        Template("LSTM", (data(2, 4), *gates, *states), (data(2, 3),), "LSTMOptions", lstm),
        Template("LSTM", (data(2, 4), *peephole, *projection, *states, *norm), (data(2, 3),), "LSTMOptions", lstm),
        Template(
            "LSTM",
            (data(2, 4), data(2, 3), weights(12, 7), weights(12), data(2, 3)),
            (data(2, 3), data(2, 3), data(2, 7), data(2, 12)),
            "LSTMOptions",
            {**lstm, "kernelType": 1},
        ),
        Template("UNIDIRECTIONAL_SEQUENCE_LSTM", (data(2, 5, 4), *gates, *states), (data(2, 5, 3),), sequence, lstm),
        Template(
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            (data(2, 5, 4), *peephole, *projection, *states, *norm),
            (data(2, 5, 3),),
            sequence,
            lstm,
        ),
        Template(
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            both,
            (data(2, 5, 3), data(2, 5, 3)),
            "BidirectionalSequenceLSTMOptions",
            lstm,
        ),
        Template("RNN", (data(2, 4), *cell, state(2, 3)), (data(2, 3),), "RNNOptions", lstm),
        Template(
            "UNIDIRECTIONAL_SEQUENCE_RNN",
            (data(2, 5, 4), *cell, state(2, 3)),
            (data(2, 5, 3),),
            "SequenceRNNOptions",
            lstm,
        ),
        Template(
            "BIDIRECTIONAL_SEQUENCE_RNN",
            (data(2, 5, 4), *cell, state(2, 3), *cell, state(2, 3), *(NONE,) * 3),
            (data(2, 5, 3), data(2, 5, 3)),
            "BidirectionalSequenceRNNOptions",
            lstm,
        ),
        Template(
            "SVDF",
            (data(2, 4), weights(6, 4), weights(6, 5), weights(3), state(2, 30)),
            (data(2, 3),),
            "SVDFOptions",
            {"rank": 2},
        ),
    ]


def _others() -> list[Template]:
    limits = (typed("FLOAT32"), typed("FLOAT32"))
    boxes = (data(4, 4), data(4), numbers(2, shape=()), *limits)
    table = typed("RESOURCE", 1)
    return [
        Template("NON_MAX_SUPPRESSION_V4", boxes, (typed("INT32", 2), typed("INT32")), "NonMaxSuppressionV4Options"),
        Template(
            "NON_MAX_SUPPRESSION_V5",
            (*boxes, typed("FLOAT32")),
            (typed("INT32", 2), data(2), typed("INT32")),
            "NonMaxSuppressionV5Options",
        ),
        Template("RFFT2D", (data(4, 8), numbers(4, 8)), (typed("COMPLEX64", 4, 5),), "Rfft2dOptions"),
        Template("RANDOM_UNIFORM", (numbers(2, 3),), (data(2, 3),), "RandomOptions"),
        Template("RANDOM_STANDARD_NORMAL", (numbers(2, 3),), (data(2, 3),), "RandomOptions"),
        Template("MULTINOMIAL", (data(2, 5), numbers(3, shape=())), (typed("INT64", 2, 3),), "RandomOptions"),
        Template(
            "STABLEHLO_RNG_BIT_GENERATOR",
            (typed("UINT64", 2),),
            (typed("UINT64", 2), data(2, 3)),
            "StablehloRngBitGeneratorOptions",
            {"algorithm": 1},
        ),
        Template("SKIP_GRAM", (data(1),), (data(1),), "SkipGramOptions", {"ngramSize": 2, "maxSkipSize": 1}),
        Template("HASHTABLE", (), (table,), "HashtableOptions", {"tableId": 1, "keyDtype": 4, "valueDtype": 5}),
        Template("HASHTABLE_FIND", (table, data(2), data()), (data(2),), "HashtableFindOptions"),
        Template("HASHTABLE_IMPORT", (table, weights(2), weights(2)), (), "HashtableImportOptions"),
        Template("HASHTABLE_SIZE", (table,), (typed("INT64", 1),), "HashtableSizeOptions"),
        Template("VAR_HANDLE", (), (table,), "VarHandleOptions", {"sharedName": "a"}),
        Template("READ_VARIABLE", (table,), (data(2),), "ReadVariableOptions"),
        Template("ASSIGN_VARIABLE", (table, data(2)), (), "AssignVariableOptions"),
    ]


def all_templates() -> Sequence[Template]:
    """Return the templates of every op."""
    made = (
        _elementwise(),
        _convolutions(),
        _products(),
        _rearrangements(),
        _lookups(),
        _recurrences(),
        _others(),
    )
    return [template for group in made for template in group]
