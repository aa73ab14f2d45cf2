"""Ops that always make the same, because they start from constants alone."""

from __future__ import annotations

from collections.abc import Iterable

from litedelegates.graph.kinds import HANDLES, RANDOM
from litedelegates.graph.parts import Tensor


class FixedOps:
    """Decides op by op, in the order of execution.

    Float16 weights behind DEQUANTIZE, shapes computed from constants and handles to variables are no part of what flows
    through the model: a cut makes them again where they are needed instead of sending them.
    """

    def __init__(self) -> None:
        self._made: set[Tensor] = set()

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
