"""The exceptions of the package.

Each also derives from the built-in type that ``ai_edge_litert.interpreter`` raises in the same situation, so that
code written for the official Interpreter keeps catching what it caught.
"""

from __future__ import annotations

from collections.abc import Iterable


class LiteDelegatesError(Exception):
    """Base of every exception that this package raises on purpose."""


class InvalidModelError(LiteDelegatesError, ValueError):
    """The file or bytes are not a model that can be run; says what is wrong and where."""


class FileChangedError(LiteDelegatesError, ValueError):
    """A file is not what it was when the work with it began, so that what is found would belong to no one content."""


class RuntimeLibraryError(LiteDelegatesError, ImportError):
    """The LiteRT runtime was not found, cannot be opened or is of an unsupported version."""


class MissingExtraError(LiteDelegatesError, ImportError):
    """An optional dependency is not installed; says what to install."""


class OptionError(LiteDelegatesError, TypeError, ValueError):
    """An option is unknown, of the wrong type or out of range; names the nearest valid one."""


class DelegateError(LiteDelegatesError, RuntimeError, ValueError):
    """A delegate could not be loaded, or did not do what was asked of it."""


class DelegateUnavailableError(DelegateError):
    """A delegate cannot work on this machine; says why."""


class CompileError(LiteDelegatesError, RuntimeError, ValueError):
    """The runtime refused to prepare the model for the delegates; carries the runtime's own words."""


class RunError(LiteDelegatesError, RuntimeError, ValueError):
    """A run failed; carries the runtime's own words."""


class WorkerCrashedError(RunError):
    """The worker process that runs an isolated model ended by itself; the next call starts another.

    Attributes:
        signal: Number of the signal that ended it; None when it exited.
        exit_code: What it exited with; None when a signal ended it.
    """

    def __init__(self, message: str, signal: int | None = None, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal
        self.exit_code = exit_code


class RunTimeoutError(RunError, TimeoutError):
    """A run did not end within its time limit and was stopped; the next run starts anew."""


class UnsupportedError(LiteDelegatesError, RuntimeError):
    """What was asked cannot be done on this route or with this delegate; says what can."""


class CutError(LiteDelegatesError, ValueError):
    """A model cannot be cut, joined or exposed as asked; says what stands in the way."""


class QuantizationError(LiteDelegatesError, RuntimeError):
    """A quantized model could not be made, or is not what was asked for."""


class NothingToQuantizeError(QuantizationError):
    """No op that a precision was asked for has anything that it would change."""


class PlanError(LiteDelegatesError, ValueError):
    """There is no plan within the bounds, or a file holds none; says what stands in the way."""


class DeployError(LiteDelegatesError, RuntimeError):
    """A plan cannot be made into files, or a folder is no deployed plan; says why."""


class QuantizationWarning(UserWarning):
    """A quantized model is what was asked for, but something about it has to be known, such as values that are off."""


class SaturationWarning(UserWarning):
    """A model's products overflow on this CPU, so that its outputs are further off than its precision explains."""


class SoftwareGpuWarning(UserWarning):
    """The GPU in use is no hardware: its driver computes on the CPU."""


def install_extra(extra: str) -> str:
    """Return what to type for the packages of an extra, also where this package came from a checkout or a wheel.

    Then no index may have it under its name, so its requirements are named and not the extra alone.
    """
    packages = _requirements(extra)  # empty in a checkout that was never installed
    if not packages:
        return f"pip install 'litedelegates[{extra}]'"
    return f"pip install {' '.join(repr(package) for package in packages)} (the extra litedelegates[{extra}])"


def _requirements(extra: str) -> list[str]:
    import re
    from importlib import metadata  # only needed when something is wrong already

    found: list[str] = []
    try:
        declared = metadata.requires("litedelegates") or []
    except metadata.PackageNotFoundError:
        return found
    for text in declared:
        package, _, condition = (part.strip() for part in text.partition(";"))
        if not re.search(rf"extra == [\"']{re.escape(extra)}[\"']", condition):
            continue
        others = re.fullmatch(r"litedelegates\[(.+)\]", package)
        found += (
            [package] if others is None else [one for other in others[1].split(",") for one in _requirements(other)]
        )
    return found


def nearest(name: str, valid: Iterable[str], limit: int | None = None) -> str:
    """Return a sentence that names the valid names, most like ``name`` first; with ``limit`` only so many of them."""
    import difflib  # only needed when something is wrong already

    names = sorted(valid)
    if limit is not None and len(names) > limit:
        close = difflib.get_close_matches(name, names, n=limit, cutoff=0.0)
        return f"The nearest of {len(names)}: {', '.join(map(repr, close))}"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(names)}"
