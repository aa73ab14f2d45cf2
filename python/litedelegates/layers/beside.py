"""Two studies of one network, a LiteRT and an ONNX model or two files of a kind, layer by layer side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from litedelegates.layers.matching import LayerPair
from litedelegates.layers.records import Record
from litedelegates.layers.results import LayerStudy


@dataclass(frozen=True)
class BesideLayer(Record):
    """A layer that two models have, or that only one of them has, and what it takes in each.

    Attributes:
        pair: Which ops of the two models it is.
        first_us: Microseconds in place in the first model, by precision; the sum of its ops.
        second_us: The same in the second.
        first_db: Lowest local signal-to-quantization-noise ratio of its ops in the first model, by precision.
        second_db: The same in the second.
    """

    pair: LayerPair
    first_us: Mapping[str, float] = field(default_factory=dict, hash=False)
    second_us: Mapping[str, float] = field(default_factory=dict, hash=False)
    first_db: Mapping[str, float] = field(default_factory=dict, hash=False)
    second_db: Mapping[str, float] = field(default_factory=dict, hash=False)

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return LayerPair.from_json(value) if name == "pair" else value


def stand_beside(
    first: LayerStudy,
    second: LayerStudy,
    pairs: Iterable[LayerPair],
    *,
    delegates: tuple[str | None, str | None] = (None, None),
    threads: int | None = None,
) -> list[BesideLayer]:
    """Return what each layer takes in two models of one network.

    Args:
        first: A study of one of the models.
        second: A study of the other.
        pairs: What `matching.match_layers` found between the two.
        delegates: On which delegate each is looked at; by default the last that was studied.
        threads: With how many threads; by default the first number that was studied.
    """
    sides = [_Side(study, delegate, threads) for study, delegate in zip((first, second), delegates, strict=True)]
    return [
        BesideLayer(
            pair, sides[0].us(pair.first), sides[1].us(pair.second), sides[0].db(pair.first), sides[1].db(pair.second)
        )
        for pair in pairs
    ]


class _Side:
    """One of two studies, on one delegate."""

    def __init__(self, study: LayerStudy, delegate: str | None, threads: int | None) -> None:
        settings = [setting for setting in study.settings if threads in (None, setting.threads)]
        chosen = delegate if delegate is not None else settings[-1].delegate if settings else None
        count = settings[0].threads if settings else None
        self._study = study
        self._settings = [s for s in settings if (s.delegate, s.threads) == (chosen, count)]

    def us(self, layers: Sequence[int]) -> dict[str, float]:
        """Return microseconds in place by precision; an op that ran as part of another counts where that one is."""
        found = {}
        for setting in self._settings:
            own = [us for layer in layers if (us := self._study.layer_us(layer, setting)) is not None]
            if own:
                found[setting.precision] = sum(own)
        return found

    def db(self, layers: Sequence[int]) -> dict[str, float]:
        """Return the lowest local ratio of signal to noise by precision."""
        found: dict[str, float] = {}
        for precision in dict.fromkeys(setting.precision for setting in self._settings):
            errors = [self._study.error_of(layer, precision, "local") for layer in layers]
            own = [error.sqnr_db for error in errors if error is not None and error.sqnr_db is not None]
            if own:
                found[precision] = min(own)
        return found
