"""Measure: interleaved timing, honest statistics, and what they were made on."""

from litedelegates.measure.interleave import Block, Interleaved, Plan, Timed, Timer, interleave
from litedelegates.measure.machine import Machine, read_machine, read_temperature_c
from litedelegates.measure.statistics import (
    Interval,
    RatioInterval,
    SampleError,
    Summary,
    Verdict,
    median_interval,
    ratio_interval,
    summarize,
)

__all__ = [
    "Block",
    "Interleaved",
    "Interval",
    "Machine",
    "Plan",
    "RatioInterval",
    "SampleError",
    "Summary",
    "Timed",
    "Timer",
    "Verdict",
    "interleave",
    "median_interval",
    "ratio_interval",
    "read_machine",
    "read_temperature_c",
    "summarize",
]
