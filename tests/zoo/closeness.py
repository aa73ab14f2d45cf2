"""How far a quantized model is from its source, by value, and whether its precision explains that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.trial import distance

# The relative error in norm up to which a precision explains what differs, whatever the model.
EXPLAINED = {"float16": 0.005, "int16x8": 0.02, "weight_only": 0.05, "dynamic": 0.1, "int8": 0.15}
# Networks of random weights and up to fifty layers, which no training made robust, can be much more sensitive: then so
# many times what weights do that are moved at random by up to half a step of the precision (`zoo.sensitivity`). Where
# activations are rounded to 8 bits too, they add about as much in each layer, and more where they are rounded twice.
TIMES = {"float16": 3.0, "int16x8": 3.0, "weight_only": 3.0, "dynamic": 4.0, "int8": 6.0}
# Of outputs that are integers (the place of the largest, a mask): the share that may differ.
MOST_DIFFERENT = 0.5
# What is half wrong has to be said, however sensitive the model is.
MOST_EXPLAINED = 0.5
# A column of an output is dead where it moves with the inputs in the source, and this little of that is left. It moves
# where its standard deviation is at least a tenth of its size: what rounds 7.0 and 7.1 to 7 takes no column away.
DEAD = 0.02
MOVES = 0.1
MOST_COLUMNS = 4096


@dataclass(frozen=True)
class Closeness:
    """The worst output of a model, and the columns that died.

    Attributes:
        error: Relative error in norm; of integers the share that differs. Infinite for another shape or type.
        output: Which output that is.
        dead: Columns (of the last axis) that no longer move, over all outputs.
        columns: Columns that move in the source.
        moves: By how much the source's outputs differ from input to input, the smallest over its outputs.
    """

    error: float
    output: int
    dead: int
    columns: int
    moves: float

    def is_explained(self, precision: str, moved: float) -> bool:
        """Whether the precision explains the error; ``moved`` is that of weights moved at random."""
        explained = max(EXPLAINED[precision], min(MOST_EXPLAINED, TIMES[precision] * moved))
        return self.error <= explained and self.dead == 0


def compare(found: list[list[Any]], wanted: list[list[Any]]) -> Closeness:
    """Compare what two models gave for the same inputs: a list of outputs for each."""
    errors, dead, columns, moves = [0.0], 0, 0, [1e9]
    for position in range(len(wanted[0])):
        sides = [[run[position] for run in runs] if len(runs[0]) == len(wanted[0]) else [] for runs in (found, wanted)]
        errors.append(_error(*sides))
        if sides[0] and sides[1][0].dtype.kind == "f" and np.isfinite(errors[-1]):
            lost, all_columns = _dead_columns(*sides)
            dead, columns = dead + lost, columns + all_columns
            moves.append(max(distance(value, sides[1][0]) for value in sides[1][1:]))
    worst = int(np.argmax(errors))
    return Closeness(min(1e9, errors[worst]), max(0, worst - 1), dead, columns, min(moves))


def _error(found: list[Any], wanted: list[Any]) -> float:
    if len(found) != len(wanted) or any(
        a.shape != b.shape or a.dtype != b.dtype for a, b in zip(found, wanted, strict=True)
    ):
        return float("inf")
    if wanted[0].dtype.kind == "f":
        return distance(np.stack(found), np.stack(wanted))
    share = float(np.mean(np.stack(found) != np.stack(wanted)))
    return 0.0 if share <= MOST_DIFFERENT else share


def _dead_columns(found: list[Any], wanted: list[Any]) -> tuple[int, int]:
    """Return how many columns died, and how many move in the source."""
    width = wanted[0].shape[-1] if wanted[0].ndim > 1 else 1
    if not wanted[0].size or width > MOST_COLUMNS:
        return 0, 0
    if all(value.min() >= 0 and value.max() <= 1 for value in wanted):
        return 0, 0  # probabilities: of a hundred classes most are below one step of 1/256, which says what it should
    ours, theirs = (np.stack(runs).astype(np.float64).reshape(-1, width) for runs in (found, wanted))
    moving = theirs.std(0)
    alive = (moving > 1e-6 * max(1e-30, float(moving.max()))) & (moving > MOVES * np.sqrt(np.square(theirs).mean(0)))
    return int(np.count_nonzero(alive & (ours.std(0) < DEAD * moving))), int(np.count_nonzero(alive))
