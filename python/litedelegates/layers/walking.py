"""The values of a model's inner tensors, piece by piece: what nothing later needs is let go of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import TypeAlias

from litedelegates.engines import Array, open_session
from litedelegates.errors import LiteDelegatesError, MissingExtraError
from litedelegates.graph import Graph, Op, Tensor, extract
from litedelegates.graph.border import computed_reads
from litedelegates.graph.cuts import untransportable
from litedelegates.layers.watching import Watch, unwatched

# For each tensor one array a sample, or why there are none.
Values: TypeAlias = "Mapping[Tensor, Sequence[Array] | str]"

# Tensors and constants of a piece, together: few loads, and no second copy of a large model.
PIECE_NBYTES = 32 << 20


class Walk:
    """Runs a model on some samples and yields the values of tensors in the order they are asked for.

    The model is run in pieces on the reference kernels, on which pieces compute bit for bit what the whole does (see
    `graph.check`). Samples run in their order, so that state carries over from each to the next as in a whole.

    Attributes:
        graph: The model.
        peak_nbytes: The most bytes of tensors held so far, all samples together.
        failure: Why it could not be walked to its end; None as long as it could.
    """

    def __init__(
        self,
        graph: Graph,
        samples: Mapping[Tensor, Sequence[Array]],
        demands: Sequence[Collection[Tensor]],
        *,
        num_threads: int | None = None,
        piece_nbytes: int = PIECE_NBYTES,
        watch: Watch = unwatched,
    ) -> None:
        """Walk through a model.

        Args:
            graph: The model.
            samples: By input, one array a sample.
            demands: What to yield, one mapping of values for each entry.
            num_threads: Threads of the kernels.
            piece_nbytes: A piece ends when its tensors and constants reach this; it has one op at least.
            watch: Called after each load and run.
        """
        self.graph = graph
        self.peak_nbytes = 0
        self.failure: str | None = None
        self._held: dict[Tensor, list[Array]] = {tensor: list(arrays) for tensor, arrays in samples.items()}
        self._count = max(map(len, self._held.values()), default=0)
        self._demands = demands
        self._wanted = {tensor for demand in demands for tensor in demand}
        self._last_use = last_uses(graph, demands)
        self._num_threads = num_threads
        self._piece_nbytes = piece_nbytes
        self._watch = watch
        self._note_peak()

    def __iter__(self) -> Iterator[Values]:
        """Yield the values of each demand; a tensor that cannot be had has the reason in their place."""
        pieces = self._pieces(self.graph.ops, self._piece_nbytes)
        for demand in self._demands:
            while self.failure is None and any(tensor not in self._held for tensor in demand):
                piece = next(pieces, None)
                if piece is None:
                    break
                self._let_go_before(piece[0])
                try:
                    self._run(piece)
                except MissingExtraError:
                    raise
                except (LiteDelegatesError, ValueError) as error:
                    smaller = list(self._pieces(piece, 0))
                    if len(smaller) > 1:  # to get as far as possible
                        pieces = chain(smaller, pieces)
                    else:
                        self.failure = f"the model runs no further, {_named(piece)} failed: {error}"
            yield {tensor: self._held.get(tensor, self.failure or "nothing computes it") for tensor in demand}

    def _run(self, piece: Sequence[Op]) -> None:
        results = [tensor for op in piece for tensor in op.makes if self._is_needed_after(tensor, piece[-1])]
        if not results:
            return
        part = extract(self.graph, piece, outputs=results)
        made: dict[Tensor, list[Array]] = {tensor: [] for tensor in results}
        with closing(open_session(part.to_bytes(), num_threads=self._num_threads, same_kernels=True)) as session:
            self._watch(())
            for index in range(self._count):
                found = session.run({part.public_name(tensor): self._held[tensor][index] for tensor in part.inputs})
                for tensor, arrays in made.items():
                    arrays.append(found[part.public_name(tensor)])
                self._watch(())
        self._held.update(made)
        self._note_peak()

    def _let_go_before(self, op: Op) -> None:
        for tensor in [tensor for tensor in self._held if self._last_use.get(tensor, -1) < op.index]:
            del self._held[tensor]

    def _is_needed_after(self, tensor: Tensor, op: Op) -> bool:
        return tensor in self._wanted or self._last_use.get(tensor, -1) > op.index

    def _note_peak(self) -> None:
        held = sum(array.nbytes for arrays in self._held.values() for array in arrays)
        self.peak_nbytes = max(self.peak_nbytes, held)

    def _pieces(self, ops: Iterable[Op], most_nbytes: int) -> Iterator[list[Op]]:
        """Yield ops that are run together: few enough, and as many as nothing can be handed on between."""
        ends: dict[str, int] = {}
        for op in self.graph.ops:
            ends.update(dict.fromkeys(op.states, op.index))
        piece: list[Op] = []
        size, open_until = 0, -1
        for op in ops:
            if op.is_fixed:
                continue
            piece.append(op)
            size += self._count * nbytes(tensor for tensor in op.makes if self._is_needed_after(tensor, op))
            size += nbytes(tensor for tensor in op.reads if tensor.is_constant)
            stuck = [self._last_use.get(tensor, -1) for tensor in op.makes if not _can_be_handed_on(tensor)]
            open_until = max([open_until, *stuck, *(ends[state] for state in op.states)])
            if size >= most_nbytes and open_until <= op.index:
                yield piece
                piece, size = [], 0
        if piece:
            yield piece


def last_uses(graph: Graph, demands: Iterable[Collection[Tensor]]) -> dict[Tensor, int]:
    """Return the index of the op after which each tensor is no longer needed, by ops or by demands in their order.

    A demand is met after the op that makes the last of its tensors, and no sooner than the demand before it.
    """
    uses: dict[Tensor, int] = {}
    for op in graph.ops:
        for tensor in () if op.is_fixed else computed_reads(graph, op):
            uses[tensor] = op.index
    position = -1
    for demand in demands:
        makers = [graph.producer(tensor) for tensor in demand]
        position = max([position, *(maker.index for maker in makers if maker is not None)])
        for tensor in demand:
            uses[tensor] = max(uses.get(tensor, -1), position)
    return uses


def peak_of(graph: Graph, demands: Sequence[Collection[Tensor]]) -> int:
    """Return the bytes of the tensors of one sample that a walk has to hold at once; sizes not known count nothing."""
    ends: dict[int, list[Tensor]] = {}
    uses = last_uses(graph, demands)
    for tensor, index in uses.items():
        ends.setdefault(index, []).append(tensor)
    held = nbytes(tensor for tensor in graph.inputs if uses.get(tensor, -1) >= 0)
    peak = held
    for op in graph.ops:
        held += nbytes(tensor for tensor in op.makes if tensor in uses)
        peak = max(peak, held)
        held -= nbytes(ends.get(op.index, ()))
    return peak


def nbytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of some tensors together; sizes not known count nothing."""
    return sum(tensor.nbytes or 0 for tensor in tensors)


def _can_be_handed_on(tensor: Tensor) -> bool:
    return tensor.element_type != "unknown" and untransportable(tensor) is None


def _named(piece: Sequence[Op]) -> str:
    return str(piece[0]) if len(piece) == 1 else f"{piece[0]} to {piece[-1]}"
