"""Make a float32 model smaller and quicker: float16, dynamic or full-integer, checked before and after."""

from litedelegates.quantize.calibration import CalibrationError, random_calibration
from litedelegates.quantize.float16_weights import fold_float16_weights
from litedelegates.quantize.litert import BORDERS, PRECISIONS, Border, Precision, quantize

__all__ = [
    "BORDERS",
    "PRECISIONS",
    "Border",
    "CalibrationError",
    "Precision",
    "fold_float16_weights",
    "quantize",
    "random_calibration",
]
