"""The two ways to run a model, and the choice between them.

The compiled route drives the runtime's C interface: all delegates, options, chains, profiles. The classic route is the
official Interpreter of the same wheel, for the models that the first cannot run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Route(NamedTuple):
    """Which way a model runs.

    Attributes:
        name: "compiled" or "classic".
        reason: Why this one.
    """

    name: str
    reason: str
