"""Times of the nodes of a model, from the trace that ONNX Runtime writes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litedelegates.engines.onnxruntime.extras import require_onnxruntime
from litedelegates.engines.onnxruntime.naming import all_graphs, has_data_files, name_nodes, read_without_data
from litedelegates.engines.onnxruntime.providers import short_name
from litedelegates.engines.records import EngineOp, EngineProfile
from litedelegates.errors import InvalidModelError, RunError

if TYPE_CHECKING:
    from litedelegates.engines import Array
    from litedelegates.engines.onnxruntime.session import OnnxRuntimeSession

_KERNEL = "_kernel_time"
# Values of at least so many bytes go to a file beside the optimized model, which is not read.
_LEAST_OUTSIDE = 1024


@dataclass
class _Run:
    """What the trace tells of one run.

    Attributes:
        us: Of the whole.
        nodes: By name, microseconds; those that ran several times, as in a loop, added up.
        first: By name, the event of its first run.
    """

    us: float = 0.0
    nodes: dict[str, float] = field(default_factory=dict)
    first: dict[str, dict[str, Any]] = field(default_factory=dict)


def profile(session: OnnxRuntimeSession, runs: int) -> EngineProfile:
    """Profile a second copy of a model, on the inputs that its session holds, after one run that does not count.

    Nodes get the names of their output tensors from the optimized model, which the engine writes beside the trace.

    Raises:
        ValueError: ``runs`` is below 1.
        RunError: The engine failed; carries its words.
    """
    if runs < 1:
        raise ValueError(f"profile(runs={runs}): at least one run is needed")
    feed = session.feed
    with tempfile.TemporaryDirectory(prefix="litedelegates.", ignore_cleanup_errors=True) as folder:
        trace, optimized, note = _record(session, feed, Path(folder), runs)
        recorded = list(_read_runs(trace))[1:]
    if not recorded:
        raise RunError("ONNX Runtime's trace holds no whole run: profile fewer runs")
    if len(recorded) < runs:
        note = f"{note} The trace was full after {len(recorded)} of {runs} runs.".lstrip()
    return EngineProfile(_ops(recorded, optimized), len(recorded), tuple(run.us for run in recorded), note, optimized)


def _record(session: OnnxRuntimeSession, feed: Mapping[str, Array], place: Path, runs: int) -> tuple[Path, Any, str]:
    """Return the trace of ``runs + 1`` runs, and the optimized model, or a note why the engine cannot write it."""
    source, written = _named(session.source), place / "optimized.onnx"
    options = _options(session, place)
    options.optimized_model_filepath = str(written)
    prefix = "session.optimized_model_external_initializers"
    options.add_session_config_entry(f"{prefix}_file_name", "optimized.data")
    options.add_session_config_entry(f"{prefix}_min_size_in_bytes", str(_LEAST_OUTSIDE))
    try:
        copy = session.load(source, options)
    except InvalidModelError as error:
        # Providers that compile nodes have no file format for the result.
        copy = session.load(source, _options(session, place))
        note = f"The optimized graph cannot be written, so outputs are not known: {error}"
        return _run(copy, feed, runs), None, note
    optimized = read_without_data(str(written))
    if name_nodes(optimized):
        # The engine made nodes without names, for instance of an op that it has no kernel for. So that they can be told
        # apart, its optimized model is what runs, as it is.
        copy.end_profiling()
        del copy
        named = place / "named.onnx"
        named.write_bytes(optimized.SerializeToString())
        options = _options(session, place)
        options.graph_optimization_level = type(options.graph_optimization_level).ORT_DISABLE_ALL
        copy = session.load(str(named), options)
    return _run(copy, feed, runs), optimized, ""


def _named(source: str | bytes) -> str | bytes:
    """Return the model with a name on every node, which the engine keeps for what it makes of the node.

    With data in files beside it, it is left as it is: in memory it could not be loaded.
    """
    model = read_without_data(source)
    return source if has_data_files(model) or not name_nodes(model) else bytes(model.SerializeToString())


def _options(session: OnnxRuntimeSession, place: Path) -> Any:
    """Return the session's options, with the profiler on."""
    options = session.options.to_engine(require_onnxruntime())
    options.enable_profiling = True
    options.profile_file_prefix = str(place / "trace")
    return options


def _run(copy: Any, feed: Mapping[str, Array], runs: int) -> Path:
    """Run the engine's session and return the path of its trace."""
    names = [value.name for value in copy.get_outputs()]
    try:
        for _ in range(runs + 1):
            copy.run(names, feed)
    except Exception as error:  # the engine has classes of its own for each status
        raise RunError(f"ONNX Runtime failed: {error}") from error
    finally:
        path = copy.end_profiling()
    return Path(path)


def _read_runs(trace: Path) -> Iterator[_Run]:
    """Yield the runs of a trace, which has an event on each line; a node's event comes before that of its run."""
    run = _Run()
    with trace.open(encoding="utf-8") as lines:
        for line in lines:
            text = line.strip().rstrip(",")
            if not text.startswith("{"):
                continue
            event = json.loads(text)
            if event["name"] == "model_run":
                run.us = float(event["dur"])
                yield run
                run = _Run()
            elif event["cat"] == "Node" and event["name"].endswith(_KERNEL):
                name = event["name"].removesuffix(_KERNEL)
                run.nodes[name] = run.nodes.get(name, 0.0) + float(event["dur"])
                earliest = run.first.setdefault(name, event)
                if event["ts"] < earliest["ts"]:
                    run.first[name] = event


def _ops(recorded: list[_Run], optimized: Any) -> tuple[EngineOp, ...]:
    graphs = [] if optimized is None else all_graphs(optimized.graph)
    nodes = {node.name: (number, node) for number, graph in enumerate(graphs) for node in graph.node}
    first = {name: event for run in reversed(recorded) for name, event in run.first.items()}
    ops = []
    for name, event in sorted(first.items(), key=lambda item: int(item[1]["ts"])):
        subgraph, node = nodes.get(name, (0, None))
        ops.append(
            EngineOp(
                name=name,
                type=event["args"]["op_name"],
                ran=short_name(event["args"]["provider"]),
                samples_us=tuple(run.nodes.get(name, 0.0) for run in recorded),
                outputs=None if node is None else tuple(filter(None, node.output)),
                subgraph=subgraph,
            )
        )
    return tuple(ops)
