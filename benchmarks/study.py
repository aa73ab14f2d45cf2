"""Which configuration of a model should be shipped? A study with its report, one page to look at."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
from harness import MODELS, Status, existing_file, make_parser, result_path
from litedelegates import Interpreter
from litedelegates.devices import available
from litedelegates.report import write_report
from litedelegates.study import Progress, Store, StudyConfig, run_study
from study_data import Data, load_data

DESCRIPTION = """\
Measure a model in every precision on every delegate that works here, each configuration in a process of its own, all
interleaved; then write the report: which to choose and why, latency against accuracy or error, speed-ups with their
intervals, what ran where. Crashes and hangs are results too, and an interrupted study goes on with --store.

examples:
  python benchmarks/study.py --quick
  python benchmarks/study.py --model net.tflite --calibration images.npz --threads 1 4
  python benchmarks/study.py --store results/study-20260101-120000.sqlite
"""
EPILOG = "exit code: 0 when every configuration was measured or says why it cannot be, 1 when none could be measured"
PRECISIONS = ("float32", "float16", "dynamic", "int8")
DELEGATES = {
    "none": ("none",),
    "xnnpack": ("xnnpack",),
    "gpu": ("gpu", "gpu;precision_loss_allowed=true"),
    "openvino": ("openvino",),
}


def save_data(data: Data, names: list[str], folder: Path) -> dict[str, str]:
    """Write what a study takes from files, and return which file is for what."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {}
    for what, samples in (("calibration", data.calibration), ("inputs", data.trials)):
        arrays = {name: np.concatenate([sample[i] for sample in samples]) for i, name in enumerate(names)}
        files[what] = folder / f"{what}.npz"
        np.savez(files[what], allow_pickle=False, **arrays)
    if data.labels is not None:
        files["labels"] = folder / "labels.npy"
        np.save(files["labels"], data.labels)
    return {what: str(path) for what, path in files.items()}


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=2, seconds_help="seconds of runs measured of each configuration")
    parser.epilog = EPILOG
    parser.add_argument("--model", type=existing_file, default=MODELS / "digits.tflite")
    parser.add_argument(
        "--calibration",
        type=existing_file,
        help=".npy, or .npz with an array for each input and, if wanted, labels; one entry a sample, as in training",
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="threads of the CPU kernels")
    parser.add_argument("--store", type=Path, help="a study to go on with (default: a new one in --out)")
    options = parser.parse_args()

    status = Status()
    status.stage("study: looking for delegates")
    usable = [one.name for one in available() if one.is_available]
    delegates = [chain for name, chains in DELEGATES.items() if name in usable for chain in chains]
    with Interpreter(options.model, delegate=None) as interpreter:
        specs = interpreter.inputs
    store = options.store or result_path(options, "study").with_suffix(".sqlite")
    store.parent.mkdir(parents=True, exist_ok=True)
    data = load_data(options.model, specs, options.calibration, options.seed)
    precisions = PRECISIONS if importlib.util.find_spec("litert_quantizer") else PRECISIONS[:1]
    config = StudyConfig(
        models=(str(options.model),),
        precisions=precisions,
        delegates=tuple(delegates),
        threads=tuple(options.threads),
        seconds=options.seconds * (0.1 if options.quick else 1),
        rounds=6 if options.quick else 16,
        loads=1 if options.quick else 4,
        seed=options.seed,
        allow_float32_ops=True,
        **save_data(data, [spec.name for spec in specs], store.with_suffix(".data")),
    )
    status.stage("study: measuring")

    def tell(progress: Progress) -> None:
        status.update(f"study: {progress.done} of {progress.total}, {progress.seconds:.0f} s, {progress.doing}")

    run_study(config, store, progress=tell, command=sys.argv)
    with Store.open(store) as found:
        written = write_report(found, store.with_suffix(".report"))
        measured = sum(outcome is not None and outcome.status == "ok" for outcome in map(found.outcome, found.cells()))
    status.clear()
    summary = next(path for path in written if path.suffix == ".md")
    # The machine and the versions, which come next, are for the files.
    print(summary.read_text(encoding="utf-8").split("\n## Machine")[0])
    if precisions != PRECISIONS:
        print(f"skipped: {', '.join(PRECISIONS[1:])}, which need: pip install 'litedelegates[quantize]'")
    print(f"samples: {store}")
    print(f"report, to open in a browser: {written[0]}")
    return int(measured == 0)


if __name__ == "__main__":
    sys.exit(main())
