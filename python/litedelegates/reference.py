"""Takes the outputs of a model that others are judged by.

They come from the runtime's built-in kernels with all tensors kept, so that no two tensors share memory, and are
confirmed by kernels of another make: XNNPACK's. Where the two disagree by more than the model's precision explains, the
runtime's reference kernels (plain loops) decide, and the first op whose outputs disagree is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from litedelegates.delegates import Delegate, Xnnpack
from litedelegates.errors import LiteDelegatesError
from litedelegates.free_memory import free_memory
from litedelegates.loading import load_session
from litedelegates.measure.agreement import Agreement, compare, output_precisions, tensor_precisions
from litedelegates.routes import Array
from litedelegates.routes.classic import KEEP_ALL
from litedelegates.tensor_info import random_value

if TYPE_CHECKING:
    from litedelegates.model import Model, Subgraph
    from litedelegates.routes.session import Session

Sample: TypeAlias = "Mapping[int, Array]"
Rows: TypeAlias = "list[list[Array]]"

BUILT_IN = "the built-in kernels"
XNNPACK = "XNNPACK"
PLAIN = "the runtime's reference kernels"
# Share of the free memory that kept tensors may take.
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class Reference:
    """What the outputs of a model should be.

    Attributes:
        outputs: For each sample the outputs, in the model's order.
        kernels: Whose they are.
        doubt: Which kernels disagree and from which op on; empty where two of another make agree, or there is one only.
        is_certain: False where no two of three agree. Then the model draws random numbers or makes much of the last
            digits, and nothing can be judged by these outputs.
    """

    outputs: Rows
    kernels: str
    doubt: str = ""
    is_certain: bool = True


def take_reference(
    model: Model, samples: Sequence[Sample], *, num_threads: int | None = None, xnnpack: Rows | None = None
) -> Reference:
    """Return what a model should give for some samples.

    A model whose inner tensors do not fit into half of the free memory runs without keeping them; then no op can be
    named where kernels disagree.

    Args:
        model: The model.
        samples: Values by the tensor index of each input.
        num_threads: Threads of the kernels.
        xnnpack: The outputs of XNNPACK where they are known already.

    Raises:
        LiteDelegatesError: The built-in kernels cannot run the model; says why.
    """
    keeps_all = fits_kept(model)
    first = _built_in(model, samples, keeps_all, num_threads)
    second = _unless_refused(model, (Xnnpack(),), samples, num_threads) if xnnpack is None else xnnpack
    kept = BUILT_IN + (", all tensors kept" if keeps_all else ", inner tensors not kept for want of memory")
    precisions = output_precisions(model)
    if second is None or compare(first, second, precisions).is_explained:
        return Reference(first, kept)
    doubt = f"{BUILT_IN} and {XNNPACK} disagree{_where(model, samples, keeps_all, num_threads)}"
    third = _unless_refused(model, (Xnnpack(kernel_mode="reference"),), samples, num_threads)
    if third is None:
        return Reference(first, kept, f"{doubt}; {PLAIN} do not take this model")
    if compare(third, first, precisions).is_explained:
        return Reference(first, kept, f"{doubt}; {PLAIN} agree with {BUILT_IN}")
    if compare(third, second, precisions).is_explained:
        return Reference(third, PLAIN, f"{doubt}; {PLAIN} agree with {XNNPACK}")
    return Reference(first, kept, f"{doubt}, and {PLAIN} with both", is_certain=False)


def random_samples(model: Model, session: Session, count: int, seed: int = 0) -> list[dict[int, Array]]:
    """Return samples of random values that fit the inputs; see `tensor_info.random_value`.

    Raises:
        ValueError: An input is of a type that values cannot be made up for.
    """
    rng = np.random.default_rng(seed)
    infos = [model.tensor_info(0, index, session.shape(index), None) for index in model.subgraphs[0].inputs]
    return [{info.index: random_value(info, rng) for info in infos} for _ in range(count)]


def run_samples(model: Model, session: Session, samples: Sequence[Sample]) -> Rows:
    """Run samples and return the outputs of each."""
    rows = []
    for sample in samples:
        _run(session, sample)
        rows.append([session.get_tensor(index) for index in model.subgraphs[0].outputs])
    return rows


def fits_kept(model: Model) -> bool:
    """Return whether half of the free memory holds all tensors that a model computes at once."""
    free = free_memory()
    return free is None or sum(map(_computed_bytes, model.subgraphs)) <= free * _SHARE_OF_MEMORY


def _computed_bytes(graph: Subgraph) -> float:
    tensors = (graph.tensors[index] for op in graph.operators for index in op.outputs if index >= 0)
    return sum(math.prod(tensor.shape) * tensor.element_bits / 8 for tensor in tensors)


def _built_in(model: Model, samples: Sequence[Sample], keeps_all: bool, num_threads: int | None) -> Rows:
    options = {KEEP_ALL: True} if keeps_all else {}
    with closing(load_session(model, (), num_threads=num_threads, official_options=options)) as session:
        return run_samples(model, session, samples)


def _unless_refused(
    model: Model, delegates: Sequence[Delegate], samples: Sequence[Sample], num_threads: int | None
) -> Rows | None:
    with suppress(LiteDelegatesError), closing(load_session(model, delegates, num_threads=num_threads)) as session:
        return run_samples(model, session, samples)
    return None


def _where(model: Model, samples: Sequence[Sample], keeps_all: bool, num_threads: int | None) -> str:
    """Name the first op that the built-in kernels and XNNPACK compute differently, as the end of a sentence."""
    if not keeps_all:
        return ""
    options, found = {KEEP_ALL: True}, None
    with (
        suppress(LiteDelegatesError),
        closing(load_session(model, (), num_threads=num_threads, official_options=options)) as one,
        closing(load_session(model, (Xnnpack(),), num_threads=num_threads, official_options=options)) as other,
    ):
        found = next(filter(None, (_first_difference(model, one, other, sample) for sample in samples)), None)
    if found is None:
        return ""
    op, agreement = found
    return (
        f" from op {op} ({model.subgraphs[0].operators[op].type}) on, by {agreement.relative_error:.2g} of its "
        "output's norm"
    )


def _first_difference(model: Model, one: Session, other: Session, sample: Sample) -> tuple[int, Agreement] | None:
    for session in (one, other):
        _run(session, sample)
    for number, op in enumerate(model.subgraphs[0].operators):
        for index in op.outputs:
            try:
                pair = one.get_tensor(index), other.get_tensor(index)
            except ValueError:  # nothing is kept of what a delegate fused
                continue
            found = compare([pair[:1]], [pair[1:]], tensor_precisions(model, [index]))
            if not found.is_explained:
                return number, found
    return None


def _run(session: Session, sample: Sample) -> None:
    for index, value in sample.items():
        if np.shape(value) != session.shape(index):
            session.resize_input(index, np.shape(value), strict=True)
    session.allocate()
    for index, value in sample.items():
        session.set_tensor(index, value)
    session.invoke()
