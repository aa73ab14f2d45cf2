"""Try what the kernels of the runtime take without ending the process: ``python -m kernels`` (from ``tools``).

Every builtin op with every element type and rank, inputs missing, scales extreme, in the official Interpreter with and
without XNNPACK, which has the kernels of both routes. Writes how many attempts ran, were refused and died for each op,
and which died, as JSON.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kernels.attempts import TEMPLATES, Attempt, attempts, plain
from kernels.models import build
from kernels.workers import RAN, is_delegated, official, run_all

MALLOC_DEBUG = "libc_malloc_debug.so.0"  # glibc's: finds what was written behind the end of an allocation


def try_attempt(op_version: int, job: tuple[Attempt, bool]) -> bool:
    """Run the model of an attempt, with XNNPACK or without."""
    attempt, with_xnnpack = job
    return official(build(attempt, op_version), with_xnnpack)


def newest_version(op: str) -> int:
    """Return the highest version of an op that the runtime knows, or 1."""
    from ai_edge_litert.interpreter import Interpreter

    def knows(job: int) -> bool:
        try:
            Interpreter(model_content=build(plain(op), job))
        except (ValueError, RuntimeError):
            return False
        return True

    versions = list(range(14, 0, -1))
    return next((version for version, end in zip(versions, run_all(versions, knows), strict=True) if end == RAN), 1)


def try_op(op: str) -> dict[str, Any]:
    """Return the counts of how the attempts of an op ended, and the keys of those that died."""
    of_op = newest_version(op)
    tried = list(attempts(op))
    unchanged = [attempt for attempt in tried if not attempt.changes]
    may_delegate = RAN in list(run_all(unchanged, lambda attempt: is_delegated(build(attempt, of_op))))
    jobs = [(attempt, with_xnnpack) for attempt in tried for with_xnnpack in (False, True)[: 1 + may_delegate]]
    ends = list(run_all(jobs, functools.partial(try_attempt, of_op)))
    died: dict[str, str] = {}
    for (attempt, with_xnnpack), end in zip(jobs, ends, strict=True):
        if end not in "+-":
            died[attempt.key] = died.get(attempt.key, "") + ("x" if with_xnnpack else "b")
    counts = collections.Counter(ends)
    return {"version": of_op, "ran": counts["+"], "refused": counts["-"], "died": dict(sorted(died.items()))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--op", action="append", choices=sorted(TEMPLATES), help="may be repeated (default: all)")
    parser.add_argument("--output", type=Path, help="where to write the JSON")
    arguments = parser.parse_args()
    if "MALLOC_CHECK_" not in os.environ and sys.platform == "linux":
        environment = {**os.environ, "LD_PRELOAD": MALLOC_DEBUG, "MALLOC_CHECK_": "3"}
        os.execve(sys.executable, [sys.executable, "-m", "kernels", *sys.argv[1:]], environment)
    import ai_edge_litert.interpreter  # noqa: F401 - once, before the processes are forked

    result: dict[str, Any] = {"ai-edge-litert": version("ai-edge-litert"), "ops": {}}
    for op in arguments.op or sorted(TEMPLATES):
        start = time.monotonic()
        found = result["ops"][op] = try_op(op)
        print(
            f"{op:32} version {found['version']:2}  {found['ran']:6} ran {found['refused']:6} refused "
            f"{len(found['died']):5} died  {time.monotonic() - start:6.1f} s",
            flush=True,
        )
        if arguments.output:
            arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
