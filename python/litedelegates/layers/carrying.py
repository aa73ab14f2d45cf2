"""Which tensors of a variant carry the values of which tensors of the float32 model, and in what form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from litedelegates.border import quantize
from litedelegates.engines import Array
from litedelegates.errors import CutError, OptionError, nearest
from litedelegates.graph import Graph, Op, Tensor
from litedelegates.graph.border import converted
from litedelegates.layers.variants import Variant
from litedelegates.model import numpy_dtype

_REAL = frozenset({"float16", "float32", "float64"})


class Carriers:
    """A variant, and which of its tensors carry the values of which tensors of the float32 model.

    Attributes:
        variant: The model in some precision.
        sources: By tensor of the variant, the tensor of the float32 model: those that `Variant.tensor_of` names, and
            what conversions make of them or made them of.
    """

    def __init__(self, variant: Variant) -> None:
        """Look through all tensors once."""
        self.variant = variant
        self.sources: dict[Tensor, Tensor] = {}
        for tensor in variant.source.tensors:
            carrier = None if tensor.is_constant else variant.tensor_of(tensor)
            if carrier is not None:
                self.sources.setdefault(carrier, tensor)
        conversions = [(op.makes[0], origin) for op in variant.graph.ops if (origin := _converted_by(variant, op))]
        for made, origin in conversions:
            if origin in self.sources:
                self.sources.setdefault(made, self.sources[origin])
        for made, origin in reversed(conversions):
            if made in self.sources:
                self.sources.setdefault(origin, self.sources[made])

    def samples(self, samples: Mapping[Tensor, Sequence[Array]]) -> dict[Tensor, list[Array]]:
        """Return samples of the float32 model, by its inputs, as the inputs of the variant take them.

        Raises:
            CutError: An input of the variant is none of the model, or cannot store a sample.
        """
        variant, found = self.variant, {}
        in_order = dict(zip(variant.graph.inputs, variant.source.inputs, strict=False))
        for tensor in variant.graph.inputs:
            source = self.sources.get(tensor, in_order.get(tensor))
            if source is None or source not in samples:
                raise CutError(f"input {tensor.name!r} of the {variant.precision} model is none of the float32 model")
            found[tensor] = [stored_as(tensor, array) for array in samples[source]]
        return found


def is_real(tensor: Tensor) -> bool:
    """Return whether a tensor holds real values: floating-point ones, or integers with a scale."""
    return tensor.element_type in _REAL or (tensor.quantization is not None and tensor.element_type != "unknown")


def stored_as(tensor: Tensor, values: Array) -> Array:
    """Return real values as ``tensor`` stores them; values that are of its type already, as they are.

    Raises:
        CutError: It stores integers and nothing says which, or a value is NaN, which no integer stands for.
    """
    dtype = numpy_dtype(tensor.element_type)
    if values.dtype == dtype or tensor.element_type in _REAL:
        with np.errstate(over="ignore"):  # what is too large for float16 is inf there
            return values.astype(dtype, copy=False)
    quantization = tensor.quantization
    if quantization is None:
        raise CutError(
            f"{tensor.name!r} is {tensor.element_type} without a scale: {values.dtype} cannot be given to it"
        )
    if np.isnan(values).any():
        raise CutError(f"the true values of {tensor.name!r} hold NaN, which has no quantized value")
    return quantize(values, tensor.element_type, quantization.scales, quantization.zero_points, quantization.axis)


def samples_of(graph: Graph, feeds: Sequence[Mapping[str, Array]]) -> dict[Tensor, list[Array]]:
    """Return samples by input of the float32 model, one array each.

    Raises:
        OptionError: There are none, or one lacks an input, or the model takes none.
    """
    if not graph.inputs:
        raise OptionError(f"the model {graph.name!r} takes no inputs: what it computes is the same in every run")
    if not feeds:
        raise OptionError("no samples were given: errors are measured on at least one")
    for feed in feeds:
        for name in graph.input_names:
            if name not in feed:
                raise OptionError(f"a sample has no array for the input {name!r}. {nearest(name, feed)}")
    return {tensor: [np.asarray(feed[graph.public_name(tensor)]) for feed in feeds] for tensor in graph.inputs}


def _converted_by(variant: Variant, op: Op) -> Tensor | None:
    """Return the tensor whose values a conversion of the variant (none of the model's own) says in another type."""
    owner = variant.owners.get(op.index)
    return converted(op) if owner is not None and owner.role == "conversion" and op.makes else None
