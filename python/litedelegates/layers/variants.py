"""A model in another precision, its ops and tensors mapped back to the layers of the float32 model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from litedelegates.errors import InvalidModelError, OptionError
from litedelegates.graph import Graph, Op, Tensor, load
from litedelegates.graph.border import computed_reads
from litedelegates.layers.alignment import Alignment
from litedelegates.layers.owners import Owner, Owners, identity, owners_by
from litedelegates.layers.precisions import cached_name, keeping, parse_precision
from litedelegates.quantize import quantize_file
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS

__all__ = ["Owner", "Owners", "Variant", "load_variant", "make_variant"]

# What reads a quantized border in, and what writes it.
_WIDENS = frozenset({"DequantizeLinear", "DynamicQuantizeLinear"})
_ROUNDS = frozenset({"QuantizeLinear"})
_SHORT_FLOATS = frozenset({"bfloat16", "float16"})


@dataclass(frozen=True)
class Variant:
    """A model in one precision.

    Attributes:
        precision: Such as "int8" or "int8;format=qoperator"; "float32" for the model itself.
        path: The file.
        source: The float32 model.
        graph: The file's graph; ``source`` itself for "float32".
        owners: By index of an op of ``graph``; ops that only make constants are not in it.
        turned: Tensors of ``graph`` that are known to hold the values of one of ``source`` in another order of
            dimensions, see `layouts.without_turned`.
    """

    precision: str
    path: str
    source: Graph
    graph: Graph
    owners: Owners
    turned: frozenset[Tensor] = field(default=frozenset(), kw_only=True)

    def ops_of(self, layer: int) -> tuple[Op, ...]:
        """Return the ops that compute a layer, without conversions; an op that computes several belongs to each."""
        return tuple(self.graph.ops[index] for index in self._computing.get(layer, ()))

    def group_of(self, layer: int) -> tuple[Op, ...]:
        """Return the ops to cut out so that a layer runs alone in this precision; none where the variant has no such.

        Its own ops, the conversions between them, and those that only make their constants. For QDQ models also the
        DequantizeLinear in front and the QuantizeLinear behind, so that its border is quantized and the engine can fuse
        it; for dynamic ones the DynamicQuantizeLinear in front, which is part of what it costs.
        """
        own = set(self.ops_of(layer))
        between = {op for op in self._conversions if self._leads_to(op, own) and self._comes_from(op, own)}
        group = own | between
        reads = [tensor for op in group for tensor in op.reads]
        front = {op for tensor in reads if (op := self.graph.producer(tensor)) is not None and op.type in _WIDENS}
        behind = {op for made in group for op in self._readers(made) if op.type in _ROUNDS}
        if self.graph.format == "onnx":
            group |= {op for op in front | behind if op.is_fixed or op in self._conversions}
        group |= self._fixed_before(group)
        return tuple(sorted(group, key=lambda op: op.index))

    def tensor_of(self, tensor: Tensor) -> Tensor | None:
        """Return what holds the values of a tensor of ``source`` in this variant, quantized where it is; None if none.

        `real_values` of the array of the result are the real values.
        """
        if self.graph is self.source:
            return tensor
        found = self.carriers.get(tensor)
        return None if found is None else min(found, key=_width)

    def with_turned(self, tensors: Iterable[Tensor]) -> Variant:
        """Return the same variant, which knows of these tensors that they are `turned`."""
        made = replace(self, turned=frozenset(tensors))
        made.__dict__["_alignment"] = self._alignment  # as cached_property would keep it
        return made

    @cached_property
    def carriers(self) -> Mapping[Tensor, list[Tensor]]:
        """The tensors of the variant that hold each tensor of the source, its layout included, in order."""
        found: dict[Tensor, list[Tensor]] = {}
        carried = self._alignment.carried
        for tensor in self.graph.tensors:
            if tensor in carried and tensor not in self.turned and not self._is_turned(tensor):
                found.setdefault(carried[tensor], []).append(tensor)
        return found

    @cached_property
    def _alignment(self) -> Alignment:
        return Alignment(self.source, self.graph)

    def _is_turned(self, tensor: Tensor) -> bool:
        source = self._alignment.carried[tensor]
        known = tensor.shape is not None and source.shape is not None
        return known and len(tensor.shape or ()) != len(source.shape or ())

    @cached_property
    def _computing(self) -> Mapping[int, list[int]]:
        found: dict[int, list[int]] = {}
        for index, owner in sorted(self.owners.items()):
            for layer in owner.layers if owner.role == "layer" else ():
                found.setdefault(layer, []).append(index)
        return found

    @cached_property
    def _conversions(self) -> frozenset[Op]:
        return frozenset(self.graph.ops[index] for index, owner in self.owners.items() if owner.role == "conversion")

    def _readers(self, op: Op) -> Iterable[Op]:
        return (reader for tensor in op.makes for reader in self.graph.readers(tensor))

    def _leads_to(self, op: Op, ends: set[Op]) -> bool:
        """Return whether a conversion feeds one of ``ends``, through further conversions or without."""
        return any(
            reader in ends or (reader in self._conversions and self._leads_to(reader, ends))
            for reader in self._readers(op)
        )

    def _comes_from(self, op: Op, starts: set[Op]) -> bool:
        makers = [self.graph.producer(tensor) for tensor in computed_reads(self.graph, op)]
        return any(
            maker is not None and (maker in starts or (maker in self._conversions and self._comes_from(maker, starts)))
            for maker in makers
        )

    def _fixed_before(self, ops: Iterable[Op]) -> set[Op]:
        found: set[Op] = set()
        waiting = [tensor for op in ops for tensor in op.reads]
        while waiting:
            maker = self.graph.producer(waiting.pop())
            if maker is not None and maker.is_fixed and maker not in found:
                found.add(maker)
                waiting += maker.reads
        return found


def make_variant(
    source: Graph,
    path: str | os.PathLike[str],
    precision: str,
    folder: str | os.PathLike[str],
    *,
    calibration: Any = None,
    allow_float32_ops: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    write: Callable[..., object] = quantize_file,
) -> Variant:
    """Quantize a model, or take the file that an earlier call made, and map it back to the layers.

    Args:
        source: The float32 model.
        path: Its file.
        precision: "float32" for the file itself, or what `quantize` takes with options after semicolons:
            "int8;format=qoperator" (see `precisions.parse_precision`).
        folder: Where the quantized file is kept, whole or not at all. Its name says the model, the recipe and the
            versions that it was made with.
        calibration: For int8 and int16x8: what `quantize` takes.
        allow_float32_ops: Accept a file in which ops that cannot be quantized stay float32.
        shapes: For an ``.onnx``: sizes of the inputs that leave some open.
        write: What to call in the place of `quantize.quantize_file`, with what that takes.

    Raises:
        OptionError: An unknown precision or option; names the nearest.
        QuantizationError: The file cannot be made; says why.
        InvalidModelError: The model cannot be read.
        OSError: A file cannot be read or written.
    """
    name, options = parse_precision(precision, source.format)
    if name == FLOAT32:
        return Variant(precision, os.fspath(path), source, source, identity(source))
    is_static = name in STATIC_PRECISIONS
    keywords: dict[str, Any] = {**options, "allow_float32_ops": allow_float32_ops}
    if is_static and shapes is not None and source.format == "onnx":
        keywords["shapes"] = shapes
    if is_static and calibration is not None and not isinstance(calibration, str | os.PathLike):
        calibration = list(calibration)
    given = calibration if is_static else None

    def named() -> str:
        return cached_name(path, precision, given, keywords, source.format)

    target = Path(folder) / named()
    if target.is_file():
        with contextlib.suppress(InvalidModelError):  # damaged since: it is made anew
            return load_variant(source, target, precision, shapes=shapes)
    target.parent.mkdir(parents=True, exist_ok=True)
    with keeping(target, named, path, given):
        write(path, target, name, given, progress=False, **keywords)
    return load_variant(source, target, precision, shapes=shapes)


def load_variant(
    source: Graph,
    path: str | os.PathLike[str],
    precision: str,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Variant:
    """Map a file that somebody made of a model back to its layers.

    Args:
        source: The float32 model.
        path: The file, of the same format.
        precision: What to call it.
        shapes: For an ``.onnx``: sizes of the inputs that leave some open.

    Raises:
        OptionError: The file is of the other format.
        InvalidModelError: It cannot be read, or no op of it could be mapped to a layer.
    """
    graph = load(os.fspath(path), shapes=None if shapes is None else dict(shapes))
    if graph.format != source.format:
        raise OptionError(f"{os.fspath(path)} is a .{graph.format}, and the float32 model a .{source.format}")
    alignment = Alignment(source, graph)
    found = owners_by(alignment)
    if not any(owner.role == "layer" for owner in found.values()):
        raise InvalidModelError(
            f"{os.fspath(path)}: neither names nor types and order of its ops tell what they compute of "
            f"{source.name or 'the float32 model'}; is it made of the same network?"
        )
    variant = Variant(precision, os.fspath(path), source, graph, found)
    variant.__dict__["_alignment"] = alignment  # as cached_property would keep it
    return variant


def _width(tensor: Tensor) -> int:
    """Return how far a tensor is from integers: those first, then short floats."""
    if tensor.quantization is not None:
        return 0
    return 1 if tensor.element_type in _SHORT_FLOATS else 2
