"""Where is a network best cut in two over a slow link, and does a pipeline take as long as was predicted?"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from harness import (
    CACHED_MODELS,
    Status,
    describe_machine,
    existing_file,
    identify,
    make_parser,
    result_path,
    save_json,
)
from litedelegates.deploy import Pipeline, deploy
from litedelegates.deploy.dask_cluster import connect
from litedelegates.deploy.link_measurement import measure_link
from litedelegates.graph import Graph, load
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.plan import HERE, Device, Link, Source, build_problem, make_plan
from litedelegates.quantize import CalibrationWarning
from litedelegates.words import counted
from split_cuts import PRECISIONS, Cut, Search, chosen
from split_network import CORES, EDGE, SERVER, Network, network, why_not, workers
from split_rows import Row, plain, table
from split_wholes import fitted

DESCRIPTION = """\
Two devices, each a process bound to one core in a network namespace of its own, with a link between them whose
bandwidth is shaped in both directions and which delays what it carries. The layers are studied on one core; the whole
models run on both devices, which gives each precision a factor (no cut takes part in that); the link is measured.
Every single cut in float32 and int8 is searched in the planner's model of costs, and the best ones by latency and by
period (and some others) are deployed and run as a pipeline over Dask. Needs root, `ip` and `tc`.

examples:
  python models/make_resnet152v2.py
  python benchmarks/split.py
  python benchmarks/split.py --model models/digits.tflite --quick     # to see that it works, in about a minute
"""
EPILOG = """\
"interval" is that of the predicted latency from those of the times in the study: how steady the device was then.

exit code: 0 when every predicted latency is within 10 % of the measured one; else 1 (always 0 with --quick)"""
DELEGATE = "xnnpack"
WANTED = 0.10
SIZES = (1_000, 64_000, 256_000, 1_000_000, 4_000_000)  # bytes of messages by which links are measured
_SECONDS, _MOST_RUNS = 4.0, 60  # of inputs one at a time


def main() -> int:
    """Make the network, run everything in the namespace of the first device, and take the network away."""
    options = _parse()
    if options.inside:
        return _measure(options, Network(options.inside))
    if reason := why_not():
        print(f"split.py: {reason}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the network is taken away then too
    with network(options.delay_ms) as found:
        command = [*found.enter(EDGE), sys.executable, __file__, *sys.argv[1:], "--inside", found.prefix]
        process = subprocess.Popen(command)
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def _measure(options: argparse.Namespace, found: Network) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    warnings.simplefilter("ignore", CalibrationWarning)  # times alone are of interest here
    status, path = Status(), result_path(options, "split")
    identity = identify("split", options, [options.model])
    graph = load(options.model)
    rows: list[Row] = []
    links: list[Link] = []
    answers: list[Link] = []
    planned: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="litedelegates-split-") as name:
        folder = Path(name)
        status.stage("studying the layers on one core")
        sources = _study(options, folder)
        with workers(found, folder) as address, connect(address, 60) as client:
            feed = _feed(graph, options.seed)
            wholes = (client, feed, 3 if options.quick else 20, folder / "out")
            for place, source in enumerate(sources):
                status.stage(f"whole models on the {source.device.name}")
                sources[place] = fitted(source, graph, PRECISIONS, *wholes)
            fits = {source.device.name: source.terms.factors for source in sources if source.terms is not None}
            how: dict[str, Any] = {"rounds": 3 if options.quick else 10, "sizes": SIZES}
            status.stage("measuring the calls of the first device")
            call = measure_link(client, (HERE, EDGE), name="call", **how)
            for mbps in options.mbps:
                status.stage(f"{mbps:g} Mbit/s: measuring the link")
                with shaped(found, mbps):
                    link = measure_link(client, (EDGE, SERVER), **how)
                    answer = measure_link(client, (HERE, SERVER), name="answer", **how)
                links.append(link)
                answers.append(answer)
                ways = [call, link, answer]
                problem = build_problem(graph, sources, ways, precisions=PRECISIONS, delegates=_only_xnnpack())
                found_cuts = Search(graph, problem, sources, ways)
                planned.append({"mbps": mbps, **_free(sources, ways), **_simulated(found_cuts, status)})
                for role, cut in chosen(found_cuts.cuts, options.others):
                    status.stage(f"{mbps:g} Mbit/s: {role}, after layer {cut.after}")
                    out = folder / "out"
                    deploy(found_cuts.plan(cut), out)
                    # The models travel before the link is slow: that is no part of an input's time.
                    with Pipeline(out, workers=client, timeout_s=120) as pipeline, shaped(found, mbps):
                        rows.append(_run(pipeline, feed, options, mbps, role, cut))
                    carriers = {"call": call, "links": links, "answers": answers}
                    save_json(
                        path,
                        {**identity, **carriers, "factors": fits, "planned": planned, "rows": list(map(plain, rows))},
                    )
    status.clear()
    print(describe_machine(identity))
    for name, factors in fits.items():
        told = ", ".join(f"{label} {factor:.2f}" for label, factor in factors.items())
        print(f"whole models on the {name}, over what the study says: {told}")
    print(f"a message from here to the first device and back: {_there_and_back(call)} whatever its size")
    for mbps, link, answer in zip(options.mbps, links, answers, strict=True):
        print(
            f"{mbps:g} Mbit/s measured as {link.bandwidth_mbps:.2f} Mbit/s, latency {link.latency_us / 1e3:.2f} ms, "
            f"overhead {link.overhead_us / 1e3:.2f} ms; "
            f"from here to the second device and back {_there_and_back(answer)}"
        )
    print(table(rows))
    for one in planned:
        print(
            f"{one['mbps']:g} Mbit/s: of {one['cuts']} single cuts, all simulated, the best is after layer "
            f"{one['simulated_after']} ({one['simulated_us'] / 1e3:.1f} ms); simulation and model of costs differ by "
            f"{one['simulated_off']:.2%} at most. With any number of cuts, or none, the planner reaches "
            f"{one['latency_us'] / 1e3:.1f} ms in {counted(one['latency_stages'], 'stage')}, and a period of "
            f"{one['period_us'] / 1e3:.1f} ms in {one['period_stages']}"
        )
    worst = max(abs(row.off) for row in rows)
    print(f"predicted latencies are off by {worst:.1%} at most (wanted: {WANTED:.0%})\nresults in {path}")
    return 0 if options.quick or worst <= WANTED else 1


def _there_and_back(link: Link) -> str:
    return " and ".join(f"{link.transfer_us(0, end) / 1e3:.2f} ms" for end in link.ends)


def _free(sources: Sequence[Source], links: Sequence[Link]) -> dict[str, Any]:
    """Return what the planner reaches where it is free to cut anywhere, or nowhere."""
    fast = make_plan(sources, links, precisions=PRECISIONS)
    steady = make_plan(sources, links, objective="throughput", precisions=PRECISIONS)
    return {
        **{"latency_us": fast.costs.latency_us, "latency_stages": len(fast.stages)},
        **{"period_us": steady.costs.period_us, "period_stages": len(steady.stages)},
    }


def _simulated(found: Search, status: Status) -> dict[str, Any]:
    """Return the best of all single cuts by simulation, and how far the model of costs is from that at most."""
    status.stage(f"simulating {len(found.cuts)} cuts")
    times = [found.simulated_us(cut) for cut in found.cuts]
    best = min(range(len(times)), key=times.__getitem__)
    off = max(abs(us / cut.latency_us - 1) for us, cut in zip(times, found.cuts, strict=True))
    return {
        **{"cuts": len(times), "simulated_after": found.cuts[best].after, "simulated_us": times[best]},
        "simulated_off": off,
    }


def _study(options: argparse.Namespace, folder: Path) -> list[Source]:
    """Study the layers on the core of the first device; the second has one like it."""
    store = options.store or folder / "layers.sqlite"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORES[EDGE]})
    try:
        config = LayersConfig(
            str(options.model),
            PRECISIONS,
            delegates=(DELEGATE,),
            parts=("in_place",),
            runs=5 if options.quick else 50,
            seconds=0.2 if options.quick else 20.0,
            seed=options.seed,
        )
        study = study_layers(config, store)
    finally:
        os.sched_setaffinity(0, cores)
    resources = {name: {name: 1.0} for name in (EDGE, SERVER)}
    return [Source(Device(name, str(store), study.key, resources=resources[name]), study) for name in (EDGE, SERVER)]


def _only_xnnpack() -> dict[str, tuple[str, ...]]:
    return {EDGE: (DELEGATE,), SERVER: (DELEGATE,)}


@contextmanager
def shaped(found: Network, mbps: float) -> Iterator[None]:
    """Shape the link for the ``with`` block."""
    found.shape(mbps)
    try:
        yield
    finally:
        found.shape(None)


def _feed(graph: Graph, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {tensor.name: random.random([max(size, 1) for size in tensor.shape], np.float32) for tensor in graph.inputs}


def _run(
    pipeline: Pipeline, feed: dict[str, Any], options: argparse.Namespace, mbps: float, role: str, cut: Cut
) -> Row:
    for _ in range(2):
        pipeline.run(feed)
    # Of short ones many: the calls of the scheduler, most of what they take, vary.
    own = math.ceil(_SECONDS / (pipeline.input_timings[-1].latency_us / 1e6))
    runs = 3 if options.quick else max(options.runs, min(_MOST_RUNS, own))
    pipeline.forget_timings()
    for _ in range(runs):
        pipeline.run(feed)
    alone = pipeline.summary()
    pipeline.forget_timings()
    for _ in pipeline.map(feed for _ in range(2 * runs)):
        pass
    period = pipeline.summary().period_us
    stages = tuple(stage.to_json() for stage in alone.stages)
    return Row(mbps, role, cut, alone.latency_us, period, stages)


def _parse() -> argparse.Namespace:
    parser = make_parser(DESCRIPTION)
    parser.epilog = EPILOG
    parser.add_argument(
        "--model", type=existing_file, default=CACHED_MODELS / "resnet152v2.tflite", help="float32 model"
    )
    parser.add_argument("--mbps", type=float, nargs="+", default=[5.0, 20.0, 100.0], help="bandwidths of the link")
    parser.add_argument("--delay-ms", type=float, default=2.0, help="milliseconds that the link takes one way")
    parser.add_argument("--others", type=int, default=2, help="cuts to run besides the best ones")
    parser.add_argument("--runs", type=int, default=10, help="at least, one at a time; twice as many in a stream")
    parser.add_argument("--store", type=Path, help="store of the layer study, to go on with or to keep")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
