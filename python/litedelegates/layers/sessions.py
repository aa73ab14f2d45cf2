"""Sessions as a setting says: the delegates of LiteRT or the execution providers of ONNX Runtime."""

from __future__ import annotations

import contextlib
from collections import Counter

from litedelegates.engines import Session, open_session
from litedelegates.engines.litert import LiteRtSession
from litedelegates.engines.onnxruntime import OnnxRuntimeSession, Provider, require_onnxruntime
from litedelegates.engines.onnxruntime.providers import check_providers, short_name
from litedelegates.errors import DelegateUnavailableError, OptionError
from litedelegates.graph.model import Format
from litedelegates.layers.records import Setting
from litedelegates.placement import summarize
from litedelegates.study.delegates import make_chain, parse_delegate


def check_delegate(text: str, model_format: Format) -> None:
    """Raise unless ``text`` says what a model of this format can be run on, here or elsewhere.

    Raises:
        OptionError: There is no such delegate, provider or option; names the nearest.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if model_format == "tflite":
        parse_delegate(text)
    else:
        ort = require_onnxruntime()
        with contextlib.suppress(DelegateUnavailableError):  # what runs it will say so in its record
            check_providers(parse_providers(text), ort.get_available_providers(), ort.get_all_providers())


def parse_providers(text: str) -> tuple[Provider, ...]:
    """Return the execution providers of a chain such as ``openvino;device_type=CPU+cpu``.

    Raises:
        OptionError: An option has no value.
    """
    providers = []
    for part in text.split("+"):
        name, *given = (piece.strip() for piece in part.split(";"))
        options = {}
        for option in given:
            key, equals, value = option.partition("=")
            if not equals:
                raise OptionError(f"{text}: {option!r} must be NAME=VALUE, such as device_type=CPU")
            options[key] = value
        providers.append(Provider(name, options))
    return tuple(providers)


def open_setting(model: str, setting: Setting) -> Session:
    """Load a model as a setting says.

    Args:
        model: Path of a file that ends with ``.tflite`` or ``.onnx``.
        setting: How to run it; the precision is that of the file.

    Raises:
        LiteDelegatesError: It cannot be loaded so; says why.
    """
    if model.endswith(".onnx"):
        return open_session(model, num_threads=setting.threads, providers=parse_providers(setting.delegate))
    return open_session(model, num_threads=setting.threads, delegate=make_chain(*parse_delegate(setting.delegate)))


def ran_of(session: Session) -> str:
    """Say where the ops of a session run, such as "xnnpack 1" or "openvino 2 of 3, cpu 1"."""
    if isinstance(session, LiteRtSession):
        return summarize(session.interpreter.placement)
    assert isinstance(session, OnnxRuntimeSession)
    names = {short_name(name) for name in session.options_in_effect}
    if names == {"cpu"}:
        return "cpu"
    found = Counter(op.ran for op in session.profile(1).ops)  # nothing else tells who took an op
    return ", ".join(f"{name} {count}" for name, count in found.most_common())
