"""What is measured of models whose layers have different precisions, and how such models are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from litedelegates.layers.records import Record, Setting


@dataclass(frozen=True)
class MixedTiming(Record):
    """A model whose layers have different precisions, timed as a whole in turn with the uniform ones.

    Attributes:
        precisions: Precision by layer.
        setting: How it ran; its precision is what `mix_name` calls the mix.
        whole_us: Median latency in microseconds; None where it was not measured.
        low_us: Lower end of the 95 % interval of ``whole_us``; None with too few rounds.
        high_us: Upper end.
        uniform_us: Median latency of the models in one precision that were timed in the same rounds, by precision.
        file_nbytes: Size of the file.
        error: Squared relative error of the outputs against float32, over all samples.
        agreement: Share of the samples whose largest output is that of the float32 model.
        accuracy: With labels, share of the samples whose largest output is the label.
        samples: Inputs that the last three are taken over.
        ran: Where its ops ran, such as "xnnpack 1".
        error_refusal: Why ``error`` and the two after it were not taken; None where they were.
        refusal: Why there is nothing; None where there is.
    """

    precisions: Mapping[int, str] = field(hash=False)
    setting: Setting
    whole_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    uniform_us: Mapping[str, float] = field(default_factory=dict, hash=False)
    file_nbytes: int = 0
    error: float | None = None
    agreement: float | None = None
    accuracy: float | None = None
    samples: int = 0
    ran: str = ""
    error_refusal: str | None = None
    refusal: str | None = None

    @property
    def is_uniform(self) -> bool:
        """Whether all layers have the same precision."""
        return len(set(self.precisions.values())) < 2

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name == "precisions":
            return {int(layer): precision for layer, precision in value.items()}
        if name == "error":
            return float(value)
        return Setting.from_json(value) if name == "setting" else super()._read(name, value)


def mix_name(precisions: Mapping[int, str]) -> str:
    """Return what a mix is called: the same for the same layers and precisions."""
    if len(set(precisions.values())) == 1:
        return next(iter(precisions.values()))
    text = " ".join(f"{layer}:{precision}" for layer, precision in sorted(precisions.items()))
    return f"mix-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def draw_mixes(layers: Sequence[int], precisions: Sequence[str], count: int, seed: int) -> list[dict[int, str]]:
    """Return mixes of runs of neighbours, each in another precision than the run before.

    A mix has a mean length of its runs, drawn log-uniformly from one layer to half of them, so that there are mixes
    with many borders and mixes with few; lengths are geometric. The first mixes are the same for any count.

    Args:
        layers: Indices, in the order they run.
        precisions: Two at least, else there are no mixes.
        count: How many different ones; fewer where there are not so many.
        seed: The same seed gives the same mixes.
    """
    found: dict[str, dict[int, str]] = {}
    rng = np.random.default_rng(seed)
    for _ in range(20 * count if len(precisions) > 1 and len(layers) > 1 else 0):
        if len(found) == count:
            break
        mix: dict[int, str] = {}
        last, mean = "", np.exp(rng.uniform(0, np.log(len(layers) / 2)))
        while len(mix) < len(layers):
            length = rng.geometric(1 / mean)
            last = str(rng.choice([name for name in precisions if name != last]))
            mix.update(dict.fromkeys(layers[len(mix) : len(mix) + length], last))
        if len(set(mix.values())) > 1:
            found.setdefault(mix_name(mix), mix)
    return list(found.values())
