"""Measure: interleaved timing, honest statistics, and what they were made on."""

from litedelegates.measure.agreement import Agreement, compare, delegate_epsilon, output_precisions
from litedelegates.measure.conditions import (
    Condition,
    check_before,
    check_between,
    find_drift,
    find_unsteady,
    find_unwaited,
)
from litedelegates.measure.cpu_time import CpuTime, read_cpu_time
from litedelegates.measure.energy import Energy, EnergyMeter
from litedelegates.measure.error import ErrorFigures, ErrorSums, real_values
from litedelegates.measure.interleave import Plan, interleave
from litedelegates.measure.loads import Loader, interleave_loads
from litedelegates.measure.machine import Machine, read_machine, read_temperature_c
from litedelegates.measure.machine_state import MachineState, read_machine_state
from litedelegates.measure.memory import Memory, MemoryStages, read_memory, reset_peak
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
from litedelegates.measure.timed import Block, Interleaved, Timed, Timer

__all__ = [
    "Agreement",
    "Block",
    "Condition",
    "CpuTime",
    "Energy",
    "EnergyMeter",
    "ErrorFigures",
    "ErrorSums",
    "Interleaved",
    "Interval",
    "LEAST_EFFECT",
    "Loader",
    "Machine",
    "MachineState",
    "Memory",
    "MemoryStages",
    "Plan",
    "RatioInterval",
    "SampleError",
    "StopReason",
    "StopRule",
    "Summary",
    "Timed",
    "Timer",
    "Verdict",
    "check_before",
    "check_between",
    "compare",
    "delegate_epsilon",
    "find_dependence",
    "find_drift",
    "find_unsteady",
    "find_unwaited",
    "interleave",
    "interleave_loads",
    "is_steady",
    "median_interval",
    "output_precisions",
    "ratio_interval",
    "read_cpu_time",
    "read_machine",
    "read_machine_state",
    "read_memory",
    "read_temperature_c",
    "real_values",
    "reset_peak",
    "series_interval",
    "summarize",
]
