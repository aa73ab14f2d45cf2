"""A plan as files, the proof that they are what was planned, and the pipeline that runs them."""

from litedelegates.deploy.failures import PipelineError
from litedelegates.deploy.in_turn import StageCheck, UniformCheck
from litedelegates.deploy.pipeline import Pipeline
from litedelegates.deploy.reading import read_manifest
from litedelegates.deploy.records import ExitRule, Manifest, Port, StageFile, StageTiming
from litedelegates.deploy.verifying import Verification, verify
from litedelegates.deploy.writing import deploy

__all__ = [
    "ExitRule",
    "Manifest",
    "Pipeline",
    "PipelineError",
    "Port",
    "StageCheck",
    "UniformCheck",
    "StageFile",
    "StageTiming",
    "Verification",
    "deploy",
    "read_manifest",
    "verify",
]
