"""What each layer adds to the error of the output, in each precision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from litedelegates.layers import LayerStudy

_KINDS = ("output", "local", "propagated")  # the first that was measured counts
_FLOAT32 = "float32"


def layer_errors(studies: Sequence[LayerStudy], precisions: Iterable[str]) -> dict[str, dict[int, float]] | None:
    """Return the squared relative error by precision and layer; None where no study has any.

    That of a layer is 10^(-sqnr_db / 10): the mean square of what only this layer's precision changes in the output,
    over that of the output. Such squares add up as long as they are small and independent of each other. A layer of
    which nothing was measured is taken to be as bad as the worst in its precision.

    Args:
        studies: The first with errors in a precision counts: they are the same on each device.
        precisions: Of which.
    """
    found = {}
    for precision in dict.fromkeys(precisions):
        own = next((errors for study in studies if (errors := _of(study, precision))), {})
        if own:
            worst = max(own.values())
            own = {layer.index: own.get(layer.index, worst) for layer in studies[0].layers}
        found[precision] = own
    if not any(found.values()):
        return None
    for precision, own in found.items():
        if not own and precision != _FLOAT32:
            found[precision] = dict.fromkeys((layer.index for layer in studies[0].layers), math.inf)
    return found


def _of(study: LayerStudy, precision: str) -> dict[int, float]:
    found: dict[int, float] = {}
    for kind in _KINDS if precision != _FLOAT32 else ():
        for error in study.errors:
            if error.precision == precision and error.kind == kind and error.sqnr_db is not None:
                found.setdefault(error.layer, noise(error.sqnr_db))
    return found


def noise(sqnr_db: float) -> float:
    """Return the squared relative error; inf for what is no number."""
    return math.inf if math.isnan(sqnr_db) else 10.0 ** (-sqnr_db / 10)
