"""Does a plan of mixed precisions beat every uniform precision at the same error, on inputs it has not seen?"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import MODELS, Status, describe_machine, existing_file, identify, make_parser, result_path, save_json
from litedelegates.deploy import deploy, verify
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.layers.records import Setting
from litedelegates.layers.side_by_side import Bench, Piece
from litedelegates.measure import Interleaved
from litedelegates.plan import Device, Plan, Source, make_plan
from tables import format_markdown, format_table, say_interval, say_number, say_ratio

DESCRIPTION = """\
Study the layers of a model; for the error of each uniform precision, and for half of int8's, plan precisions that are
the fastest within it; deploy the plans; then run all of them and the uniform models in turn, and take error, agreement
with float32 and accuracy over inputs that neither the calibration nor the study has seen. What each plan promised
against float32 stands beside what was measured, and how often a plan said "keep float32".

examples:
  python benchmarks/mixed_plan.py                                    # the digits that ship with litedelegates
  python models/make_efficientnet_lite0.py
  python benchmarks/mixed_plan.py --model .cache/models/efficientnet_lite0.tflite \\
    --data .cache/models/efficientnet_lite0_samples.npz
  python benchmarks/mixed_plan.py --busy 2 --studies 5               # with two processes that compute all the time
"""
EPILOG = """\
--data is an .npz with `calibration` and `test` (inputs along the first axis) and, where they are known, `test_labels`.
exit code: 0 when for each uniform precision some plan has at most its error, measured, and is not slower; else 1. With
several studies, or a busy machine, 0 when no more than one promise in twenty was too high
"""
PRECISIONS = ("float32", "float16", "dynamic", "int8")
DELEGATE = "xnnpack"
NO_GAIN = "float32 or float16"


@dataclass(frozen=True)
class Row:
    """A model, planned or uniform.

    Attributes:
        name: Such as "int8" or "plan within 0.0103".
        predicted_us: Latency as the planner has it.
        predicted_error: Its relative error.
        measured_us: Median of the runs in turn.
        low_us: Lower end of its 95 % interval.
        high_us: Upper end.
        error: Relative error over the test inputs.
        agreement: Share that keeps float32's largest output.
        accuracy: Share whose largest output is the label; None without labels.
        nbytes: Of the file.
        layers: How many layers have which precision.
    """

    name: str
    predicted_us: float
    predicted_error: float
    measured_us: float
    low_us: float | None
    high_us: float | None
    error: float
    agreement: float
    accuracy: float | None
    nbytes: int
    layers: str


@dataclass(frozen=True)
class Promise:
    """What a plan promised against float32, and what was measured in turn.

    Attributes:
        study: Which of the studies.
        name: Of the plan.
        keeps: Whether it said "keep float32".
        promised: Time of float32 over that of the plan.
        promised_low: Lower end of its interval.
        promised_high: Upper end.
        measured: The same ratio of the runs in turn.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    study: int
    name: str
    keeps: bool
    promised: float
    promised_low: float
    promised_high: float
    measured: float
    low: float | None
    high: float | None

    @property
    def is_too_high(self) -> bool:
        """Whether all of what was promised is above all of what was measured."""
        return self.promised_low > (self.measured if self.high is None else self.high)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep some processes computing for the ``with`` block."""
    # They end with this process, whatever ends it.
    program = "import os; parent = os.getppid()\nwhile os.getppid() == parent: sum(range(100000))"
    began = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield
    finally:
        for process in began:
            process.kill()
            process.wait()


def split_data(path: Path | None, folder: Path) -> dict[str, str | None]:
    """Write calibration, study and test inputs as files; return their paths."""
    if path is None:
        with np.load(MODELS / "digits_test.npz") as digits:
            data = {name: digits[name] for name in digits.files}
        data = {
            "calibration": data["calibration_images"] / np.float32(16),
            "test": data["test_images"] / np.float32(16),
            "test_labels": data["test_labels"].astype(np.int64),
        }
    else:
        with np.load(path) as given:
            data = {name: given[name] for name in given.files}
    files: dict[str, str | None] = {"labels": None}
    for name, array in (
        ("calibration", data["calibration"].astype(np.float32)),
        ("test", data["test"].astype(np.float32)),
        ("labels", data.get("test_labels")),
    ):
        if array is not None:
            np.save(folder / f"{name}.npy", array)
            files[name] = str(folder / f"{name}.npy")
    return files


def plans_of(source: Source, int8_error: float, uniform: dict[str, float]) -> dict[str, Plan]:
    """Return a plan for the error of each uniform precision, and for half and a quarter of int8's."""
    bounds = sorted({error for error in uniform.values() if error > 0} | {int8_error / 2, int8_error / 4})
    plans = {f"plan within {bound:.3g}": make_plan([source], max_error=bound) for bound in bounds}
    # XNNPACK computes float16 weights in float32: there is nothing to be gained.
    return {**plans, NO_GAIN: make_plan([source], precisions=("float32", "float16"))}


def uniform_plans(source: Source) -> dict[str, Plan]:
    """Return the plan of each precision for all layers."""
    return {precision: make_plan([source], precisions=(precision,)) for precision in PRECISIONS}


def counted(plan: Plan) -> str:
    """Return how many layers of a plan have which precision."""
    names = [layer.choice.precision for layer in plan.layers]
    return ", ".join(f"{names.count(name)} {name}" for name in PRECISIONS if name in names)


def time_all(files: dict[str, Path], seconds: float, seed: int) -> tuple[Interleaved, dict[str, str]]:
    """Run all models in turn; return what was timed and the name of each model there."""
    pieces = {name: Piece(Setting(name, DELEGATE, 1), (0,), str(path)) for name, path in files.items()}
    with Bench(seconds, 120.0, None, seed) as bench:
        found = bench.time(pieces.values())
    if found.timed is None or found.refusals:
        raise SystemExit(f"a model could not be timed: {found.refusals}")
    return found.timed, {name: piece.name for name, piece in pieces.items()}


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=4.0, seconds_help="of runs of each model at the end")
    parser.epilog = EPILOG
    parser.add_argument("--model", type=existing_file, default=MODELS / "digits.tflite", help="a float32 model")
    parser.add_argument("--data", type=existing_file, help="an .npz with inputs (default: the digits)")
    parser.add_argument("--mixes", type=int, default=12, help="mixed models that the costs are fitted to")
    parser.add_argument("--markdown", type=Path, help="write the table as Markdown")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="keep N processes computing meanwhile")
    parser.add_argument("--studies", type=int, default=1, metavar="N", help="how many studies to plan from")
    options = parser.parse_args()
    identity = identify("mixed_plan", options, [options.model])
    print(describe_machine(identity))
    promises: list[Promise] = []
    with busy(options.busy):
        for number in range(options.studies):
            rows, timed, names, own = one_study(options, number)
            promises += own
            found = [verdict(row, rows, timed, names) for row in rows if row.name in PRECISIONS]
            header, cells = table(rows, timed, names)
            if number == 0:
                first = header, cells, rows, found
            print(format_table(header, cells, left=(0, len(header) - 1)))
            print("\n".join(text for text, _ in found))
            told, kept = promise_table(own)
            print(format_table(told, kept, left=(1, 2)))
    header, cells, rows, found = first
    told, kept = promise_table(promises)
    print(said_of(promises))
    if options.markdown is not None:
        said = "\n".join(f"- {text}" for text, _ in found)
        parts = [format_markdown(header, cells), said, format_markdown(told, kept), said_of(promises)]
        options.markdown.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    lines = {"rows": [asdict(row) for row in rows], "promises": [asdict(promise) for promise in promises]}
    save_json(result_path(options, "mixed_plan"), {**identity, **lines})
    if options.busy or options.studies > 1:
        return int(sum(promise.is_too_high for promise in promises) > 0.05 * len(promises))
    return int(not all(is_good for _, is_good in found))


def one_study(options: argparse.Namespace, number: int) -> tuple[list[Row], Interleaved, dict[str, str], list[Promise]]:
    """Study the layers, plan, deploy and run; return the models, their times, their names there, and the promises."""
    with tempfile.TemporaryDirectory() as name:
        status = Status()
        folder = Path(name)
        files = split_data(options.data, folder)
        config = LayersConfig(
            str(options.model),
            PRECISIONS,
            delegates=(DELEGATE,),
            parts=("in_place", "alone", "error", "mixed"),
            errors=("output", "propagated"),
            calibration=str(files["calibration"]),
            inputs=str(files["calibration"]),
            samples=8 if options.quick else 32,
            mixes=options.mixes,
            seconds=0.1 if options.quick else 0.3,
            seed=options.seed + number,
        )
        study = study_layers(config, folder / "study.sqlite", progress=lambda at: status.stage(f"study: {at.doing}"))
        source = Source(Device("cpu", str(folder / "study.sqlite"), study.key), study)
        plans = uniform_plans(source)
        errors = {precision: plan.costs.error for precision, plan in plans.items()}
        plans |= plans_of(source, errors["int8"], errors)
        models, figures = {}, {}
        for place, (label, plan) in enumerate(plans.items()):
            status.stage(f"deploying {label}")
            out = folder / f"plan{place}"
            manifest = deploy(plan, out)
            models[label] = out / manifest.whole
            figures[label] = verify(out, files["test"], files["labels"], samples=1000, seconds=0)
        status.stage(f"running {len(models)} models in turn")
        timed, names = time_all(models, options.seconds * (0.1 if options.quick else 1), options.seed)
        rows = []
        for label, plan in plans.items():
            own, check = timed[names[label]], figures[label]
            interval = own.median_interval_ns()
            rows.append(
                Row(
                    label,
                    plan.costs.latency_us,
                    plan.costs.error,
                    own.median_ns / 1e3,
                    None if interval is None else interval.low / 1e3,
                    None if interval is None else interval.high / 1e3,
                    check.error or 0.0,
                    check.agreement or 0.0,
                    check.accuracy,
                    models[label].stat().st_size,
                    counted(plan),
                )
            )
    promises = []
    for label, plan in plans.items():
        if label not in PRECISIONS and plan.gain is not None:
            ratio, gain = timed.ratio(names["float32"], names[label]), plan.gain
            ends = gain.low, gain.high, ratio.ratio, ratio.low, ratio.high
            promises.append(Promise(number + 1, label, plan.keeps_default, gain.ratio, *ends))
    return rows, timed, names, promises


def promise_table(promises: Sequence[Promise]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the cells of what was promised and what was measured."""
    header = ["study", "plan", "said", "promised", "", "measured in turn", ""]
    cells = [
        [
            str(one.study),
            one.name,
            "keep float32" if one.keeps else "faster",
            f"{one.promised:.2f}",
            f"[{one.promised_low:.2f}, {one.promised_high:.2f}]",
            f"{one.measured:.2f}",
            "" if one.low is None or one.high is None else f"[{one.low:.2f}, {one.high:.2f}]",
        ]
        for one in promises
    ]
    return header, cells


def said_of(promises: Sequence[Promise]) -> str:
    """Return the promises in a sentence."""
    kept, fast = [one for one in promises if one.keeps], [one for one in promises if not one.keeps]
    off = np.array([one.promised / one.measured - 1 for one in promises])
    slow = sum(one.measured < 1 for one in fast)
    return (
        f"Of {len(promises)} plans {len(kept)} said keep float32, of which {sum(one.measured > 1.01 for one in kept)} "
        f"were faster by more than 1 %; {len(fast)} said faster, of which {slow} were slower. Promised over measured: "
        f"{np.median(off):+.1%} in the median, {off.min():+.1%} to {off.max():+.1%}; "
        f"{sum(one.is_too_high for one in promises)} intervals were all above what was measured."
    )


def table(rows: list[Row], timed: Interleaved, names: dict[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the cells."""
    header = ["model", "predicted us", "measured us", "", "float32 takes", "error predicted", "measured", "agreement"]
    has_labels = any(row.accuracy is not None for row in rows)
    header += [*(["accuracy"] if has_labels else []), "kB", "layers"]
    cells = []
    for row in rows:
        ratio = timed.ratio(names["float32"], names[row.name])
        own: list[Any] = [
            row.name,
            say_number(row.predicted_us),
            say_number(row.measured_us),
            say_interval(row.low_us, row.high_us),
            f"{say_ratio(ratio)} times" if row.name != "float32" else "",
            f"{row.predicted_error:.3g}",
            f"{row.error:.3g}",
            f"{row.agreement:.1%}",
            *([f"{row.accuracy:.1%}"] if has_labels and row.accuracy is not None else []),
            f"{row.nbytes / 1e3:.0f}",
            row.layers,
        ]
        cells.append(own)
    return header, cells


def verdict(uniform: Row, rows: list[Row], timed: Interleaved, names: dict[str, str]) -> tuple[str, bool]:
    """Say whether a plan has at most the error of a uniform precision and is at least as fast."""
    # Float32 has no error to be within: nothing but float32 keeps its bits.
    plans = [row for row in rows if row.name not in PRECISIONS and row.error <= uniform.error]
    if uniform.name == "float32" or uniform.error == 0:
        return f"{uniform.name}: the reference", True
    if not plans:
        return f"{uniform.name}: no plan has at most its error of {uniform.error:.3g}", False
    best = min(plans, key=lambda row: row.measured_us)
    ratio = timed.ratio(names[uniform.name], names[best.name])
    is_slower = ratio.high is not None and ratio.high < 0.99
    return (
        f"{uniform.name}: {best.name} has {best.error / uniform.error:.2f} times its error; {uniform.name} takes "
        f"{say_ratio(ratio)} times as long",
        not is_slower,
    )


if __name__ == "__main__":
    sys.exit(main())
