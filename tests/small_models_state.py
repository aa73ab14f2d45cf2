"""Models that remember: variable tensors, resource variables and hash tables."""

from __future__ import annotations

import numpy as np
from small_models_builder import OPTIONAL, GraphBuilder, ModelBuilder, Op, Type, schema, string_data
from small_models_case import Array, Arrays, Case, floats, strings

TANH = schema.ActivationFunctionType.TANH

# One block of weights for each of the input, forget, cell and output gates.
LSTM_INPUT_WEIGHTS = (np.arange(24, dtype=np.float32).reshape(4, 3, 2) - 12) / 16
LSTM_RECURRENT_WEIGHTS = (np.arange(36, dtype=np.float32).reshape(4, 3, 3) % 7 - 3) / 8
LSTM_BIASES = (np.arange(12, dtype=np.float32).reshape(4, 3) - 6) / 10
SVDF_FEATURES = (np.arange(6, dtype=np.float32).reshape(2, 3) - 2) / 4
SVDF_TIMES = np.array([[0.25, 0.5, 1], [-0.5, 0.75, 2]], np.float32)
TABLE = {b"one": 1, b"two": 2, b"three": 3}


def lstm() -> bytes:
    """UNIDIRECTIONAL_SEQUENCE_LSTM over 4 steps of 2 features, 3 cells, two variable state tensors."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("x", (1, 4, 2))]
    inputs += [graph.constant(f"input_to_gate_{i}", block) for i, block in enumerate(LSTM_INPUT_WEIGHTS)]
    inputs += [graph.constant(f"recurrent_to_gate_{i}", block) for i, block in enumerate(LSTM_RECURRENT_WEIGHTS)]
    inputs += [OPTIONAL] * 3  # peephole weights
    inputs += [graph.constant(f"gate_bias_{i}", bias) for i, bias in enumerate(LSTM_BIASES)]
    inputs += [OPTIONAL] * 2  # projection
    inputs += [graph.tensor(name, (1, 3), variable=True) for name in ("output_state", "cell_state")]
    inputs += [OPTIONAL] * 4  # layer normalization
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = TANH
    graph.op(Op.UNIDIRECTIONAL_SEQUENCE_LSTM, inputs, [graph.output("y", (1, 4, 3))], options)
    return model.to_bytes()


def svdf() -> bytes:
    """SVDF with 2 units, rank 1 and a memory of 3 steps in one variable tensor."""
    model = ModelBuilder()
    graph = model.graph()
    features, times = graph.constant("features", SVDF_FEATURES), graph.constant("times", SVDF_TIMES)
    state = graph.tensor("state", (1, 6), variable=True)
    options = schema.SVDFOptionsT()
    options.rank = 1
    output = graph.output("y", (1, 2))
    graph.op(Op.SVDF, [graph.input("x", (1, 3)), features, times, OPTIONAL, state], [output], options)
    return model.to_bytes()


def counter() -> bytes:
    """A resource variable that CALL_ONCE sets to 10 and each invoke raises by the input."""
    model = ModelBuilder()
    main, init = model.graph(), model.graph("init")
    step, total = main.input("step", (1,)), main.output("total", (1,))
    call_once(main, init)
    handle, old = _variable_handle(main), main.tensor("old", (1,))
    main.op(Op.READ_VARIABLE, [handle], [old], schema.ReadVariableOptionsT())
    main.op(Op.ADD, [old, step], [total], schema.AddOptionsT())
    main.op(Op.ASSIGN_VARIABLE, [handle, total], [], schema.AssignVariableOptionsT())
    start = init.constant("start", np.array([10], np.float32))
    init.op(Op.ASSIGN_VARIABLE, [_variable_handle(init), start], [], schema.AssignVariableOptionsT())
    return model.to_bytes()


def string_table() -> bytes:
    """HASHTABLE_FIND of three words in the table one, two, three; unknown words give -1."""
    model = ModelBuilder()
    main, init = model.graph(), model.graph("init")
    words, numbers = main.input("words", (3,), Type.STRING), main.output("numbers", (3,), Type.INT64)
    call_once(main, init)
    unknown = main.constant("unknown", np.array([-1], np.int64))
    main.op(Op.HASHTABLE_FIND, [_table_handle(main), words, unknown], [numbers], schema.HashtableFindOptionsT())
    keys = init.tensor("keys", (3,), Type.STRING, data=string_data(list(TABLE)))
    values = init.constant("values", np.array(list(TABLE.values()), np.int64))
    init.op(Op.HASHTABLE_IMPORT, [_table_handle(init), keys, values], [], schema.HashtableImportOptionsT())
    return model.to_bytes()


def call_once(graph: GraphBuilder, init: GraphBuilder) -> None:
    """Run ``init`` before the first invoke of ``graph`` only."""
    options = schema.CallOnceOptionsT()
    options.initSubgraphIndex = init.index
    graph.op(Op.CALL_ONCE, [], [], options)


def _variable_handle(graph: GraphBuilder) -> int:
    options = schema.VarHandleOptionsT()
    options.container, options.sharedName = "", "count"
    handle = graph.tensor("handle", (), Type.RESOURCE)
    graph.op(Op.VAR_HANDLE, [], [handle], options)
    return handle


def _table_handle(graph: GraphBuilder) -> int:
    options = schema.HashtableOptionsT()
    options.tableId, options.keyDtype, options.valueDtype = 1, Type.STRING, Type.INT64
    handle = graph.tensor("handle", (1,), Type.RESOURCE)
    graph.op(Op.HASHTABLE, [], [handle], options)
    return handle


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm_steps(x: Array, hidden: Array, cell: Array) -> tuple[Array, Array, Array]:
    """Return the outputs of ``lstm`` for ``x`` of shape (1, 4, 2) and its two states afterwards."""
    outputs = []
    for step in x[0]:
        gates = LSTM_INPUT_WEIGHTS @ step + LSTM_RECURRENT_WEIGHTS @ hidden[0] + LSTM_BIASES
        cell = _sigmoid(gates[1]) * cell + _sigmoid(gates[0]) * np.tanh(gates[2])
        hidden = _sigmoid(gates[3]) * np.tanh(cell)
        outputs.append(hidden[0])
    return np.array([outputs]), hidden, cell


def _lstm_expected(inputs: Arrays) -> Arrays:
    zeros = np.zeros((1, 3), np.float32)
    return [lstm_steps(inputs[0], zeros, zeros)[0]]


CASES = (
    Case("lstm", lstm, floats((1, 4, 2)), _lstm_expected, "two variable tensors", atol=1e-4),
    Case("svdf", svdf, floats((1, 3)), lambda a: [a[0] @ SVDF_FEATURES.T * SVDF_TIMES[:, -1]], "one variable tensor"),
    Case("counter", counter, floats((1,)), lambda a: [a[0] + 10], "resource variable; CALL_ONCE"),
    Case(
        "string_table",
        string_table,
        strings(b"three", b"none", b"one"),
        lambda a: [np.array([TABLE.get(word, -1) for word in a[0]], np.int64)],
        "string to int64; resource; CALL_ONCE",
    ),
)
