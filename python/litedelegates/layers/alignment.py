"""Which tensors of a rewritten model (quantized, or optimized by an engine) hold the values of which of the model's."""

from __future__ import annotations

from collections.abc import Iterable

from litedelegates.graph import Graph, Op, Tensor
from litedelegates.graph.border import computed_reads
from litedelegates.graph.kinds import CONVERSIONS
from litedelegates.layers.op_order import kind, pair
from litedelegates.layers.tensor_names import TensorNames, fits

# They say the same values in another order of dimensions.
LAYOUTS = frozenset({"ReorderInput", "ReorderOutput", "TRANSPOSE", "Transpose"})
# A quantizer drops these where the range of the integers cuts off the same values.
CUTOFFS = frozenset({"Clip", "Relu"})
# Share of a model's ops that must find a partner before their order is taken for evidence.
_MOST = 0.8


class Alignment:
    """A model and a rewritten one, tensor by tensor.

    Attributes:
        source: The model.
        variant: The rewritten one.
        carried: By tensor of ``variant``, the tensor of ``source`` whose values it holds, in whatever type and layout.
        evidence: By tensor of ``variant``, what that was read from.
    """

    def __init__(self, source: Graph, variant: Graph) -> None:
        """Compare the names, then the borders, then the order of what is left."""
        self.source, self.variant = source, variant
        self.carried: dict[Tensor, Tensor] = {}
        self.evidence: dict[Tensor, str] = {}
        self._by_name()
        self._by_border()
        self._along_conversions()
        self._by_order()
        self._along_conversions()
        self._past_cutoffs()

    def is_conversion(self, op: Op) -> bool:
        """Return whether an op of the variant only converts, and is none of the source's own ops."""
        if op.type not in CONVERSIONS and op.type not in LAYOUTS:
            return False
        makers = [self.source.producer(self.carried[tensor]) for tensor in op.makes if tensor in self.carried]
        return not any(maker is not None and maker.type == op.type for maker in makers)

    def first_layers(self, tensor: Tensor, stops: Iterable[Tensor]) -> list[Op]:
        """Return the ops of the source that compute a tensor of it from the tensors of ``stops``, in order."""
        ends = set(stops) - {tensor}
        found: set[Op] = set()
        waiting = [tensor]
        while waiting:
            maker = self.source.producer(waiting.pop())
            if maker is None or maker.is_fixed or maker in found:
                continue
            found.add(maker)
            waiting += [read for read in computed_reads(self.source, maker) if read not in ends]
        return sorted(found, key=lambda op: op.index)

    def _carry(self, tensor: Tensor, source: Tensor, evidence: str) -> None:
        self.carried.setdefault(tensor, source)
        self.evidence.setdefault(tensor, evidence)

    def _by_name(self) -> None:
        names = TensorNames(self.source)
        for tensor in self.variant.inputs:
            if found := names.find(tensor, None):
                self._carry(tensor, *found)
        for op in self.variant.ops:
            # What DynamicQuantizeLinear makes is only together the values that it read.
            for tensor in () if op.is_fixed or op.type == "DynamicQuantizeLinear" else op.makes:
                if found := names.find(tensor, op):
                    self._carry(tensor, *found)

    def _by_border(self) -> None:
        own, theirs = self.source, self.variant
        for mine, other in ((own.inputs, theirs.inputs), (own.outputs, theirs.outputs)):
            if len(mine) == len(other):
                for tensor, found in zip(mine, other, strict=True):
                    if found not in self.carried and fits(tensor, found):
                        self._carry(found, tensor, "position among the inputs or outputs")

    def _along_conversions(self) -> None:
        """Let what a conversion makes hold the values of what it reads, and the other way round."""
        steps = [(origin, op.makes[0]) for op in self.variant.ops if (origin := self._converted(op)) is not None]
        for origin, made in steps:
            if origin in self.carried:
                self._carry(made, self.carried[origin], "conversion")
        for origin, made in reversed(steps):
            if made in self.carried:
                self._carry(origin, self.carried[made], "conversion")

    def _converted(self, op: Op) -> Tensor | None:
        if op.is_fixed or len(op.makes) != 1 or not self.is_conversion(op):
            return None
        reads = list(computed_reads(self.variant, op))
        return reads[0] if len(reads) == 1 else None

    def _by_order(self) -> None:
        """Pair ops of the same type and output shape by order, where most ops of the source find a partner so."""
        known = set(self.carried.values())
        layers = [op for op in self.source.ops if op.makes and not op.is_fixed]
        left = [op for op in layers if op.makes[0] not in known]
        others = [
            op
            for op in self.variant.ops
            if op.makes and not op.is_fixed and op.makes[0] not in self.carried and op.type not in CONVERSIONS
        ]
        pairs = pair(left, others, lambda a, b: kind(a) == kind(b) and fits(a.makes[0], b.makes[0]))
        if len(pairs) < _MOST * len(left):
            return
        for layer, op in pairs:
            for source, tensor in zip(layer.makes, op.makes, strict=False):
                self._carry(tensor, source, "order, type and shape")

    def _past_cutoffs(self) -> None:
        """Move on, where a quantized tensor has the values after a Relu that the variant does without."""
        known = set(self.carried.values())
        moved: dict[Tensor, Tensor] = {}
        for tensor, source in self.carried.items():
            if not self._is_quantized(tensor):
                continue
            end = source
            while end not in self.source.outputs and len(readers := self.source.readers(end)) == 1:
                if readers[0].type not in CUTOFFS or readers[0].makes[0] in known:
                    break
                end = readers[0].makes[0]
            if end is not source:
                moved[source] = end
        for tensor, source in self.carried.items():
            self.carried[tensor] = moved.get(source, source)

    def _is_quantized(self, tensor: Tensor) -> bool:
        maker = self.variant.producer(tensor)
        return tensor.quantization is not None or (maker is not None and maker.type.startswith(("QLinear", "QGemm")))
