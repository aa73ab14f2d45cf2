"""What does each precision bring ResNet152V2, layer by layer, under LiteRT and ONNX Runtime?"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from harness import (
    REPOSITORY,
    Status,
    describe_machine,
    existing_file,
    identify,
    make_parser,
    save_json,
    save_text,
    skip,
)
from litedelegates.errors import LiteDelegatesError
from litedelegates.layers import LayersConfig, LayerStudy, study_layers
from litedelegates.report import write_report
from litedelegates.study import Store
from resnet152v2_answers import write_answers
from resnet152v2_findings import Accuracy, Border, Findings, GpuWait, Timing, speed_up
from resnet152v2_stages import (
    LITERT,
    ONNX,
    compare_formats,
    cut_borders,
    file_of,
    look_at_gpu,
    make_files,
    make_image,
    time_whole,
)
from resnet152v2_trained import measure_trained
from tables import format_markdown, say_interval, say_number

DESCRIPTION = """\
Measure ResNet152V2, input (1, 224, 224, 3), in every precision of LiteRT and ONNX Runtime on every CPU kernel library
here, and on a GPU where there is one: the whole network interleaved in one run, each layer in place and alone, its
error, and what a cut after it would send. The result answers by its numbers: why does dynamic quantization look slow,
why does float16 bring nothing, is the GPU waited for, why is QOperator slower than QDQ, do the layers
explain the whole?

The weights are random unless --weights names a file; errors on real data are those of small trained networks. Takes up
to 15 minutes on two cores and 8 GB of memory. Every stage is saved when it is done: --resume goes on.

Needs: pip install 'litedelegates[quantize,onnx]'; the extra openvino adds its kernels, matplotlib and Pillow a photo.

examples:
  python benchmarks/resnet152v2.py --quick
  python benchmarks/resnet152v2.py --threads 2 --publish
  python benchmarks/resnet152v2.py --resume results/resnet152v2-20260101-120000
"""
SAME = ("threads", "runs", "weights", "seed", "quick")  # options that a study may not change on its way
RESULTS = REPOSITORY / "benchmarks" / "results"
ONNX_ERRORS = ("float16", "QDQ U8S8 per channel", "QDQ S8S8 per tensor")


def layers_config(options: argparse.Namespace, folder: Path, engine: str, **what: Any) -> LayersConfig:
    """Return what is asked of the layers of the .tflite or the .onnx."""
    quick = {"layers": ("0-12",), "runs": 2, "seconds": 0.02} if options.quick else {"seconds": 0.06, "runs": 10}
    shared = {
        "threads": (options.threads,),
        "calibration": str(folder / "calibration.npz"),
        "inputs": str(folder / "inputs.npz"),
        "samples": 1,
        "seed": options.seed,
    }
    return LayersConfig(model=str(file_of(folder, engine, "float32")), **{**shared, **quick, **what})


def layer_parts(folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what is asked of the layers, by the name of the stage: the engine and what `LayersConfig` takes."""
    precisions = ("float32", *LITERT)
    # The names of precisions that the library makes itself are taken.
    files = {name.replace("float16", "float16 file"): str(file_of(folder, "ONNX Runtime", name)) for name in ONNX}
    few = {name: path for name, path in files.items() if name.removesuffix(" file") in ONNX_ERRORS}
    errors = {"parts": ("error",), "errors": ("local", "propagated")}
    of_onnx = {"precisions": ("float32",)}
    return {
        "LiteRT in place": ("LiteRT", {"parts": ("in_place",), "precisions": precisions}),
        "LiteRT alone": ("LiteRT", {"parts": ("alone",), "precisions": precisions, "delegates": ("xnnpack",)}),
        "LiteRT errors": ("LiteRT", {**errors, "precisions": precisions, "delegates": ("none",)}),
        "ONNX in place": ("ONNX Runtime", {"parts": ("in_place",), "variants": files, **of_onnx}),
        "ONNX errors": ("ONNX Runtime", {**errors, "variants": few, **of_onnx}),
    }


def measure_layers(
    options: argparse.Namespace, folder: Path, status: Status, engine: str, what: Mapping[str, Any]
) -> None:
    """Measure layers into the store beside the files; what is there already is kept."""
    np.savez(folder / "inputs.npz", image=make_image(options, 1, options.seed + 1))
    label = f"resnet152v2: layers, {engine}, {what['parts'][0]}"
    status.stage(label)
    study_layers(
        layers_config(options, folder, engine, **what),
        folder / "study.sqlite",
        command=sys.argv,
        progress=lambda now: status.update(f"{label}: {now.done} of {now.total}, {now.doing}"),
    )


def read_layers(options: argparse.Namespace, folder: Path, engine: str) -> LayerStudy | None:
    """Return what is known of the layers of a model; None where nothing is."""
    try:
        return LayerStudy.open(folder / "study.sqlite", layers_config(options, folder, engine).key)
    except (LiteDelegatesError, FileNotFoundError):
        return None


class Stages:
    """The stages that are done, kept in a file that is written whole after each."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._path = path
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.done: dict[str, Any] = known.get("stages", {})
        self.failures: dict[str, str] = {}
        self.identity = known.get("identity") or dict(identity)

    def run(self, name: str, work: Callable[[], Any]) -> None:
        """Do a stage unless it was done before; one that fails is told, and tried again by --resume."""
        if name in self.done:
            return
        begin = time.monotonic()
        try:
            found = work()
        except Exception as error:  # one stage must not take the results of the others along
            traceback.print_exc()
            self.failures[name] = f"{type(error).__name__}: {error}"
            return
        self.done[name] = {"found": found, "seconds": time.monotonic() - begin}
        save_json(self._path, {"identity": self.identity, "stages": self.done})
        self.done = json.loads(self._path.read_text(encoding="utf-8"))["stages"]

    def found(self, name: str, default: Any) -> Any:
        """Return what a stage has found, or the default where it is not done."""
        return self.done[name]["found"] if name in self.done else default

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each stage took."""
        return {name: stage["seconds"] for name, stage in self.done.items()}


def find(options: argparse.Namespace, folder: Path, stages: Stages) -> Findings:
    """Return everything that was measured."""
    formats, gpu = stages.found("formats", {}), stages.found("gpu", None)
    return Findings(
        threads=options.threads,
        timings=[Timing.read(one) for one in stages.found("whole", {}).get("timings", ())],
        prepared_s=stages.found("files", {}),
        gpu=None if gpu is None else GpuWait.read(gpu),
        borders=[Border.read(one) for one in stages.found("borders", ())],
        accuracies=[Accuracy.read(one) for one in stages.found("trained", ())],
        litert=read_layers(options, folder, "LiteRT"),
        onnx=read_layers(options, folder, "ONNX Runtime"),
        matched=(formats["matched"], formats["layers"]) if formats else None,
        largest_difference=formats.get("largest_difference", 0.0),
        input_nbytes=make_image(options, 1, 0).nbytes,
    )


def make_table(findings: Findings) -> str:
    """Return the whole network in every configuration as a Markdown table."""
    rows = []
    for one in findings.timings:
        base = findings.timing(one.engine, one.kernels, "float32")
        cells = [one.name, f"{one.file_nbytes / 1e6:.0f}"]
        if not one.blocks_ms:
            rows.append([*cells, "-", "-", "-", "-", f"not measured: {one.failure}"])
            continue
        ratio = "-"
        if base is not None and one is not base:
            found = speed_up(one, base)
            ratio = f"{found.ratio:.2f} {say_interval(found.low, found.high, 3, 2)}"
        bounds = say_interval(*(one.interval_ms or (None, None)), 3, 1)
        rows.append([*cells, say_number(one.median_ms, 3, 1), bounds, ratio, str(one.runs), one.ran])
    header = ["configuration", "MB", "median ms", "95 % interval", "times as fast as its float32", "runs", "ran on"]
    return format_markdown(header, rows)


def make_text(findings: Findings, stages: Stages, options: argparse.Namespace) -> str:
    """Return the result as Markdown."""
    weights = f"weights of {options.weights.name}" if options.weights else "random weights"
    noted = stages.found("whole", {}).get("conditions", ())
    conditions = dict.fromkeys(f"- {entry['severity']}: {entry['text']}" for entry in noted)
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in stages.seconds.items())
    return "\n".join(
        [
            "# ResNet152V2, layer by layer\n",
            f"{stages.identity['described']}; {options.threads} threads everywhere, batch 1, {weights}"
            + (", **quick: to see that it works, not to believe**" if options.quick else "")
            + ".",
            f"Measured in {sum(stages.seconds.values()) / 60:.1f} minutes: {took}.\n",
            "## The whole network, all configurations in one interleaved run\n",
            make_table(findings),
            "",
            *(["While it ran:\n", *conditions, ""] if conditions else []),
            *(f"**Missing: {name} failed with {failure}**\n" for name, failure in stages.failures.items()),
            write_answers(findings),
        ]
    )


def main() -> int:
    parser = make_parser(DESCRIPTION)
    parser.epilog = "exit code: 0 when every stage was measured, 77 without the extras, else 1"
    parser.add_argument("--threads", type=int, default=2, help="threads of every configuration")
    parser.add_argument("--runs", type=int, default=250, help="runs of each configuration; slow ones have fewer")
    parser.add_argument("--weights", type=existing_file, help="as in models/make_resnet152v2.py (default: random)")
    parser.add_argument("--software-gpu", action="store_true", help="also on a GPU that a program plays: very slow")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with what is there")
    parser.add_argument("--publish", action="store_true", help=f"write the result to {RESULTS} as well")
    options = parser.parse_args()

    missing = [name for name in ("litert_quantizer", "onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        return skip(f"needs {', '.join(missing)}: pip install 'litedelegates[quantize,onnx]'")
    folder = options.resume or options.out / f"resnet152v2-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True, exist_ok=True)
    status, identity = Status(), identify("resnet152v2", options)
    stages = Stages(folder / "stages.json", {**identity, "described": describe_machine(identity)})
    changed = [name for name in SAME if str(stages.identity["options"][name]) != str(getattr(options, name))]
    if changed:
        parser.error(f"{folder} was begun with other options: {', '.join(f'--{name}' for name in changed)}")

    def whole() -> dict[str, Any]:
        timings, conditions = time_whole(options, folder, status)
        return {"timings": timings, "conditions": conditions}

    stages.run("files", lambda: make_files(options, folder, status))
    stages.run("whole", whole)
    for name, (engine, what) in layer_parts(folder).items():
        stages.run(name, lambda engine=engine, what=what: measure_layers(options, folder, status, engine, what))
    stages.run("formats", lambda: compare_formats(folder))
    stages.run("borders", lambda: cut_borders(folder))
    stages.run("trained", lambda: measure_trained(folder))
    stages.run("gpu", lambda: look_at_gpu(options, folder, status))
    status.clear()
    text = make_text(find(options, folder, stages), stages, options)
    save_text(folder / "resnet152v2.md", text)
    print(text)
    with Store.open(folder / "study.sqlite") as store:
        page = next(path for path in write_report(store, folder, ("html",)) if path.suffix == ".html")
    if options.publish:
        save_text(RESULTS / "resnet152v2.md", text)
        # Where the files lay on this machine is nothing to publish.
        content = page.read_text(encoding="utf-8").replace(f"{folder}/", "").replace(str(folder.parent), "results")
        save_text(RESULTS / "resnet152v2.html", content)
    print(f"report, to open in a browser: {page}")
    return int(bool(stages.failures))


if __name__ == "__main__":
    sys.exit(main())
