"""Run every benchmark, go on after failures, and say what happened."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from harness import REPOSITORY, HelpFormatter
from tables import format_table

DESCRIPTION = """\
Run all benchmarks one after the other, each in a process of its own, and sum up. A benchmark that fails or crashes
does not end the others.

example:
  python benchmarks/run_all.py --quick
"""
BENCHMARKS = ("study", "delegates", "overhead", "startup", "gpu_wait", "cut", "quantize", "method")
EPILOG = "exit code: 0 when every benchmark ended with 0, else 1"


def run(name: str, arguments: list[str]) -> tuple[str, float]:
    """Run the benchmark ``name`` and return how it ended and the seconds it took."""
    begin = time.monotonic()
    print(f"== {name}", flush=True)
    code = subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py")), *arguments]).returncode
    print(flush=True)
    ending = "ok" if code == 0 else f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return ending, time.monotonic() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the time: to see that it works, not to publish"
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "results", help="folder for the results")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, help="run these alone")
    options = parser.parse_args()

    arguments = ["--out", str(options.out), *(["--quick"] if options.quick else [])]
    endings = {name: run(name, arguments) for name in options.only}
    rows = [[name, ending, f"{seconds:.0f} s"] for name, (ending, seconds) in endings.items()]
    print(format_table(["benchmark", "ended", "took"], rows, left=(0, 1)))
    return int(any(ending != "ok" for ending, _ in endings.values()))


if __name__ == "__main__":
    sys.exit(main())
