"""Tries attempts in processes that may crash, many a process, and says which of them ended one."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

BATCH = 100
SECONDS = 5  # for one attempt
MEMORY = 4 << 30  # bytes for a process; some attempts ask for any amount
RAN, REFUSED, DIED, HUNG = "+", "-", "D", "H"


def run_all(jobs: Sequence[Any], attempt: Callable[[Any], bool]) -> Iterator[str]:
    """Yield how each job ended, in order: ``attempt`` returned True (`RAN`), returned False (`REFUSED`), or died.

    A process forked for `BATCH` jobs reports each before the next. What it damaged may only show in a later job, so
    that a job is blamed only when it also dies alone; otherwise every job before it in that process is tried alone.
    """
    start = 0
    while start < len(jobs):
        batch = jobs[start : start + BATCH]
        ends = _run_batch(batch, attempt)
        if ends[-1] in (DIED, HUNG):
            last = _run_batch([batch[len(ends) - 1]], attempt)
            alone = [] if last in (DIED, HUNG) else [_run_batch([job], attempt) for job in batch[: len(ends) - 1]]
            ends = ("".join(alone) or ends[:-1]) + last
        yield from ends
        start += len(ends)


def _run_batch(jobs: Sequence[Any], attempt: Callable[[Any], bool]) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        for job in jobs:
            signal.alarm(SECONDS)
            try:
                end = RAN if attempt(job) else REFUSED
            except Exception:  # whatever Python says of it, the process is alive
                end = REFUSED
            os.write(writer, end.encode())
        _shake_heap()
        os._exit(0)
    os.close(writer)
    ends = b""
    while True:
        piece = os.read(reader, 4096)
        if not piece:
            break
        ends += piece
    os.close(reader)
    _, status = os.waitpid(child, 0)
    text = ends.decode()
    if not os.WIFSIGNALED(status):
        return text
    fault = HUNG if os.WTERMSIG(status) == signal.SIGALRM else DIED
    return text[:-1] + fault if len(text) == len(jobs) else text + fault


def _shake_heap() -> None:
    """Allocate and free in many sizes, so that a damaged heap shows."""
    for _ in range(3):
        kept = [bytearray(size) for size in (16, 64, 200, 600, 3000, 20000, 300000) for _ in range(8)]
        del kept


def official(model: bytes, with_xnnpack: bool) -> bool:
    """Load, feed and run a model in the official Interpreter; return whether all of it went through."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.AUTO if with_xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError):
        return False
    try:
        for info in interpreter.get_input_details():
            interpreter.set_tensor(info["index"], _value(info["dtype"], info["shape"]))
    except (ValueError, RuntimeError):
        pass  # types that numpy does not have keep what is in memory
    try:
        interpreter.invoke()
        for info in interpreter.get_output_details():
            if np.dtype(info["dtype"]).kind != "O":  # a handle looks like a string, and is not to be read as one
                interpreter.get_tensor(info["index"])
    except (ValueError, RuntimeError):
        return False
    return True


def is_delegated(model: bytes) -> bool:
    """Return whether XNNPACK takes the op of a model, which may not load."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
        return any(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())
    except (ValueError, RuntimeError):
        return False


def _value(of_type: Any, shape: Any) -> Any:
    of_type = np.dtype(of_type)
    if of_type.kind in "SUO":
        return np.full(shape, b"x", np.object_)
    count = int(np.prod(shape))
    return (np.arange(count) % 2).astype(of_type).reshape(shape)
