"""Times a deployed plan in turn with what it competes with: float32 first, then each of its precisions everywhere."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from litedelegates.deploy.records import Manifest, StageFile
from litedelegates.deploy.writing import known_calibration
from litedelegates.errors import LiteDelegatesError
from litedelegates.graph import Graph
from litedelegates.layers.records import Record, Setting
from litedelegates.layers.side_by_side import Bench, Piece, SideBySide
from litedelegates.layers.variants import make_variant
from litedelegates.plan import Choice, Plan
from litedelegates.quantize.request import FLOAT32

_TIME_LIMIT = 120.0
_PLAN = "plan"
WHOLE = -1


@dataclass(frozen=True)
class StageCheck(Record):
    """A stage, timed.

    Attributes:
        stage: Its number; -1 for the whole model in one.
        device: Of the plan.
        predicted_us: As the plan has it; None where it says nothing.
        predicted_low_us: Lower end of the interval that the plan has; None where it has none.
        predicted_high_us: Upper end.
        median_us: Measured; None where it was not.
        low_us: Lower end of its 95 % interval.
        high_us: Upper end.
        ran: Where its ops ran, such as "xnnpack 12, builtin 1".
        refusal: Why there is no time; None where there is.
    """

    stage: int
    device: str
    predicted_us: float | None = None
    predicted_low_us: float | None = None
    predicted_high_us: float | None = None
    median_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    ran: str = ""
    refusal: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return "the whole" if self.stage == WHOLE else f"stage {self.stage}"

    @property
    def off(self) -> float | None:
        """How far the prediction is from what was measured, relative to that; None where one is missing."""
        if self.predicted_us is None or not self.median_us:
            return None
        return self.predicted_us / self.median_us - 1

    @property
    def is_as_predicted(self) -> bool | None:
        """Whether the two intervals have something in common; None where one is missing."""
        return overlap((self.predicted_low_us, self.predicted_high_us), (self.low_us, self.high_us))


@dataclass(frozen=True)
class UniformCheck(Record):
    """A model with one precision for all layers, timed in turn with the plan.

    Attributes:
        choice: Which, and how it ran.
        median_us: Measured; None where it was not.
        ratio: Its time over the plan's: above 1 the plan is faster.
        ratio_low: Lower end of its 95 % interval; None with too few rounds.
        ratio_high: Upper end.
        refusal: Why there is no time; None where there is.
    """

    choice: Choice
    median_us: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    refusal: str | None = None

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return Choice.from_json(value) if name == "choice" else value


def overlap(one: tuple[float | None, float | None], other: tuple[float | None, float | None]) -> bool | None:
    """Return whether two intervals have something in common; None where an end is not known."""
    (low, high), (least, most) = one, other
    if low is None or high is None or least is None or most is None:
        return None
    return low <= most and least <= high


@dataclass(frozen=True, eq=False)
class Deployed:
    """A deployed plan and its float32 model.

    Attributes:
        manifest: Of the folder.
        root: The folder.
        plan: That was deployed.
        path: The float32 model.
        source: The same, loaded, with the sizes that the plan says of what it leaves open.
    """

    manifest: Manifest
    root: Path
    plan: Plan
    path: str
    source: Graph


def time_in_turn(
    deployed: Deployed, seconds: float, devices: Sequence[str] | None, seed: int, say: Callable[[str], None]
) -> tuple[tuple[StageCheck, ...], tuple[UniformCheck, ...]]:
    """Return the times of the stages and the whole, and those of the uniform models, all taken in turn in a process.

    The whole and the uniform models are there where all stages have the same device, delegate and threads: elsewhere a
    plan is no model that could be timed.

    Args:
        deployed: What to time.
        seconds: Time of runs of each model.
        devices: Time the stages of these only; None for all.
        seed: Of the orders.
        say: Called with what is being done.
    """
    manifest, plan = deployed.manifest, deployed.plan
    wanted = [stage for stage in manifest.stages if devices is None or stage.device in devices]
    pieces = {stage.number: Piece(_setting(stage), stage.layers, str(deployed.root / stage.file)) for stage in wanted}
    is_one = len({(stage.device, stage.delegate, stage.threads) for stage in manifest.stages}) == 1 and bool(wanted)
    with TemporaryDirectory(prefix="litedelegates-") as folder, Bench(seconds, _TIME_LIMIT, None, seed) as bench:
        uniforms: dict[Choice, Piece | str] = {}
        if is_one:
            layers = tuple(layer.layer for layer in plan.layers)
            pieces[WHOLE] = Piece(_setting(wanted[0]), (*layers, WHOLE), str(deployed.root / manifest.whole))
            say("making the models in one precision")
            uniforms = dict(_uniforms(deployed, layers, Path(folder)))
        competing = [piece for piece in uniforms.values() if isinstance(piece, Piece)]
        say(f"timing {len(pieces) + len(competing)} models in turn")
        found = bench.time([*competing, *pieces.values()])
    stages = tuple(_stages(deployed, pieces, found))
    return stages, tuple(_against(found, pieces.get(WHOLE), *pair) for pair in uniforms.items())


def _uniforms(deployed: Deployed, layers: tuple[int, ...], folder: Path) -> Iterator[tuple[Choice, Piece | str]]:
    """Yield the uniform models to time, float32 first, or why one cannot be made."""
    plan, stage = deployed.plan, deployed.manifest.stages[0]
    own = Choice(stage.device, stage.delegate, FLOAT32, stage.threads)
    default = own if plan.gain is None else plan.gain.default
    if {layer.choice for layer in plan.layers} == {default} or default.device != stage.device:
        return  # the plan is the default, or the default runs elsewhere
    used, model = [layer.choice for layer in plan.layers], deployed.path
    if plan.shapes:  # the plan's models have these sizes, and all are to do the same work
        model = str(folder / f"fixed{Path(deployed.path).suffix}")
        deployed.source.save(model)
    for choice in dict.fromkeys([default, own, *used]):
        setting = Setting(choice.precision, choice.delegate, choice.threads)
        try:
            path = _made(deployed, model, choice.precision, folder)
        except (LiteDelegatesError, OSError) as error:
            yield choice, f"cannot be made: {error}"
        else:
            yield choice, Piece(setting, (*layers, WHOLE), path)


def _made(deployed: Deployed, model: str, precision: str, folder: Path) -> str:
    """Return the path of the model in a precision. Speed alone matters: without samples random ones calibrate it."""
    given = known_calibration(deployed.plan) or "random"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        variant = make_variant(deployed.source, model, precision, folder, calibration=given, allow_float32_ops=True)
    return os.fspath(variant.path)


def _stages(deployed: Deployed, pieces: Mapping[int, Piece], found: SideBySide) -> Iterator[StageCheck]:
    plan, manifest = deployed.plan, deployed.manifest
    planned = {stage.number: stage for stage in plan.stages}
    checks = [
        StageCheck(stage.number, stage.device, stage.predicted_us, own.low_us, own.high_us)
        if (own := planned.get(stage.number)) is not None
        else StageCheck(stage.number, stage.device, stage.predicted_us)
        for stage in manifest.stages
    ]
    if WHOLE in pieces:
        costs, device = plan.costs, manifest.stages[0].device
        whole = StageCheck(WHOLE, device, costs.latency_us, costs.latency_low_us, costs.latency_high_us)
        # The plan's latency is of those inputs too that leave early.
        checks.append(StageCheck(WHOLE, device) if plan.exits else whole)
    for base in checks:
        piece = pieces.get(base.stage)
        if piece is None:
            yield replace(base, refusal=f"not timed: this machine does not stand for {base.device!r}")
        elif piece in found.refusals or found.timed is None:
            yield replace(base, refusal=found.refusals.get(piece, "no process could time it"))
        else:
            timed = found.timed[piece.name]
            interval = timed.median_interval_ns()
            low, high = (None, None) if interval is None else (interval.low / 1e3, interval.high / 1e3)
            yield replace(base, median_us=timed.median_ns / 1e3, low_us=low, high_us=high, ran=found.ran[piece])


def _against(found: SideBySide, plan: Piece | None, choice: Choice, piece: Piece | str) -> UniformCheck:
    if isinstance(piece, str):
        return UniformCheck(choice, refusal=piece)
    if found.timed is None or piece in found.refusals:
        return UniformCheck(choice, refusal=found.refusals.get(piece, "no process could time it"))
    median_us = found.timed[piece.name].median_ns / 1e3
    if plan is None or plan in found.refusals:
        return UniformCheck(choice, median_us)
    ratio = found.timed.ratio(piece.name, plan.name)
    return UniformCheck(choice, median_us, ratio.ratio, ratio.low, ratio.high)


def _setting(stage: StageFile) -> Setting:
    return Setting(_PLAN, stage.delegate, stage.threads)
