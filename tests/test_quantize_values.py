"""The values of a quantized model are judged against its source's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from litedelegates.quantize.value_check import (
    InnerError,
    check_outputs,
    explained_error,
    where_error_begins,
)

INT8 = explained_error(["int8"], 3)


def judge(source, quantized, *, explained=INT8, step=None):
    """Return the judgement of one output, given its values in each sample."""
    check = check_outputs(
        ["y"], [[np.asarray(x)] for x in source], [[np.asarray(y)] for y in quantized], explained, [step]
    )
    assert check.verdict == check.outputs[0].verdict
    return check.outputs[0]


def boxes_and_scores(rng, samples=4, rows=64):
    boxes = rng.uniform(0, 320, (samples, rows, 4))
    return np.concatenate([boxes, rng.uniform(0.1, 0.9, (samples, rows, 3))], 2).astype(np.float32)


def test_rounding_is_fine_and_explained_by_the_precision():
    x = np.random.default_rng(0).normal(size=(4, 1, 10)).astype(np.float32)
    step = float(np.ptp(x)) / 255
    found = judge(x, np.rint(x / step) * step)
    assert found.verdict == "fine" and found.text == "" and 0 < found.relative_error < 0.02


def test_each_precision_explains_twice_what_its_roundings_make():
    assert explained_error(["int8"], 1) == pytest.approx(2 * 2**-3.5)
    assert explained_error(["float16"], 1) == pytest.approx(2 * 2**-5)
    assert explained_error(["float32", "float16"], 1) == explained_error(["float16"], 1)
    assert explained_error(["float16", "dynamic"], 1) == explained_error(["int16x8"], 1) == explained_error(["int8"], 1)
    assert explained_error(["int8"], 512) == pytest.approx(2 * 2**-7 * math.sqrt(512))


def test_an_error_beyond_rounding_is_a_warning_with_its_figure():
    x = np.random.default_rng(0).normal(size=(4, 1, 10))
    found = judge(x, 1.4 * x)
    assert found.verdict == "warning" and found.relative_error == pytest.approx(0.4)
    assert found.text == "output 'y' is off by 40% of its norm, of which rounding explains 18%"


def test_one_value_for_all_samples_and_what_is_worse_than_noise_are_errors():
    x = np.random.default_rng(0).normal(size=(4, 1, 10))
    assert judge(x, 0.1 * x).verdict == "warning"
    assert judge(x, 0 * x).verdict == "error"
    found = judge(x, -x)
    assert found.verdict == "error" and found.relative_error == pytest.approx(2)
    assert "2 times its norm" in found.text


def test_an_error_within_one_step_is_no_failure():
    x = np.full((4, 1, 1000), 0.001)
    y = np.where(np.random.default_rng(0).random(x.shape) < 0.5, 0, 1 / 256)
    assert judge(x, y).verdict == "error"
    assert judge(x, y, step=1 / 256).verdict == "warning"  # more than half is lost
    assert judge(x, 1.4 * x, step=1 / 256).verdict == "fine"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_longer_finite_are_an_error(bad):
    x = np.ones((2, 1, 4))
    y = x.copy()
    y[1, 0, 2] = bad
    found = judge(x, y)
    assert found.verdict == "error" and found.text.startswith("1 of 8 values of output 'y' are NaN or infinite")


def test_values_that_were_not_finite_before_say_nothing():
    x = np.array([[[1.0, -np.inf, 2.0, np.nan]]] * 2)
    assert judge(x, np.where(np.isfinite(x), x, 7)).verdict == "fine"


def test_columns_that_died_beside_larger_ones_are_named():
    x = boxes_and_scores(np.random.default_rng(0))
    step = 320 / 255
    y = np.rint(x / step) * step
    y[..., 4:] = 0
    found = judge(x, y)
    assert found.verdict == "warning" and found.relative_error < 0.01
    assert [column.index for column in found.columns] == [4, 5, 6] and all(column.is_dead for column in found.columns)
    assert "columns 4 to 6 (along axis 1) hold one value, where the source's values vary" in found.text


def test_columns_of_the_channel_axis_are_named():
    x = boxes_and_scores(np.random.default_rng(0))[:, None].transpose(0, 1, 3, 2)  # batch, columns, boxes
    y = x.copy()
    y[:, :, 4:] = 0
    found = judge(x, y)
    assert {column.axis for column in found.columns} == {1}
    assert [column.index for column in found.columns] == [4, 5, 6]


def test_columns_that_are_lost_but_for_a_bit_are_named():
    x = boxes_and_scores(np.random.default_rng(0))
    y = x.copy()
    y[..., 5] = np.where(x[..., 5] > 0.5, 1.25, 0)
    found = judge(x, y)
    assert [(column.index, column.is_dead) for column in found.columns] == [(5, False)]
    assert "column 5 (along axis 1) is off by up to" in found.text


def test_probabilities_of_classes_that_no_sample_shows_are_not_dead():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 1, 100)) * 8
    x = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert judge(x, np.rint(x * 256) / 256, step=1 / 256).verdict == "fine"


def test_a_channel_that_rarely_fires_is_not_dead():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 64, 8))
    x[..., 3] = 0
    x[1, 5, 3] = 0.01
    y = x.copy()
    y[..., 3] = 0
    assert judge(x, y).verdict == "fine"


def test_an_output_that_holds_one_value_is_said_to():
    x = np.random.default_rng(0).uniform(0.4, 0.6, (8, 1, 1))
    found = judge(x, np.full_like(x, 0.5))
    assert found.verdict == "warning" and "is the same for every sample" in found.text
    assert judge(np.full_like(x, 0.5), np.full_like(x, 0.49)).verdict == "fine"  # the source's is one value too


def test_indices_and_shapes_are_compared_as_such():
    x = np.arange(8).reshape(4, 2)
    assert judge(x, np.where(x == 3, 4, x)).verdict == "fine"
    assert judge(x, x + 1).verdict == "warning"
    assert judge(np.zeros((2, 3)), np.zeros((2, 4))).text == "output 'y' is of shape [4] instead of [3]"
    assert judge(np.zeros((2, 3)), np.zeros((2, 4))).verdict == "warning"
    assert judge(np.zeros((2, 3)), np.zeros((2, 1, 3))).verdict == "error"


@pytest.mark.parametrize("shape", [(), (0,), (1, 0, 4), (1,)])
def test_outputs_of_any_shape_are_compared(shape):
    x = np.ones((3, *shape), np.float32)
    assert judge(x, x).verdict == "fine"
    assert judge(0 * x, x).verdict == ("warning" if x.size else "fine")


def test_the_error_of_several_outputs_is_told_errors_first():
    x = np.random.default_rng(0).normal(size=(1, 10))
    check = check_outputs(["a", "b", "c"], [[x, x, x]] * 2, [[1.4 * x, x, -x]] * 2, INT8)
    assert check.verdict == "error" and check.samples == 2
    assert check.text.startswith("output 'c'") and "; output 'a'" in check.text and "'b'" not in check.text


def test_the_error_begins_where_right_values_become_wrong_ones():
    steps = [InnerError("a", 0, 0.01), InnerError("b", 0.01, 0.5), InnerError("c", 0.5, 0.9)]
    assert where_error_begins(steps, 0.18).op == "b"
    assert where_error_begins(steps[:1], 0.18) is None
    assert where_error_begins([InnerError("a", 0, 0.05), InnerError("b", 0.05, 0.17)], 0.18).op == "b"
    assert where_error_begins([], 0.18) is None
