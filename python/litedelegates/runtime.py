"""Find and open the LiteRT runtime of the installed ``ai-edge-litert``.

The environment variable ``LITEDELEGATES_RUNTIME`` names another copy: the path of ``libLiteRt`` or the folder it is in.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from litedelegates import _core
from litedelegates.errors import RuntimeLibraryError

ENVIRONMENT_VARIABLE = "LITEDELEGATES_RUNTIME"
SUPPORTED = ((2, 2), (2, 3))
INSTALL_HINT = "Install a supported one: pip install 'ai-edge-litert>=2.2,<2.4'"

_LIBRARY_NAME = {"darwin": "libLiteRt.dylib", "win32": "libLiteRt.dll"}.get(sys.platform, "libLiteRt.so")

LOGGER_NAME = "litedelegates.runtime"


class Runtime(NamedTuple):
    """The runtime in use.

    Attributes:
        library: Path of ``libLiteRt``.
        folder: Where its accelerator libraries are.
        version: Version of ``ai-edge-litert``, or None when the library was named by the environment variable and
            does not lie in an installed package.
    """

    library: str
    folder: str
    version: str | None


def find_runtime() -> Runtime:
    """Find the runtime without loading it.

    Raises:
        RuntimeLibraryError: None is installed, or it is of an unsupported version.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    library = named or _installed_folder()
    if os.path.isdir(library):
        library = os.path.join(library, _LIBRARY_NAME)
    library = os.path.abspath(library)  # a bare name would be looked for elsewhere by the system's loader
    if not os.path.isfile(library):
        origin = f"{ENVIRONMENT_VARIABLE}={named}" if named else "the installed ai-edge-litert"
        raise RuntimeLibraryError(f"{origin} has no {_LIBRARY_NAME} at {library}. {INSTALL_HINT}")
    folder = os.path.dirname(library)
    version = _version_beside(folder)
    if version is not None and _major_minor(version) not in SUPPORTED:
        supported = " and ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        raise RuntimeLibraryError(
            f"ai-edge-litert {version} at {folder} is not supported; this version of litedelegates drives "
            f"{supported}. {INSTALL_HINT}"
        )
    return Runtime(library, folder, version)


def open_runtime() -> Runtime:
    """Open the runtime once for this process and return what was opened.

    Raises:
        RuntimeLibraryError: It was not found, lacks symbols (all are named) or is of an unsupported version.
    """
    global _opened
    if _opened is None:
        runtime = find_runtime()
        _core.open_library(runtime.library, folder=runtime.folder)
        _opened = runtime
    return _opened


_opened: Runtime | None = None


def log_severity() -> int:
    """Return how much the runtime is to say: 0 everything, 1 information, 2 warnings, 3 errors.

    It follows the level set on the logger ``litedelegates.runtime``; without one, errors only, which end up in
    exceptions.
    """
    if "logging" not in sys.modules:
        return 3  # nobody can have set a level, and importing it takes time at start-up
    import logging

    level = logging.getLogger(LOGGER_NAME).level
    if level == logging.NOTSET:
        return 3
    return sum(level > threshold for threshold in (logging.DEBUG, logging.INFO, logging.WARNING))


def log_lines(lines: Iterable[str]) -> None:
    """Hand what the runtime wrote to the logger ``litedelegates.runtime``, each line at its own level."""
    if "logging" not in sys.modules:
        return
    import logging

    logger = logging.getLogger(LOGGER_NAME)
    levels = {"ERROR": logging.ERROR, "WARNING": logging.WARNING, "INFO": logging.INFO}
    for line in lines:
        severity, _, text = line.partition(": ")
        # Without a level of its own the logger would show warnings: nobody asked for them.
        level = levels.get(severity, logging.DEBUG) if logger.level != logging.NOTSET else logging.DEBUG
        logger.log(level, text if severity in levels else line)


def _installed_folder() -> str:
    # Finding the package runs none of its code. Where the usual finder does not know it, all others are asked.
    spec = importlib.machinery.PathFinder.find_spec("ai_edge_litert")
    if spec is None:
        from importlib.util import find_spec

        spec = find_spec("ai_edge_litert")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeLibraryError(f"ai-edge-litert is not installed in {sys.prefix}. {INSTALL_HINT}")
    return next(iter(spec.submodule_search_locations))


def _version_beside(folder: str) -> str | None:
    # The name of the dist-info folder holds the version; importlib.metadata takes 10 ms to say the same.
    prefix, suffix = "ai_edge_litert-", ".dist-info"
    for name in os.listdir(os.path.dirname(folder)):
        if name.startswith(prefix) and name.endswith(suffix):
            return name[len(prefix) : -len(suffix)]
    return None


def _major_minor(version: str) -> tuple[int, int]:
    parts = version.split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else (0, 0)
