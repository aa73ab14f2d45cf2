"""Sessions of ONNX Runtime."""

from litedelegates.engines.onnxruntime.extras import require_onnxruntime
from litedelegates.engines.onnxruntime.options import OrtOptions
from litedelegates.engines.onnxruntime.providers import Provider
from litedelegates.engines.onnxruntime.session import OnnxRuntimeSession, element_type_word
from litedelegates.errors import SaturationWarning

__all__ = [
    "OnnxRuntimeSession",
    "OrtOptions",
    "Provider",
    "SaturationWarning",
    "element_type_word",
    "require_onnxruntime",
]
