"""``delegate="auto"``: measure what is available, keep XNNPACK unless another whose outputs are right is faster."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from litedelegates import devices
from litedelegates.delegates import Delegate, chain, option_names, options_class
from litedelegates.delegates.base import CPU
from litedelegates.devices import availability
from litedelegates.errors import DelegateError, DelegateUnavailableError, LiteDelegatesError, OptionError
from litedelegates.loading import load_session
from litedelegates.measure import Plan, RatioInterval, compare, delegate_epsilon, interleave, output_precisions
from litedelegates.measure.ratios import ratio_interval
from litedelegates.model import Model
from litedelegates.reference import Reference, Rows, random_samples, run_samples, take_reference
from litedelegates.routes.session import Session

# The first whose outputs are right is kept, unless a later one is faster.
_CANDIDATES: tuple[tuple[str, ...], ...] = (("xnnpack",), (), ("gpu", "xnnpack"))
_SAMPLES = 3
# Of an interval that decides; 8 rounds are the least for it.
_CONFIDENCE = 0.99
_PLAN = Plan(max_seconds=0.75, min_rounds=8, max_rounds=24, block_seconds=0.02, warmup_seconds=0.05)


@dataclass(frozen=True)
class Candidate:
    """One chain that was tried.

    Attributes:
        name: The chain, such as "gpu+xnnpack"; "none" for the built-in kernels.
        median_us: Median latency in microseconds, including waiting; None when it was not timed.
        relative_error: Norm of the difference to the reference outputs over their norm, on random inputs, of the output
            that is farthest beyond what its precision explains (see `measure.agreement`); None when it did not run.
        outcome: "ok", or why it was not considered.
        ratio: Its time over that of the candidate that is kept unless another is faster, over the same rounds; None for
            that one, and for those that were not timed.
    """

    name: str
    median_us: float | None
    relative_error: float | None
    outcome: str
    ratio: RatioInterval | None = None


@dataclass(frozen=True)
class Choice:
    """What ``delegate="auto"`` chose and why.

    Attributes:
        delegates: The chosen chain.
        candidates: Everything that was tried, with what was measured.
        reason: Why this one.
        reference: What the outputs were compared with.
        doubt: Which kernels disagree about the outputs and from which op on; empty when none do.
    """

    delegates: tuple[Delegate, ...]
    candidates: tuple[Candidate, ...]
    reason: str
    reference: str = ""
    doubt: str = ""


def choose(model: Model, *, num_threads: int | None, options: dict[str, Any]) -> Choice:
    """Run a model on every chain available here, interleaved, on the same random inputs.

    A chain is right when its outputs differ from the reference's (see `reference.take_reference`) by no more than the
    precision of the model, or half precision where that is allowed, explains (see `measure.agreement`). Where no two of
    three kernels agree, only XNNPACK and the built-in kernels are considered, with a warning. Of those that are right,
    XNNPACK is kept unless another one is shown faster: its whole 99 % interval of the ratio of times is more than 1 %
    below 1.

    Raises:
        OptionError: An option that none of the delegates has.
        DelegateError: The outputs of no chain are right; says how far each is off.
        LiteDelegatesError: No chain runs the model; carries what the built-in kernels said.
    """
    unknown = set(options).difference(*(option_names(name) for names in _CANDIDATES for name in names))
    if unknown:
        raise OptionError(f"none of the delegates that are tried has the option {sorted(unknown)[0]!r}")
    sessions: dict[str, tuple[tuple[Delegate, ...], Session]] = {}
    refused: list[Candidate] = []
    try:
        for names in _CANDIDATES:
            label = "+".join(names) or "none"
            try:
                delegates = _chain(model, names, options, num_threads)
                sessions[label] = (delegates, load_session(model, delegates, num_threads=num_threads))
            except LiteDelegatesError as error:
                if not names:
                    raise
                refused.append(Candidate(label, None, None, str(error).splitlines()[0]))
        return _measure(model, sessions, refused, num_threads=num_threads, options=options)
    finally:
        for _, session in sessions.values():
            session.close()


def _chain(
    model: Model, names: tuple[str, ...], options: dict[str, Any], num_threads: int | None
) -> tuple[Delegate, ...]:
    taken = {key: value for key, value in options.items() if any(key in option_names(name) for name in names)}
    on_devices = [name for name in names if options_class(name).hardware != CPU]
    for name in on_devices:
        # Only what drives a device can end the process; the rest fails with an exception if at all.
        found = availability(name)
        if not found.is_available:
            raise DelegateUnavailableError(found.reason)
    delegates = chain(names, taken)
    try_in_worker: Callable[..., None] | None = getattr(devices, "try_in_worker", None)
    if on_devices and try_in_worker is not None:
        try_in_worker(model, names, taken, num_threads)
    return delegates


def _measure(
    model: Model,
    sessions: dict[str, tuple[tuple[Delegate, ...], Session]],
    refused: list[Candidate],
    *,
    num_threads: int | None,
    options: dict[str, Any],
) -> Choice:
    samples = random_samples(model, sessions["none"][1], _SAMPLES)
    outputs: dict[str, Rows] = {}
    for label, (_, session) in sessions.items():
        try:
            outputs[label] = run_samples(model, session, samples)
        except LiteDelegatesError as error:
            if label == "none":
                raise  # nothing to compare with
            refused.append(Candidate(label, None, None, str(error).splitlines()[0]))
    exact = not options.get("precision_loss_allowed") and "force_fp16" not in (options.get("flags") or ())
    reference = take_reference(
        model, samples, num_threads=num_threads, xnnpack=outputs.get("xnnpack") if exact else None
    )
    if not reference.is_certain:
        warnings.warn(f"{model.name}: {reference.doubt}. Outputs cannot be judged", stacklevel=4)
    judged = [_judge(model, label, rows, reference, options) for label, rows in outputs.items()]
    wrong = [candidate for candidate in judged if candidate.outcome != "ok"]
    right = {c.name: c for c in judged if c.outcome == "ok"}
    if not right:
        found = "; ".join(f"{candidate.name}: {candidate.outcome}" for candidate in (*wrong, *refused))
        raise DelegateError(
            f"no delegate computes the outputs of {model.name} rightly ({found}). {reference.doubt}. Name a delegate "
            "to run the model on it all the same"
        )
    timed = _time({label: sessions[label][1] for label in right}, right)
    best, reason = _best(timed)
    chosen = sessions[best.name][0]
    return Choice(chosen, (*timed, *wrong, *refused), reason, reference.kernels, reference.doubt)


def _judge(model: Model, label: str, outputs: Rows, reference: Reference, options: Mapping[str, Any]) -> Candidate:
    names = label.split("+")
    own = {key: value for key, value in options.items() if any(key in option_names(n) for n in names if n != "none")}
    agreement = compare(reference.outputs, outputs, output_precisions(model, delegate_epsilon(names, own)))
    if reference.is_certain:
        outcome = "ok" if agreement.is_explained else f"its outputs are wrong: {agreement} ({reference.kernels})"
    else:
        outcome = "ok" if label in ("xnnpack", "none") else f"its outputs cannot be judged: {reference.doubt}"
    return Candidate(label, None, agreement.relative_error, outcome)


def _time(sessions: Mapping[str, Session], candidates: Mapping[str, Candidate]) -> list[Candidate]:
    """Return the candidates, the first of them the one that is kept unless another is faster, with their times."""
    timers = {label: _timer(session) for label, session in sessions.items()}
    found = interleave(timers, _PLAN)
    kept = next(iter(sessions))
    timed = []
    for label, candidate in candidates.items():
        ratio = None
        if label != kept:
            ratio = ratio_interval(found[label].blocks_ns, found[kept].blocks_ns, confidence=_CONFIDENCE)
        timed.append(replace(candidate, median_us=found[label].median_ns / 1e3, ratio=ratio))
    return timed


def _timer(session: Session) -> Callable[[int], np.ndarray[Any, Any]]:
    return lambda runs: session.time_runs(runs, runs, 1e9)


def _best(timed: Sequence[Candidate]) -> tuple[Candidate, str]:
    kept, *others = timed
    faster = [c for c in others if c.ratio is not None and c.ratio.verdict == "faster"]
    best = min(faster, key=lambda candidate: candidate.median_us or float("inf"), default=kept)
    took = f"{best.name} took {best.median_us:.0f} us"
    if not others:
        return best, f"{took}, alone"
    against = ", ".join(f"{c.name} {c.median_us:.0f} us" for c in timed if c is not best)
    unclear = [c.name for c in others if c.ratio is not None and c.ratio.verdict == "no difference shown"]
    if best is kept and unclear:
        return best, f"{took} against {against}: no difference shown to {', '.join(unclear)}"
    return best, f"{took} against {against}"
