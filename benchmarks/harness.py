"""What the benchmarks share: options, identity of a run, files that a crash cannot cut short, a status line."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import enum
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import litedelegates
import numpy as np
from litedelegates.measure import Interleaved, Plan, read_machine

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "models"
CACHED_MODELS = REPOSITORY / ".cache" / "models"
SCHEMA_VERSION = 1
WIDTH = 120
# Exit codes that are no failure, beside 0: all was measured and something wanted was missed; nothing can be measured.
NOT_REACHED, SKIPPED = 3, 77


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the layout of the description and shows defaults that say something."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_something = action.default not in (None, False, [], argparse.SUPPRESS)
        return f"{action.help} (default: %(default)s)" if says_something else action.help


def existing_file(text: str) -> Path:
    """Return ``text`` as a path; for ``type=`` of an argument, so that a mistyped name is told at once."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def make_parser(description: str, *, seconds: float | None = None, seconds_help: str = "") -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has; without ``seconds`` there is no such option."""
    parser = argparse.ArgumentParser(description=description, formatter_class=HelpFormatter)
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds, help=seconds_help)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "results", help="folder for the results")
    parser.add_argument("--seed", type=int, default=0, help="seed of the orders, the intervals and the random inputs")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the time: to see that it works, not to publish"
    )
    return parser


def make_plan(options: argparse.Namespace, configurations: int, **changes: Any) -> Plan:
    """Return the plan for timing ``configurations`` together."""
    seconds = options.seconds * configurations * (0.1 if options.quick else 1)
    warmup = {"warmup_seconds": 0.05} if options.quick else {}
    return Plan(**{"max_seconds": seconds, "seed": options.seed, **warmup, **changes})


def skip(reason: str) -> int:
    """Say why there is nothing to measure here, and return the exit code for it."""
    print(f"skipped: {reason}")
    return SKIPPED


def identify(benchmark: str, options: argparse.Namespace, models: Iterable[Path] = ()) -> dict[str, Any]:
    """Return what a result must carry to be compared with another: schema, code, machine, models and options."""
    hashes = {str(model): hash_bytes(model.read_bytes()) for model in models}
    return {
        "schema_version": SCHEMA_VERSION,
        "benchmark": benchmark,
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "git": _read_git(),
        "litedelegates": litedelegates.__version__,
        "machine": read_machine(),
        "model_sha256": hashes,
        "options": vars(options),
    }


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def result_path(options: argparse.Namespace, name: str) -> Path:
    """Return where the result goes; the time in the name keeps earlier ones."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path(options.out) / f"{name}-{stamp}.json"


def save_json(path: Path, data: Any) -> None:
    """Write ``data`` (records, arrays and paths included) so that the file is either the old one or the new one."""
    save_text(path, encode_json(data) + "\n")


def save_text(path: Path, text: str) -> None:
    """Write ``text`` beside ``path``, then put it in its place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def encode_json(value: Any, indent: str = "") -> str:
    """Return ``value`` as JSON, one line a field, but the numbers of a sample on one line together."""
    inner = indent + "  "
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        entries = [f"{inner}{json.dumps(str(key))}: {encode_json(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(entries) + f"\n{indent}}}" if entries else "{}"
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, (int, float, str)) for item in value):
            return "[" + ",".join(encode_json(item) for item in value) + "]"
        return "[\n" + ",\n".join(inner + encode_json(item, inner) for item in value) + f"\n{indent}]"
    if isinstance(value, enum.Enum):
        return json.dumps(value.name.lower())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "null"  # JSON has no word for it
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value)


def describe_machine(identity: Mapping[str, Any]) -> str:
    """Return the machine of a result in one line."""
    machine, git = identity["machine"], identity["git"]
    parts = [
        machine.board or machine.cpu_model or machine.architecture,
        f"{machine.cores} cores",
        f"governor {machine.governor or 'unknown'}",
        None if machine.temperature_c is None else f"{machine.temperature_c:.0f} degrees C",
        machine.system,
        f"ai-edge-litert {machine.packages.get('ai-edge-litert', 'unknown')}",
        git and git["commit"] and f"commit {git['commit'][:10]}{' (dirty)' if git['dirty'] else ''}",
    ]
    return ", ".join(part for part in parts if part)


def random_input(random: np.random.Generator, entry: Mapping[str, Any]) -> Any:
    """Return values for an input described as by ``get_input_details``: 0 to 1, integers 0 or 1."""
    values = random.uniform(0, 1, tuple(entry["shape"]))
    return (values if np.dtype(entry["dtype"]).kind == "f" else values * 2).astype(entry["dtype"])


class Status:
    """One line on the terminal that tells what is going on; without a terminal a line for each new stage."""

    def __init__(self) -> None:
        self._live, self._last = sys.stderr.isatty(), 0.0

    def stage(self, text: str) -> None:
        """Say that ``text`` begins."""
        self._write(f"\r{text[:WIDTH]:<{WIDTH}}" if self._live else f"{text}\n")

    def update(self, text: str) -> None:
        """Say how far it is; at most five times a second, and only to a terminal."""
        if self._live and time.monotonic() - self._last > 0.2:
            self._last = time.monotonic()
            self.stage(text)

    def rounds(self, label: str) -> Callable[[Interleaved], None]:
        """Return a progress callback for `interleave`."""
        return lambda found: self.update(f"{label}: round {found.rounds}, {found.seconds:.0f} s")

    def clear(self) -> None:
        """Take the line away."""
        if self._live:
            self._write(f"\r{'':<{WIDTH}}\r")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _read_git() -> dict[str, Any] | None:
    """Return commit and dirty flag, or None outside a checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", REPOSITORY, *arguments], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != REPOSITORY:
        return None
    changes = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "--verify", "HEAD"), "dirty": None if changes is None else bool(changes)}
