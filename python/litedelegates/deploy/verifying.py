"""Show that a deployed plan is what was planned: the same bits as the whole, its error, and its times."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from litedelegates.deploy.in_turn import Deployed, StageCheck, UniformCheck, overlap, time_in_turn
from litedelegates.deploy.reading import read_manifest
from litedelegates.deploy.records import Manifest, StageFile
from litedelegates.engines import Array, open_session
from litedelegates.errors import DeployError, LiteDelegatesError
from litedelegates.files import hash_file, path_in
from litedelegates.graph import Graph, check, load
from litedelegates.layers.recipe import left_in_float32
from litedelegates.layers.records import Record, Setting
from litedelegates.layers.samples import load_feeds, load_labels
from litedelegates.layers.sessions import open_setting
from litedelegates.layers.variants import load_variant
from litedelegates.measure import ErrorSums
from litedelegates.model import Model
from litedelegates.plan import Gain, Plan, relocated
from litedelegates.quantize.request import FLOAT32
from litedelegates.reference import take_reference
from litedelegates.words import counted

Watcher: TypeAlias = Callable[[str], None]
# Objectives that a time on one machine says something of.
_TIMED = ("latency", "throughput")
# Inputs on which the float32 outputs are confirmed by other kernels.
_CONFIRMED = 4
# Kernels of the same precision add up in other orders: so far apart are float32 results that nothing was done to.
_LAST_BITS = 1e-5
_ELIDED = (
    "float16 travels between stages: ONNX Runtime's CPU provider keeps float32 between the ops of the whole, and the "
    "stages have to round there, so that last bits differ"
)


@dataclass(frozen=True)
class Verification(Record):
    """What was found of a deployed plan.

    Attributes:
        is_equal: Whether the stages in sequence give the bits of the whole model of the same precisions, on the same
            kernels.
        difference: Otherwise what differs.
        samples: Inputs that the error was taken over.
        is_random: Whether these were random values: then the error says little.
        error: Relative error against float32 with the plan's delegates: root of the mean squared difference over the
            mean square; None where they are not here.
        predicted_error: The plan's.
        max_error: The plan's bound; None where it has none.
        agreement: Share of inputs that keep float32's largest output.
        accuracy: With labels, share of inputs whose largest output is the label.
        float32_accuracy: The same of the float32 model.
        max_accuracy_drop: The plan's bound of the difference of the two; None where it has none.
        stages: Times of the stages, then that of the whole in one.
        uniforms: Models in one precision that were timed in turn with the whole: the plan's default (float32) first,
            then its precisions; empty where the plan is the default, or no single model.
        gain: What the plan promises against the default; None where it promises no time.
        notes: What has to be known.
    """

    is_equal: bool
    difference: str = ""
    samples: int = 0
    is_random: bool = True
    error: float | None = None
    predicted_error: float | None = None
    max_error: float | None = None
    agreement: float | None = None
    accuracy: float | None = None
    float32_accuracy: float | None = None
    max_accuracy_drop: float | None = None
    stages: tuple[StageCheck, ...] = ()
    uniforms: tuple[UniformCheck, ...] = ()
    gain: Gain | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the stages are the whole, and error and accuracy within the plan's bounds or not of real data."""
        too_far = self.max_error is not None and (self.error or 0.0) > max(self.max_error, _LAST_BITS)
        drop, bound = self.accuracy_drop, self.max_accuracy_drop
        too_wrong = bound is not None and drop is not None and drop > bound + 1e-12  # of two rounded shares
        return self.is_equal and (self.is_random or not (too_far or too_wrong))

    @property
    def is_faster(self) -> bool | None:
        """Whether the plan is shown to be faster than the default; None where that was not timed or not promised."""
        first = self.uniforms[0] if self.uniforms else None
        if self.gain is None or first is None or first.ratio is None:
            return None
        return (first.ratio if first.ratio_low is None else first.ratio_low) > 1.0

    @property
    def is_as_predicted(self) -> bool | None:
        """Whether the times are within what the plan predicts; None where it predicts nothing, or nothing was timed.

        Against the default where that was timed in turn: a machine that is slower today is so for both. Elsewhere each
        time by itself.
        """
        first = self.uniforms[0] if self.uniforms else None
        if self.gain is not None and first is not None and first.ratio is not None:
            return overlap((self.gain.low, self.gain.high), (first.ratio_low, first.ratio_high))
        known = [stage.is_as_predicted for stage in self.stages if stage.is_as_predicted is not None]
        return all(known) if known else None

    @property
    def accuracy_drop(self) -> float | None:
        """Accuracy lost against float32; None without labels."""
        if self.accuracy is None or self.float32_accuracy is None:
            return None
        return self.float32_accuracy - self.accuracy

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name == "gain":
            return None if value is None else Gain.from_json(value)
        parts: Mapping[str, type[Record]] = {"stages": StageCheck, "uniforms": UniformCheck}
        return tuple(parts[name].from_json(part) for part in value) if name in parts else super()._read(name, value)


def verify(
    folder: str | os.PathLike[str],
    inputs: str | None = None,
    labels: str | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    samples: int = 64,
    seconds: float = 1.0,
    devices: Sequence[str] | None = None,
    seed: int = 0,
    progress: Watcher | None = None,
) -> Verification:
    """Check a deployed plan.

    Args:
        folder: As `deploy` wrote it.
        inputs: A ``.npy`` (one input) or ``.npz`` (by name), samples along the first axis; None for random values.
        labels: A ``.npy`` with the label of each.
        model: The float32 model, if it is not where the plan says.
        samples: How many to take at most.
        seconds: Time of runs measured of each stage; 0 for no times.
        devices: Time the stages of these only, because this machine stands for them; None for all.
        seed: Of random values and orders.
        progress: Called with what is being done.

    Raises:
        DeployError: The folder is no deployed plan, or the float32 model is another.
        SamplesError: The inputs or labels do not fit the model.
        OSError: A file cannot be read.
    """
    say = progress or (lambda doing: None)
    manifest = read_manifest(folder)
    plan = relocated(Plan.from_json(manifest.plan), lambda own: path_in(folder, own))
    path = os.fspath(model if model is not None else plan.model)
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, "the float32 model is not here: name it with model (--model)", path)
    if hash_file(path) != manifest.model_sha256:
        raise DeployError(f"{path} is not the float32 model that was deployed: name it with model (--model)")
    root, source = Path(folder), load(path, shapes=plan.shapes or None)
    feeds = load_feeds(source, inputs, samples if inputs is not None else min(samples, 8), seed)
    truth = None if labels is None else load_labels(labels, feeds)
    say("comparing the stages with the whole")
    parts = [str(root / stage.file) for stage in manifest.stages]
    report = check(parts, str(root / manifest.whole), feeds[: min(8, len(feeds))])
    say("comparing with float32")
    figures, notes = _figures(manifest, root, path, feeds, truth)
    sent = {port.dtype for stage in manifest.stages for port in stage.outputs}
    if not report.equal and source.format == "onnx" and "float16" in sent:
        notes.append(_ELIDED)
    stages, uniforms = tuple[StageCheck, ...](), tuple[UniformCheck, ...]()
    if seconds > 0:
        stages, uniforms = time_in_turn(Deployed(manifest, root, plan, path, source), seconds, devices, seed, say)
    if source.format == "tflite":
        notes += _doubts(path, feeds[:_CONFIRMED])
    notes += _surprises(stages)
    notes += _left(source, root / manifest.whole, plan)
    return Verification(
        is_equal=report.equal,
        difference="" if report.equal else str(report),
        samples=len(feeds),
        is_random=inputs is None,
        predicted_error=plan.costs.error,
        max_error=plan.budgets.get("error"),
        max_accuracy_drop=plan.budgets.get("accuracy_drop"),
        stages=stages,
        uniforms=uniforms,
        gain=None if plan.exits or plan.objective not in _TIMED else plan.gain,
        notes=tuple(notes),
        **figures,
    )


def _left(source: Graph, whole: Path, plan: Plan) -> Iterator[str]:
    """Yield a sentence where the deployed model computes layers in float32 that the plan wants in another precision."""
    wanted = {layer: precision for layer, precision in plan.precisions.items() if precision != FLOAT32}
    if not wanted:
        return
    left = left_in_float32(load_variant(source, whole, "plan"), wanted)
    if left:
        shown = ", ".join(f"{layer} {source.ops[layer].type} ({wanted[layer]})" for layer in left[:5])
        yield f"{counted(len(left), 'layer')} of the plan stayed float32 in the deployed model: {shown}" + (
            f" and {len(left) - 5} more" if len(left) > 5 else ""
        )


def _doubts(path: str, feeds: Sequence[Mapping[str, Array]]) -> Iterator[str]:
    """Yield a sentence where kernels disagree about the outputs of the float32 model."""
    model = Model.load(path)
    names, graph = model.names(0), model.subgraphs[0]
    inputs = {names.get(index, graph.tensors[index].name): index for index in graph.inputs}
    doubt = take_reference(model, [{index: feed[name] for name, index in inputs.items()} for feed in feeds]).doubt
    if doubt:
        yield f"the error is against the built-in kernels' float32 outputs, which are in doubt: {doubt}"


def _figures(
    manifest: Manifest, root: Path, path: str, feeds: Sequence[Mapping[str, Array]], labels: Sequence[Any] | None
) -> tuple[dict[str, Any], list[str]]:
    """Return the error, agreement and accuracy with the plan's delegates, or with none where they are not here."""
    notes = list[str]()
    with ExitStack() as stack:
        sessions = []
        for stage in manifest.stages:
            try:
                session = open_setting(str(root / stage.file), _setting(stage))
            except LiteDelegatesError as error:
                notes.append(f"stage {stage.number} was compared without {stage.delegate!r}: {error}")
                session = open_session(str(root / stage.file), same_kernels=True)
            sessions.append(stack.enter_context(closing(session)))
        reference = stack.enter_context(closing(open_session(path, same_kernels=True)))
        sums, kept, hits, float_hits = ErrorSums(), [], [], []
        for number, feed in enumerate(feeds):
            expected, got = reference.run(feed), dict(feed)
            for session in sessions:
                got.update(session.run(got))
            for name, values in expected.items():
                if values.dtype.kind == "f":
                    sums.add(values, got[name])
            first = next(iter(expected))
            tops = [np.asarray(own[first]).reshape(-1).argmax() for own in (expected, got)]
            kept.append(tops[0] == tops[1])
            if labels is not None and not isinstance(labels[number], np.ndarray):
                float_hits.append(tops[0] == labels[number])
                hits.append(tops[1] == labels[number])
    sqnr = sums.result().sqnr_db
    return {
        "error": None if sqnr is None else 10.0 ** (-sqnr / 20),
        "agreement": float(np.mean(kept)),
        "accuracy": float(np.mean(hits)) if hits else None,
        "float32_accuracy": float(np.mean(float_hits)) if float_hits else None,
    }, notes


def _surprises(stages: Sequence[StageCheck]) -> Iterator[str]:
    """Yield a sentence for each time whose interval is all outside of the one that the plan predicts."""
    for stage in stages:
        if stage.is_as_predicted is False:
            took = f"{stage.low_us:.4g} to {stage.high_us:.4g}"
            planned = f"{stage.predicted_low_us:.4g} to {stage.predicted_high_us:.4g}"
            yield f"{stage.name} took {took} us, and the plan says {planned}: the prediction was wrong here"


def _setting(stage: StageFile) -> Setting:
    return Setting("plan", stage.delegate, stage.threads)
