"""One layer of a variant as a model of its own, fed with what the layer reads in the float32 model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from litedelegates.engines import Array, open_session
from litedelegates.errors import CutError
from litedelegates.graph import Graph, Op, Tensor, extract
from litedelegates.graph.kinds import RANDOM
from litedelegates.layers.carrying import Carriers, is_real, stored_as
from litedelegates.layers.variants import Variant
from litedelegates.measure import real_values
from litedelegates.model import numpy_dtype


@dataclass(frozen=True)
class CutOut:
    """A layer's ops in some precision.

    Attributes:
        graph: The ops as a model.
        sources: By input of ``graph``, the tensor of the float32 model whose values it wants.
        results: By output of the layer that holds real values, the output of ``graph`` that stands for it.
    """

    graph: Graph
    sources: Mapping[Tensor, Tensor]
    results: Mapping[Tensor, Tensor]

    @property
    def touched(self) -> tuple[Tensor, ...]:
        """The tensors of the float32 model that it reads and makes."""
        return (*self.sources.values(), *self.results)

    def run(
        self, values: Mapping[Tensor, Sequence[Array]], count: int, *, num_threads: int | None = None
    ) -> Iterator[dict[Tensor, Array]]:
        """Run it on the reference kernels and yield, for each sample, what it stored for each output of the layer.

        Args:
            values: The true values of the tensors among ``sources``, one array a sample.
            count: How many samples these are.
            num_threads: Threads of the kernels.

        Raises:
            LiteDelegatesError: It cannot be loaded, fed or run; says why.
        """
        with closing(open_session(self.graph.to_bytes(), num_threads=num_threads, same_kernels=True)) as session:
            for index in range(count):
                feed = {
                    self.graph.public_name(tensor): stored_as(tensor, values[source][index])
                    for tensor, source in self.sources.items()
                }
                found = session.run(feed)
                yield {true: found[self.graph.public_name(own)] for true, own in self.results.items()}

    def real(self, found: Mapping[Tensor, Array]) -> dict[Tensor, Array]:
        """Return what a run stored as the float32 model has it: real values, in the type of the true tensors."""
        return {
            true: real_values(array, self.results[true].quantization).astype(numpy_dtype(true.element_type))
            for true, array in found.items()
        }


def cut_out(carriers: Carriers, layer: int) -> CutOut:
    """Take a layer, by its index in the float32 model, out of a variant.

    Raises:
        CutError: It cannot be had alone; says why.
    """
    variant, carried = carriers.variant, carriers.sources
    group = variant.group_of(layer)
    results = {}
    for tensor in real_outputs(variant.source.ops[layer]):
        made = [own for op in group for own in op.makes if carried.get(own) is tensor and is_real(own)]
        if made:
            exact = variant.tensor_of(tensor)
            results[tensor] = exact if exact is not None and exact in made else made[-1]
    if not results:
        raise CutError(why_hidden(variant, layer))
    graph = extract(variant.graph, group, outputs=results.values())
    for tensor in graph.inputs:
        if tensor not in carried:
            raise CutError(
                f"its input {tensor.name!r} in {variant.precision} stands for no tensor of the float32 model"
            )
    return CutOut(graph, {tensor: carried[tensor] for tensor in graph.inputs}, results)


def real_outputs(op: Op) -> tuple[Tensor, ...]:
    """Return the outputs of a layer that hold real values.

    Raises:
        CutError: There are none, or they are others each time.
    """
    if op.type in RANDOM:
        raise CutError("it gives other values each time")
    found = tuple(tensor for tensor in op.makes if is_real(tensor))
    if not found:
        types = ", ".join(dict.fromkeys(tensor.element_type for tensor in op.makes)) or "nothing"
        raise CutError(f"it makes {types}: no real numbers, whose error would mean something")
    return found


def why_hidden(variant: Variant, layer: int) -> str:
    """Return why a variant has no tensor with the output of a layer."""
    together = sorted({other for op in variant.ops_of(layer) for other in variant.owners[op.index].layers} - {layer})
    if together:
        others = ", ".join(map(str, together))
        return f"{variant.precision} computes it together with layer {others}, and its own output nowhere"
    return f"no tensor of the {variant.precision} model is known to hold its output"
