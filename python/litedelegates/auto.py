"""``delegate="auto"``: measure what is available, keep the fastest whose outputs are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from litedelegates.delegates import Delegate, chain, option_names, options_class
from litedelegates.delegates.base import CPU
from litedelegates.devices import availability
from litedelegates.errors import DelegateUnavailableError, LiteDelegatesError, OptionError
from litedelegates.loading import load_session
from litedelegates.model import Model
from litedelegates.routes import Array
from litedelegates.routes.session import Session
from litedelegates.tensor_info import random_value

_CANDIDATES: tuple[tuple[str, ...], ...] = ((), ("xnnpack",), ("gpu", "xnnpack"))
_SECONDS_EACH = 0.25
_ROUNDS = 5
# Half precision and reordered sums move outputs this far, relative to their spread; a wrong kernel moves them further.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Candidate:
    """One chain that was tried.

    Attributes:
        name: The chain, such as "gpu+xnnpack"; "none" for the built-in kernels.
        median_us: Median latency in microseconds, including waiting; None when it did not run.
        max_difference: Largest difference from the built-in kernels' outputs, relative to their spread.
        outcome: "ok", or why it was not considered.
    """

    name: str
    median_us: float | None
    max_difference: float | None
    outcome: str


@dataclass(frozen=True)
class Choice:
    """What ``delegate="auto"`` chose and why.

    Attributes:
        delegates: The chosen chain.
        candidates: Everything that was tried, with what was measured.
        reason: Why this one.
    """

    delegates: tuple[Delegate, ...]
    candidates: tuple[Candidate, ...]
    reason: str


def choose(model: Model, *, num_threads: int | None, options: dict[str, Any]) -> Choice:
    """Run a model on every chain available here, interleaved, on the same random inputs.

    Raises:
        OptionError: An option that none of the delegates has.
        LiteDelegatesError: No chain runs the model; carries what the built-in kernels said.
    """
    unknown = set(options).difference(*(option_names(name) for names in _CANDIDATES for name in names))
    if unknown:
        raise OptionError(f"none of the delegates that are tried has the option {sorted(unknown)[0]!r}")
    sessions: dict[str, tuple[tuple[Delegate, ...], Session]] = {}
    refused: list[Candidate] = []
    for names in _CANDIDATES:
        label = "+".join(names) or "none"
        try:
            delegates = _chain(names, options)
            sessions[label] = (delegates, load_session(model, delegates, num_threads=num_threads))
        except LiteDelegatesError as error:
            if not names:
                raise
            refused.append(Candidate(label, None, None, str(error).splitlines()[0]))
    try:
        return _measure(model, sessions, refused)
    finally:
        for _, session in sessions.values():
            session.close()


def _chain(names: tuple[str, ...], options: dict[str, Any]) -> tuple[Delegate, ...]:
    for name in names:
        # Only what drives a device can end the process; the rest fails with an exception if at all.
        if options_class(name).hardware == CPU:
            continue
        found = availability(name)
        if not found.is_available:
            raise DelegateUnavailableError(found.reason)
    taken = {key: value for key, value in options.items() if any(key in option_names(name) for name in names)}
    return chain(names, taken)


def _measure(
    model: Model, sessions: dict[str, tuple[tuple[Delegate, ...], Session]], refused: list[Candidate]
) -> Choice:
    inputs = _random_inputs(model, sessions["none"][1])
    outputs: dict[str, list[Array]] = {}
    for label, (_, session) in list(sessions.items()):
        try:
            outputs[label] = _run(model, session, inputs)
        except LiteDelegatesError as error:
            if label == "none":
                raise  # nothing to compare with
            session.close()
            del sessions[label]
            refused.append(Candidate(label, None, None, str(error).splitlines()[0]))
    samples: dict[str, list[float]] = {label: [] for label in sessions}
    for _ in range(_ROUNDS):
        for label, (_, session) in sessions.items():
            runs = session.time_runs(2, 10_000, _SECONDS_EACH / _ROUNDS)
            samples[label].extend((np.asarray(runs)[1:].sum(axis=1) / 1e3).tolist())
    measured = []
    for label, times in samples.items():
        difference = _difference(outputs["none"], outputs[label])
        outcome = "ok" if difference <= _TOLERANCE else f"outputs differ from the built-in kernels by {difference:.3g}"
        measured.append(Candidate(label, float(np.median(times)), difference, outcome))
    right = [candidate for candidate in measured if candidate.outcome == "ok"]
    best = min(right, key=lambda candidate: candidate.median_us or float("inf"))
    others = ", ".join(f"{c.name} {c.median_us:.0f} us" for c in right if c is not best)
    reason = f"{best.name} took {best.median_us:.0f} us" + (f" against {others}" if others else ", alone")
    return Choice(sessions[best.name][0], (*measured, *refused), reason)


def _random_inputs(model: Model, session: Session) -> dict[int, Array]:
    rng = np.random.default_rng(0)
    infos = [model.tensor_info(0, index, session.shape(index), None) for index in model.subgraphs[0].inputs]
    return {info.index: random_value(info, rng) for info in infos}


def _run(model: Model, session: Session, inputs: dict[int, Array]) -> list[Array]:
    session.allocate()
    for index, value in inputs.items():
        session.set_tensor(index, value)
    session.invoke()
    return [session.get_tensor(index) for index in model.subgraphs[0].outputs]


def _difference(reference: list[Array], outputs: list[Array]) -> float:
    """Return the largest difference of any output, relative to the spread of the reference output."""
    worst = 0.0
    for wanted, got in zip(reference, outputs, strict=True):
        if wanted.dtype.kind not in "fiub" or wanted.size == 0:
            continue
        wide, other = wanted.astype(np.float64), got.astype(np.float64)
        if not np.isfinite(other).all() and np.isfinite(wide).all():
            return float("inf")
        spread = max(float(np.ptp(wide)), float(np.abs(wide).max()) * 1e-3, 1e-9)
        worst = max(worst, float(np.abs(wide - other).max()) / spread)
    return worst
