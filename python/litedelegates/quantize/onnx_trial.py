"""Runs a quantized ONNX model beside its source, in a process of its own: onnxruntime may end it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.graph.kinds import RANDOM
from litedelegates.isolated import python_command
from litedelegates.quantize.calibration import InputSpec
from litedelegates.quantize.onnx_files import on_disk
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_graphs
from litedelegates.quantize.value_check import explained_error, spread

if TYPE_CHECKING:
    import onnx

_WORKER = "litedelegates.quantize.onnx_trial_worker"
# Loading and running a few samples of any model that fits into memory takes less.
_TIME_LIMIT_S = 1800
_LAST_WORDS = 300


@dataclass(frozen=True)
class Trial:
    """What came of running a quantized model.

    Attributes:
        failure: Why it does not load or run; empty where it does.
        op: The op of the quantized model that failed, where that is known.
        crashed: Whether the process ended.
        verdict: Of its values: "fine", "warning" or "error", and "unknown" where they could not be compared.
        text: What is off, with the op where it begins; why the values are unknown.
    """

    failure: str = ""
    op: str = ""
    crashed: bool = False
    verdict: str = "unknown"
    text: str = ""


def try_beside(
    source: onnx.ModelProto,
    result: onnx.ModelProto,
    specs: Sequence[InputSpec],
    samples: Sequence[Mapping[str, NDArray[Any]]],
    precisions: Sequence[str],
    num_threads: int,
    most_bytes: int,
) -> Trial:
    """Return how ``result`` does beside ``source``.

    Args:
        source: The float32 model.
        result: What it became, its inputs and outputs float32 or annotated with a scale.
        specs: The inputs of ``source``; empty where they are of no kind that numpy has.
        samples: The calibration; empty for random values, whose errors are never more than a warning.
        precisions: Those that occur in ``result``.
        num_threads: Threads of the kernels.
        most_bytes: The largest single file.
    """
    with (
        tempfile.TemporaryDirectory(prefix="litedelegates.") as folder,
        on_disk(source, most_bytes) as source_path,
        on_disk(result, most_bytes) as result_path,
    ):
        chosen = spread(samples)
        job = {
            "source": str(source_path),
            "result": str(result_path),
            "specs": [[spec.name, spec.shape, spec.dtype.str] for spec in specs],
            "samples": len(chosen),
            "compares": bool(specs) and not _is_random(source),
            "explained": explained_error(precisions, len(source.graph.node)),
            "steps": _steps(result),
            "borders": _borders(result),
            "num_threads": num_threads,
        }
        Path(folder, "job.json").write_text(json.dumps(job), encoding="utf-8")
        names = [spec.name for spec in specs]
        for number, sample in enumerate(chosen):
            # Names of inputs may hold characters that a file name cannot: they go by number.
            arrays: dict[str, Any] = {str(place): sample[name] for place, name in enumerate(names)}
            np.savez(Path(folder, f"{number}.npz"), **arrays)
        return _run(Path(folder))


def _run(folder: Path) -> Trial:
    stderr = folder / "stderr"
    with stderr.open("wb") as words:
        try:
            done = subprocess.run(
                python_command(_WORKER, str(folder)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                timeout=_TIME_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Trial(failure=f"running it did not end in {_TIME_LIMIT_S} s")
    answer = folder / "answer.json"
    if done.returncode == 0 and answer.is_file():
        found = json.loads(answer.read_text(encoding="utf-8"))
        failure = str(found.get("failure", ""))
        return Trial(failure, _op_in(failure), False, str(found["verdict"]), str(found["text"]))
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        memory = ", out of memory perhaps" if name == "SIGKILL" else ""
        return Trial(failure=f"onnxruntime ends the process that loads and runs it ({name}{memory})", crashed=True)
    last = stderr.read_bytes()[-_LAST_WORDS:].decode(errors="replace").strip()
    raise QuantizationError(f"the process that tries the quantized model ended with code {done.returncode}: {last}")


def _op_in(failure: str) -> str:
    """Return the name of the op that onnxruntime complains about."""
    found = re.search(r"(?:Name:|node with name )'([^']*)'", failure)
    return found.group(1) if found else ""


def _is_random(source: onnx.ModelProto) -> bool:
    """Whether outputs differ from run to run, so that there is nothing to compare with."""
    return any(node.op_type in RANDOM for graph in all_graphs(source.graph) for node in graph.node)


def _borders(model: onnx.ModelProto) -> dict[str, list[Any]]:
    """Return scale, zero point and type of each integer input and output that stands for real values."""
    import onnx

    stored = GraphIndex(model).constants
    found = {}
    for entry in model.graph.quantization_annotation:
        names = {pair.key: pair.value for pair in entry.quant_parameter_tensor_names}
        scale, zero = (onnx.numpy_helper.to_array(stored[names[key]]) for key in ("SCALE_TENSOR", "ZERO_POINT_TENSOR"))
        found[entry.tensor_name] = [float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0]), zero.dtype.str]
    return found


def _steps(model: onnx.ModelProto) -> list[float | None]:
    """Return the quantization step of each output, None where it has none."""
    import onnx

    index = GraphIndex(model)
    steps: list[float | None] = []
    borders = _borders(model)
    for output in model.graph.output:
        maker = index.producer.get(output.name)
        scale = None
        if output.name in borders:
            scale = borders[output.name][0]
        elif maker is not None and maker.op_type == "DequantizeLinear" and maker.input[1] in index.constants:
            values = onnx.numpy_helper.to_array(index.constants[maker.input[1]])
            scale = float(values.reshape(-1)[0]) if values.size == 1 else None
        steps.append(scale)
    return steps
