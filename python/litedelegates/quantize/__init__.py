"""Make a model smaller and quicker, as a whole or op by op, checked before and after."""

from litedelegates.errors import QuantizationWarning
from litedelegates.quantize.calibration import CalibrationError, CalibrationWarning
from litedelegates.quantize.dispatch import quantize, quantize_file, read_record
from litedelegates.quantize.float16_weights import fold_float16_weights
from litedelegates.quantize.images import Images
from litedelegates.quantize.litert_inputs import random_calibration
from litedelegates.quantize.provenance import Record
from litedelegates.quantize.request import BORDERS, METHODS, PRECISIONS, Border, Method, Precision

__all__ = [
    "BORDERS",
    "METHODS",
    "PRECISIONS",
    "Border",
    "CalibrationError",
    "CalibrationWarning",
    "Images",
    "Method",
    "Precision",
    "QuantizationWarning",
    "Record",
    "fold_float16_weights",
    "quantize",
    "quantize_file",
    "random_calibration",
    "read_record",
]
