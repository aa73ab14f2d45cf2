"""Reading a ``.tflite`` as a graph: structure at once, from the verified description; the rest when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from litedelegates.errors import OptionError, nearest
from litedelegates.files import writable
from litedelegates.graph.fixed import FixedOps
from litedelegates.graph.kinds import HANDLES
from litedelegates.graph.model import Graph
from litedelegates.graph.names import Names
from litedelegates.graph.parts import Op, Quantization, Signature, Tensor
from litedelegates.graph.tflite.native import TfliteOp, TfliteSource, TfliteTensor
from litedelegates.graph.tflite.open_sizes import has_other_sizes
from litedelegates.graph.tflite.resizing import shapes_when_run
from litedelegates.model import Model

if TYPE_CHECKING:
    from litedelegates import _core
    from litedelegates.model import ModelSource


def read_tflite(model: ModelSource | Model, signature: str | None, shapes: Mapping[str, Sequence[int]] | None) -> Graph:
    """Return the graph of a ``.tflite``, or of one of its signatures.

    Raises:
        InvalidModelError: It cannot be read or is damaged.
        OptionError: There is no such signature or input, or the input cannot have such a shape.
    """
    file = Model.load(model)
    keys = [entry.key for entry in file.signatures]
    if signature is not None and signature not in keys:
        raise OptionError(f"the model has no signature {signature!r}. {nearest(signature, keys)}")
    index = file.signature_of(0) if signature is None else keys.index(signature)
    subgraph = 0 if index is None else file.signatures[index].subgraph_index
    source = TfliteSource(file)
    resized: dict[int, Sequence[tuple[int, ...]]] = {}
    if shapes or (subgraph == 0 and has_other_sizes(file, subgraph)):
        resized[subgraph] = _shapes(file, subgraph, shapes)
    graph = _Reader(source, resized).read(subgraph)
    known = [_signature(entry) for entry in file.signatures]
    return Graph(
        source,
        graph.ops,
        graph.tensors,
        graph.inputs,
        graph.outputs,
        name=writable(file.name.removesuffix(".tflite")) if file.path else "model",
        names=_public_names(graph, None if index is None else file.signatures[index]),
        signature=None if index is None else known[index],
        signatures=known,
        metadata=source.metadata(),
    )


def _shapes(file: Model, subgraph: int, shapes: Mapping[str, Sequence[int]] | None) -> list[tuple[int, ...]]:
    """Return the shape of each tensor for inputs of the shapes given, or of those that the file says.

    Where the runtime does not tell the latter, the sizes that the file leaves open are -1, but those of inputs.
    """
    if shapes:
        return shapes_when_run(file, subgraph, shapes)
    graph = file.subgraphs[subgraph]
    stored = [tuple(tensor.shape) for tensor in graph.tensors]
    try:
        found = shapes_when_run(file, subgraph, {})
    except OptionError:
        found = [()] * len(stored)
    is_given = [index in graph.inputs or tensor.is_constant for index, tensor in enumerate(graph.tensors)]
    return [
        # A tensor that is allocated only while the model runs has no shape before.
        own if len(own) == len(known) else known if given else tuple(tensor.shape_signature) or known
        for own, known, given, tensor in zip(found, stored, is_given, graph.tensors, strict=True)
    ]


class _Reader:
    """Reads subgraphs, each once: ops that call the same subgraph share its graph."""

    def __init__(self, source: TfliteSource, resized: Mapping[int, Sequence[tuple[int, ...]]]) -> None:
        self._source = source
        self._resized = resized
        self._graphs: dict[int, Graph] = {}

    def read(self, index: int) -> Graph:
        if index not in self._graphs:
            self._graphs[index] = self._read(index)
        return self._graphs[index]

    def _read(self, index: int) -> Graph:
        subgraph = self._source.model.subgraphs[index]
        tensors = self._tensors(index)
        by_index: dict[int, Tensor | None] = dict(enumerate(tensors))
        by_index[-1] = None
        states = {t: f"variable tensor {t.name!r}" for t in tensors if t.is_variable}
        fixed = FixedOps()
        ops = []
        for position, stored in enumerate(subgraph.operators):
            inputs = tuple(by_index[i] for i in stored.inputs)
            outputs = tuple(by_index[i] for i in stored.outputs)
            native = TfliteOp(self._source, index, position, self._nested(index, position, stored))
            if stored.type in HANDLES:
                states.update((t, _state_of(native, t)) for t in outputs if t is not None)
            used = _states_used(stored.type, inputs, outputs, native, states)
            has_more = bool(used or native.nested or stored.is_custom)
            is_fixed = fixed.add(stored.type, inputs, outputs, has_more)
            made = next((tensor.name for tensor in outputs if tensor is not None), f"{stored.type}_{position}")
            ops.append(
                Op(
                    index=position,
                    type=stored.type,
                    name=made,
                    inputs=inputs,
                    outputs=outputs,
                    intermediates=self._intermediates(stored.type, native, tensors),
                    states=used,
                    is_fixed=is_fixed,
                    computes_shape=not is_fixed and fixed.computes_shape(stored.type, inputs, outputs, has_more),
                    native=native,
                )
            )
        given = [tensors[i] for i in subgraph.inputs]
        return Graph(self._source, ops, tensors, given, [tensors[i] for i in subgraph.outputs], name=subgraph.name)

    def _tensors(self, index: int) -> list[Tensor]:
        subgraph = self._source.model.subgraphs[index]
        # Sizes that no input leaves open are only known once the model runs.
        is_resizable = any(-1 in subgraph.tensors[i].shape_signature for i in subgraph.inputs)
        names = Names()
        tensors: list[Tensor] = []
        for position, stored in enumerate(subgraph.tensors):
            shape: tuple[int, ...] | None = tuple(stored.shape)
            if not stored.is_constant:
                if not shape and not self._stored(index, position).HasRank():
                    shape = None
                elif -1 in stored.shape_signature and not is_resizable:
                    shape = tuple(stored.shape_signature)
            if index in self._resized:
                shape = self._resized[index][position]
            scales = stored.scales
            tensors.append(
                Tensor(
                    name=names.take(stored.name or f"tensor_{position}"),
                    shape=shape,
                    element_type=stored.element_type,
                    quantization=Quantization(
                        tuple(scales), tuple(stored.zero_points) or (0,) * len(scales), stored.quantized_dimension
                    )
                    if scales
                    else None,
                    is_constant=stored.is_constant,
                    is_variable=stored.is_variable,
                    native=TfliteTensor(self._source, index, position),
                )
            )
        for position, stored in enumerate(subgraph.tensors):
            if stored.block_size:
                details = tensors[position].native.unpack().quantization.details
                fields = {name: getattr(details, name) for name in ("scales", "zeroPoints")}
                tensors[position].native.companions.update((name, tensors[i]) for name, i in fields.items() if i >= 0)
        return tensors

    def _nested(self, index: int, position: int, stored: _core.Operator) -> dict[str, list[Graph]]:
        if stored.type not in _CALLERS:
            return {}
        op = self._source.schema.OperatorT.InitFromObj(self._source.root.Subgraphs(index).Operators(position))
        found: dict[str, list[Graph]] = {}
        for options in (op.builtinOptions, op.builtinOptions2):
            for name, value in vars(options).items() if options is not None else ():
                if refers_to_subgraphs(name) and value is not None:
                    indices = [value] if isinstance(value, int) else list(value)
                    found[name] = [self.read(int(callee)) for callee in indices if callee >= 0]
        return found

    def _intermediates(self, kind: str, native: TfliteOp, tensors: list[Tensor]) -> tuple[Tensor, ...]:
        if "LSTM" not in kind and "RNN" not in kind and "SVDF" not in kind:
            return ()  # saves looking at every op of the file
        stored = native.stored()
        return tuple(tensors[stored.Intermediates(i)] for i in range(stored.IntermediatesLength()))

    def _stored(self, subgraph: int, index: int) -> Any:
        return self._source.root.Subgraphs(subgraph).Tensors(index)


# The ops whose options name subgraphs.
_CALLERS = frozenset(
    {
        "CALL",
        "CALL_ONCE",
        "IF",
        "STABLEHLO_CASE",
        "STABLEHLO_COMPOSITE",
        "STABLEHLO_CUSTOM_CALL",
        "STABLEHLO_REDUCE",
        "STABLEHLO_SCATTER",
        "STABLEHLO_SORT",
        "STABLEHLO_WHILE",
        "WHILE",
    }
)


def refers_to_subgraphs(option: str) -> bool:
    """Return whether an option of the schema holds indices of subgraphs."""
    return "subgraph" in option.lower() or option == "calledComputations"


def _states_used(
    kind: str,
    inputs: Iterable[Tensor | None],
    outputs: Iterable[Tensor | None],
    native: TfliteOp,
    states: dict[Tensor, str],
) -> tuple[str, ...]:
    """Return the names of the state that an op reads or writes, by itself or in the subgraphs that it calls."""
    if kind in HANDLES:
        return ()  # making a handle touches no state
    used = []
    for tensor in (*inputs, *outputs):
        if tensor is None:
            continue
        if tensor in states:
            used.append(states[tensor])
        elif tensor.element_type in ("resource", "variant"):
            # Handles that loops hand on: which state they mean cannot be told, so they count as one.
            used.append("state behind handles")
    for graph in (graph for graphs in native.nested.values() for graph in graphs):
        used += [state for op in graph.ops for state in op.states if not state.startswith("variable tensor")]
    return tuple(dict.fromkeys(used))


def _state_of(native: TfliteOp, handle: Tensor) -> str:
    options = native.options()
    name = options.get("shared_name") or options.get("table_id") or handle.name
    return f"{options.get('container') or 'state'} {name!r}"


def _public_names(graph: Graph, signature: _core.Signature | None) -> dict[Tensor, str]:
    if signature is None:
        return {}
    names = {graph.tensors[index]: name for name, index in (*signature.outputs, *signature.inputs)}
    given, taken = set(names.values()), Names()
    for name in given:
        taken.take(name)
    for tensor in graph.tensors:
        # A tensor that is called like an input of the signature, but is not it, must not be taken for it at a cut.
        if tensor not in names and tensor.name in given:
            names[tensor] = taken.take(tensor.name)
    return names


def _signature(signature: _core.Signature) -> Signature:
    return Signature(
        signature.key, tuple(name for name, _ in signature.inputs), tuple(name for name, _ in signature.outputs)
    )
