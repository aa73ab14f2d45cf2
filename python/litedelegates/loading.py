"""Load a model on the route that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from litedelegates.delegates import Delegate
from litedelegates.model import Model
from litedelegates.routes.choose import why_classic
from litedelegates.routes.compiled import CompiledSession

if TYPE_CHECKING:
    from litedelegates.routes.classic import ClassicSession


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

    flex_ops = [name for name in model.file.custom_ops if name.startswith("Flex")]
    if flex_ops:
        from litedelegates.delegates.flex import require_flex

        require_flex(flex_ops, delegates)
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
