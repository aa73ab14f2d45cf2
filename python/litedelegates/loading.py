"""Load a model on the route that it needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from litedelegates.delegates import Delegate
from litedelegates.errors import CompileError, DelegateError, UnsupportedError
from litedelegates.model import Model
from litedelegates.routes.choose import why_classic
from litedelegates.routes.compiled import CompiledSession

if TYPE_CHECKING:
    from litedelegates.routes.classic import ClassicSession

# What a delegate may raise that cannot be used here or for this model; wrong options are the caller's to mend.
_OF_DELEGATES = (DelegateError, CompileError, UnsupportedError)


class Skipped(NamedTuple):
    """A delegate that was left out of a chain.

    Attributes:
        delegate: Its options object.
        reason: Why it could not be used.
    """

    delegate: Delegate
    reason: str


def load_session(
    model: Model,
    delegates: Sequence[Delegate],
    *,
    num_threads: int | None,
    preserve_all_tensors: bool = False,
    disable_delegate_clustering: bool = False,
    latest_features: bool = False,
    compress_zero_points: bool = False,
) -> CompiledSession | ClassicSession:
    """Compile a model for its delegates, or load it in the classic runtime where it has to be.

    The classic route is only taken for what a model or an argument needs, never because compiling failed.
    """

    for delegate in delegates:
        delegate.check_model(model)

    def classic(reason: str) -> ClassicSession:
        from litedelegates.routes.classic import ClassicSession

        official: dict[str, Any] = {
            "experimental_preserve_all_tensors": preserve_all_tensors,
            "experimental_disable_delegate_clustering": disable_delegate_clustering,
            "experimental_default_delegate_latest_features": latest_features,
            "experimental_compress_quantization_zero_points": compress_zero_points,
        }
        given = {name: value for name, value in official.items() if value}
        return ClassicSession(model, delegates, num_threads=num_threads, reason=reason, official_options=given)

    if preserve_all_tensors:
        return classic("inner tensors are to be kept")
    if latest_features:
        return classic("the latest features of the default delegate were asked for")
    reason = why_classic(model)
    if reason:
        return classic(reason)
    runtime_options = {
        "disable_delegate_clustering": disable_delegate_clustering or None,
        "compress_quantization_zero_points": compress_zero_points or None,
    }
    session = CompiledSession(model, delegates, num_threads=num_threads, runtime_options=runtime_options)
    session.allocate()
    dynamic = session.dynamic_outputs()
    if dynamic:
        session.close()
        return classic(f"the size of output {dynamic[0]!r} is only known while the model runs")
    return session


def load_without_failing(
    model: Model, delegates: Sequence[Delegate], **how: Any
) -> tuple[CompiledSession | ClassicSession, tuple[Skipped, ...]]:
    """Load a model as `load_session` does, leaving out as few delegates as possible where some cannot be used.

    The runtime does not tell which delegate of a chain failed, so chains with one left out are tried, then with two.

    Raises:
        LiteDelegatesError: The model does not load without any delegate either; what the whole chain said.
    """
    try:
        return load_session(model, delegates, **how), ()
    except _OF_DELEGATES as error:
        first = error
    positions = range(len(delegates))
    for count in range(1, len(delegates) + 1):
        for left_out in itertools.combinations(positions, count):
            kept = [position for position in positions if position not in left_out]
            try:
                session = load_session(model, [delegates[position] for position in kept], **how)
            except _OF_DELEGATES:
                continue
            if count == 1:
                return session, (Skipped(delegates[left_out[0]], str(first)),)
            reasons = [_why(model, delegates, {*kept, position}, how, otherwise=first) for position in left_out]
            return session, tuple(
                Skipped(delegates[position], str(reason)) for position, reason in zip(left_out, reasons, strict=True)
            )
    raise first


def _why(
    model: Model, delegates: Sequence[Delegate], positions: set[int], how: dict[str, Any], otherwise: Exception
) -> Exception:
    """Return what a chain says that is known to fail."""
    try:
        load_session(model, [delegates[position] for position in sorted(positions)], **how).close()
    except _OF_DELEGATES as error:
        return error
    return otherwise
