"""Compare two studies: what became slower, what broke, and whether they can be compared at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.errors import LiteDelegatesError, OptionError, nearest
from litedelegates.measure import RatioInterval, SampleError, find_dependence
from litedelegates.study.counterparts import ALLOWANCES, machine_differences, pair, version_differences
from litedelegates.study.figures import Figures, read_figures
from litedelegates.study.store import Store

TOO_FAST = 0.67
# Each study loaded its models by itself, and two copies of a model differ by up to 1.5 % for as long as they live.
LEAST_EFFECT = 0.02


class NotComparableError(LiteDelegatesError, ValueError):
    """Two studies differ in what has to be the same; says in what, and how to compare them nevertheless."""


@dataclass(frozen=True, eq=False)
class Change:
    """One configuration in both studies.

    Attributes:
        old: What the old study says of it.
        new: What the new study says of it.
        ratio: New median time over the old one; None where one of them was not measured.
        against_reference: The same of the times over those of each study's reference in the same rounds: a machine that
            was slower in one of the studies meets both. None for the reference itself.
        notes: What else is different.
        too_fast: Ratios below this are suspicious.
    """

    old: Figures
    new: Figures
    ratio: RatioInterval | None
    against_reference: RatioInterval | None
    notes: tuple[str, ...]
    too_fast: float

    @property
    def label(self) -> str:
        """What the configuration is called."""
        old, new = self.old.cell.label, self.new.cell.label
        return old if old == new else f"{old} -> {new}"

    @property
    def is_slower(self) -> bool:
        """Whether it is shown to be slower, and not only as the reference is."""
        return self.verdict in ("slower", "slower against the reference")

    @property
    def is_broken(self) -> bool:
        """Whether it worked in the old study and not in the new one."""
        return self.old.status == "ok" and self.new.status not in ("ok", "unfinished")

    @property
    def is_too_fast(self) -> bool:
        """Whether it gained more than a change for the better usually brings: work may have been left out."""
        return self.ratio is not None and self.ratio.ratio < self.too_fast

    @property
    def verdict(self) -> str:
        """Say "slower", "faster", "no difference shown", or how it ended.

        "slower, as is the reference" is what became slower by itself and not against the reference: the machine was
        busier, or something that both use became slower.
        """
        if self.ratio is None:
            return self.new.status if not self.new.is_measured else f"was {self.old.status}"
        alone = self.ratio.verdict
        if self.against_reference is None or self.against_reference.verdict == alone:
            return alone
        if alone == "no difference shown":
            return f"{self.against_reference.verdict} against the reference"
        return f"{alone}, as is the reference"

    def new_value(self, name: str) -> float | None:
        """Return a value of the new study."""
        return _value(self.new, name)

    def quotient(self, name: str) -> float | None:
        """Return a value of the new study over that of the old one."""
        old, new = _value(self.old, name), _value(self.new, name)
        return None if new is None or not old else new / old

    def loss(self, name: str) -> float | None:
        """Return a value of the old study minus that of the new one."""
        old, new = _value(self.old, name), _value(self.new, name)
        return None if new is None or old is None else old - new


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two studies say about the same configurations.

    Attributes:
        changes: One entry a configuration that both have, in the order of the new study.
        only_old: Labels of the configurations that only the old study has.
        only_new: Labels of those that only the new one has.
        differences: What is not the same about the studies and was allowed, and versions that changed.
    """

    changes: tuple[Change, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    differences: tuple[str, ...]


def compare(old: Store, new: Store, allow: Collection[str] = (), too_fast: float = TOO_FAST) -> Comparison:
    """Compare the configurations that two studies have in common.

    The two were not interleaved, so a machine that was busier in one of them shows as a difference:
    `Change.against_reference` is free of that.

    Args:
        old: The study that came first.
        new: The one to judge.
        allow: Names of `ALLOWANCES`: what may differ.
        too_fast: Ratio of the medians below which a configuration is flagged as suspiciously fast.

    Raises:
        NotComparableError: They differ in what is not allowed to, or have nothing in common.
        OptionError: There is no such allowance.
    """
    for name in allow:
        if name not in ALLOWANCES:
            raise OptionError(f"there is no allowance {name!r}. {nearest(name, ALLOWANCES)}")
    found = machine_differences(old, new)
    old_cells, new_cells = read_figures(old), read_figures(new)
    pairs, cell_differences = pair(old_cells, new_cells)
    found += cell_differences
    if refused := [(name, text) for name, text in found if name not in allow]:
        names = ",".join(dict.fromkeys(name for name, _ in refused))
        texts = "; ".join(text for _, text in refused[:6]) + (f"; and {len(refused) - 6} more" if refused[6:] else "")
        raise NotComparableError(
            f"{old.path} and {new.path} cannot be compared: {texts}. To do it anyway: --allow {names}"
        )
    if not pairs:
        raise NotComparableError(f"{old.path} and {new.path} have no configuration in common")
    paired_old, paired_new = {p.cell.key for p, _ in pairs}, {p.cell.key for _, p in pairs}
    return Comparison(
        tuple(_change(a, b, too_fast) for a, b in pairs),
        tuple(f.cell.label for f in old_cells if f.cell.key not in paired_old),
        tuple(f.cell.label for f in new_cells if f.cell.key not in paired_new),
        tuple([text for _, text in found] + version_differences(old, new)),
    )


def unpaired_ratio(
    new: Sequence[float], old: Sequence[float], confidence: float = 0.95, resamples: int = 4000, seed: int = 0
) -> RatioInterval:
    """Return the ratio of the medians of two sets of rounds that were not interleaved, with a bootstrap interval.

    Each side is drawn by itself, neighbours that depend on each other (`find_dependence`) merged into their median
    first. Fewer than 6 values left on a side give no interval.

    Raises:
        SampleError: A side is empty, or has a value that is not above 0.
    """
    if not len(new) or not len(old) or min(*new, *old) <= 0:
        raise SampleError("a ratio needs rounds on both sides, with times above 0")
    series = [np.log(np.asarray(side, dtype=np.float64)) for side in (new, old)]
    ratio, rounds = float(np.exp(np.median(series[0]) - np.median(series[1]))), min(map(len, series))
    pieces = [np.array_split(side, len(side) // find_dependence(side)) for side in series]
    sides = [np.array([np.median(piece) for piece in side]) for side in pieces]
    left = min(map(len, sides))
    if 1 - 2 * 0.5**left < confidence:
        return RatioInterval(ratio, None, None, confidence, rounds, LEAST_EFFECT)
    random = np.random.default_rng(seed)
    drawn = [np.median(s[random.integers(0, len(s), (resamples, len(s)))], axis=1) for s in sides]
    tail = (1 - confidence) / 2
    # Percentiles of few rounds are too narrow; the usual factor widens them about the middle.
    middle, low, high = np.quantile(drawn[0] - drawn[1], [0.5, tail, 1 - tail])
    factor = (left / (left - 1)) ** 0.5
    bounds = np.exp([middle - (middle - low) * factor, middle + (high - middle) * factor])
    return RatioInterval(ratio, float(bounds[0]), float(bounds[1]), confidence, rounds, LEAST_EFFECT)


def _change(old: Figures, new: Figures, too_fast: float) -> Change:
    ratio = against = None
    if old.is_measured and new.is_measured:
        now, before = ([float(np.median(block)) for block in side.blocks_ns] for side in (new, old))
        ratio = unpaired_ratio(now, before)
        if old.round_ratios and new.round_ratios and not new.is_base:
            against = unpaired_ratio(new.round_ratios, old.round_ratios)
    return Change(old, new, ratio, against, tuple(_notes(old, new)), too_fast)


def _notes(old: Figures, new: Figures) -> list[str]:
    notes = []
    if old.status != new.status:
        reason = f" ({new.outcome.reason})" if new.outcome and new.outcome.reason else ""
        notes.append(f"{old.status} before, {new.status} now{reason}")
    if not (old.outcome and new.outcome and old.is_measured and new.is_measured):
        return notes
    before, now = dict(old.outcome.placement or {}), dict(new.outcome.placement or {})
    if before and now and before != now:
        notes.append(f"ops ran on {_say(before)} before, on {_say(now)} now")
    for name in ("route", "device"):
        a, b = getattr(old.outcome, name), getattr(new.outcome, name)
        if a and b and a != b:
            notes.append(f"{name} {a} before, {b} now")
    if old.outcome.run_sha256 and new.outcome.run_sha256 and old.outcome.run_sha256 != new.outcome.run_sha256:
        notes.append("the quantized file is another one")
    a, b = _value(old, "relative_error"), _value(new, "relative_error")
    if a is not None and b is not None and b > 1.5 * a + 1e-6:
        notes.append(f"relative error {a:.2g} before, {b:.2g} now")
    return notes


def _say(placement: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(placement.items()))


def _value(figures: Figures, name: str) -> float | None:
    outcome, value = figures.outcome, None
    if name.endswith("_us"):
        value = None if figures.summary is None or not figures.is_measured else getattr(figures.summary, name)
    elif outcome is not None and name == "relative_error":
        value = (outcome.error or {}).get("relative")
    elif outcome is not None and name == "peak_memory":
        value = (outcome.memory or {}).get("peak")
    elif outcome is not None:
        value = getattr(outcome, name)
    return None if value is None else float(value)
