"""Softmax regression: a last layer trained by gradient descent on embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.coral.learn.head import EditedModel

if TYPE_CHECKING:
    from litedelegates.graph.tflite.tree import ModelSource

Array = np.ndarray[Any, Any]


class SoftmaxRegression:
    """A fully connected layer and softmax, to put behind a model that makes embeddings.

    Attributes:
        feature_dim: The number of values of an embedding.
        num_classes: The number of classes.
        weights: float32, shape (feature_dim, num_classes); None while the sizes are not known.
        biases: float32, shape (num_classes,); None while the sizes are not known.
    """

    def __init__(
        self,
        feature_dim: int | None = None,
        num_classes: int | None = None,
        weight_scale: float = 0.01,
        reg: float = 0.0,
        *,
        seed: int | None = None,
    ) -> None:
        """Start with random weights.

        Args:
            feature_dim: The number of values of an embedding; None to take it from the training data.
            num_classes: The number of classes; None to take it from the training labels.
            weight_scale: Standard deviation of the first weights.
            reg: Strength of the regularization: ``reg / 2`` times the sum of the squared weights is added to the loss.
            seed: Seed of the first weights and of the choice of examples; None for another one each time.
        """
        self.feature_dim, self.num_classes = feature_dim, num_classes
        self._weight_scale, self._reg = weight_scale, reg
        self._random = np.random.default_rng(seed)
        self.weights: Array | None = None
        self.biases: Array | None = None
        if feature_dim is not None and num_classes is not None:
            self._start(feature_dim, num_classes)

    def train_with_sgd(
        self,
        data: Mapping[str, Any],
        num_iter: int,
        learning_rate: float,
        batch_size: int = 100,
        print_every: int = 100,
    ) -> None:
        """Train by stochastic gradient descent; go on from the weights there are.

        Args:
            data: "data_train" and "data_val", embeddings of shape (N, feature_dim), and "labels_train" and
                "labels_val", class ids of shape (N,).
            num_iter: How many steps to take.
            learning_rate: How far to go along the gradient in a step.
            batch_size: How many examples, drawn at random, make the gradient of a step.
            print_every: Print loss and accuracies after so many steps; 0 for never.

        Raises:
            ValueError: Sizes do not fit each other, or a label is no class.
        """
        labels = np.asarray(data["labels_train"]).reshape(-1)
        features = np.asarray(data["data_train"], np.float32)
        if self.weights is None:
            if features.ndim != 2 or not labels.size:
                raise ValueError(f"data_train has the shape {features.shape}; it must be (N, feature_dim)")
            self.feature_dim = self.feature_dim or int(features.shape[1])
            self.num_classes = self.num_classes or int(labels.max()) + 1
            self._start(self.feature_dim, self.num_classes)
        self._check(features, labels, "train")
        if print_every:
            self._check(np.asarray(data["data_val"]), np.asarray(data["labels_val"]).reshape(-1), "val")
        for step in range(num_iter):
            chosen = self._random.integers(0, len(labels), batch_size)
            loss = self._step(features[chosen], labels[chosen], learning_rate)
            if print_every and step % print_every == 0:
                train = self.get_accuracy(features, labels)
                validation = self.get_accuracy(data["data_val"], data["labels_val"])
                print(f"step {step} of {num_iter}: loss {loss:.6f}, accuracy {train:.4f}, validation {validation:.4f}")

    def get_accuracy(self, mat_x: Any, labels: Any) -> float:
        """Return the share of examples, from 0 to 1, whose highest score is that of their label.

        Args:
            mat_x: Embeddings, shape (N, feature_dim).
            labels: Class ids, shape (N,).

        Raises:
            ValueError: The sizes do not fit, or nothing was trained yet.
        """
        features, ids = np.asarray(mat_x, np.float32), np.asarray(labels).reshape(-1)
        weights, biases = self._trained()
        self._check(features, ids, "of get_accuracy")
        return float(np.mean(np.argmax(features @ weights + biases, axis=1) == ids))

    def serialize_model(self, in_model_path: ModelSource) -> bytes:
        """Return a model with this layer behind it, as the bytes of a ``.tflite`` file.

        The layer computes in float32; where the embedding is quantized it is dequantized first. The output is float32
        of shape (batch, num_classes).

        Args:
            in_model_path: Path of the ``.tflite`` file that makes the embeddings, or its content.

        Raises:
            ValueError: Its output has another size than `feature_dim`, or nothing was trained yet.
            UnsupportedError: It has not exactly one output.
            MissingExtraError: flatbuffers is not installed.
        """
        weights, biases = self._trained()
        model = EditedModel(in_model_path)
        if model.size() != len(weights):
            raise ValueError(f"the model makes {model.size()} values; this layer was trained on {len(weights)}")
        model.append_classifier(weights.T, biases)
        return model.to_bytes()

    def _start(self, feature_dim: int, num_classes: int) -> None:
        drawn = self._random.standard_normal((feature_dim, num_classes))
        self.weights = (self._weight_scale * drawn).astype(np.float32)
        self.biases = np.zeros(num_classes, np.float32)

    def _trained(self) -> tuple[Array, Array]:
        if self.weights is None or self.biases is None:
            raise ValueError("the sizes are not known: give feature_dim and num_classes, or train first")
        return self.weights, self.biases

    def _step(self, features: Array, labels: Array, learning_rate: float) -> float:
        """Go one step down the gradient of the cross-entropy; return the loss before it."""
        weights, biases = self._trained()
        logits = features @ weights + biases
        logits -= logits.max(axis=1, keepdims=True)  # keeps exp in range; softmax does not change
        probabilities = np.exp(logits)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        likelihood = np.maximum(probabilities[rows, labels], np.finfo(np.float32).tiny)
        loss = float(-np.log(likelihood).mean() + self._reg / 2 * np.square(weights).sum())
        probabilities[rows, labels] -= 1
        probabilities /= len(labels)
        self.weights = weights - np.float32(learning_rate) * (
            features.T @ probabilities + np.float32(self._reg) * weights
        )
        self.biases = biases - np.float32(learning_rate) * probabilities.sum(axis=0)
        return loss

    def _check(self, features: Array, labels: Array, which: str) -> None:
        if (
            features.ndim != 2
            or features.shape[1] != self.feature_dim
            or len(features) != len(labels)
            or not len(labels)
        ):
            raise ValueError(
                f"data and labels {which}: shapes {features.shape} and {labels.shape} are not (N, {self.feature_dim}) "
                "and (N,)"
            )
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= (self.num_classes or 0):
            raise ValueError(f"labels {which}: they must be integers from 0 to {(self.num_classes or 0) - 1}")
