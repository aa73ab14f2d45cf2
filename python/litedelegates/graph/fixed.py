"""Ops that always make the same, because they start from constants alone, and ops that only compute shapes."""

from __future__ import annotations

from collections.abc import Iterable

from litedelegates.graph.kinds import HANDLES, RANDOM, SHAPES
from litedelegates.graph.parts import Tensor


class FixedOps:
    """Decides op by op, in the order of execution.

    Float16 weights behind DEQUANTIZE, shapes computed from constants and handles to variables are no part of what flows
    through the model: a cut makes them again where they are needed instead of sending them.
    """

    def __init__(self) -> None:
        self._made: set[Tensor] = set()
        self._sizes: set[Tensor] = set()  # follow from the shapes of tensors

    def add(
        self,
        kind: str,
        inputs: Iterable[Tensor | None],
        outputs: Iterable[Tensor | None],
        has_more: bool,
    ) -> bool:
        """Return whether an op is fixed; ``has_more`` if it uses state, runs other graphs or is a custom op."""
        if has_more or kind in RANDOM:
            return False
        given = [tensor for tensor in inputs if tensor is not None]
        if not given and kind not in HANDLES and kind not in ("Constant", "ConstantOfShape"):
            return False
        if not all((tensor.is_constant and not tensor.is_variable) or tensor in self._made for tensor in given):
            return False
        self._made.update(tensor for tensor in outputs if tensor is not None)
        return True

    def computes_shape(
        self,
        kind: str,
        inputs: Iterable[Tensor | None],
        outputs: Iterable[Tensor | None],
        has_more: bool,
    ) -> bool:
        """Return whether an op, for which `add` was called, only computes sizes from the shapes of tensors.

        What it makes follows from the shapes of the inputs, and is at most a list of numbers: SHAPE, and the slices,
        sums and lists of what that gives, as converters write them for an open batch.
        """
        made = [tensor for tensor in outputs if tensor is not None]
        given = [tensor for tensor in inputs if tensor is not None]
        computed = [tensor for tensor in given if not tensor.is_constant and tensor not in self._made]
        if has_more or kind in RANDOM or not all(tensor.shape is not None and len(tensor.shape) < 2 for tensor in made):
            return False
        if kind not in SHAPES and not (computed and self._sizes.issuperset(computed)):
            return False
        self._sizes.update(made)
        return True
