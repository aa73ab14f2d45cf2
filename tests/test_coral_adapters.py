"""The adapters, on interpreters of this package on both routes and on the official one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from litedelegates import Interpreter
from litedelegates.coral.adapters import classify, common, detect, segment
from litedelegates.coral.adapters.detect import BBox, Object
from small_models_coral import BOXES_FIRST, CLASS_MAP, SCORES_FIRST, SCORES_INT8

Load = Callable[[bytes], Any]
IN_PIXELS = [Object(7, 0.9, BBox(4, 1, 12, 5)), Object(0, 0.5, BBox(0, 0, 20, 10))]
NAMED = {"output_0": "count", "output_1": "scores", "output_2": "ids", "output_3": "boxes"}


@pytest.fixture(params=["compiled", "classic", "official"])
def load(request: pytest.FixtureRequest) -> Load:
    cls: Any = {
        "compiled": Interpreter,
        "classic": partial(Interpreter, experimental_preserve_all_tensors=True),
        "official": Official,
    }[request.param]

    def loaded(model: bytes) -> Any:
        interpreter = cls(model_content=model)
        interpreter.allocate_tensors()
        return interpreter

    return loaded


def rounded(objects: list[Object]) -> list[Object]:
    return [one._replace(score=round(one.score, 6)) for one in objects]


def test_the_size_is_width_and_height(load: Load) -> None:
    interpreter = load(small_models.classifier_int8())
    assert common.input_size(interpreter) == (20, 10)
    assert common.input_details(interpreter, "name") == "image"
    assert common.input_details(interpreter, "dtype") is np.uint8


def test_set_input_copies_and_casts_into_the_first_input(load: Load) -> None:
    interpreter = load(small_models.classifier_int8())
    image = np.random.default_rng(0).integers(0, 256, (10, 20, 3))
    common.set_input(interpreter, image)
    np.testing.assert_array_equal(common.input_tensor(interpreter), image)
    common.set_input(interpreter, 3)
    assert (common.input_tensor(interpreter) == 3).all()
    with pytest.raises(ValueError, match="broadcast"):
        common.set_input(interpreter, np.zeros((20, 10, 3)))


def test_input_tensor_is_a_view_to_write_to_or_says_that_it_is_not(load: Load) -> None:
    interpreter = load(small_models.conv())
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    if getattr(interpreter, "route", None) and interpreter.route.name == "classic":
        with pytest.raises(ValueError, match="read-only"):
            common.input_tensor(interpreter)[:] = image
        return
    common.input_tensor(interpreter)[:] = image
    interpreter.invoke()
    np.testing.assert_array_equal(
        common.output_tensor(interpreter, 0), Interpreter(small_models.conv()).run(image[None])
    )


@pytest.mark.parametrize(
    ("size", "fitted", "scale"), [((40, 10), (20, 5), 0.5), ((10, 10), (10, 10), 1.0), ((5, 5), (10, 10), 2.0)]
)
def test_a_resized_image_keeps_its_aspect_and_is_padded_right_and_below(
    load: Load, size: tuple[int, int], fitted: tuple[int, int], scale: float
) -> None:
    interpreter = load(small_models.classifier_int8())
    common.set_input(interpreter, 255)
    asked = []

    def resize(wanted: tuple[int, int]) -> Any:
        asked.append(wanted)
        return np.full((wanted[1], wanted[0], 3), 9, np.uint8)

    result, scales = common.set_resized_input(interpreter, size, resize)
    assert asked == [fitted] and scales == (scale, scale)
    assert result.shape == (fitted[1], fitted[0], 3)
    wanted = np.zeros((10, 20, 3), np.uint8)
    wanted[: fitted[1], : fitted[0]] = 9
    np.testing.assert_array_equal(common.input_tensor(interpreter), wanted)


def test_scores_are_dequantized_in_wide_integers(load: Load) -> None:
    interpreter = load(small_models.classifier_int8())
    interpreter.invoke()
    assert classify.num_classes(interpreter) == 5
    scores = classify.get_scores(interpreter)
    np.testing.assert_array_equal(scores, (SCORES_INT8[0].astype(int) + 128) / 256)
    assert [one.id for one in classify.get_classes(interpreter)] == [1, 3, 4, 2, 0]
    assert classify.get_classes(interpreter, 1) == [(1, 255 / 256)]
    assert [one.id for one in classify.get_classes(interpreter, score_threshold=0.5)] == [1, 3, 4, 2]


def test_float_scores_are_a_copy(load: Load) -> None:
    interpreter = load(small_models.scale_by_two())
    interpreter.set_tensor(0, np.array([[1, 2, 3, 4]], np.float32))
    interpreter.invoke()
    scores = classify.get_scores(interpreter)
    scores[:] = 0
    assert classify.get_scores(interpreter).tolist() == [2, 4, 6, 8]
    interpreter.invoke()


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [({}, [2, 0, 3, 1]), ({"top_k": 2}, [2, 0]), ({"top_k": 9}, [2, 0, 3, 1]), ({"top_k": 0}, [])],
)
def test_classes_come_by_descending_score(arguments: dict[str, Any], ids: list[int]) -> None:
    scores = np.array([0.25, 0.0, 0.5, 0.125])
    assert [one.id for one in classify.get_classes_from_scores(scores, **arguments)] == ids


def test_the_score_threshold_is_inclusive_and_cuts_the_top() -> None:
    found = classify.get_classes_from_scores(np.array([1, 5, 3], np.uint8), top_k=2, score_threshold=5)
    assert found == [classify.Class(id=1, score=5.0)]


@pytest.mark.parametrize("order", [BOXES_FIRST, SCORES_FIRST])
def test_objects_are_found_in_both_orders_of_outputs(load: Load, order: tuple[str, ...]) -> None:
    interpreter = load(small_models.detector(order))
    interpreter.invoke()
    assert rounded(detect.get_objects(interpreter)) == IN_PIXELS
    assert rounded(detect.get_objects(interpreter, 0.6)) == IN_PIXELS[:1]
    assert rounded(detect.get_objects(interpreter, score_threshold=0.5)) == IN_PIXELS
    interpreter.invoke()


def test_objects_are_found_by_the_names_of_a_signature(load: Load) -> None:
    interpreter = load(small_models.detector(("ids", "count", "boxes", "scores"), signature=NAMED))
    interpreter.invoke()
    assert rounded(detect.get_objects(interpreter)) == IN_PIXELS


def test_boxes_are_in_pixels_of_the_image_before_scaling(load: Load) -> None:
    interpreter = load(small_models.detector())
    interpreter.invoke()
    first = detect.get_objects(interpreter, image_scale=(0.5, 0.25))[0]
    assert first.bbox == BBox(8, 4, 24, 20) and all(type(edge) is int for edge in first.bbox)


def test_a_model_that_is_no_detector_is_refused(load: Load) -> None:
    names = {"a": "count", "b": "scores", "c": "ids", "d": "boxes"}
    with pytest.raises(ValueError, match="output_0"):
        detect.get_objects(load(small_models.detector(signature=names)))
    with pytest.raises(ValueError, match="2 signatures"):
        detect.get_objects(load(small_models.two_signatures()))
    with pytest.raises(ValueError, match="1 outputs"):
        detect.get_objects(load(small_models.segmenter()))


def test_a_segmentation_is_a_map_of_bytes(load: Load) -> None:
    interpreter = load(small_models.segmenter())
    interpreter.invoke()
    output = segment.get_output(interpreter)
    assert output.dtype == np.uint8
    np.testing.assert_array_equal(output, CLASS_MAP[0])


def test_boxes_know_their_size() -> None:
    box = BBox(xmin=1, ymin=2, xmax=4, ymax=6)
    assert (box.width, box.height, box.area, box.valid) == (3, 4, 12, True)
    assert not BBox(4, 2, 1, 6).valid and not BBox(1, 6, 4, 2).valid
    assert BBox(1, 1, 1, 1).valid


def test_boxes_are_scaled_moved_and_mapped() -> None:
    box = BBox(1, 2, 4, 6)
    assert box.scale(2, 0.5) == BBox(2, 1, 8, 3)
    assert box.translate(10, -1) == BBox(11, 1, 14, 5)
    assert BBox(1.9, -1.9, 2.1, 3.5).map(int) == BBox(1, -1, 2, 3)


def test_boxes_are_intersected_and_united() -> None:
    a, b = BBox(0, 0, 4, 4), BBox(2, 1, 6, 3)
    assert BBox.intersect(a, b) == BBox(2, 1, 4, 3)
    assert BBox.union(a, b) == BBox(0, 0, 6, 4)
    assert BBox.iou(a, b) == 4 / (16 + 8 - 4)
    assert BBox.iou(a, a) == 1.0


@pytest.mark.parametrize("other", [BBox(5, 5, 6, 6), BBox(4, 0, 8, 4), BBox(-3, 1, -1, 2), BBox(1, 1, 1, 1)])
def test_boxes_without_overlap_have_an_iou_of_zero(other: BBox) -> None:
    assert BBox.iou(BBox(0, 0, 4, 4), other) == 0.0
    assert BBox.iou(BBox(1, 1, 1, 1), BBox(1, 1, 1, 1)) == 0.0
