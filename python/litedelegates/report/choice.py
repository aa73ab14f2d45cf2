"""Which configuration of a model to ship, and the reason in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litedelegates.measure import ratio_interval
from litedelegates.study.compare import unpaired_ratio
from litedelegates.study.figures import Figures

ACCURACY_LOSS = 0.01
RELATIVE_ERROR = 0.1


@dataclass(frozen=True)
class Choice:
    """The configuration chosen for a model.

    Attributes:
        best: It; None where nothing can be chosen.
        why: The reason, in a sentence or two.
    """

    best: Figures | None
    why: str


def rule(accuracy_loss: float = ACCURACY_LOSS, relative_error: float = RELATIVE_ERROR) -> str:
    """Say in words by what `choose` goes."""
    return (
        f"The fastest configuration that keeps the quality: accuracy within {_points(accuracy_loss)} of the "
        f"reference or, without labelled inputs, a relative error of at most {relative_error * 100:g} %. One whose "
        "outputs differ by more than its precision explains is never chosen. Of those not shown to be slower than the "
        "fastest, the one with the smallest error."
    )


def _points(share: float) -> str:
    points = f"{share * 100:g}"
    return f"{points} point" if points == "1" else f"{points} points"


def choose(
    cells: Sequence[Figures], accuracy_loss: float = ACCURACY_LOSS, relative_error: float = RELATIVE_ERROR
) -> Choice:
    """Return the best of the configurations of one model."""
    ended = sorted((c for c in cells if c.is_measured and c.status == "ok"), key=lambda c: c.median_ns or 0)
    by_key = {figures.cell.key: figures for figures in cells}
    fitting = [c for c in ended if keeps_quality(c, by_key, accuracy_loss, relative_error) and is_explained(c, cells)]
    if not ended:
        return Choice(None, f"None of {len(cells)} configurations was measured.")
    if not fitting:
        return Choice(None, f"None of the {len(ended)} configurations that were measured keeps the quality.")
    fastest = fitting[0]
    level = [fastest, *(c for c in fitting[1:] if _verdict(c, fastest) == "no difference shown")]
    best = min(level, key=_error)
    return Choice(best, " ".join(_reasons(best, fastest, level, fitting, ended)))


def keeps_quality(figures: Figures, by_key: dict[str, Figures], accuracy_loss: float, relative_error: float) -> bool:
    """Return whether what a configuration computes is good enough; yes where nothing is known about it."""
    base = by_key.get(figures.base.key) if figures.base is not None else None
    accuracy, expected = _of(figures, "accuracy"), _of(base, "accuracy")
    if accuracy is not None and expected is not None:
        return bool(accuracy >= expected - accuracy_loss - 1e-9)
    error = relative_error_of(figures)
    return error is None or error <= relative_error


def is_explained(figures: Figures, cells: Sequence[Figures]) -> bool:
    """Return whether the precision of a configuration explains its outputs; yes where nothing is known about them.

    Two kernels that are right differ by the bound that `measure.agreement` gives. A quantized file differs from
    the reference by what that lost as well: the bound is then counted from the smallest error of any configuration that
    runs the same file (triangle inequality).
    """
    error, bound = _of_error(figures, "relative_norm"), _of_error(figures, "bound")
    if error is None or bound is None or figures.outcome is None:
        return True
    file, lost = figures.outcome.run_sha256, 0.0
    if file != figures.cell.model_sha256:
        alike = [c for c in cells if c.outcome is not None and c.outcome.run_sha256 == file and c.status == "ok"]
        lost = min((found for c in alike if (found := _of_error(c, "relative_norm")) is not None), default=error)
    return error <= lost + bound


def _of_error(figures: Figures, name: str) -> float | None:
    error = _of(figures, "error")
    return None if not error or error.get(name) is None else float(error[name])


def relative_error_of(figures: Figures) -> float | None:
    """Return the relative error of a configuration, if it is known."""
    return _of_error(figures, "relative")


def _reasons(
    best: Figures, fastest: Figures, level: list[Figures], fitting: list[Figures], ended: list[Figures]
) -> list[str]:
    kept = f"of {len(fitting)} that keep the quality" if len(fitting) < len(ended) else f"of {len(ended)} measured"
    if best is not fastest:
        said = [f"Not shown to be slower than {short_label(fastest)}, the fastest {kept}, and its error is smaller."]
    else:
        said = [f"The fastest {kept}."]
        if len(level) > 1:
            names = ", ".join(short_label(figures) for figures in level[1:3])
            more = f" and {len(level) - 3} more" if len(level) > 3 else ""
            said.append(f"No difference shown to {names}{more}, whose error is not smaller.")
        elif len(fitting) > 1:
            next_one = fitting[1]
            factor = (next_one.median_ns or 0) / (best.median_ns or 1)
            said.append(f"Next is {short_label(next_one)}, taking {factor:.3g} times as long.")
    faster = [c for c in ended if c not in fitting and (c.median_ns or 0) < (best.median_ns or 0)]
    if faster:
        said.append(f"Left out for quality though faster: {', '.join(short_label(c) for c in faster[:3])}.")
    if _of(best, "accuracy") is None and relative_error_of(best) is None:
        said.append("Its error was not measured.")
    return said


def short_label(figures: Figures) -> str:
    """Return the label of a configuration without the name of its model."""
    return figures.cell.label.removeprefix(f"{figures.cell.model_name} ")


def _verdict(figures: Figures, fastest: Figures) -> str:
    """Compare by the rounds of both, else against the reference they share, else by their intervals."""
    other = dict(zip(fastest.rounds, fastest.blocks_ns, strict=True))
    common = [(block, other[r]) for r, block in zip(figures.rounds, figures.blocks_ns, strict=True) if r in other]
    if common:
        return ratio_interval(*zip(*common, strict=True)).verdict
    if figures.base == fastest.base and figures.round_ratios and fastest.round_ratios:
        return unpaired_ratio(figures.round_ratios, fastest.round_ratios).verdict
    own, least = figures.median_interval_ns, fastest.median_interval_ns
    return "slower" if own is not None and least is not None and own.low > least.high else "no difference shown"


def _error(figures: Figures) -> tuple[float, float, float]:
    accuracy, error = _of(figures, "accuracy"), relative_error_of(figures)
    return (-(accuracy or 0.0), float("inf") if error is None else error, figures.median_ns or 0.0)


def _of(figures: Figures | None, name: str) -> Any:
    return None if figures is None or figures.outcome is None else getattr(figures.outcome, name)
