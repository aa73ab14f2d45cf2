"""Times of the nodes of a model, from the trace that ONNX Runtime writes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litedelegates.engines.onnxruntime.naming import folder_of, name_nodes, number_graphs, read_without_data
from litedelegates.engines.onnxruntime.providers import short_name
from litedelegates.engines.records import EngineOp, EngineProfile
from litedelegates.errors import InvalidModelError, RunError

if TYPE_CHECKING:
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
    source, folder_entry = _named(session.source)
    with tempfile.TemporaryDirectory(prefix="litedelegates.", ignore_cleanup_errors=True) as folder:
        place, notes = Path(folder), []
        try:
            trace = _record(session, source, folder_entry, place, runs, keep_graph=True)
        except InvalidModelError as error:
            # Providers that compile nodes have no file format for the result.
            trace = _record(session, source, folder_entry, place, runs, keep_graph=False)
            notes.append(f"The optimized graph cannot be written, so outputs are not known: {error}")
        written = place / "optimized.onnx"
        optimized = read_without_data(str(written)) if written.exists() and not notes else None
        recorded = list(_read_runs(trace))[1:]
    if len(recorded) < runs:
        notes.append(f"The trace was full after {len(recorded)} of {runs} runs.")
    if not recorded:
        raise RunError("ONNX Runtime's trace holds no whole run: profile fewer runs")
    ops = _ops(recorded, optimized)
    unknown = [op.name for op in ops if op.outputs is None]
    if unknown and optimized is not None:
        notes.append(f"Not in the optimized graph by name: {', '.join(unknown)}.")
    return EngineProfile(ops, len(recorded), tuple(run.us for run in recorded), " ".join(notes), optimized)


def _named(source: str | bytes) -> tuple[str | bytes, str | None]:
    """Return the model with a name on every node, and the folder of its data if it is no longer read from its path."""
    model = read_without_data(source)
    if not name_nodes(model):
        return source, None
    return model.SerializeToString(), folder_of(source)


def _record(
    session: OnnxRuntimeSession, source: str | bytes, data: str | None, place: Path, runs: int, keep_graph: bool
) -> Path:
    """Run a copy of the model with the engine's profiler on and return the path of the trace."""
    from litedelegates.engines.onnxruntime.session import require_onnxruntime

    options = session.options.to_engine(require_onnxruntime())
    options.enable_profiling = True
    options.profile_file_prefix = str(place / "trace")
    if data is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", data)
    if keep_graph:
        options.optimized_model_filepath = str(place / "optimized.onnx")
        prefix = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{prefix}_file_name", "optimized.data")
        options.add_session_config_entry(f"{prefix}_min_size_in_bytes", str(_LEAST_OUTSIDE))
    copy = session.load(source, options)
    names = [value.name for value in copy.get_outputs()]
    try:
        for _ in range(runs + 1):
            copy.run(names, session.feed)
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
    known = {} if optimized is None else _by_name(optimized, recorded)
    first = {name: event for run in reversed(recorded) for name, event in run.first.items()}
    ops = []
    for name, event in sorted(first.items(), key=lambda item: int(item[1]["ts"])):
        subgraph, outputs = known.get(name, (0, None))
        ops.append(
            EngineOp(
                name=name,
                type=event["args"]["op_name"],
                ran=short_name(event["args"].get("provider", "")),
                samples_us=tuple(run.nodes.get(name, 0.0) for run in recorded),
                outputs=outputs,
                subgraph=subgraph,
            )
        )
    return tuple(ops)


def _by_name(optimized: Any, recorded: list[_Run]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the graph and outputs of nodes by name.

    Nodes that the engine made without a name, and called by type and a number, get that name in ``optimized`` where
    they are the only ones of their type.
    """
    known: dict[str, tuple[int, tuple[str, ...]]] = {}
    nameless: dict[str, list[tuple[int, Any]]] = {}
    for number, node in number_graphs(optimized.graph):
        if node.name:
            known[node.name] = (number, _outputs(node))
        else:
            nameless.setdefault(node.op_type, []).append((number, node))
    ran: dict[str, set[str]] = {}
    for run in recorded:
        for name, event in run.first.items():
            if name not in known:
                ran.setdefault(event["args"]["op_name"], set()).add(name)
    for kind, names in ran.items():
        if len(names) == len(nameless.get(kind, ())) == 1:
            (name,), ((number, node),) = names, nameless[kind]
            node.name = name
            known[name] = (number, _outputs(node))
    return known


def _outputs(node: Any) -> tuple[str, ...]:
    return tuple(filter(None, node.output))
