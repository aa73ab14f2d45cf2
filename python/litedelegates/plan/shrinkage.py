r"""Expected times of layers from noisy ones: each precision's gain drawn towards what the layers have in common.

Of many noisy times the lowest is lower than the truth: a planner that takes it promises more than comes true (J. E.
Smith and R. L. Winkler, The Optimizer's Curse, Management Science 52, 2006). What is expected of a choice, given all
that was measured, promises what comes true in the mean. The model behind it, for the layers l and the precisions s of
a delegate, of which s = 0 is the first (float32):

    measured  log t[l, s] = a[l] + m[s] + b[l, s] + e[l, s],   e ~ N(0, v[l, s]),   b ~ N(0, tau[s]^2),   b[l, 0] = 0

``a`` is the layer, ``m`` the gain that a precision has in the mean over the layers, ``b`` what the layer differs by,
``e`` the noise, whose variance was measured. ``tau`` is what layers differ by beyond their noise: the estimate of
R. C. Paule and J. Mandel (Consensus Values and Weighting Factors, 1982), as in meta-analyses. Expected is then (B.
Efron and C. Morris, 1973, empirical Bayes)

    w log t[l, s] + (1 - w) (a[l] + m[s]),   w = tau[s]^2 / (tau[s]^2 + v[l, s])

Where layers differ by much more than the noise this is what was measured; where they differ by no more than the noise,
all have the same gain, and nothing is gained by mixing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from litedelegates.plan.problem import Array

NORMAL_95 = 1.96  # half the 95 % interval of a normal distribution, in standard deviations
_LEAST_LAYERS = 3  # of fewer nothing can be said of what layers have in common
_EXACT = 1e-12  # a variance; exact times have none
_HALVINGS = 100

Times = tuple[Mapping[int, float], Mapping[int, float]]


def shrunken(times: Sequence[Times]) -> list[Times]:
    """Return expected times of layers, and half their 95 % intervals as shares of them, for each precision.

    Args:
        times: Microseconds by layer and such half widths, of the precisions of one delegate; the first is what the
            others are compared with. Layers with a time of 0, or with none, stay so.
    """
    layers = [layer for layer, us in times[0][0].items() if us > 0] if times else []
    us = np.array([[own.get(layer, 0.0) for own, _ in times] for layer in layers]).reshape(len(layers), len(times))
    spread = np.array([[own.get(layer, 0.0) for _, own in times] for layer in layers]).reshape(us.shape)
    known, variance = us > 0, (spread / NORMAL_95) ** 2
    if len(times) < 2 or len(layers) < _LEAST_LAYERS or not (variance * known).any():
        return list(times)
    expected, error = _expected(np.log(np.where(known, us, 1.0)), variance, known)
    found: list[Times] = []
    for place, (own, widths) in enumerate(times):
        rows = [row for row in range(len(layers)) if known[row, place]]
        drawn = {layers[row]: float(np.exp(expected[row, place])) for row in rows}
        half = {layers[row]: NORMAL_95 * float(error[row, place]) for row in rows}
        found.append(({**own, **drawn}, {**widths, **half}))
    return found


def _expected(logs: Array, variance: Array, known: Array) -> tuple[Array, Array]:
    """Return the expected logarithms and their standard deviations."""
    means, between = np.zeros(logs.shape[1]), np.zeros(logs.shape[1])
    for place in range(1, logs.shape[1]):
        both = known[:, place]
        if both.sum() < _LEAST_LAYERS:
            between[place] = np.inf
            continue
        gains = logs[both, place] - logs[both, 0]
        means[place], between[place] = common(gains, variance[both, place] + variance[both, 0])
    noise = np.maximum(variance, _EXACT)
    weight = np.where(known, 1.0 / (noise + between), 0.0)
    layer = (weight * (logs - means)).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
    own = np.where(np.isinf(between), 1.0, between / (np.where(np.isinf(between), 0.0, between) + noise))
    expected = own * logs + (1 - own) * (layer + means)
    error = np.sqrt(own * variance + (1 - own) ** 2 / weight.sum(axis=1, keepdims=True))
    return expected, error


def common(values: Array, variance: Array) -> tuple[float, float]:
    """Return the mean that noisy values have in common, and the variance between them beyond their noise.

    The variance is that at which the weighted squares come to what is expected of them: ``sum((x - mean)^2 / (v +
    tau^2)) = n - 1``; 0 where they are less without it.

    Args:
        values: Float array of shape (n,).
        variance: Of the noise of each, of the same shape.
    """
    noise = np.maximum(variance, _EXACT)

    def at(between: float) -> tuple[float, float]:
        weight = 1.0 / (noise + between)
        mean = float((weight * values).sum() / weight.sum())
        return mean, float((weight * (values - mean) ** 2).sum()) - (len(values) - 1)

    low, high = 0.0, float(np.ptp(values)) ** 2
    if at(0.0)[1] <= 0 or high == 0:
        return at(0.0)[0], 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle)[1] > 0 else (low, middle)
    return at(high)[0], high
