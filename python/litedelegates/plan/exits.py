"""Outputs at which inputs may leave early: which layers run for which share of the inputs, and where stages end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from litedelegates.errors import OptionError, nearest
from litedelegates.graph import Graph, Op, Tensor
from litedelegates.plan.problem import ERROR, MEMORY, Array, Flow, Toll


@dataclass(frozen=True, eq=False)
class Exits:
    """What early exits make of a problem's nodes.

    An input leaves where a stage is over, so an exit parts the layers that its output needs from all others: no stage
    has both, and the others run only for inputs that go on. Costs become means over the inputs.

    Attributes:
        shares: Float array of shape (nodes,): the share of the inputs for which each node runs.
        ranks: Int array of shape (nodes,): how many exits an input has passed when it comes to a node.
    """

    shares: Array
    ranks: Array

    @staticmethod
    def of(graph: Graph, layers: Sequence[Op], exits: Mapping[str, float]) -> Exits:
        """Return it for some exits.

        Args:
            graph: The float32 model.
            layers: In the order of the problem's nodes between the first and the last.
            exits: By name of an output of the model, the share of the inputs that leave there.

        Raises:
            OptionError: There is no such output, nothing is left to be saved behind it, or a share makes no sense.
        """
        shares, ranks = np.ones(len(layers) + 2), np.zeros(len(layers) + 2, np.int64)
        outputs = {tensor.name: tensor for tensor in graph.outputs}
        for name, share in exits.items():
            if name not in outputs:
                raise OptionError(f"exit {name!r}: the model has no such output. {nearest(name, outputs)}")
            if not 0 < share < 1:
                raise OptionError(f"exit {name}={share!r}: the share that leaves is above 0 and below 1")
            needed = _needed(graph, outputs[name])
            late = np.array([False, *(op.index not in needed for op in layers), False])
            if not late.any():
                raise OptionError(f"exit {name!r} needs all layers: who leaves there saves nothing")
            shares[late] -= share
            ranks[late] += 1
        if shares.min() <= 0:
            raise OptionError(f"exits {dict(exits)}: no input would come to the end")
        return Exits(shares, ranks)

    def scaled(self, cost: Array, quantities: Sequence[str]) -> Array:
        """Return what the nodes cost in the mean over the inputs; ``cost`` as in `Problem`."""
        return cost * self._factors(self.shares, quantities)[:, None, :]

    def parted(self, flow: Flow, quantities: Sequence[str], border: Toll | None) -> Iterator[Flow]:
        """Yield the flow of a tensor to the layers of each rank.

        Args:
            flow: To all its readers.
            quantities: Of the problem.
            border: What two models on one device hand each other for; None for the ends of the model.

        Raises:
            OptionError: An exit parts layers that have to be in one model.
        """
        for rank in np.unique(self.ranks[list(flow.readers)]):
            readers = tuple(reader for reader in flow.readers if self.ranks[reader] == rank)
            is_parted = rank != self.ranks[flow.source]
            if is_parted and not flow.tensor:
                raise OptionError(f"an exit cannot part layers {flow.source - 1} and {readers[0] - 1}: no cut can")
            is_end = readers[0] == len(self.shares) - 1
            share = float(self.shares[flow.source if is_end else readers[0]])
            tolls = (*flow.tolls, border) if is_parted and not is_end and border is not None else flow.tolls
            factors = self._factors(np.array([share]), quantities)[0]
            scaled = tuple(replace(toll, cost=toll.cost * factors) for toll in tolls)
            yield replace(flow, readers=readers, tolls=scaled if share != 1 else tolls)

    def _factors(self, shares: Array, quantities: Sequence[str]) -> Array:
        is_fixed = [name == ERROR or name.startswith(MEMORY) for name in quantities]
        return np.where(is_fixed, 1.0, shares[:, None])


def _needed(graph: Graph, tensor: Tensor) -> set[int]:
    """Return the ops that a tensor needs, by index."""
    found, waiting = set[int](), [tensor]
    while waiting:
        op = graph.producer(waiting.pop())
        if op is not None and op.index not in found:
            found.add(op.index)
            waiting += op.reads
    return found
