"""Weight imprinting: new classes from a few examples, without gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.coral.learn.head import EditedModel
from litedelegates.errors import LiteDelegatesError, UnsupportedError

if TYPE_CHECKING:
    from litedelegates.graph.tflite.tree import ModelSource

Array = np.ndarray[Any, Any]

# Cosines lie in [-1, 1], and their softmax is nearly flat; the paper scales them by a factor that it learns.
SCORE_SCALE = 16.0


class NotTrainedError(LiteDelegatesError, RuntimeError, ValueError):
    """A model was asked for before it was trained."""


class ImprintingEngine:
    """Retrain the last layer of a model by weight imprinting.

    The model is cut before its last layer: what is left turns an image into an embedding of length 1. The weights of a
    class are the mean of the embeddings of its examples, brought to length 1, so that a score is the cosine between an
    image and its class. Method: Qi, Brown and Lowe, "Low-Shot Learning with Imprinted Weights", 2018.

    The new last layer computes in float32, in quantized models too.
    """

    def __init__(self, model_path: ModelSource, keep_classes: bool = False) -> None:
        """Read a model.

        Args:
            model_path: Path of a ``.tflite`` file that ends in a fully connected layer or a 1x1 convolution, or its
                content. For the Edge TPU it is compiled without that layer.
            keep_classes: Keep the classes of the model and add to them, instead of starting with none. Their weights
                are brought to length 1.

        Raises:
            InvalidModelError: The model cannot be opened or is damaged.
            UnsupportedError: It does not end in such a layer; or the classes are to be kept and that layer has biases,
                which cosines cannot be compared with.
            MissingExtraError: flatbuffers is not installed.
        """
        model = EditedModel(model_path)
        layer = model.last_layer()
        self._kept: Array = np.zeros((0, layer.size), np.float32)
        if keep_classes:
            if layer.has_bias():
                raise UnsupportedError(
                    "keep_classes=True: the last layer has biases, and imprinted classes have none to compare with. "
                    "Train the model without them, or start without classes"
                )
            self._kept = _of_length_1(layer.weights())
        is_normalized = model.made_by(layer.source) == "L2_NORMALIZATION"
        model.cut(layer)
        if model.size() != layer.size:
            raise UnsupportedError(
                f"the last layer makes its scores from {layer.size} values, and reads {model.size()}: average over the "
                "image before it"
            )
        if not is_normalized:
            model.append_features()
            model.append_l2_normalization()
        self._extractor = model.to_bytes()
        self._sums: dict[int, Array] = {}

    @property
    def embedding_dim(self) -> int:
        """The number of values of an embedding."""
        return int(self._kept.shape[1])

    @property
    def num_classes(self) -> int:
        """The number of classes, kept and trained."""
        return len(self._kept) + len(self._sums)

    def serialize_extractor_model(self) -> bytes:
        """Return the model that turns an image into an embedding, as the bytes of a ``.tflite`` file."""
        return self._extractor

    def serialize_model(self) -> bytes:
        """Return the retrained model, as the bytes of a ``.tflite`` file.

        Its output is the softmax of ``SCORE_SCALE`` times the cosines, float32 of shape (batch, num_classes).

        Raises:
            NotTrainedError: There are no classes yet; it is a RuntimeError and a ValueError.
        """
        if not self.num_classes:
            raise NotTrainedError("there are no classes yet: call train with an embedding of each")
        trained = [self._sums[class_id] for class_id in sorted(self._sums)]
        weights = np.concatenate([self._kept, _of_length_1(np.array(trained))]) if trained else self._kept
        model = EditedModel(self._extractor)
        model.append_classifier(SCORE_SCALE * weights, np.zeros(len(weights), np.float32))
        return model.to_bytes()

    def train(self, embedding: Any, class_id: int) -> None:
        """Add an example to a class.

        Args:
            embedding: What the extractor made of the example, shape (embedding_dim,); of any length but 0.
            class_id: `num_classes` for a new class, or the id of one that was trained here.

        Raises:
            ValueError: The embedding has another shape or no direction, or the class is neither of these.
        """
        values = np.asarray(embedding, np.float64).reshape(-1)
        if values.size != self.embedding_dim:
            raise ValueError(f"the embedding has {values.size} values; the model makes {self.embedding_dim}")
        length = float(np.linalg.norm(values))
        if not np.isfinite(length) or length == 0:
            raise ValueError(f"the embedding has the length {length}, which has no direction")
        if 0 <= class_id < len(self._kept):
            raise ValueError(f"class {class_id} is one of the {len(self._kept)} of the model, which are not retrained")
        if not 0 <= class_id <= self.num_classes:
            raise ValueError(f"class {class_id} would leave a gap: the next new class is {self.num_classes}")
        self._sums[class_id] = self._sums.get(class_id, np.zeros(self.embedding_dim)) + values / length


def _of_length_1(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    normalized: Array = (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return normalized
