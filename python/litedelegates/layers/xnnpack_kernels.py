"""Which ops of a model XNNPACK's kernels may compute, and which ops have no kernel of their own.

XNNPACK rewrites its part of a model before it runs: it clamps in the op before, pads in the convolution after, squares
inside a mean, transposes inside a matrix product, and puts chains of 8-bit elementwise ops into one table of 256
values, whose kernel it calls "Invalid Unary Op".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeAlias

from litedelegates.graph import Graph, Op, Tensor

Host: TypeAlias = Literal["maker", "reader", "nothing"]

# What XNNPACK calls ops whose TFLite name is another.
_KINDS: dict[str, tuple[str, ...]] = {
    "ASSIGN_VARIABLE": ("Copy",),
    "AVERAGE_POOL_2D": ("Average Pooling", "Global Average Pooling", "Mean"),
    "BATCH_MATMUL": ("Batch Matrix Multiply", "Fully Connected", "Dynamic Fully Connected"),
    "CAST": ("Convert",),
    "CEIL": ("Ceiling",),
    "CONCATENATION": ("Copy",),
    "CONV_2D": ("Convolution", "Fully Connected"),  # the second for kernels of 1 x 1
    "Convolution2DTransposeBias": ("Deconvolution",),
    "COS": ("Cosine",),
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "DEQUANTIZE": ("Convert",),
    "DIV": ("Divide",),
    "EXPAND_DIMS": ("Static Expand Dims", "Static Reshape", "Copy"),
    "FULLY_CONNECTED": ("Fully Connected", "Dynamic Fully Connected"),
    "GELU": ("GELU", "ApproxGELU"),
    "LOGISTIC": ("Sigmoid",),
    "MAX_POOL_2D": ("Max Pooling",),
    "MAXIMUM": ("Maximum", "Clamp"),  # the second with a constant
    "MaxPoolingWithArgmax2D": ("ArgMax Pooling",),
    "MaxUnpooling2D": ("Unpooling",),
    "MEAN": ("Mean", "Mean Squared", "Global Average Pooling"),
    "MINIMUM": ("Minimum", "Clamp"),
    "MUL": ("Multiply", "Square"),
    "NEG": ("Negate",),
    "PAD": ("Constant Pad",),
    "PADV2": ("Constant Pad",),
    "QUANTIZE": ("Convert",),
    "READ_VARIABLE": ("Copy",),
    "RELU": ("Clamp",),
    "RELU6": ("Clamp",),
    "RELU_0_TO_1": ("Clamp",),
    "RELU_N1_TO_1": ("Clamp",),
    "RESHAPE": ("Static Reshape", "Copy"),
    "ROUND": ("Bankders Rounding", "Bankers Rounding"),
    "RSQRT": ("Reciprocal Square Root",),
    "SIN": ("Sine",),
    "SLICE": ("Slice", "Copy"),
    "SPLIT": ("Copy", "Slice"),
    "SQRT": ("Square Root",),
    "SQUEEZE": ("Static Reshape", "Copy"),
    "STRIDED_SLICE": ("Slice", "Copy"),
    "SUB": ("Subtract",),
    "SUM": ("Sum", "Sum Squared", "Normalize"),  # the last is what runtime 2.3 calls a sum of squares
    "TRANSPOSE_CONV": ("Deconvolution",),
}
# Ops that XNNPACK takes apart, and what their kernels are called.
_ATTENTION = frozenset(
    {
        "Add",
        "Batch Matrix Multiply",
        "Divide",
        "Dynamic Fully Connected",
        "Fully Connected",
        "Multiply",
        "Softmax",
        "Static Reshape",
        "TanH",
        "Transpose",
    }
)
_COMPOSED: dict[str, frozenset[str]] = {
    "STABLEHLO_COMPOSITE": _ATTENTION,
    "odml.scaled_dot_product_attention": _ATTENTION,
}
# Put in by XNNPACK: inputs quantized or packed while running, other layouts, fewer dimensions.
PREPARING = frozenset(
    {
        "Convert",
        "Copy",
        "Fuse Dims",
        "Pack LH",
        "Split Dims",
        "Static Expand Dims",
        "Static Reshape",
        "Transpose",
    }
)
# A chain of elementwise ops in one table.
TABLES = frozenset({"Invalid Unary Op", "Unary Elementwise"})

_ACTIVATIONS = frozenset({"RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"})
_PADS = frozenset({"PAD", "PADV2"})
_VIEWS = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
_PRODUCTS = frozenset({"BATCH_MATMUL", "FULLY_CONNECTED"})
_SUMS = frozenset({"MEAN", "SUM"})
_BINARY = frozenset({"ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "SQUARED_DIFFERENCE", "SUB"})
_UNARY = _ACTIVATIONS | {
    "ABS",
    "CEIL",
    "COS",
    "DEQUANTIZE",
    "ELU",
    "EXP",
    "FLOOR",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOG",
    "LOGISTIC",
    "NEG",
    "QUANTIZE",
    "ROUND",
    "RSQRT",
    "SIN",
    "SQRT",
    "SQUARE",
    "TANH",
}
_EIGHT_BITS = frozenset({"int8", "uint8"})


class Kernels:
    """What the kernels of a partition may be there for.

    Attributes:
        tables: By op whose result a table of 256 values may give, the ops before it that the table does as well.
    """

    def __init__(self, graph: Graph, kinds: Collection[str], ops: Sequence[Op]) -> None:
        """Look through the ops of a partition, whose kernels are of the given kinds."""
        self._graph = graph
        self.tables = table_chains(graph, ops) if TABLES & set(kinds) else {}
        self._in_tables = {op: last for last, chain in self.tables.items() for op in chain}

    def computes(self, kind: str, op: Op) -> bool:
        """Return whether a kernel of this kind may compute an op."""
        return op in self.tables if kind in TABLES else computes(kind, op)

    def belongs(self, kind: str, before: str, op: Op) -> bool:
        """Return whether a kernel is a further one for the op that the kernel ``before`` has just computed."""
        if kind == "Clamp":
            return op.options.get("fused_activation_function", "NONE") != "NONE" and self.computes(before, op)
        if kind in _COMPOSED.get(op.type, ()):
            return True
        return kind == before and computes(kind, op) and op.type in ("CONCATENATION", "SPLIT", "MEAN", "SUM")

    def host(self, op: Op) -> Host | None:
        """Return whether what makes an op's input, or what reads its output, may do the op's work; None if neither.

        "nothing" is what need not run at all, as a view of the same values.
        """
        if op in self._in_tables:
            return "reader"
        if op.type in _ACTIVATIONS or (op.type in ("MAXIMUM", "MINIMUM") and _is_unary(op, ())):
            return "maker"
        if op.type in _VIEWS:
            return "nothing"
        is_hosted = (
            op.type in _PADS
            or (_is_square(op) and self._is_read_by(op, _SUMS, 0))
            or (op.type == "TRANSPOSE" and self._is_read_by(op, _PRODUCTS, 1))
        )
        return "reader" if is_hosted else None

    def hosts(self, skipped: Sequence[Op], kinds: Mapping[Op, str]) -> dict[Op, tuple[Op, ...]]:
        """Return the ops that have no kernel of their own, by the op whose kernel does their work.

        Args:
            skipped: Ops without a kernel, in the model's order.
            kinds: The other ops, with the kind of the kernel that computes each.
        """
        hosts = {op: last for op, last in self._in_tables.items() if op in skipped and kinds.get(last) in TABLES}
        for op in skipped:  # in order: one may follow another
            maker = next((made for t in op.reads if (made := self._graph.producer(t)) and not made.is_fixed), None)
            host = hosts.get(maker, maker) if maker is not None else None
            if op not in hosts and self.host(op) == "maker" and host is not None and host in kinds:
                hosts[op] = host
        for op in reversed(skipped):
            if op not in hosts and self.host(op) == "reader":
                readers = (hosts.get(reader, reader) for reader in self._graph.readers(op.makes[0]))
                if (host := next((reader for reader in readers if reader in kinds), None)) is not None:
                    hosts[op] = host
        found: dict[Op, tuple[Op, ...]] = {}
        for op, host in hosts.items():
            found[host] = (*found.get(host, ()), op)
        return found

    def _is_read_by(self, op: Op, types: Collection[str], position: int) -> bool:
        return any(
            reader.type in types and len(reader.inputs) > position and reader.inputs[position] is op.makes[0]
            for reader in self._graph.readers(op.makes[0])
        )


def computes(kind: str, op: Op) -> bool:
    """Return whether XNNPACK may call what computes an op so, other than in a table."""
    if op.type in _COMPOSED:
        return kind in _COMPOSED[op.type]
    if op.type in _KINDS:
        return kind in _KINDS[op.type]
    return kind.replace(" ", "").lower() == op.type.replace("_", "").lower()


def table_chains(graph: Graph, ops: Sequence[Op]) -> dict[Op, tuple[Op, ...]]:
    """Return the chains of ops that XNNPACK may put into one table, each by its last op.

    A chain starts and ends at 8 bits, goes on while an op alone reads what the one before makes, and has at least two
    ops. Each op takes one tensor of the chain, the others are constants of one element.
    """
    chosen, taken, found = set(ops), set[Op](), dict[Op, tuple[Op, ...]]()
    for first in ops:
        if first in taken or not _is_unary(first, ()) or not any(_has_eight_bits(read) for read in _given(first)):
            continue
        chain, values = [first], {*_given(first), first.makes[0]}
        while (following := _only_reader(graph, chain[-1])) in chosen and _is_unary(following, values):
            chain.append(following)
            values.add(following.makes[0])
        while chain and not _has_eight_bits(chain[-1].makes[0]):
            chain.pop()
        if len(chain) > 1:
            found[chain[-1]] = tuple(chain[:-1])
            taken.update(chain)
    return found


def _is_unary(op: Op, values: Collection[Tensor]) -> bool:
    """Return whether an op is an elementwise function of one tensor, or of ``values`` that all come from one."""
    if op.type in _UNARY:
        return True
    given = _given(op)
    if op.type not in _BINARY or not given:
        return False
    constants = [tensor for tensor in op.reads if tensor not in given]
    if constants:
        return len(given) == 1 and all(tensor.elements == 1 for tensor in constants)
    return all(tensor in values for tensor in given)


def _is_square(op: Op) -> bool:
    return op.type == "SQUARE" or (op.type == "MUL" and len(op.inputs) == 2 and op.inputs[0] is op.inputs[1])


def _given(op: Op) -> list[Tensor]:
    return [tensor for tensor in op.reads if not tensor.is_constant]


def _has_eight_bits(tensor: Tensor) -> bool:
    return tensor.element_type in _EIGHT_BITS


def _only_reader(graph: Graph, op: Op) -> Op | None:
    readers = graph.readers(op.makes[0])
    return readers[0] if len(readers) == 1 and op.makes[0] not in graph.outputs else None
