"""Interaction terms: what was planted is found again, and predictions are checked on models that were left out."""

from __future__ import annotations

import numpy as np
import pytest
from litedelegates.plan.fitting import fit_terms, nonnegative_least_squares
from litedelegates.plan.terms import ASSUMED_CONVERSION, Fit, Line, Terms
from planted_study import GRAPH, planted

FACTORS = {"float32": 1.02, "dynamic": 0.97, "int8": 1.05}


def test_planted_terms_are_found_again() -> None:
    terms = fit_terms(
        GRAPH, planted(quantize=(1.5, 0.002), dequantize=(4.0, 0.001), factors=FACTORS, mixes=24, drift=1.3)
    )
    quantize, dequantize = terms.quantize["xnnpack 1t"], terms.dequantize["xnnpack 1t"]
    assert quantize.at(8192) == pytest.approx(1.5 + 0.002 * 8192, rel=0.05)
    assert dequantize.at(8192) == pytest.approx(4.0 + 0.001 * 8192, rel=0.05)
    for precision, factor in FACTORS.items():
        assert terms.factors[f"{precision} xnnpack 1t"] == pytest.approx(factor, rel=0.01)
    assert terms.fit.median is not None and terms.fit.median < 0.002
    assert "24 mixed models" in terms.notes[0]


def test_what_was_off_with_noisy_times_is_about_the_noise() -> None:
    quiet, loud = (
        fit_terms(GRAPH, planted(quantize=(1.5, 0.002), mixes=24, noise=noise)).fit.median for noise in (0.01, 0.1)
    )
    assert quiet is not None and loud is not None
    assert 0.003 < quiet < 0.02
    assert 0.03 < loud < 0.2


def test_a_model_that_follows_other_laws_is_told_by_the_check() -> None:
    import dataclasses

    study = planted(mixes=24)
    rng = np.random.default_rng(0)
    odd = tuple(
        timing
        if timing.is_uniform
        else dataclasses.replace(timing, whole_us=(timing.whole_us or 0) * rng.uniform(0.3, 3))
        for timing in study.mixed
    )
    median = fit_terms(GRAPH, dataclasses.replace(study, mixed=odd, _by_index={})).fit.median
    assert median is not None and median > 0.2


def test_without_mixed_models_terms_are_assumed_and_it_is_said() -> None:
    terms = fit_terms(GRAPH, planted(quantize=(1.5, 0.002), factors=FACTORS))
    assert terms.conversion("xnnpack", 1, is_quantize=True) == ASSUMED_CONVERSION
    assert terms.factors["float32 xnnpack 1t"] == pytest.approx(1.02)
    assert terms.fit.median is None
    assert "nothing was checked" in terms.notes[0]


def test_terms_read_back_what_they_wrote() -> None:
    terms = Terms(
        {"none 1t": Line(1.0, 0.5)}, factors={"int8 none 1t": 1.1}, fits={"none 1t": Fit({"a": 0.1, "b": -0.2})}
    )
    assert Terms.from_json(terms.to_json()) == terms
    assert Terms.from_json(terms.to_json()).fits["none 1t"].quantile(1) == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(20))
def test_non_negative_least_squares_fulfils_the_conditions_of_the_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design, target = rng.standard_normal((12, 6)), rng.standard_normal(12)
    found = nonnegative_least_squares(design, target)
    gradient = design.T @ (target - design @ found)
    assert (found >= 0).all()
    assert (gradient <= 1e-8).all()  # no step into the allowed makes it better
    assert np.abs(gradient[found > 0]).max(initial=0) < 1e-8
