"""A time limit that many steps share, and what was left out because of it."""

from __future__ import annotations

import time

from litedelegates.plan.problem import Goal, Problem, Solution
from litedelegates.plan.solve import solve

_SECONDS = 2.0  # for each of the many plans that are drawn beside one


class Deadline:
    """A point in time until which steps may go on.

    Attributes:
        left_out: What was left out for want of time, in sentences without a full stop; parts share it.
    """

    def __init__(self, seconds: float | None = None, left_out: list[str] | None = None) -> None:
        """Begin now.

        Args:
            seconds: Until then; None for no limit.
            left_out: Where to add what is left out.
        """
        self._at = None if seconds is None else time.monotonic() + seconds
        self.left_out: list[str] = [] if left_out is None else left_out

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, 0 when it is over; None without a limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether nothing more should be begun."""
        return self.left_s == 0.0

    def part(self, share: float) -> Deadline:
        """Return one over a share of the time that is left."""
        left = self.left_s
        return Deadline(None if left is None else share * left, self.left_out)

    def leave_out(self, text: str) -> None:
        """Note that something was left out."""
        self.left_out.append(text)

    def solve(self, problem: Problem, goal: Goal) -> Solution:
        """Return the best assignment for a goal that is found in the time for one of many, or in what is left."""
        left = self.left_s
        return solve(problem, goal, time_limit_s=_SECONDS if left is None else min(_SECONDS, left))
