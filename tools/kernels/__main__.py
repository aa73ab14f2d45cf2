"""Try what the kernels of the runtime take without ending the process: ``python -m kernels`` (from ``tools``).

Every builtin op with every element type and rank, inputs missing, scales extreme, in the official Interpreter with and
without XNNPACK, which has the kernels of both routes. Writes how many attempts ran, were refused and died for each op,
and which died, as JSON. ``--repeat 100`` tries a hundred attempts of the stored result again, of which half died, and
ends with 1 where one ends otherwise now.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import os
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kernels.attempts import TEMPLATES, Attempt, attempts, plain
from kernels.models import FOUND, build, stored_version
from kernels.workers import DIED, HUNG, RAN, is_delegated, official, run_all

SOMETIMES = 0.05  # share of the attempts that need not die each time
MALLOC_DEBUG = "libc_malloc_debug.so.0"  # glibc's: finds what was written behind the end of an allocation


def try_attempt(op_version: int, job: tuple[Attempt, bool]) -> bool:
    """Run the model of an attempt, with XNNPACK or without."""
    attempt, with_xnnpack = job
    return official(build(attempt, op_version), with_xnnpack)


def newest_version(op: str) -> int:
    """Return the highest version of an op that the runtime knows, or 1."""
    from ai_edge_litert.interpreter import Interpreter

    def knows(op_version: int) -> bool:
        Interpreter(model_content=build(plain(op), op_version))
        return True

    versions = list(range(14, 0, -1))
    return next((known for known, end in zip(versions, run_all(versions, knows), strict=True) if end == RAN), 1)


def try_op(op: str) -> dict[str, Any]:
    """Return the counts of how the attempts of an op ended, and the keys of those that died.

    A key says where it died: without XNNPACK ("b") or with it ("x"); a capital letter says that it did not end.
    """
    of_op = newest_version(op)
    tried = list(attempts(op))
    unchanged = [attempt for attempt in tried if not attempt.changes]
    may_delegate = RAN in list(run_all(unchanged, lambda attempt: is_delegated(build(attempt, of_op))))
    jobs = [(attempt, with_xnnpack) for attempt in tried for with_xnnpack in (False, True)[: 1 + may_delegate]]
    ends = list(run_all(jobs, functools.partial(try_attempt, of_op)))
    died: dict[str, str] = {}
    for (attempt, with_xnnpack), end in zip(jobs, ends, strict=True):
        if end in (DIED, HUNG):
            where = "x" if with_xnnpack else "b"
            died[attempt.key] = died.get(attempt.key, "") + (where.upper() if end == HUNG else where)
    counts = collections.Counter(ends)
    return {"version": of_op, "ran": counts["+"], "refused": counts["-"], "died": dict(sorted(died.items()))}


def write(result: dict[str, Any], path: Path) -> None:
    """Write a result with one line for each op."""
    lines = [f" {json.dumps(op)}: {json.dumps(found, separators=(',', ':'))}" for op, found in result["ops"].items()]
    runtime = json.dumps(result["ai-edge-litert"])
    path.write_text(f'{{"ai-edge-litert": {runtime}, "ops": {{\n' + ",\n".join(lines) + "\n}}\n")


def repeat(count: int, seed: int) -> int:
    """Try some attempts of the stored result again; return 1 where another one died, or several died no more."""
    stored = json.loads(FOUND.read_text())["ops"]
    died = {Attempt.from_key(key): where for found in stored.values() for key, where in found["died"].items()}
    rng = random.Random(seed)
    # What lies where a handle should be differs from run to run.
    certain = [attempt for attempt, where in died.items() if "b" in where and not _has_handle(attempt)]
    tried = rng.sample(certain, count // 2)
    while len(tried) < count:
        attempt = rng.choice(list(attempts(rng.choice(list(stored)))))
        if attempt not in died and not _has_handle(attempt):
            tried.append(attempt)
    ends = run_all(tried, lambda attempt: official(build(attempt, stored_version(attempt.op)), False))
    changed: dict[bool, list[str]] = {False: [], True: []}  # by whether it died
    for attempt, end in zip(tried, ends, strict=True):
        if (end in (DIED, HUNG)) != (attempt in died):
            changed[attempt in died].append(f"{attempt.key} ended with {end!r}")
    print(
        f"{count} attempts repeated, {len(changed[False])} more died and {len(changed[True])} did not", *changed[True]
    )
    print(*changed[False], sep="\n")
    # What a kernel reads or writes beside its memory need not end the process each time.
    return 1 if changed[False] or len(changed[True]) > SOMETIMES * count else 0


def _has_handle(attempt: Attempt) -> bool:
    types = {attempt.base, *(slot.of_type for slot in attempt.template.inputs)}
    types |= {value for _, what, value in attempt.changes if what == "type"}
    return bool(types & {"RESOURCE", "VARIANT", "STRING"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--op", action="append", choices=sorted(TEMPLATES), help="may be repeated (default: all)")
    parser.add_argument("--output", type=Path, default=FOUND, help="where to write the result (default: %(default)s)")
    parser.add_argument("--repeat", type=int, metavar="COUNT", help="try this many of the stored attempts again")
    parser.add_argument("--seed", type=int, default=0, help="which attempts are repeated (default: %(default)s)")
    arguments = parser.parse_args()
    if "MALLOC_CHECK_" not in os.environ and sys.platform == "linux":
        environment = {**os.environ, "LD_PRELOAD": MALLOC_DEBUG, "MALLOC_CHECK_": "3"}
        os.execve(sys.executable, [sys.executable, "-m", "kernels", *sys.argv[1:]], environment)
    import ai_edge_litert.interpreter  # noqa: F401 - once, before the processes are forked

    if arguments.repeat:
        return repeat(arguments.repeat, arguments.seed)
    result: dict[str, Any] = {"ai-edge-litert": version("ai-edge-litert"), "ops": {}}
    for op in arguments.op or sorted(TEMPLATES):
        start = time.monotonic()
        found = result["ops"][op] = try_op(op)
        print(
            f"{op:32} version {found['version']:2}  {found['ran']:6} ran {found['refused']:6} refused "
            f"{len(found['died']):5} died  {time.monotonic() - start:6.1f} s",
            flush=True,
        )
        write(result, arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
