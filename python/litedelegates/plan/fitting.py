"""The interaction terms of a device, from what its study has seen of whole models."""

from __future__ import annotations

from litedelegates.layers import LayerStudy
from litedelegates.plan.layer_times import layer_times
from litedelegates.plan.terms import Terms


def fit_terms(study: LayerStudy) -> Terms:
    """Return the terms that a study gives."""
    return Terms(factors={setting.label: times.factor for setting, times in layer_times(study).items()})
