"""Records of errors while they are being made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np

from litedelegates.engines import Array
from litedelegates.errors import CutError, LiteDelegatesError, MissingExtraError, OptionError
from litedelegates.graph import Tensor
from litedelegates.layers.records import DEAD_COLUMNS, ErrorKind, LayerError
from litedelegates.layers.walking import Values
from litedelegates.layers.watching import Key
from litedelegates.measure import ErrorSums
from litedelegates.measure.error import real_values
from litedelegates.quantize.value_check import OutputSums

# Larger tensors are looked at as a whole only: it takes as long as the run.
_MOST_ELEMENTS = 1 << 20


class Tally:
    """A record that is being made.

    Attributes:
        layer: As in `LayerError`, like the next three.
        precision: The precision.
        kind: The kind of error.
        delegate: What computes.
        refusal: Why there will be no figures; None as long as there may be some.
        samples: Samples counted.
    """

    def __init__(self, layer: int, precision: str, kind: ErrorKind, delegate: str) -> None:
        """Start with nothing counted."""
        self.layer, self.precision, self.kind, self.delegate = layer, precision, kind, delegate
        self.refusal: str | None = None
        self.samples = 0
        self._sums = ErrorSums()
        self._columns = OutputSums()
        self._rows = self._agreeing = self._labelled = self._right = 0

    @property
    def key(self) -> Key:
        """What tells its record from all others."""
        return self.layer, self.precision, self.kind, self.delegate

    def add(self, true: Tensor, reference: Array, own: Tensor, values: Array) -> None:
        """Compare what a tensor holds with what another, the true one, holds."""
        self._sums.add(reference, values, quantization=own.quantization, reference_quantization=true.quantization)
        if own.quantization is not None and reference.size <= _MOST_ELEMENTS:
            self._columns.add(real_values(reference, true.quantization), real_values(values, own.quantization))

    def add_largest(self, reference: Array, values: Array, label: Any) -> None:
        """Compare the places of the largest values, one for each row; ``label`` is None where it is not known."""
        wanted, found = _largest(reference), _largest(values)
        self._rows += found.size
        self._agreeing += int(np.count_nonzero(wanted == found))
        if label is not None:
            self._labelled += found.size
            self._right += int(np.count_nonzero(found == np.asarray(label)))

    def record(self) -> LayerError:
        """Return the record of everything counted so far."""
        if self.refusal is not None:
            return LayerError(self.layer, self.precision, self.kind, self.delegate, refusal=self.refusal)
        figures = asdict(self._sums.result())
        return LayerError(
            self.layer,
            self.precision,
            self.kind,
            self.delegate,
            samples=self.samples,
            **{**figures, "flags": (*figures["flags"], *self._dead())},
            accuracy=self._right / self._labelled if self._labelled else None,
            agreement=self._agreeing / self._rows if self._rows else None,
        )

    def _dead(self) -> tuple[str, ...]:
        return (DEAD_COLUMNS,) if any(column.is_dead for column in self._columns.result("", 0.0).columns) else ()


@contextmanager
def refusing(*tallies: Tally) -> Iterator[None]:
    """Turn what goes wrong inside into the refusal of some records, for others may do.

    Raises:
        MissingExtraError: An engine is not installed, and so no record can be made.
        OptionError: An engine does not know an option: the same holds.
    """
    try:
        yield
    except (MissingExtraError, OptionError):
        raise
    except (LiteDelegatesError, ValueError) as error:
        for tally in tallies:
            tally.refusal = str(error)


def at_hand(values: Values, tensors: Sequence[Tensor]) -> Mapping[Tensor, Sequence[Array]]:
    """Return the values of some tensors.

    Raises:
        CutError: Some are not to be had; says why.
    """
    found = {}
    for tensor in tensors:
        arrays = values[tensor]
        if isinstance(arrays, str):
            raise CutError(f"the values of {tensor.name!r} are not to be had: {arrays}")
        found[tensor] = arrays
    return found


def _largest(array: Array) -> Array:
    rows = array.reshape(array.shape[0], -1) if array.ndim > 1 else array.reshape(1, -1)
    places: Array = rows.argmax(axis=1)
    return places
