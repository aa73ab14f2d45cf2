"""How far values are from what they should be: the figures against plain formulas, and where they must not lie."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from litedelegates.border import quantize
from litedelegates.graph import Quantization
from litedelegates.measure import ErrorFigures, ErrorSums, SampleError, real_values

RANDOM = np.random.default_rng(7)


def figures(reference, other, quantization=None, reference_quantization=None) -> ErrorFigures:
    sums = ErrorSums()
    sums.add(
        np.asarray(reference),
        np.asarray(other),
        quantization=quantization,
        reference_quantization=reference_quantization,
    )
    return sums.result()


def by_the_book(x, y) -> dict[str, float]:
    """Return the figures by their definitions, all at once in float64."""
    x, y = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    d = y - x
    return {
        "rmse": math.sqrt(np.mean(d**2)),
        "sqnr_db": 10 * math.log10(np.mean(x**2) / np.mean(d**2)),
        "cosine": float(x @ y / math.sqrt((x @ x) * (y @ y))),
        "max_abs": float(np.abs(d).max()),
    }


def by_hand(integers, scales, zero_points, axis=0) -> np.ndarray:
    """Return real values one after the other, in Python's own numbers."""
    real = np.empty(integers.shape, np.float64)
    for place in itertools.product(*map(range, integers.shape)):
        which = place[axis] if len(scales) > 1 else 0
        real[place] = scales[which] * (int(integers[place]) - zero_points[which])
    return real


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 9000), (4, 3, 1000)])
def test_the_figures_are_those_of_the_formulas_whatever_the_size(shape):
    x = RANDOM.normal(size=shape).astype(np.float32)
    y = (x + 0.1 * RANDOM.normal(size=shape)).astype(np.float32)
    found, wanted = figures(x, y), by_the_book(x, y)
    assert found.elements == x.size
    assert {name: getattr(found, name) for name in wanted} == pytest.approx(wanted, rel=1e-12)
    assert (found.rmse_over_scale, found.saturated, found.flags) == (None, None, ())


@pytest.mark.parametrize(
    ("integers", "quantization"),
    [
        (np.arange(256, dtype=np.uint8).reshape(4, 64), Quantization((0.5,), (200,))),
        (np.arange(-128, 128, dtype=np.int8).reshape(4, 8, 8), Quantization((0.25, 3.0, 0.01, 7.0), (0,) * 4)),
        (
            np.arange(-128, 128, dtype=np.int8).reshape(8, 8, 4),
            Quantization((0.25, 3.0, 0.01, 7.0), (5, -9, 0, 127), 2),
        ),
        (np.arange(-128, 128, dtype=np.int8).reshape(8, 4, 8), Quantization((0.25, 3.0, 0.01, 7.0), (5, -9, 0, 1), -2)),
        (np.array([[-32768, -1, 0], [1, 77, 32767]], np.int16), Quantization((1 / 32768,), (0,))),
        (np.array([-(2**31), -7, 0, 2**31 - 1], np.int32), Quantization((0.001, 0.002, 0.5, 0.25), (0,) * 4)),
        (np.array([[0, 65535]], np.uint16), Quantization((0.1,), (65535,))),
    ],
)
def test_integers_become_the_real_values_that_they_stand_for(integers, quantization):
    wanted = by_hand(integers, quantization.scales, quantization.zero_points, quantization.axis)
    real = real_values(integers, quantization)
    assert real.dtype == np.float64
    np.testing.assert_allclose(real, wanted, rtol=1e-15)
    # And so they do where they are compared: against these values nothing differs, against others the right amount.
    assert figures(wanted, integers, quantization).max_abs == pytest.approx(0, abs=1e-9)
    assert figures(integers, wanted, None, quantization).max_abs == pytest.approx(0, abs=1e-9)
    shifted = figures(wanted + 2.0, integers, quantization)
    assert (shifted.rmse, shifted.max_abs) == pytest.approx((2.0, 2.0), rel=1e-9)


def test_what_lies_below_the_zero_point_does_not_wrap_around():
    stored, quantization = np.array([0, 99, 100, 255], np.uint8), Quantization((1.0,), (100,))
    wrapped = stored - np.uint8(100)  # what computing in the integers' own type gives
    assert wrapped.tolist() == [156, 255, 0, 155]
    assert real_values(stored, quantization).tolist() == [-100.0, -1.0, 0.0, 155.0]
    assert figures([-100.0, -1.0, 0.0, 155.0], stored, quantization).rmse == 0.0
    small = Quantization((1.0,), (-100,))
    assert real_values(np.array([127], np.int8), small).tolist() == [227.0]  # 227 is no int8


def test_values_without_a_scale_are_what_they_say():
    assert real_values(np.array([1.5, -2.0], np.float16), None).tolist() == [1.5, -2.0]
    assert real_values(np.array([3, -4], np.int64), None).tolist() == [3.0, -4.0]
    assert real_values(np.array([True, False]), None).tolist() == [1.0, 0.0]
    assert real_values(np.zeros((0, 3), np.int8), Quantization((1.0, 2.0, 3.0), (0, 0, 0), 1)).shape == (0, 3)


def test_rounding_alone_gives_an_error_of_a_step_over_the_root_of_twelve():
    x, quantization = RANDOM.uniform(-6, 6, 100_000), Quantization((0.05,), (3,))
    stored = quantize(x, "int8", quantization.scales, quantization.zero_points)
    found = figures(x, stored, quantization)
    assert found.rmse_over_scale == pytest.approx(1 / math.sqrt(12), rel=0.01)
    assert found.rmse == pytest.approx(found.rmse_over_scale * 0.05, rel=1e-12)
    assert found.sqnr_db == pytest.approx(10 * math.log10(np.mean(x**2) * 12 / 0.05**2), abs=0.1)
    assert found.saturated == 0.0


def test_the_error_in_steps_counts_each_channel_in_its_own_steps():
    stored, quantization = np.array([[0, 0], [0, 0]], np.int8), Quantization((0.5, 2.0), (0, 0), 1)
    assert figures([[1.0, 4.0], [1.0, 4.0]], stored, quantization).rmse_over_scale == pytest.approx(2.0)


def test_the_saturated_share_is_that_of_the_ends_of_the_integer_type():
    stored = np.array([0, 255, 255, 7], np.uint8)
    assert figures(np.zeros(4), stored, Quantization((1.0,), (7,))).saturated == 0.75
    stored = np.array([-32768, 32767, 127, -128], np.int16)
    assert figures(np.zeros(4), stored, Quantization((1.0,), (0,))).saturated == 0.5
    assert figures(np.zeros(4), stored).saturated is None


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-30, 1e30, 1e150, 1e300])
def test_the_size_of_the_values_does_not_matter(size):
    x = np.array([1.0, -2.0, 3.0, 0.5])
    y = np.array([1.5, -2.0, 2.0, 0.5])
    wanted, found = by_the_book(x, y), figures(x * size, y * size)
    tolerance = 1e-3 if size < 1e-300 else 1e-12  # there float64 has few digits left
    assert found.cosine == pytest.approx(wanted["cosine"], rel=tolerance)
    assert found.sqnr_db == pytest.approx(wanted["sqnr_db"], rel=tolerance)
    assert (found.rmse, found.max_abs) == pytest.approx((wanted["rmse"] * size, size), rel=tolerance)


def test_huge_and_small_values_in_turn_give_what_they_give_together():
    parts = [(np.full(10, size), np.full(10, size * 1.5)) for size in (1e-250, 1e200, 1.0, 1e-300)]
    sums = ErrorSums()
    for x, y in parts:
        sums.add(x, y)
    found = sums.result()
    assert found.cosine == pytest.approx(1.0, rel=1e-15)
    assert found.sqnr_db == pytest.approx(10 * math.log10(4), rel=1e-12)
    assert found.rmse == pytest.approx(1e200 / 4, rel=1e-12)


def test_merged_sums_are_those_of_all_arrays():
    quantization = Quantization((0.1,), (-3,))
    xs = [RANDOM.normal(size=(5, 70)) for _ in range(4)]
    ys = [quantize(x, "int8", quantization.scales, quantization.zero_points) for x in xs]
    whole, halves = ErrorSums(), [ErrorSums(), ErrorSums()]
    for index, (x, y) in enumerate(zip(xs, ys, strict=True)):
        whole.add(x, y, quantization=quantization)
        halves[index % 2].add(x, y, quantization=quantization)
    halves[0].merge(halves[1])
    merged, wanted = halves[0].result(), whole.result()
    for name in ("elements", "rmse", "rmse_over_scale", "sqnr_db", "cosine", "max_abs", "saturated"):
        assert getattr(merged, name) == pytest.approx(getattr(wanted, name), rel=1e-12), name
    assert merged.flags == wanted.flags == ()


def test_nothing_different_is_an_infinite_ratio():
    x = RANDOM.normal(size=50)
    found = figures(x, x.copy())
    assert (found.rmse, found.max_abs, found.sqnr_db) == (0.0, 0.0, math.inf)
    assert found.cosine == pytest.approx(1.0, abs=1e-15)
    assert found.cosine <= 1.0


def test_nothing_compared_has_no_figures():
    assert ErrorSums().result() == ErrorFigures(0)
    assert figures(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.int8), Quantization((1.0,), (0,))) == ErrorFigures(
        0
    )


@pytest.mark.parametrize(
    ("x", "y", "flags"),
    [
        ([1.0, 2.0], [1.0, math.nan], ("nan",)),
        ([1.0, 2.0], [1.0, -math.inf], ("inf",)),
        ([1.0, math.inf], [1.0, 2.0], ("inf",)),
        ([1.0, math.inf], [math.nan, 2.0], ("nan", "inf")),
        ([1.0, math.inf, 2.0], [1.0, -math.inf, 3.0], ("inf",)),
    ],
)
def test_a_value_that_is_not_finite_in_one_of_the_two_is_an_infinite_error(x, y, flags):
    found = figures(np.array([*x, 5.0], np.float32), np.array([*y, 5.0], np.float32))
    assert (found.rmse, found.max_abs, found.sqnr_db, found.cosine) == (math.inf, math.inf, -math.inf, None)
    assert found.flags == flags


def test_a_mask_of_minus_infinity_in_both_is_flagged_and_left_out():
    x, y = [-math.inf, 1.0, math.nan, 3.0], [-math.inf, 1.5, math.nan, 3.0]
    found = figures(x, y)
    assert found.flags == ("nan", "inf")
    assert (found.elements, found.max_abs) == (4, 0.5)
    assert found.rmse == pytest.approx(0.5 / math.sqrt(2))
    assert found.cosine == pytest.approx((1.5 + 9) / math.sqrt(10 * 11.25))


def test_where_nothing_is_finite_there_are_no_figures():
    assert figures([math.nan, math.inf], [math.nan, math.inf]) == ErrorFigures(2, flags=("nan", "inf"))


def test_all_zero_and_constant_values_are_flagged():
    assert figures([0.0, 0.0], [0.0, 0.0]).flags == ("all zero",)
    dead = figures([1.0, 2.0], np.array([4, 4], np.uint8), Quantization((0.5,), (4,)))
    assert (dead.flags, dead.cosine, dead.sqnr_db) == (("all zero",), None, 0.0)
    silent = figures([0.0, 0.0], [0.0, 1.0])
    assert (silent.flags, silent.cosine, silent.sqnr_db) == (("all zero",), None, -math.inf)
    assert figures([3.0, 3.0], [3.0, 3.1]).flags == ("constant",)
    assert figures(3.0, 3.1).flags == ()  # one value is always the same
    assert figures([math.inf, 1.0], [math.inf, 1.0]).flags == ("inf",)


def test_values_farther_apart_than_float64_reaches_are_an_infinite_error():
    assert figures([1.7e308], [-1.7e308]).max_abs == math.inf


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(SampleError, match=r"\(2, 3\).*\(3, 2\)"):
        figures(np.zeros((3, 2)), np.zeros((2, 3)))
    with pytest.raises(SampleError, match="no real numbers"):
        figures(np.zeros(2), np.array(["a", "b"]))


def test_large_arrays_are_compared_without_copies_of_their_size():
    x, stored = np.ones((1, 512, 512, 16), np.float32), np.ones((1, 512, 512, 16), np.int8)  # 4 million values
    tracemalloc.start()
    try:
        figures(x, stored, Quantization((0.5,) * 16, (0,) * 16, 3))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The masks that count saturated values take a byte a value; a copy in float64 would take eight.
    assert peak < 2 * stored.nbytes
