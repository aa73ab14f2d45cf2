"""Load a model on the route that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from litedelegates.delegates import Delegate
from litedelegates.model import Model
from litedelegates.routes.choose import why_classic
from litedelegates.routes.compiled import CompiledSession

if TYPE_CHECKING:
    from litedelegates.routes.classic import ClassicSession


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
    official_options: dict[str, bool] | None = None,
) -> CompiledSession | ClassicSession:
    """Compile a model for its delegates, or load it in the classic runtime where it has to be.

    The classic route is only taken for what a model or an argument needs, never because compiling failed.

    Args:
        model: The verified model.
        delegates: What to apply, in order.
        num_threads: Threads of the CPU kernels.
        official_options: Arguments of the official Interpreter, by name.
    """
    given = {name: value for name, value in (official_options or {}).items() if value}

    def classic(reason: str) -> ClassicSession:
        from litedelegates.routes.classic import ClassicSession

        return ClassicSession(model, delegates, num_threads=num_threads, reason=reason, official_options=given)

    only_classic = sorted(set(given) - set(_RUNTIME_OPTIONS))
    if only_classic:
        return classic(f"{only_classic[0]} was asked for")
    reason = why_classic(model)
    if reason:
        return classic(reason)
    runtime_options = {_RUNTIME_OPTIONS[name]: True for name in given}
    session = CompiledSession(model, delegates, num_threads=num_threads, runtime_options=runtime_options)
    session.allocate()
    dynamic = session.dynamic_outputs()
    if dynamic:
        session.close()
        return classic(f"the size of output {dynamic[0]!r} is only known while the model runs")
    return session
