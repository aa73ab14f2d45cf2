"""Execution providers of ONNX Runtime and their options, checked because the engine itself does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from litedelegates.errors import DelegateUnavailableError, OptionError, nearest

ProviderSpec: TypeAlias = "str | tuple[str, Mapping[str, Any]] | Provider"

_SUFFIX = "ExecutionProvider"
# From each provider's page in ONNX Runtime's documentation, OpenVINO's from what release 1.24 accepts. Providers that
# are not here (CUDA, TensorRT, ...) tell their options when they are read back, which proves more than a list.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "cpu": (),
    "azure": (),
    "xnnpack": ("intra_op_num_threads",),
    "openvino": (
        "cache_dir",
        "device_id",
        "device_type",
        "disable_dynamic_shapes",
        "enable_causallm",
        "enable_opencl_throttling",
        "enable_qdq_optimizer",
        "layout",
        "load_config",
        "model_priority",
        "num_of_threads",
        "num_streams",
        "precision",
        "reshape_input",
    ),
    "coreml": (
        "AllowLowPrecisionAccumulationOnGPU",
        "EnableOnSubgraphs",
        "MLComputeUnits",
        "ModelCacheDirectory",
        "ModelFormat",
        "ProfileComputePlan",
        "RequireStaticInputShapes",
        "SpecializationStrategy",
    ),
    "dml": ("device_filter", "device_id", "disable_metacommands", "performance_preference"),
    "qnn": (
        "backend_path",
        "backend_type",
        "device_id",
        "dump_json_qnn_graph",
        "enable_htp_fp16_precision",
        "enable_htp_shared_memory_allocator",
        "enable_htp_spill_fill_buffer",
        "htp_arch",
        "htp_graph_finalization_optimization_mode",
        "htp_performance_mode",
        "json_qnn_graph_dir",
        "offload_graph_io_quantization",
        "op_packages",
        "profiling_file_path",
        "profiling_level",
        "qnn_context_priority",
        "qnn_saver_path",
        "rpc_control_latency",
        "skip_qnn_version_check",
        "soc_model",
        "vtcm_mb",
    ),
}
# OpenVINO takes any word as its device_type, and then uses its default.
_OPENVINO_DEVICES = ("AUTO", "BATCH", "CPU", "GPU", "HETERO", "MULTI", "NPU")


@dataclass(frozen=True)
class Provider:
    """An execution provider to use.

    Attributes:
        name: The engine's name, such as "CPUExecutionProvider", or in short "cpu", "cuda", "openvino".
        options: Its options by the engine's names; values are written as text.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @staticmethod
    def of(spec: ProviderSpec) -> Provider:
        """Return the provider that a name, or a pair of a name and options, stands for.

        Raises:
            OptionError: It is none of these.
        """
        if isinstance(spec, Provider):
            return spec
        if isinstance(spec, str):
            return Provider(spec)
        if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], str) and isinstance(spec[1], Mapping):
            return Provider(*spec)
        raise OptionError(f"{spec!r} is no provider: give a name, (name, options) or Provider(name, options)")

    @property
    def texts(self) -> dict[str, str]:
        """The options as the engine takes them."""
        return {name: str(value) for name, value in self.options.items()}


def short_name(name: str) -> str:
    """Return a provider's name in short: "cpu" for "CPUExecutionProvider"."""
    return name.removesuffix(_SUFFIX).lower()


def check_providers(
    specs: str | Provider | Iterable[ProviderSpec], available: Iterable[str], known: Iterable[str]
) -> tuple[Provider, ...]:
    """Return the providers by the engine's names.

    Args:
        specs: One or more, the preferred first.
        available: What this ONNX Runtime was built with.
        known: What some ONNX Runtime is built with.

    Raises:
        OptionError: There is none, or it or one of its options does not exist; names the nearest.
        DelegateUnavailableError: This ONNX Runtime was built without it.
    """
    names = {short_name(name): name for name in known}
    built = {short_name(name): name for name in available}
    providers = []
    for given in map(Provider.of, [specs] if isinstance(specs, str | Provider) else specs):
        short = short_name(given.name)
        if short not in {**names, **built}:
            every = [*names, *names.values()]
            raise OptionError(f"ONNX Runtime has no provider {given.name!r}. {nearest(given.name, every, limit=5)}")
        if short not in built:
            raise DelegateUnavailableError(
                f"this ONNX Runtime was built without {names[short]}; it has {', '.join(built)}. Others come with "
                "packages of their own, such as onnxruntime-gpu and onnxruntime-openvino"
            )
        if short in _OPTIONS:
            for name in given.options:
                _check_known(short, name, _OPTIONS[short])
        if short == "openvino" and "device_type" in given.options:
            _check_device(str(given.options["device_type"]))
        providers.append(Provider(built[short], dict(given.options)))
    if not providers:
        raise OptionError(f"providers=[]: name at least one. Available: {', '.join(built)}")
    return tuple(providers)


def check_in_effect(
    providers: Iterable[Provider], names: Iterable[str], options: Mapping[str, Mapping[str, str]]
) -> None:
    """Raise unless a session has the providers and options that were asked for.

    Args:
        providers: What was asked for.
        names: The session's providers, read back from it.
        options: Their options, read back from it; some providers tell none.

    Raises:
        DelegateUnavailableError: The engine left a provider out.
        OptionError: An option is not there, or has another value.
    """
    found = set(names)
    missing = [provider.name for provider in providers if provider.name not in found]
    if missing:
        raise DelegateUnavailableError(
            f"ONNX Runtime left out {', '.join(missing)}, which cannot work here: a library or device is missing, or "
            "it refuses the value of an option"
        )
    for provider in providers:
        told = options.get(provider.name, {})
        for name, value in provider.texts.items():
            if name in told and _plain(told[name]) != _plain(value):
                raise OptionError(f"{provider.name} has {name}={told[name]!r}, not {value!r} as asked")
            if name not in told and short_name(provider.name) not in _OPTIONS:
                _check_known(short_name(provider.name), name, told)


def _check_known(provider: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        hint = nearest(name, known) if known else "It takes none"
        raise OptionError(f"the provider {provider} has no option {name!r}. {hint}")


def _check_device(value: str) -> None:
    head = value.partition(":")[0].partition(".")[0].upper()
    if head not in _OPENVINO_DEVICES:
        raise OptionError(f"the provider openvino has no device_type {value!r}. {nearest(head, _OPENVINO_DEVICES)}")


def _plain(value: str) -> str:
    # The engine writes yes and no as numbers.
    return {"true": "1", "false": "0"}.get(value.lower(), value)
