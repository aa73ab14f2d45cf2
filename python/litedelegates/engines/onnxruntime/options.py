"""What a session of ONNX Runtime can be asked for, checked because the engine takes any key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from litedelegates.engines.onnxruntime.config_keys import CONFIG_KEYS
from litedelegates.engines.onnxruntime.providers import Provider, ProviderSpec
from litedelegates.errors import OptionError, nearest

# What the engine rewrites before it runs a model: nothing, what any engine could, what it has own ops for, and layouts.
Optimization = Literal["none", "basic", "extended", "all"]
_LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


@dataclass(frozen=True)
class OrtOptions:
    """Options of a session; what is not given is the engine's choice.

    Attributes:
        providers: Execution providers, the preferred first: "cpu" or "CPUExecutionProvider", ("openvino",
            {"device_type": "GPU"}) or `Provider`. Each is loaded, or the session is refused. What they cannot run, the
            engine runs on its CPU provider, unless ``config`` has ``session.disable_cpu_ep_fallback``; a profile tells
            which op ran where.
        num_threads: Threads inside an op; by default one for each core.
        optimization: How much of the graph the engine may rewrite: "none", "basic", "extended" or "all".
        parallel: Whether ops that do not wait for each other run at the same time.
        inter_op_threads: Threads that such ops are spread over; only with ``parallel``.
        memory_arena: Whether the CPU provider keeps memory for the next run.
        memory_pattern: Whether memory is planned in one piece when all shapes are known.
        free_dimensions: Sizes of the model's named open dimensions, such as ``{"batch": 1}``.
        config: Entries by the engine's keys, such as ``{"session.intra_op.allow_spinning": 0}``; see `config_keys`.
    """

    providers: str | Provider | Sequence[ProviderSpec] = ("cpu",)
    num_threads: int | None = None
    optimization: Optimization = "all"
    parallel: bool = False
    inter_op_threads: int | None = None
    memory_arena: bool | None = None
    memory_pattern: bool | None = None
    free_dimensions: Mapping[str, int] = field(default_factory=dict, hash=False)
    config: Mapping[str, str | int | bool] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.optimization not in get_args(Optimization):
            word, words = str(self.optimization), get_args(Optimization)
            raise OptionError(f"optimization={self.optimization!r}. {nearest(word, words)}")
        for name in ("num_threads", "inter_op_threads"):
            _check_count(name, getattr(self, name))
        for name in ("parallel", "memory_arena", "memory_pattern"):
            if getattr(self, name) not in (True, False, None) or type(getattr(self, name)) is int:
                raise OptionError(f"{name}={getattr(self, name)!r}: it must be True or False")
        if self.inter_op_threads is not None and not self.parallel:
            raise OptionError("inter_op_threads means nothing without parallel=True: ops run one after the other")
        for name, size in self.free_dimensions.items():
            _check_count(f"free_dimensions[{name!r}]", size)
        for key, value in self.config.items():
            if key not in CONFIG_KEYS:
                raise OptionError(f"ONNX Runtime 1.32 has no config key {key!r}. {nearest(key, CONFIG_KEYS, limit=3)}")
            if not isinstance(value, str | int):
                raise OptionError(f"config[{key!r}]={value!r}: it must be a text, a number or True or False")

    @staticmethod
    def of(options: Mapping[str, Any]) -> OrtOptions:
        """Return the options by name.

        Raises:
            OptionError: An unknown or bad option; names the nearest.
        """
        names = [entry.name for entry in fields(OrtOptions)]
        for name in options:
            if name not in names:
                raise OptionError(f"unknown option {name!r}. {nearest(name, names)}")
        return OrtOptions(**options)

    @property
    def config_texts(self) -> dict[str, str]:
        """The entries as the engine takes them: yes and no are "1" and "0"."""
        return {key: str(int(value)) if isinstance(value, bool) else str(value) for key, value in self.config.items()}

    def to_engine(self, ort: Any) -> Any:
        """Return the engine's ``SessionOptions``, without the providers."""
        made = ort.SessionOptions()
        made.log_severity_level = 4  # errors are raised, and warnings are about what no caller can change
        made.intra_op_num_threads = self.num_threads or 0
        made.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[self.optimization])
        if self.parallel:
            made.execution_mode = ort.ExecutionMode.ORT_PARALLEL
            made.inter_op_num_threads = self.inter_op_threads or 0
        if self.memory_arena is not None:
            made.enable_cpu_mem_arena = self.memory_arena
        if self.memory_pattern is not None:
            made.enable_mem_pattern = self.memory_pattern
        for name, size in self.free_dimensions.items():
            made.add_free_dimension_override_by_name(name, size)
        for key, text in self.config_texts.items():
            made.add_session_config_entry(key, text)
        return made


def _check_count(name: str, value: Any) -> None:
    if value is not None and (type(value) is not int or value < 1):
        raise OptionError(f"{name}={value!r}: it must be an integer of at least 1")
