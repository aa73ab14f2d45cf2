"""A plan as files, and the pipeline that runs them on one machine or several."""

from __future__ import annotations

from litedelegates.deploy.failures import PipelineError
from litedelegates.deploy.pipeline import Pipeline

__all__ = ["Pipeline", "PipelineError"]
