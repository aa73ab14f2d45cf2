"""How long whole models take on the devices of `split.py`, as stages of a pipeline, over what the study says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from litedelegates.deploy import Pipeline, deploy
from litedelegates.graph import Graph
from litedelegates.layers import Setting
from litedelegates.plan import Source, make_plan


def fitted(
    source: Source, graph: Graph, precisions: Sequence[str], workers: Any, feed: Mapping[str, Any], runs: int, out: Path
) -> Source:
    """Return a device with a factor for each precision, from the whole model in it.

    A study runs a model again and again; in a pipeline it runs after a pause, in a process with threads of Dask,
    and may be slower. Models that are cut take no part in this.

    Args:
        source: The device, whose resource a worker has.
        graph: The float32 model.
        precisions: Of whole models.
        workers: As `Pipeline` takes them.
        feed: An input.
        runs: Of each model.
        out: A folder for it, which is written over.
    """
    source = source.fitted(graph)
    assert source.terms is not None
    factors = {}
    for precision in precisions:
        plan = make_plan([source], precisions=[precision])
        (stage,) = plan.stages
        deploy(plan, out)
        with Pipeline(out, workers=workers, timeout_s=120) as pipeline:
            for _ in range(2):
                pipeline.run(feed)
            pipeline.forget_timings()
            for _ in range(runs):
                pipeline.run(feed)
            (timing,) = pipeline.summary().stages
        factors[Setting(precision, stage.delegate, stage.threads).label] = timing.run_us / stage.predicted_us
    return replace(source, terms=replace(source.terms, factors=factors))
