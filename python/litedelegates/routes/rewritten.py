"""Placement in a model that a compiler plug-in rewrote: what it compiled is one ``DISPATCH_OP``, the rest is numbered
anew. Tensors keep their names, and by those the ops of the model file are found again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from litedelegates import _core
from litedelegates.delegates.base import GPU, NPU, Delegate
from litedelegates.delegates.npu import DISPATCH_OP
from litedelegates.errors import UnsupportedError
from litedelegates.model import Model, Subgraph
from litedelegates.placement import Placement

_STATE = frozenset({"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
_STAYED = "execution plan of the rewritten model, by the names of tensors"
_COMPILED = f"between the inputs and outputs of a {DISPATCH_OP} in the execution plan"
_LOST = f"not in the execution plan, and no {DISPATCH_OP} leads to it"
_NAMELESS = "its outputs have no names of their own, by which it could be found in the rewritten model"

_Compiled = tuple["int | None", list[str], list[str]]  # partition, names of inputs, names of outputs


def is_rewritten(plan: _core.SubgraphPlan, subgraph: Subgraph | None) -> bool:
    """Return whether ops were compiled into another; a model that came with such ops is as its file says."""
    if subgraph is not None and any(op.type == DISPATCH_OP for op in subgraph.operators):
        return False
    return any(node.name == DISPATCH_OP for node in (*plan.nodes, *plan.replaced))


def check(subgraphs: Sequence[Subgraph], chain: Sequence[Delegate]) -> None:
    """Raise for models and chains that rewriting breaks.

    Raises:
        UnsupportedError: The model keeps variables; they are lost, and its outputs are garbage (seen with 2.3). Or a
            GPU is in the chain: the runtime prepares the rewritten graph for it before its ops have a kernel.
    """
    who = next(delegate.name for delegate in chain if delegate.hardware == NPU)
    if any(delegate.hardware == GPU for delegate in chain):
        raise UnsupportedError(
            f"the runtime cannot apply {who} and gpu to one model: choose one of them, and xnnpack for the rest"
        )
    for graph in subgraphs:
        for index, op in enumerate(graph.operators):
            if op.type in _STATE:
                raise UnsupportedError(
                    f"op {index} ({op.type}) keeps state, and the {who} delegate's compiler loses it: run this model "
                    "with delegate='xnnpack' or None"
                )


def find_subgraph(plan: _core.SubgraphPlan, model: Model, first: int) -> int | None:
    """Return which subgraph, from ``first`` on, a plan was made of: plans come in the order of the model.

    It has the names of all tensors that the plan's compiled ops compute.
    """
    compiled = (node for node in (*plan.nodes, *plan.replaced) if node.name == DISPATCH_OP)
    names = {plan.tensor_names[tensor] for node in compiled for tensor in node.outputs if tensor >= 0}
    for index in range(first, len(model.subgraphs)):
        if names <= set(_names(model, index)):
            return index
    return None


def _names(model: Model, subgraph: int) -> list[str]:
    """Return the names of a subgraph's tensors as delegates are shown them: inputs and outputs have the signature's."""
    given = model.names(subgraph)
    return [given.get(index, tensor.name) for index, tensor in enumerate(model.subgraphs[subgraph].tensors)]


def unknown(graph: Subgraph, subgraph: int, *, asked: str) -> list[Placement]:
    """Return the ops of a subgraph whose plan cannot be told from the others."""
    return [
        Placement(index, op.type, asked, "unknown", None, "no plan of the rewritten model fits", subgraph)
        for index, op in enumerate(graph.operators)
    ]


def placements(
    plan: _core.SubgraphPlan, model: Model, subgraph: int, *, asked: str, npu: str, who: Callable[[str], str]
) -> list[Placement]:
    """Return where each op of a subgraph ran.

    Args:
        plan: The execution plan of the rewritten model.
        model: The model as its file has it.
        subgraph: The index of the subgraph.
        asked: What was asked for.
        npu: Name of the delegate whose compiler plug-in rewrote the model.
        who: Tells the delegate of a kernel by the kernel's name.
    """
    stayed, compiled = _by_output(plan, who)
    graph, shown = model.subgraphs[subgraph], _names(model, subgraph)
    counts = Counter(shown)
    names = [name if counts[name] == 1 else "" for name in shown]
    reached = _reached(graph, names, compiled)
    records = []
    for index, op in enumerate(graph.operators):
        outputs = [names[tensor] for tensor in op.outputs if tensor >= 0]
        ran, partition, evidence = "unknown", None, _LOST
        if not outputs or not all(outputs):
            evidence = _NAMELESS
        elif all(name in stayed for name in outputs):
            ran, partition = stayed[outputs[0]]
            evidence = _STAYED
        elif index in reached:
            ran, partition, evidence = npu, reached[index], _COMPILED
        records.append(Placement(index, op.type, asked, ran, partition, evidence, subgraph))
    return records


def _by_output(
    plan: _core.SubgraphPlan, who: Callable[[str], str]
) -> tuple[dict[str, tuple[str, int | None]], list[_Compiled]]:
    """Return who computes each tensor that an uncompiled op computes, and the compiled ops with their borders."""
    owner: dict[int, tuple[str, int | None]] = {}
    for partition, node in enumerate(node for node in plan.nodes if node.is_delegate):
        owner.update(dict.fromkeys(node.replaced, (who(node.name), partition)))
    stayed: dict[str, tuple[str, int | None]] = {}
    compiled = []
    for node in (*(node for node in plan.nodes if not node.is_delegate), *plan.replaced):
        ran = owner.get(node.node_index, ("builtin", None))
        inputs, outputs = (
            [plan.tensor_names[tensor] for tensor in side if tensor >= 0] for side in (node.inputs, node.outputs)
        )
        if node.name == DISPATCH_OP:
            compiled.append((ran[1], inputs, outputs))
        else:
            stayed.update(dict.fromkeys(outputs, ran))
    return stayed, compiled


def _reached(
    graph: Subgraph,
    names: Sequence[str],
    compiled: Sequence[_Compiled],
) -> dict[int, int | None]:
    """Return the ops between the inputs and outputs of each compiled op, with its partition."""
    producer = {tensor: index for index, op in enumerate(graph.operators) for tensor in op.outputs}
    by_name = {name: tensor for tensor, name in enumerate(names) if name}
    found: dict[int, int | None] = {}
    for partition, inputs, outputs in compiled:
        border = {by_name[name] for name in inputs if name in by_name}
        todo = [by_name[name] for name in outputs if name in by_name]
        seen = set(border)
        while todo:
            tensor = todo.pop()
            if tensor in seen or tensor not in producer:
                continue
            seen.add(tensor)
            found.setdefault(producer[tensor], partition)
            todo.extend(graph.operators[producer[tensor]].inputs)
    return found
