"""Takes the arguments of the official Interpreter's constructor, in its order and with its rules."""

from __future__ import annotations

import enum
import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from litedelegates.delegates import Delegate, Xnnpack
from litedelegates.errors import OptionError

if TYPE_CHECKING:
    from litedelegates.model import ModelSource

Constructor = TypeVar("Constructor", bound=Callable[..., None])

# The constructor's arguments by position, after model_path and model_content.
_ORDER = (
    "experimental_delegates",
    "num_threads",
    "experimental_op_resolver_type",
    "experimental_preserve_all_tensors",
    "experimental_disable_delegate_clustering",
    "experimental_default_delegate_latest_features",
    "experimental_compress_quantization_zero_points",
    "experimental_disable_delegate_node_fusion",
    "experimental_force_delegate_node_profiling",
)
_CONTENT = (bytes, bytearray, memoryview)
_IDENTIFIER = b"TFL3"  # at byte 4 of every model
_LONGEST_PATH = 4096
_MOST_THREADS = 2**31 - 1


class OpResolverType(enum.Enum):
    """Which kernels an op gets; the names and values of the official enumeration, whose members are taken too.

    Attributes:
        AUTO: The same as BUILTIN.
        BUILTIN: Optimized kernels, and XNNPACK.
        BUILTIN_REF: The reference kernels, without XNNPACK.
        BUILTIN_WITHOUT_DEFAULT_DELEGATES: Optimized kernels, without XNNPACK.
    """

    AUTO = 0
    BUILTIN = 1
    BUILTIN_REF = 2
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3


def in_either_order(constructor: Constructor) -> Constructor:
    """Let a constructor that takes ``(model, delegate)`` take the official order of positional arguments too.

    The official order is ``(model_path, model_content, experimental_delegates, num_threads, ...)``. It is meant where
    the second argument is the content of a model, which is no delegate, and where there are more than two.
    """

    @functools.wraps(constructor)
    def construct(self: Any, *arguments: Any, **named: Any) -> None:
        if len(arguments) > 2 or (len(arguments) == 2 and isinstance(arguments[1], _CONTENT)):
            named = _by_name(arguments, named)
            arguments = ()
        constructor(self, *arguments, **named)

    return construct  # type: ignore[return-value]  # the same signature, and more than type checkers are told


def _by_name(arguments: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
    path, content, *others = arguments
    if content is not None and not isinstance(content, _CONTENT):
        raise TypeError(
            f"Interpreter takes (model, delegate) by position, or the official (model_path, model_content, "
            f"{', '.join(_ORDER[:2])}, ...), whose second argument is bytes or None, not {content!r}: give the rest "
            "by name"
        )
    if len(others) > len(_ORDER):
        raise TypeError(f"Interpreter takes at most {2 + len(_ORDER)} arguments by position; got {len(arguments)}")
    given = {"model_path": path, "model_content": content, **dict(zip(_ORDER, others, strict=False))}
    twice = sorted(set(given) & set(named))
    if twice:
        raise TypeError(f"Interpreter got {twice[0]} by position and by name")
    return {**given, **named}


def only_source(model: Any, model_path: Any, model_content: Any) -> ModelSource:
    """Return the one model that was given.

    Args:
        model: A path or the content; bytes are the content, or a path where a file of that name exists.
        model_path: A path, also as bytes.
        model_content: The content.

    Raises:
        ValueError: None was given, or several.
        TypeError: The content is no bytes.
    """
    if isinstance(model_path, bytes) or (isinstance(model, bytes) and _names_a_file(model)):
        model, model_path = (os.fsdecode(one) if isinstance(one, bytes) else one for one in (model, model_path))
    if model_content is not None and not isinstance(model_content, _CONTENT):
        raise TypeError(
            f"model_content is the bytes of a model, not {type(model_content).__name__}: a path is model_path"
        )
    given = [source for source in (model, model_path, model_content) if source is not None]
    if len(given) > 1:
        # As in the official Interpreter, an empty path or empty content counts as none.
        given = [source for source in given if not isinstance(source, (str, *_CONTENT)) or len(source) > 0]
    if len(given) != 1:
        raise ValueError("give one model: a path or the content" if not given else "give one model, not several")
    return given[0]


def _names_a_file(content: bytes) -> bool:
    if len(content) > _LONGEST_PATH or content[4:8] == _IDENTIFIER or b"\0" in content:
        return False
    return os.path.isfile(content)


def checked_threads(num_threads: Any) -> int | None:
    """Return the number of threads, or None for the runtime's default.

    Raises:
        OptionError: It is no integer, or below 1; as in the official Interpreter a ValueError.
    """
    if num_threads is None:
        return None
    if not isinstance(num_threads, int) or not 1 <= num_threads <= _MOST_THREADS:
        raise OptionError(f"num_threads={num_threads!r}: it must be an integer of at least 1")
    return int(num_threads)


def resolved(delegates: tuple[Delegate, ...], resolver: Any) -> tuple[Delegate, ...]:
    """Return the delegates that are left with a resolver type.

    Args:
        delegates: What was asked for.
        resolver: An `OpResolverType`, or a member of the official enumeration.

    Raises:
        OptionError: It is none of them; as in the official Interpreter a ValueError.
    """
    name = resolver.name if isinstance(resolver, enum.Enum) else None
    if name not in OpResolverType.__members__:
        raise OptionError(
            f"experimental_op_resolver_type={resolver!r}: it must be one of OpResolverType's "
            f"{', '.join(OpResolverType.__members__)}"
        )
    others = tuple(delegate for delegate in delegates if not isinstance(delegate, Xnnpack))
    if name == "BUILTIN_REF":
        return (*others, Xnnpack(kernel_mode="reference"))
    return others if name == "BUILTIN_WITHOUT_DEFAULT_DELEGATES" else delegates
