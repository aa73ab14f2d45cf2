"""The planner's problem as numbers: nodes that each take one of K choices, and tensors that cost to hand on.

Everything that counts is a *quantity* that adds up over nodes and tensors: microseconds of one input, millijoules,
bytes over links, squared error, bytes of weights on a device, microseconds that a device or link is busy. An objective
is a weighted sum of quantities or the largest of several; a budget bounds one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from litedelegates.plan.records import Choice

Array: TypeAlias = "np.ndarray[Any, Any]"

LATENCY = "latency_us"
ENERGY = "energy_mj"
NBYTES = "nbytes"
ERROR = "error"  # squared relative error: it is the squares that add up
MEMORY = "memory:"  # with a device's name behind it
BUSY = "busy:"  # microseconds that a device or link works for one input, with its name behind it


@dataclass(frozen=True, eq=False)
class Toll:
    """What handing a tensor on costs, paid once for each form in which its readers want it.

    Attributes:
        form: int array of shape (K,): the form that a reader of each choice wants.
        cost: float array of shape (K, forms, quantities): paid when the source has that choice and at least one reader
            wants that form. Zero where nothing is to be done, inf where it cannot be.
    """

    form: Array
    cost: Array


@dataclass(frozen=True, eq=False)
class Flow:
    """A tensor and the nodes between which it is handed on.

    Attributes:
        tensor: Its name.
        source: Node that makes it.
        readers: Nodes that read it, in order; each is after the source.
        tolls: What that costs: the sum of all.
    """

    tensor: str
    source: int
    readers: tuple[int, ...]
    tolls: tuple[Toll, ...]


@dataclass(frozen=True, eq=False)
class Problem:
    """Nodes in an order in which each comes after those that it reads from.

    The inputs and the outputs of a model are nodes of their own (``layers`` is -1 there) that cost nothing and have
    only the choices of the device that has the inputs and wants the outputs.

    Attributes:
        choices: The K choices.
        layers: Index of each node's layer in the float32 model; -1 for the model's inputs and outputs.
        quantities: Names of what adds up.
        cost: float array of shape (nodes, K, quantities).
        allowed: bool array of shape (nodes, K): whether a node can have a choice. Each node has at least one.
        flows: The tensors.
        shares: Float array of shape (nodes,): of the inputs for which each node runs; ``cost`` is the mean over all
            inputs. None where none leaves early.
        ranks: Int array of shape (nodes,): how many early exits are before a node; layers of different ranks are in
            different stages. None where there are none.
    """

    choices: tuple[Choice, ...]
    layers: tuple[int, ...]
    quantities: tuple[str, ...]
    cost: Array
    allowed: Array
    flows: tuple[Flow, ...]
    shares: Array | None = None
    ranks: Array | None = None

    def share(self, node: int) -> float:
        """Return the share of the inputs for which a node runs."""
        return 1.0 if self.shares is None else float(self.shares[node])

    def rank(self, node: int) -> int:
        """Return how many early exits are before a node."""
        return 0 if self.ranks is None else int(self.ranks[node])

    def index(self, quantity: str) -> int:
        """Return the place of a quantity on the last axis.

        Raises:
            KeyError: There is none of that name.
        """
        try:
            return self.quantities.index(quantity)
        except ValueError:
            raise KeyError(quantity) from None

    def named(self, prefix: str) -> tuple[str, ...]:
        """Return the quantities whose names begin so, such as all of `BUSY`."""
        return tuple(name for name in self.quantities if name.startswith(prefix))

    def totals(self, assignment: Sequence[int] | Array) -> Array:
        """Return what an assignment costs: float array of shape (quantities,).

        Args:
            assignment: A choice for each node, as its index in ``choices``.
        """
        chosen = np.asarray(assignment)
        total = self.cost[np.arange(len(chosen)), chosen].sum(axis=0)
        for flow in self.flows:
            readers = chosen[list(flow.readers)]
            for toll in flow.tolls:
                total = total + toll.cost[chosen[flow.source], np.unique(toll.form[readers])].sum(axis=0)
        return np.asarray(total)


@dataclass(frozen=True, eq=False)
class Goal:
    """What to minimize, and within what.

    Attributes:
        weights: The objective as a sum of quantities, by name; empty where ``largest`` is given.
        largest: The objective as the largest of these quantities, such as all of `BUSY`; empty otherwise.
        budgets: What quantities may be at most, by name.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    largest: tuple[str, ...] = ()
    budgets: Mapping[str, float] = field(default_factory=dict)

    def value(self, problem: Problem, totals: Array) -> float:
        """Return the objective of what an assignment costs."""
        if self.largest:
            return float(max(totals[problem.index(name)] for name in self.largest))
        return float(sum(weight * totals[problem.index(name)] for name, weight in self.weights.items()))

    def is_within(self, problem: Problem, totals: Array) -> bool:
        """Return whether no budget is exceeded, by more than rounding."""
        return all(totals[problem.index(name)] <= bound * (1 + 1e-9) + 1e-12 for name, bound in self.budgets.items())


@dataclass(frozen=True, eq=False)
class Solution:
    """An assignment, and how good it is.

    Attributes:
        assignment: int array of shape (nodes,): the choice of each node.
        totals: What it costs: float array of shape (quantities,).
        value: Of the objective.
        bound: No assignment within the budgets has a smaller value.
        method: How it was found.
        seconds: That it took.
    """

    assignment: Array
    totals: Array
    value: float
    bound: float
    method: str
    seconds: float

    @property
    def gap(self) -> float:
        """How much better another could be at most, relative to the value."""
        return max(0.0, self.value - self.bound) / abs(self.value) if self.value else 0.0

    @property
    def is_exact(self) -> bool:
        """Whether no better one exists, but for rounding."""
        return self.gap <= 1e-9
