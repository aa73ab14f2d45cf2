"""Sums of layers against the whole model, on figures that are added up by hand."""

from __future__ import annotations

import math

import pytest
from litedelegates.layers.records import Alone, InPlace, PartTiming, Setting
from litedelegates.layers.sums import Figure, SumOfLayers, sum_report

FLOAT32, INT8 = Setting("float32", "xnnpack"), Setting("int8", "xnnpack")


def alone(layer: int, setting: Setting, median: float, spread: float | None = None, **more: object) -> Alone:
    ends = {} if spread is None else {"low_us": median - spread, "high_us": median + 2 * spread}
    return Alone(layer, setting, median_us=median, **ends, **more)  # type: ignore[arg-type]


def whole(setting: Setting, us: float, parts: dict[tuple[int, ...], float], spread: float | None = None) -> InPlace:
    timings = tuple(PartTiming("op", "xnnpack", "layer", layers, (time,), "by hand") for layers, time in parts.items())
    ends = {} if spread is None else {"whole_low_us": us - spread, "whole_high_us": us + spread}
    return InPlace(setting, timings, whole_us=us, **ends)  # type: ignore[arg-type]


def test_layers_that_take_what_the_whole_takes_explain_it() -> None:
    records = [alone(0, FLOAT32, 600, 3), alone(1, FLOAT32, 400, 4), alone(0, INT8, 200, 0.3), alone(1, INT8, 100, 0.4)]
    wholes = [whole(FLOAT32, 1010, {(0,): 610, (1,): 390}, 1), whole(INT8, 310, {(0,): 200, (1,): 105}, 1)]
    plain, int8 = sum_report(records, wholes)
    assert plain.sum_us == Figure(1000, 995, 1010)  # the distances 3 and 4 add up to 5, and 6 and 8 to 10
    assert plain.whole_us == Figure(1010, 1009, 1011) and plain.difference_us == 10 and plain.in_place_us == 1000
    assert plain.verdict == "explained" and plain.missing == () and plain.missing_share == 0
    assert plain.sum_speed_up is None and plain.whole_speed_up is None
    assert int8.sum_us == Figure(300, 299.5, 301)
    assert int8.sum_speed_up is not None and int8.whole_speed_up is not None
    assert int8.sum_speed_up.value == pytest.approx(1000 / 300)
    assert int8.sum_speed_up.low == pytest.approx(
        1000 / 300 * math.exp(-math.hypot(math.log(1000 / 995), math.log(301 / 300)))
    )
    assert int8.sum_speed_up.high == pytest.approx(
        1000 / 300 * math.exp(math.hypot(math.log(1010 / 1000), math.log(300 / 299.5)))
    )
    assert int8.whole_speed_up.value == pytest.approx(1010 / 310)
    assert int8.describe() == (
        "int8 xnnpack 1t: the 2 layers take 0.300 (0.299 to 0.301) ms alone and the whole 0.310 (0.309 to 0.311) "
        "ms, +0.0100 ms: it is explained by them; over float32 the layers gain 3.33 (3.31 to 3.37) and the whole 3.26 "
        "(3.25 to 3.27)."
    )


def test_a_whole_beyond_its_layers_is_called_faster_or_slower() -> None:
    records = [alone(0, FLOAT32, 500, 1), alone(1, FLOAT32, 500, 1)]
    for us, verdict in ((900, "faster than its layers"), (1100, "slower than its layers"), (1040, "explained")):
        (found,) = sum_report(records, [whole(FLOAT32, us, {(0,): 500, (1,): 500}, 1)])
        assert found.verdict == verdict
    (unsure,) = sum_report(records, [whole(FLOAT32, 1040, {(0,): 500, (1,): 500}, 40)])
    assert unsure.verdict == "cannot be told"  # from as long as the sum to 8 % longer


def test_layers_without_a_time_are_counted_and_weighed_by_their_time_in_place() -> None:
    records = [alone(0, FLOAT32, 500), Alone(1, FLOAT32, refusal="it cannot be cut out")]
    (light,) = sum_report(records, [whole(FLOAT32, 505, {(0,): 499, (1,): 1})])
    assert light.missing == (1,) and light.missing_share == pytest.approx(0.002) and light.verdict == "explained"
    (heavy,) = sum_report(records, [whole(FLOAT32, 700, {(0,): 500, (1,): 150, (2,): 50})])
    assert heavy.missing == (1, 2) and heavy.missing_share == pytest.approx(200 / 700)
    assert heavy.verdict == "cannot be told" and "2 more have no time, 28.6% of the time in place" in heavy.describe()
    (unknown,) = sum_report(records)
    assert unknown.verdict == "cannot be told" and unknown.missing_share is None and unknown.whole_us is None


def test_speed_ups_are_over_layers_that_have_times_in_both_and_fused_ones_count_once() -> None:
    records = [
        *(alone(layer, FLOAT32, us) for layer, us in enumerate((100, 200, 300, 400))),
        alone(0, INT8, 50, together=(0, 1)),
        Alone(1, INT8, refusal="layer 0 computes it too"),
        alone(2, INT8, 100),
        Alone(3, INT8, refusal="it crashed"),
    ]
    int8 = sum_report(records)[1]
    assert int8.layers == 3 and int8.missing == (3,)
    assert int8.sum_us == Figure(150)  # without an interval, because no layer has one
    assert int8.sum_speed_up == Figure(600 / 150)


def test_settings_are_held_against_float32_of_their_own_delegate_and_threads() -> None:
    other = Setting("float32", "none"), Setting("int8", "none", 2)
    records = [alone(0, FLOAT32, 100), alone(0, INT8, 50), alone(0, other[0], 900), alone(0, other[1], 300)]
    found = {each.setting: each for each in sum_report(records)}
    assert list(found) == [FLOAT32, INT8, *other]
    assert found[INT8].sum_speed_up == Figure(2) and found[other[1]].sum_speed_up is None


def test_sums_are_written_and_read_back() -> None:
    (found,) = sum_report([alone(0, FLOAT32, 500, 1)], [whole(FLOAT32, 510, {(0,): 480, (1,): 20}, 2)])
    assert SumOfLayers.from_json(found.to_json()) == found


@pytest.mark.parametrize(("value", "said"), [(1.0, "1.00"), (0.998, "0.998"), (159.2, "159"), (2345.6, "2346")])
def test_figures_are_said_in_three_digits(value: float, said: str) -> None:
    assert str(Figure(value)) == said and str(Figure(value, value, value)) == f"{said} ({said} to {said})"
