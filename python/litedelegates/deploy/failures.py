"""How a pipeline fails: which stage, on what worker, and why."""

from __future__ import annotations

from typing import Literal, TypeAlias

from litedelegates.errors import LiteDelegatesError

Kind: TypeAlias = Literal["failed", "died", "timeout", "inputs lost", "no worker"]


class PipelineError(LiteDelegatesError, RuntimeError):
    """A stage could not be run.

    Attributes:
        kind: "failed" when the model or the runtime refused, which another attempt would not change; "died" when the
            worker ended; "timeout" when it did not answer; "inputs lost" when who made the inputs has ended with them;
            "no worker" when nobody has what the stage needs.
        stage: Number of the stage; None where it is about all of them.
        worker: Who was to run it; empty for nobody.
        reason: What happened, in words.
    """

    def __init__(self, kind: Kind, reason: str, *, stage: int | None = None, worker: str = "") -> None:
        """Make the error; its text has all of it."""
        where = f"stage {stage}" if stage is not None else "the pipeline"
        on = f" on {worker}" if worker else ""
        super().__init__(f"{where}{on}: {reason}")
        self.kind: Kind = kind
        self.stage, self.worker, self.reason = stage, worker, reason

    @property
    def is_about_the_worker(self) -> bool:
        """Whether another attempt, there or elsewhere, may do better."""
        return self.kind != "failed"
