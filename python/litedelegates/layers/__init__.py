"""Layer studies: time, bytes and error of every layer, in every precision, on every delegate."""

from litedelegates.layers.beside import BesideLayer, stand_beside
from litedelegates.layers.config import DEFAULT_PARTS, PARTS, LayersConfig
from litedelegates.layers.matching import LayerPair, match_layers
from litedelegates.layers.mixed import MixedTiming
from litedelegates.layers.open_sizes import open_inputs, with_known_sizes
from litedelegates.layers.overlay import write_overlays
from litedelegates.layers.progress import LayerProgress
from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo, PartTiming, Setting, VariantInfo
from litedelegates.layers.results import LayerStudy
from litedelegates.layers.study import study_layers
from litedelegates.layers.sums import SumOfLayers
from litedelegates.layers.trace import to_trace

__all__ = [
    "DEFAULT_PARTS",
    "PARTS",
    "Alone",
    "BesideLayer",
    "InPlace",
    "LayerError",
    "LayerInfo",
    "LayerPair",
    "LayerProgress",
    "LayerStudy",
    "LayersConfig",
    "MixedTiming",
    "PartTiming",
    "Setting",
    "VariantInfo",
    "SumOfLayers",
    "match_layers",
    "open_inputs",
    "stand_beside",
    "study_layers",
    "to_trace",
    "with_known_sizes",
    "write_overlays",
]
