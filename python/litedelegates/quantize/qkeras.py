"""A QKeras model (the port for Keras 3) as a Keras model with FakeQuant ops, which TensorFlow's converter understands.

QKeras computes its quantizers with ops such as ROUND, which would stay in the file as float32. Here each becomes the
FakeQuant op that says the same: see ``qkeras_grid`` for what is kept. The caller's model is left as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import UnsupportedError
from litedelegates.quantize.qkeras_grid import ActivationGrid, activation_grid
from litedelegates.quantize.qkeras_layers import WEIGHT_LAYERS, in_range, on_grid, weighted

# Hand on the values they are given.
PASSING = (
    "ActivityRegularization",
    "Cropping2D",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "MaxPooling2D",
    "Permute",
    "Reshape",
    "SpatialDropout2D",
    "ZeroPadding2D",
)
# The converter fuses these with the layer before, so that a range between the two would be in the way.
CLOSING = ("Activation", "BatchNormalization", "QActivation", "ReLU")
CLOSED = (*WEIGHT_LAYERS, "Add", "BatchNormalization")


class Rewriter:
    """What it takes to turn ``model`` into one with FakeQuant ops.

    Attributes:
        unlearned: Layers whose output has no learned range and needs one from calibration.

    Raises:
        UnsupportedError: A layer or quantizer has no counterpart; says which and what has.
    """

    def __init__(self, model: Any) -> None:
        import keras

        if not isinstance(model, keras.Model):
            raise UnsupportedError(
                f"QKeras models are converted on Keras 3 (package qkeras-v3); this one is a {type(model).__module__}"
            )
        if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
            raise UnsupportedError(
                "a QKeras model written as a subclass of Model cannot be rewritten: build it from layers with "
                "keras.Model(inputs, outputs)"
            )
        self._model = keras.Model(model.inputs, model.outputs, name=model.name)
        self._layers = list(self._model.layers)
        _check_layers(self._layers)
        self._grids = {layer.name: _grid_of(layer) for layer in self._layers}
        readers = _readers(self._layers)
        self.unlearned = [layer.name for layer in self._layers if self._needs_range(layer, readers[layer.name])]

    def rewrite(self, samples: list[dict[str, NDArray[Any]]]) -> tuple[Any, list[str]]:
        """Return the new model, and sentences on the weights whose grid it does not keep.

        Args:
            samples: For the ranges of ``unlearned``; may be empty where there are none.
        """
        import keras

        ranges = _find_ranges(self._model, self.unlearned, samples)
        lost: list[str] = []
        # The copy of an input layer is called after its tensor and not after the layer.
        inputs = {tensor.name: tensor._keras_history.operation.name for tensor in self._model.inputs}
        given: dict[str, Any] = {}

        def clone(layer: Any) -> Any:
            grid = self._grids[layer.name]
            if type(layer).__name__ in WEIGHT_LAYERS:
                return _function_layer(layer.name, weighted(layer, grid, lost))
            if grid is not None:
                return _function_layer(layer.name, on_grid(grid))
            return type(layer).from_config(layer.get_config())

        def give(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(give(entry) for entry in value)
            history = getattr(value, "_keras_history", None)
            if history is None or type(history.operation).__name__ != "InputLayer":
                return value
            name = inputs[value.name]
            if name in ranges and name not in given:
                given[name] = _function_layer(f"{name}_range", in_range(*ranges[name]))(value)
            return given.get(name, value)

        def call(layer: Any, *arguments: Any, **keywords: Any) -> Any:
            result = layer(*map(give, arguments), **keywords)
            if layer.name not in ranges:
                return result
            return _function_layer(f"{layer.name}_range", in_range(*ranges[layer.name]))(result)

        made = keras.models.clone_model(self._model, clone_function=clone, call_function=call)
        for layer in self._layers:
            if layer.weights and type(layer).__name__ not in WEIGHT_LAYERS:
                made.get_layer(layer.name).set_weights(layer.get_weights())
        return made, lost

    def _needs_range(self, layer: Any, readers: list[Any]) -> bool:
        kind = type(layer).__name__
        kinds = [type(reader).__name__ for reader in readers]
        if kind == "InputLayer":
            return not kinds or any(
                kind != "QActivation" or self._grids[reader.name] is None
                for kind, reader in zip(kinds, readers, strict=True)
            )
        if kind in PASSING or self._grids[layer.name] is not None:
            return False
        return not (kind in CLOSED and kinds and all(kind in CLOSING for kind in kinds) and not _activates(layer))


def _check_layers(layers: list[Any]) -> None:
    for layer in layers:
        kind = type(layer).__name__
        if hasattr(layer, "layers"):
            raise UnsupportedError(f"the QKeras model holds the model {layer.name!r} as a layer: build it flat")
        if type(layer).__module__.startswith("qkeras") and kind not in (*WEIGHT_LAYERS, "QActivation"):
            hint = ": unfold it with qkeras.bn_folding_utils.unfold_model" if kind.lower().endswith("batchnorm") else ""
            raise UnsupportedError(
                f"layer {layer.name!r} is a {kind}, whose learned ranges cannot be kept{hint}. Of QKeras these can: "
                f"{', '.join((*WEIGHT_LAYERS, 'QActivation'))}"
            )
        if len(layer._inbound_nodes) > 1 and kind != "InputLayer":
            raise UnsupportedError(
                f"layer {layer.name!r} is used {len(layer._inbound_nodes)} times, so that it has no one output range: "
                "give each use a layer of its own"
            )
        activation = getattr(layer, "activation", None)
        if type(activation).__module__.startswith("qkeras") and activation_grid(activation) is None:
            raise UnsupportedError(
                f"layer {layer.name!r} ends in {activation}, which 8 bits cannot hold as it is. These can: "
                "quantized_relu without slope and sigmoid, quantized_bits and quantized_linear with a number for "
                "alpha, of up to 8 bits and without stochastic rounding"
            )


def _grid_of(layer: Any) -> ActivationGrid | None:
    return activation_grid(layer.activation) if _activates(layer) else None


def _activates(layer: Any) -> bool:
    """Return whether ``layer`` ends in a quantizer of QKeras."""
    return type(getattr(layer, "activation", None)).__module__.startswith("qkeras")


def _readers(layers: list[Any]) -> dict[str, list[Any]]:
    """Return the layers that read the output of each layer, by its name."""
    readers: dict[str, list[Any]] = {layer.name: [] for layer in layers}
    for layer in layers:
        for node in layer._inbound_nodes:
            for parent in node.parent_nodes:
                readers[parent.operation.name].append(layer)
    return readers


def _find_ranges(
    model: Any, names: list[str], samples: list[dict[str, NDArray[Any]]]
) -> dict[str, tuple[float, float]]:
    """Return the smallest and largest output of each of the layers ``names`` over ``samples``, 0 included."""
    import keras

    if not names:
        return {}
    probe = keras.Model(model.inputs, {name: model.get_layer(name).output for name in names})
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for sample in samples:
        for name, value in probe(list(sample.values()), training=False).items():
            low, high = ranges[name]
            array = np.asarray(value)
            ranges[name] = (min(low, float(array.min())), max(high, float(array.max())))
    return ranges


def _function_layer(name: str, function: Any) -> Any:
    import keras

    class FunctionLayer(keras.layers.Layer):  # type: ignore[misc]
        """A layer that computes ``function``."""

        def call(self, inputs: Any) -> Any:
            return function(inputs)

    return FunctionLayer(name=name)
