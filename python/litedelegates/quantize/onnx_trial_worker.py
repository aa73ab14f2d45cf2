"""The process that loads a quantized ONNX model and compares its values with its source's; see `onnx_trial`."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.measure.error import ErrorSums
from litedelegates.quantize.calibration import InputSpec, random_samples
from litedelegates.quantize.value_check import InnerError, check_outputs, where_error_begins

Feeds = Mapping[str, NDArray[Any]]
# Large models are run on fewer samples: after these seconds no further one is begun.
_SECONDS = 10.0
# What open sizes become where no sample says them; the first that the source runs on.
_SIZES = (2, 1, 4, 8, 16, 32)
_RANDOM_SAMPLES = 4
# Inner tensors are compared on this many samples.
_INNER_SAMPLES = 2


class _FailedRun(Exception):
    """The quantized model does not run."""


def main() -> None:
    """Do the job in the folder that the command line names, and leave the answer there."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    answer = _answer(folder, job)
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _answer(folder: Path, job: Mapping[str, Any]) -> dict[str, str]:
    try:
        result = _session(job["result"], job)
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        return {"failure": str(error), "verdict": "unknown", "text": ""}
    if not job["compares"]:
        return _unknown("its outputs are random, or its inputs are no arrays")
    source = _session(job["source"], job)
    samples = _samples(folder, job, source)
    if not samples:
        return _unknown("the float32 model does not run on random values; calibration samples would show")
    try:
        return _compare(job, source, result, samples)
    except _FailedRun as error:
        return {"failure": str(error), "verdict": "unknown", "text": ""}


def _unknown(reason: str) -> dict[str, str]:
    return {"verdict": "unknown", "text": reason}


def _session(path: str, job: Mapping[str, Any], *, fused: bool = True) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = job["num_threads"]
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _samples(folder: Path, job: Mapping[str, Any], source: Any) -> list[Feeds]:
    """Return the samples, or random ones that the source runs on; none where it does not."""
    specs = [(name, tuple(shape), np.dtype(dtype)) for name, shape, dtype in job["specs"]]
    if job["samples"]:
        found: list[Feeds] = []
        for number in range(job["samples"]):
            with np.load(folder / f"{number}.npz", allow_pickle=False) as stored:
                found.append({name: stored[str(place)] for place, (name, _, _) in enumerate(specs)})
        return found
    if any(dtype.kind not in "fiub" for _, _, dtype in specs):
        return []
    for size in _SIZES if any(-1 in shape for _, shape, _ in specs) else _SIZES[:1]:
        fixed = [
            InputSpec(name, shape, tuple(size if entry == -1 else entry for entry in shape), dtype)
            for name, shape, dtype in specs
        ]
        samples: list[Feeds] = [*random_samples(fixed, _RANDOM_SAMPLES, low=-1.0)]
        try:
            source.run(None, samples[0])
        except Exception:  # as above
            continue
        return samples
    return []


def _compare(job: Mapping[str, Any], source: Any, result: Any, samples: list[Feeds]) -> dict[str, str]:
    names = [output.name for output in source.get_outputs()]
    # Sequences and maps cannot be compared element by element.
    plain = [place for place, output in enumerate(source.get_outputs()) if output.type.startswith("tensor(")]
    plain = [place for place in plain if "string" not in source.get_outputs()[place].type]
    rows = ((source.run(None, dict(sample)), _run_quantized(result, sample, job)) for sample in _in_time(samples))
    wanted, found = _unzip(rows, plain)
    check = check_outputs(
        [names[place] for place in plain], wanted, found, job["explained"], [job["steps"][place] for place in plain]
    )
    verdict = check.verdict
    if verdict == "error" and not job["samples"]:
        verdict = "warning"
    text = check.text
    if verdict != "fine":
        begins = _where_it_begins(job, samples[:_INNER_SAMPLES])
        if begins is not None:
            text += f". The error begins at {begins.op}, from {begins.before:.0%} to {begins.after:.0%}"
    return {"verdict": verdict, "text": text}


def _in_time(samples: Sequence[Feeds]) -> Iterator[Feeds]:
    begun = time.monotonic()
    for number, sample in enumerate(samples):
        if number and time.monotonic() - begun > _SECONDS:
            return
        yield sample


def _unzip(rows: Iterator[tuple[list[Any], list[Any]]], places: Sequence[int]) -> tuple[Any, Any]:
    """Return the two halves of ``rows`` as generators that are read in turn, holding one row."""
    held: list[list[Any]] = []

    def first() -> Iterator[list[Any]]:
        for wanted, found in rows:
            held[:] = [[found[place] for place in places]]
            yield [wanted[place] for place in places]

    def second() -> Iterator[list[Any]]:
        while held:
            yield held.pop()

    return first(), second()


def _run_quantized(session: Any, sample: Feeds, job: Mapping[str, Any], wanted: list[str] | None = None) -> list[Any]:
    feeds = {
        name: _to_integers(value, *job["borders"][name]) if name in job["borders"] else value
        for name, value in sample.items()
    }
    try:
        values = session.run(wanted, feeds)
    except Exception as error:  # as above
        raise _FailedRun(str(error)) from error
    names = wanted or [output.name for output in session.get_outputs()]
    return [
        _to_reals(value, *job["borders"][name]) if name in job["borders"] else value
        for name, value in zip(names, values, strict=True)
    ]


def _to_integers(value: NDArray[Any], scale: float, zero: int, dtype: str) -> NDArray[Any]:
    limits = np.iinfo(np.dtype(dtype))
    rounded: NDArray[Any] = np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(dtype)
    return rounded


def _to_reals(value: NDArray[Any], scale: float, zero: int, dtype: str) -> NDArray[Any]:
    del dtype
    reals: NDArray[Any] = ((value.astype(np.float64) - zero) * scale).astype(np.float32)
    return reals


def _where_it_begins(job: Mapping[str, Any], samples: Sequence[Feeds]) -> InnerError | None:
    """Return the op of the source from which on values are wrong; None where that cannot be told."""
    import onnx

    try:
        source = onnx.load(job["source"])
        result = onnx.load(job["result"])
        twins = _twins(source, result)
        sums = {name: ErrorSums() for name in twins}
        expose = {job["source"]: (source, list(twins)), job["result"]: (result, list(twins.values()))}
        left, right = (_exposed(Path(path), model, names, job) for path, (model, names) in expose.items())
        for sample in samples:
            wanted = left.run(list(twins), dict(sample))
            found = _run_quantized(right, sample, job, list(twins.values()))
            for name, x, y in zip(twins, wanted, found, strict=True):
                if x.shape == y.shape and x.size:
                    sums[name].add(x.astype(np.float64), y.astype(np.float64))
    except Exception:  # a help only: both models may be too large for it, or hide their tensors
        return None
    errors = {name: _relative(one) for name, one in sums.items()}
    inner = [
        InnerError(
            f"{node.op_type} {node.name or node.output[0]!r}",
            max((errors.get(name, 0.0) for name in node.input), default=0.0),
            errors[node.output[0]],
        )
        for node in source.graph.node
        if node.output and node.output[0] in errors
    ]
    return where_error_begins(inner, job["explained"])


def _relative(sums: ErrorSums) -> float:
    decibels = sums.result().sqnr_db
    return 0.0 if decibels is None else math.inf if decibels == -math.inf else 10 ** (-decibels / 20)


def _twins(source: Any, result: Any) -> dict[str, str]:
    """Return which tensor of ``result`` stands for each tensor of ``source``, rounded where it is rounded there."""
    makers = {name: node for node in result.graph.node for name in node.output}
    rounded = {node.input[0]: node.output[0] for node in result.graph.node if node.op_type == "QuantizeLinear"}
    widened = {node.input[0]: node.output[0] for node in result.graph.node if node.op_type == "DequantizeLinear"}
    found = {}
    for node in source.graph.node:
        for name in node.output[:1]:
            if name in makers:
                found[name] = widened.get(rounded.get(name, ""), name)
    return found


def _exposed(path: Path, model: Any, names: Sequence[str], job: Mapping[str, Any]) -> Any:
    import onnx

    present = {output.name for output in model.graph.output}
    for name in dict.fromkeys(names):
        if name not in present:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    target = path.with_name("exposed.onnx")
    large = len(list(path.parent.iterdir())) > 1
    onnx.save(model, str(target), save_as_external_data=large, location="exposed.data" if large else None)
    return _session(str(target), job, fused=False)


if __name__ == "__main__":
    main()
