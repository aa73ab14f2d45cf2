"""Models in the shapes that PyCoral's adapters, pipelines and retraining expect; most have constant outputs."""

from __future__ import annotations

import numpy as np
from small_models_builder import GraphBuilder, ModelBuilder, Op, Quantization, Type, schema
from small_models_case import Array

IMAGE_SIZE = (20, 10)  # width, height in pixels
BOXES = np.array([[[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.75, 0.9]]], np.float32)
CLASS_IDS = np.array([[7, 0, 3]], np.float32)
BOX_SCORES = np.array([[0.9, 0.5, 0.75]], np.float32)
COUNT = np.array([2], np.float32)  # the third box is beyond it

SCORES_INT8 = np.array([[-128, 127, 0, 127, 3]], np.int8)
SCORES_SCALE = Quantization([1 / 256], [-128])
CLASS_MAP = np.array([[[0, 1, 2], [20, 255, 3]]], np.int64)

DETECTION = {"boxes": BOXES, "ids": CLASS_IDS, "scores": BOX_SCORES, "count": COUNT}
BOXES_FIRST = ("boxes", "ids", "scores", "count")
SCORES_FIRST = ("scores", "boxes", "count", "ids")

EMBEDDING_INT8 = Quantization([1 / 128], [0])
LAST_WEIGHTS = np.array([[3, 4, 0, 0], [0, 0, 0, 2]], np.float32)


def detector(order: tuple[str, ...] = BOXES_FIRST, signature: dict[str, str] | None = None) -> bytes:
    """An image (1, 10, 20, 3) of uint8, and the constants of ``DETECTION`` in the order given, of two found objects."""
    model = ModelBuilder()
    graph = model.graph()
    image = _image(graph)
    outputs = {name: _constant_output(graph, name, DETECTION[name]) for name in order}
    if signature is not None:
        model.signature(
            "serving_default", graph, {"image": image}, {key: outputs[name] for key, name in signature.items()}
        )
    return model.to_bytes()


def classifier_int8() -> bytes:
    """An image (1, 10, 20, 3) of uint8, and five constant int8 scores."""
    model = ModelBuilder()
    graph = model.graph()
    _image(graph)
    _constant_output(graph, "scores", SCORES_INT8, SCORES_SCALE)
    return model.to_bytes()


def segmenter() -> bytes:
    """An image (1, 10, 20, 3) of uint8, and the constant class ids of 2 x 3 pixels in int64."""
    model = ModelBuilder()
    graph = model.graph()
    _image(graph)
    _constant_output(graph, "classes", CLASS_MAP)
    return model.to_bytes()


def segment(sources: tuple[str, ...], target: str) -> bytes:
    """A segment of a pipeline: the sum of its inputs plus 1, shape (1, 4)."""
    model = ModelBuilder()
    graph = model.graph()
    total = graph.input(sources[0], (1, 4))
    for source in sources[1:]:
        added = graph.tensor(f"{target}/{source}", (1, 4))
        graph.op(Op.ADD, [total, graph.input(source, (1, 4))], [added], schema.AddOptionsT())
        total = added
    graph.op(
        Op.ADD, [total, graph.constant("one", np.float32(1))], [graph.output(target, (1, 4))], schema.AddOptionsT()
    )
    return model.to_bytes()


def dense_classifier(bias: float = 0.0, batch: int = 1) -> bytes:
    """x (batch, 4) doubled, FULLY_CONNECTED with ``LAST_WEIGHTS`` and bias, SOFTMAX; signature x -> scores."""
    model = ModelBuilder()
    graph = model.graph()
    doubled, logits = graph.tensor("doubled", (batch, 4)), graph.tensor("logits", (batch, 2))
    source = graph.input("x", (batch, 4))
    graph.op(Op.MUL, [source, graph.constant("two", np.float32(2))], [doubled], schema.MulOptionsT())
    inputs = [doubled, graph.constant("weights", LAST_WEIGHTS), graph.constant("bias", np.full(2, bias, np.float32))]
    graph.op(Op.FULLY_CONNECTED, inputs, [logits], schema.FullyConnectedOptionsT())
    scores = graph.output("scores", (batch, 2))
    graph.op(Op.SOFTMAX, [logits], [scores], _softmax())
    model.signature("serving_default", graph, {"x": source}, {"scores": scores})
    return model.to_bytes()


def imprinted_int8() -> bytes:
    """L2_NORMALIZATION of x (1, 1, 1, 4), a 1x1 CONV_2D with ``LAST_WEIGHTS``, RESHAPE, SOFTMAX; all in int8."""
    model = ModelBuilder()
    graph = model.graph()
    of_logits, of_scores = Quantization([1 / 8], [0]), Quantization([1 / 256], [-128])
    of_weights = Quantization([1 / 25, 1 / 50], [0, 0])
    source = graph.input("x", (1, 1, 1, 4), Type.INT8, Quantization([1 / 16], [0]))
    embedding = graph.tensor("embedding", (1, 1, 1, 4), Type.INT8, quantization=EMBEDDING_INT8)
    graph.op(Op.L2_NORMALIZATION, [source], [embedding], schema.L2NormOptionsT(), version=2)
    weights = (LAST_WEIGHTS * [[25], [50]]).astype(np.int8).reshape(2, 1, 1, 4)
    inputs = [
        embedding,
        graph.constant("weights", weights, of_weights),
        graph.constant("bias", np.zeros(2, np.int32), Quantization([1 / 25 / 128, 1 / 50 / 128], [0, 0])),
    ]
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    logits = graph.tensor("logits", (1, 1, 1, 2), Type.INT8, quantization=of_logits)
    graph.op(Op.CONV_2D, inputs, [logits], options, version=3)
    flat = graph.tensor("flat", (1, 2), Type.INT8, quantization=of_logits)
    shape = graph.constant("shape", np.array([1, 2], np.int32))
    graph.op(Op.RESHAPE, [logits, shape], [flat], schema.ReshapeOptionsT())
    graph.op(Op.SOFTMAX, [flat], [graph.output("scores", (1, 2), Type.INT8, of_scores)], _softmax(), version=2)
    return model.to_bytes()


def _image(graph: GraphBuilder) -> int:
    width, height = IMAGE_SIZE
    return graph.input("image", (1, height, width, 3), Type.UINT8, Quantization([1 / 128], [128]))


def _constant_output(graph: GraphBuilder, name: str, values: Array, quantization: Quantization | None = None) -> int:
    shape = graph.constant(f"{name}/shape", np.array(values.shape, np.int32))
    inputs = [graph.constant(f"{name}/values", values, quantization), shape]
    element_type = {"float32": Type.FLOAT32, "int8": Type.INT8, "int64": Type.INT64}[values.dtype.name]
    output = graph.output(name, values.shape, element_type, quantization)
    graph.op(Op.RESHAPE, inputs, [output], schema.ReshapeOptionsT())
    return output


def _softmax() -> schema.SoftmaxOptionsT:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return options
