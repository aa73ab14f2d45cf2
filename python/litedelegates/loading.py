"""Load a model on the route that it needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from litedelegates import _core
from litedelegates.delegates import Delegate, Xnnpack
from litedelegates.delegates.base import CPU
from litedelegates.errors import CompileError, DelegateError, UnsupportedError
from litedelegates.model import Model
from litedelegates.routes.choose import why_classic
from litedelegates.routes.compiled import CompiledSession

if TYPE_CHECKING:
    from litedelegates.routes.classic import ClassicSession
    from litedelegates.routes.folded import FoldedSession

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


# Arguments of the official Interpreter that the compiled route has too, by its own names.
_RUNTIME_OPTIONS = {
    "experimental_disable_delegate_clustering": "disable_delegate_clustering",
    "experimental_compress_quantization_zero_points": "compress_quantization_zero_points",
}


def load_session(
    model: Model,
    delegates: Sequence[Delegate],
    *,
    num_threads: int | None,
    official_options: dict[str, Any] | None = None,
    waits: bool = False,
) -> CompiledSession | FoldedSession | ClassicSession:
    """Compile a model for its delegates, or load it in the classic runtime where it has to be.

    The classic route is only taken for what a model or an argument needs, never because compiling failed.

    Args:
        model: The verified model.
        delegates: What to apply, in order.
        num_threads: Threads of the CPU kernels.
        official_options: Arguments of the official Interpreter, by name.
        waits: A model whose inputs have open sizes may wait for its compilation until their shapes are known, where
            that cannot fail for want of a device: on the CPU's kernels.
    """
    given = {name: value for name, value in (official_options or {}).items() if value}

    for delegate in delegates:
        delegate.check_model(model)
    _refuse_sparse_weights(model, delegates)

    def classic(reason: str) -> ClassicSession:
        return load_classic(model, delegates, num_threads=num_threads, reason=reason, official_options=given)

    flex_ops = [name for name in model.file.custom_ops if name.startswith("Flex")]
    if flex_ops:
        from litedelegates.delegates.flex import require_flex

        require_flex(flex_ops, delegates)
    only_classic = sorted(set(given) - set(_RUNTIME_OPTIONS))
    if only_classic:
        return classic(f"{only_classic[0]} was asked for")
    reason = why_classic(model)
    if reason:
        return classic(reason)
    runtime_options = {_RUNTIME_OPTIONS[name]: True for name in given}

    def compiled(folded: _core.FoldedModel | None = None) -> CompiledSession:
        return CompiledSession(
            model, delegates, num_threads=num_threads, runtime_options=runtime_options, folded=folded
        )

    if model.file.computes_shapes or any(delegate.hardware != CPU for delegate in delegates):
        from litedelegates.routes.folded import FoldedSession

        # What computes no shapes is prepared right by the runtime too.
        unfolded = classic if model.file.computes_shapes else lambda _: compiled()
        waits = waits and all(isinstance(delegate, Xnnpack) for delegate in delegates) and _has_open_sizes(model)
        return FoldedSession(model, compiled, unfolded, waits=waits)
    session = compiled()
    try:
        session.allocate()
    except CompileError:
        if not _has_open_sizes(model):
            raise
        return session  # as in the official Interpreter: it can be allocated once its inputs were resized
    dynamic = session.dynamic_outputs()
    if dynamic:
        session.close()
        return classic(f"the size of output {dynamic[0]!r} is only known while the model runs")
    return session


def _has_open_sizes(model: Model) -> bool:
    """Return whether an input has a size that the file leaves open; what it stores may be one that never fits."""
    graph = model.subgraphs[0]
    return any(-1 in graph.tensor(index).shape_signature for index in graph.inputs)


def load_classic(
    model: Model,
    delegates: Sequence[Delegate],
    *,
    num_threads: int | None,
    reason: str,
    official_options: dict[str, Any] | None = None,
) -> ClassicSession:
    """Load a model in the classic runtime.

    Args:
        model: The verified model.
        delegates: What to apply, in order.
        num_threads: Threads of the CPU kernels.
        reason: Why it has to be this route.
        official_options: Arguments of the official Interpreter, by name.

    Raises:
        UnsupportedError: A delegate works on the compiled route only.
        CompileError: The runtime refused the model.
    """
    from litedelegates.routes.classic import load_keeping_values

    given = {name: value for name, value in (official_options or {}).items() if value}
    return load_keeping_values(model, delegates, num_threads=num_threads, reason=reason, official_options=given)


def _refuse_sparse_weights(model: Model, delegates: Sequence[Delegate]) -> None:
    """The built-in kernels of a fully connected layer read sparse weights; XNNPACK's reads past their end.

    What delegates of vendors do is theirs to know.
    """
    dense = [
        delegate.name
        for delegate in delegates
        if delegate.hardware != CPU or (isinstance(delegate, Xnnpack) and delegate.kernel_mode in (None, "delegate"))
    ]
    if not dense:
        return
    for graph in model.subgraphs:
        sparse = set(graph.sparse_tensors)
        if not sparse:
            continue
        for index, op in enumerate(graph.operators):
            if op.type == "FULLY_CONNECTED" and op.inputs[1] in sparse:
                raise UnsupportedError(
                    f"op {index} (FULLY_CONNECTED) has sparse weights, which {dense[0]} would read as dense: "
                    "load the model with delegate=None, or put a DENSIFY before the op"
                )


def load_without_failing(
    model: Model, delegates: Sequence[Delegate], **how: Any
) -> tuple[CompiledSession | FoldedSession | ClassicSession, tuple[Skipped, ...]]:
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
