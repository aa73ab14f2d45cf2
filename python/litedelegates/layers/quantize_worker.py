"""The process in which models are quantized: ``python -m litedelegates.layers.quantize_worker``, see `study.worker`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from litedelegates.study.worker import serve


class QuantizeDesk:
    """Answers orders about models to make; each is a method."""

    def __init__(self) -> None:
        """Know the orders."""
        self._orders: dict[str, Callable[..., dict[str, Any]]] = {
            order.__name__: order for order in (self.greet, self.quantize)
        }

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message says and return the answer."""
        arguments = dict(message)
        return self._orders[arguments.pop("do")](**arguments)

    def quantize(
        self, model: str, output: str, precision: str | None, calibration: str | None, keywords: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write a model quantized; the answer says why where it cannot be made."""
        from litedelegates.errors import LiteDelegatesError
        from litedelegates.quantize import quantize_file

        named = dict(keywords)
        if "plan" in named:
            named["plan"] = dict(named["plan"])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                quantize_file(model, output, precision, calibration, **named)
        except (LiteDelegatesError, OSError) as error:
            return {"refusal": str(error)}
        return {}

    def greet(self) -> dict[str, Any]:
        """Import what takes its time, which shows that the process is there."""
        import litedelegates.quantize  # noqa: F401

        return {}

    def close(self) -> None:
        """Leave: nothing is held between two orders."""


if __name__ == "__main__":
    serve(QuantizeDesk)
