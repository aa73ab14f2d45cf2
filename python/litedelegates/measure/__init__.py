"""Measure: interleaved timing, honest statistics, and what they were made on."""

from litedelegates.measure.interleave import Block, Interleaved, Plan, Timed, Timer, interleave
from litedelegates.measure.loads import Loader, interleave_loads
from litedelegates.measure.machine import Machine, read_machine, read_temperature_c
from litedelegates.measure.ratios import LEAST_EFFECT, RatioInterval, Verdict, ratio_interval
from litedelegates.measure.statistics import (
    Interval,
    SampleError,
    Summary,
    find_dependence,
    median_interval,
    series_interval,
    summarize,
)
from litedelegates.measure.stopping import StopReason, StopRule, is_steady

__all__ = [
    "Block",
    "Interleaved",
    "Interval",
    "LEAST_EFFECT",
    "Loader",
    "Machine",
    "Plan",
    "RatioInterval",
    "SampleError",
    "StopReason",
    "StopRule",
    "Summary",
    "Timed",
    "Timer",
    "Verdict",
    "find_dependence",
    "interleave",
    "interleave_loads",
    "is_steady",
    "median_interval",
    "ratio_interval",
    "read_machine",
    "read_temperature_c",
    "series_interval",
    "summarize",
]
