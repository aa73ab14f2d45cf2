"""Outputs of models that detect objects: boxes with a class and a score."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from litedelegates.coral.adapters import common

Array = np.ndarray[Any, Any]

# What a signature calls the outputs, in the order count, scores, ids, boxes.
_SIGNATURE_OUTPUTS = ("output_0", "output_1", "output_2", "output_3")


class BBox(NamedTuple):
    """A rectangle in pixels of the image, or in any other unit.

    Attributes:
        xmin: Left edge.
        ymin: Upper edge.
        xmax: Right edge.
        ymax: Lower edge.
    """

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def width(self) -> float:
        """Width; negative when the box is not valid."""
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        """Height; negative when the box is not valid."""
        return self.ymax - self.ymin

    @property
    def area(self) -> float:
        """Width times height."""
        return self.width * self.height

    @property
    def valid(self) -> bool:
        """Whether neither width nor height is negative."""
        return self.width >= 0 and self.height >= 0

    def scale(self, sx: float, sy: float) -> BBox:
        """Return the box with x multiplied by ``sx`` and y by ``sy``."""
        return BBox(sx * self.xmin, sy * self.ymin, sx * self.xmax, sy * self.ymax)

    def translate(self, dx: float, dy: float) -> BBox:
        """Return the box moved right by ``dx`` and down by ``dy``."""
        return BBox(self.xmin + dx, self.ymin + dy, self.xmax + dx, self.ymax + dy)

    def map(self, f: Callable[[float], float]) -> BBox:
        """Return the box with ``f`` applied to each edge, such as ``int``."""
        return BBox(f(self.xmin), f(self.ymin), f(self.xmax), f(self.ymax))

    @staticmethod
    def intersect(a: BBox, b: BBox) -> BBox:
        """Return what both boxes cover; not `valid` when that is nothing."""
        return BBox(max(a.xmin, b.xmin), max(a.ymin, b.ymin), min(a.xmax, b.xmax), min(a.ymax, b.ymax))

    @staticmethod
    def union(a: BBox, b: BBox) -> BBox:
        """Return the smallest box that holds both."""
        return BBox(min(a.xmin, b.xmin), min(a.ymin, b.ymin), max(a.xmax, b.xmax), max(a.ymax, b.ymax))

    @staticmethod
    def iou(a: BBox, b: BBox) -> float:
        """Return the area that both cover over the area that either covers; 0.0 without overlap."""
        shared = BBox.intersect(a, b)
        if not shared.valid or shared.area == 0:
            return 0.0
        return shared.area / (a.area + b.area - shared.area)


class Object(NamedTuple):
    """One object that the model found.

    Attributes:
        id: Its class.
        score: Its score.
        bbox: Where it is.
    """

    id: int
    score: float
    bbox: BBox


def get_objects(
    interpreter: Any, score_threshold: float = -math.inf, image_scale: tuple[float, float] = (1.0, 1.0)
) -> list[Object]:
    """Return the objects that the model found, in its order, with boxes in whole pixels.

    The outputs are found by the names ``output_0`` to ``output_3`` (count, scores, ids, boxes) when the model has a
    signature. Without one, the size of output 3 tells: one element means boxes, ids, scores, count, anything else
    scores, boxes, count, ids. Boxes are (ymin, xmin, ymax, xmax), relative to the model's input.

    Args:
        interpreter: An interpreter that ran.
        score_threshold: Only objects with at least this score.
        image_scale: (x, y) by which the image was scaled to fit the input, as `common.set_resized_input` returns it:
            the boxes are in pixels of the image from before. With (1.0, 1.0) they are in pixels of the input.

    Raises:
        ValueError: The model has several signatures, one without these outputs, or fewer than four outputs.
    """
    count, scores, ids, boxes = _outputs(interpreter)
    width, height = common.input_size(interpreter)
    scale_x, scale_y = width / image_scale[0], height / image_scale[1]

    def found(i: int) -> Object:
        ymin, xmin, ymax, xmax = (float(edge) for edge in boxes[i])
        return Object(int(ids[i]), float(scores[i]), BBox(xmin, ymin, xmax, ymax).scale(scale_x, scale_y).map(int))

    return [found(i) for i in range(count) if scores[i] >= score_threshold]


def _outputs(interpreter: Any) -> tuple[int, Array, Array, Array]:
    """Return count, scores of shape (N,), ids of shape (N,) and boxes of shape (N, 4)."""
    signatures = interpreter._get_full_signature_list()
    if len(signatures) > 1:
        raise ValueError(f"the model has {len(signatures)} signatures ({', '.join(signatures)}); one is supported")
    if signatures:
        ((key, sides),) = signatures.items()
        names = sides["outputs"]
        if not set(_SIGNATURE_OUTPUTS) <= set(names):
            raise ValueError(
                f"signature {key!r} has the outputs {', '.join(names)}; a detector has {', '.join(_SIGNATURE_OUTPUTS)}"
            )
        count, scores, ids, boxes = (interpreter.get_tensor(names[name]) for name in _SIGNATURE_OUTPUTS)
    else:
        details = interpreter.get_output_details()
        if len(details) < 4:
            raise ValueError(f"the model has {len(details)} outputs; a detector has count, scores, ids and boxes")
        first, second, third, fourth = (interpreter.get_tensor(one["index"]) for one in details[:4])
        if fourth.size == 1:
            boxes, ids, scores, count = first, second, third, fourth
        else:
            scores, boxes, count, ids = first, second, third, fourth
    return int(count.flat[0]), scores[0], ids[0], boxes[0]
