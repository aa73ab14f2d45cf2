"""Give thousands of damaged inputs to every reader, each under a time limit in a process that may fall.

    python -m fuzz --inputs 10000                 every target (from the folder ``tests``)
    python -m fuzz --target store --first 4711 --inputs 1 --save /tmp/found

An input is made from its target and number alone, so that the number reproduces it. Ends with 1 where a process died,
an input took too long, or an error came out that is none of the package's.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from litedelegates.study.process import CellFailed, Worker

from fuzz.targets import TARGETS
from fuzz.worker import mutant

TESTS = Path(__file__).parent.parent
MEMORY_LIMIT = 4_000_000_000
SLOW_START = 120.0


def try_inputs(
    target: str, first: int, inputs: int, limit: float, real: bool, save: Path | None = None
) -> dict[str, Any]:
    """Try the inputs ``first`` to ``first + inputs - 1`` of a target and return what became of them, counted."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    ends: collections.Counter[str] = collections.Counter()
    found: dict[str, list[int]] = {}
    worker = None
    start = time.monotonic()
    for number in range(first, first + inputs):
        if worker is None or not worker.is_alive:
            if worker is not None:
                worker.close()
            worker = Worker(MEMORY_LIMIT, "fuzz.worker")
            worker.ask("prepare", SLOW_START, target=target, real=real)
        try:
            answer = worker.ask("try", limit, target=target, number=number, real=real)
        except CellFailed as error:
            answer = {"end": error.status, "error": error.reason}
        ends[answer["end"]] += 1
        if answer["end"] not in ("ran", "refused"):
            found.setdefault(f"{answer['end']}: {answer['error']}", []).append(number)
            if save is not None:
                save.mkdir(parents=True, exist_ok=True)
                (save / f"{target}-{number}").write_bytes(mutant(target, number, real))
    if worker is not None:
        worker.close()
    return {"target": target, "seconds": round(time.monotonic() - start, 1), "ends": dict(ends), "found": found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", choices=TARGETS, help="may be repeated (default: all)")
    parser.add_argument("--inputs", type=int, default=10_000, help="of each target (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one input (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="damage no real models, only small ones")
    parser.add_argument("--save", type=Path, help="folder for the inputs that were found")
    arguments = parser.parse_args()
    clean = True
    for target in arguments.target or TARGETS:
        result = try_inputs(
            target, arguments.first, arguments.inputs, arguments.limit, not arguments.small, arguments.save
        )
        clean = clean and not result["found"]
        print(f"{target:16} {arguments.inputs:>7,} inputs {result['seconds']:>8.1f} s  {json.dumps(result['ends'])}")
        for what, numbers in sorted(result["found"].items()):
            shown = ", ".join(map(str, numbers[:5]))
            print(f"  {len(numbers)} x {what} (numbers {shown}{', ...' if len(numbers) > 5 else ''})", flush=True)
        sys.stdout.flush()
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
