"""Whether a plan is better than another, or within the noise of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from litedelegates.layers.records import Record
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.front import Solver
from litedelegates.plan.problem import Array, Goal, Problem

Verdict: TypeAlias = Literal["better", "worse", "within the noise"]
CERTAIN = 0.975  # share of draws on one side that an interval of 95 % leaves


@dataclass(frozen=True)
class Comparison(Record):
    """A plan against another, in draws of everything that was measured.

    Attributes:
        rival: Name of the other.
        wins: Share of draws in which the plan is better; a tie counts half.
        gain: Median over the draws of how much larger the rival's objective is, relative to the plan's.
        gain_low: Between this and ``gain_high`` it is in 95 % of the draws.
        gain_high: The upper end.
        keeps_budgets: Share of draws in which the rival keeps the budgets.
        verdict: What that comes to.
    """

    rival: str
    wins: float
    gain: float
    gain_low: float
    gain_high: float
    keeps_budgets: float
    verdict: Verdict

    def describe(self) -> str:
        """Return it in words."""
        interval = f"95 % of the draws are between {self.gain_low:+.1%} and {self.gain_high:+.1%}"
        words = f"{self.rival}: {self.gain:+.1%} against the plan, {interval}; the plan is better in {self.wins:.0%}"
        kept = "" if self.keeps_budgets == 1 else f"; it keeps the budgets in {self.keeps_budgets:.0%}"
        return f"{words}{kept}: {'the plan is ' if self.verdict != 'within the noise' else ''}{self.verdict}."


@dataclass(frozen=True)
class Regret(Record):
    """What one loses with a plan by not having known the truth.

    Attributes:
        name: Of the plan.
        mean: Over the draws: how much larger its objective is than that of the best of all compared, relative to it.
        worst: In all but 5 % of the draws it is at most this.
    """

    name: str
    mean: float
    worst: float


@dataclass(frozen=True)
class Sensitivity(Record):
    """How sure it is that a plan is the one to take.

    Attributes:
        draws: How many.
        comparisons: With each rival.
        regrets: Of the plan and the rivals, the least worst first.
        keeps_budgets: Share of draws in which the plan keeps the budgets.
    """

    draws: int
    comparisons: tuple[Comparison, ...]
    regrets: tuple[Regret, ...]
    keeps_budgets: float = 1.0

    def describe(self, plan: str = "the plan") -> list[str]:
        """Return it in words, a sentence or two each."""
        if not self.comparisons:
            return [f"Whatever of the measured times is drawn, {plan} is the best."]
        words = [comparison.describe() for comparison in self.comparisons]
        least = self.regrets[0]
        if least.name == plan:
            words.append(
                f"Of those compared, {plan} has the least to regret: at most {least.worst:.1%} in 95 % of draws."
            )
        else:
            own = next(regret for regret in self.regrets if regret.name == plan)
            words.append(
                f"Who wants to regret least takes {least.name}: at most {least.worst:.1%} from the best of those "
                f"compared in 95 % of draws, where {plan} can be {own.worst:.1%} away."
            )
        if self.keeps_budgets < 1:
            words.append(f"In {1 - self.keeps_budgets:.0%} of the draws {plan} exceeds a budget.")
        return words

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        parts: Mapping[str, type[Record]] = {"comparisons": Comparison, "regrets": Regret}
        return tuple(parts[name].from_json(part) for part in value) if name in parts else value


def compare(
    problem: Problem, goal: Goal, draws: Array, rivals: Sequence[str], *, name: str = "the plan"
) -> Sensitivity:
    """Compare a plan with others under what may be true.

    Each draw prices all of them with the same times, so that what they share takes part in no difference.

    Args:
        problem: Whose quantities they are.
        goal: The objective and the budgets.
        draws: What the plan and its rivals cost, as `Uncertainty.draws` gives it.
        rivals: What the others are called, in the order of the second axis.
        name: What the plan is called, which is the first there.
    """
    if not len(draws):
        raise ValueError("a comparison needs draws of the measured times, and there were none")
    names = [name, *rivals]
    table = np.array([[goal.value(problem, totals) for totals in draw] for draw in draws])
    kept = np.array([[goal.is_within(problem, totals) for totals in draw] for draw in draws]).mean(axis=0)
    comparisons = [
        _comparison(rival, table[:, 0], table[:, place], float(kept[place])) for place, rival in enumerate(rivals, 1)
    ]
    best = table.min(axis=1)
    regrets = [
        Regret(one, float(lost.mean()), float(np.percentile(lost, 95)))
        for one, lost in zip(names, (table / best[:, None] - 1).T, strict=True)
    ]
    regrets.sort(key=lambda regret: (regret.worst, regret.mean))
    return Sensitivity(len(table), tuple(comparisons), tuple(regrets), float(kept[0]))


def likely_rivals(
    draws: Iterable[Problem],
    goal: Goal,
    solver: Solver,
    plan: Array | Sequence[int],
    *,
    most: int = 5,
    deadline: Deadline | None = None,
) -> dict[str, tuple[int, ...]]:
    """Return the plans that would have been taken if the draws were the truth, the most frequent first.

    Args:
        draws: As for `compare`, but others: with the same the rivals look better than they are.
        goal: The objective and the budgets.
        solver: Such as `plan.solve.solve`.
        plan: Assignment of the plan, which is not among them.
        most: How many to return.
        deadline: Until then draws are taken, one at least.
    """
    until = deadline or Deadline()
    taken: dict[tuple[int, ...], int] = {}
    count = 0
    for problem in draws:
        if count and until.is_over:
            until.leave_out(f"all but {count} of the other draws of the measured times that plans were made for")
            break
        count += 1
        best = tuple(int(place) for place in solver(problem, goal).assignment)
        taken[best] = taken.get(best, 0) + 1
    taken.pop(tuple(int(place) for place in plan), None)
    frequent = sorted(taken.items(), key=lambda item: -item[1])[:most]
    return {
        f"rival {number} (best in {times} of {count} draws)": assignment
        for number, (assignment, times) in enumerate(frequent, 1)
    }


def _comparison(rival: str, own: Array, other: Array, kept: float) -> Comparison:
    ratio = other / own - 1
    wins = float(((other > own) + 0.5 * (other == own)).mean())
    low, middle, high = (float(value) for value in np.percentile(ratio, [2.5, 50, 97.5]))
    verdict: Verdict = "better" if wins >= CERTAIN else "worse" if wins <= 1 - CERTAIN else "within the noise"
    return Comparison(rival, wins, middle, low, high, kept, verdict)
