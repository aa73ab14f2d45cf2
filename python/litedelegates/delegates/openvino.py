"""Intel's OpenVINO, through the dispatch library that ships with the runtime, on any x86-64 CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from litedelegates import _core
from litedelegates.delegates import base, npu, openvino_library, openvino_ops
from litedelegates.delegates.base import Delegate, Payloads
from litedelegates.delegates.options import delegate_options
from litedelegates.errors import DelegateError, DelegateUnavailableError, OptionError

if TYPE_CHECKING:
    from litedelegates.model import Model

_DEVICES = ("CPU", "GPU", "NPU")  # by the runtime's number
_MODES = ("latency", "throughput", "cumulative_throughput")  # by the runtime's number
# What has an option of its own here, which says more than the bare property.
_OWN_OPTION = {
    "INFERENCE_PRECISION_HINT": "precision_loss_allowed",
    "EXECUTION_MODE_HINT": "precision_loss_allowed",
    "INFERENCE_NUM_THREADS": "num_threads",
    "PERFORMANCE_HINT": "performance_mode",
}


@delegate_options
class OpenVino(Delegate):
    """Run on OpenVINO (extra: ``litedelegates[openvino]``).

    Attributes:
        device: OpenVINO's device. "GPU" and "NPU" are Intel's, and untested.
        precision_loss_allowed: False computes in float32; True in half precision: bfloat16 on CPUs that have it,
            float16 on a GPU. Unset is OpenVINO's default: half precision where the device has it.
        num_threads: Threads of the CPU; OpenVINO's default is all cores.
        performance_mode: What OpenVINO optimizes for; the runtime's default is "latency".
        config: Further properties of OpenVINO's device, by their names, such as {"ENABLE_CPU_PINNING": "YES"}. Checked
            by OpenVINO before anything is compiled.
    """

    device: Literal["CPU", "GPU", "NPU"] = "CPU"
    precision_loss_allowed: bool | None = None
    num_threads: int | None = None
    performance_mode: Literal["latency", "throughput", "cumulative_throughput"] | None = None
    config: dict[str, str] | None = None

    name = "openvino"
    hardware = base.NPU  # the runtime's word for whatever a dispatch library drives

    def __post_init__(self) -> None:
        if isinstance(self.device, str):
            object.__setattr__(self, "device", self.device.upper())
        if isinstance(self.num_threads, int) and self.num_threads < 1:
            raise OptionError(f"OpenVino(num_threads={self.num_threads}): num_threads must be at least 1")
        for key in self.config if isinstance(self.config, dict) else ():
            if key in _OWN_OPTION:
                raise OptionError(f"OpenVino(config={{{key!r}: ...}}): give {_OWN_OPTION[key]} instead")

    def properties(self) -> dict[str, str]:
        """Return what was set, as OpenVINO's own properties."""
        found = dict(self.config or {})
        if self.precision_loss_allowed is not None:
            half = "bf16" if self.device == "CPU" else "f16"
            found["INFERENCE_PRECISION_HINT"] = half if self.precision_loss_allowed else "f32"
        if self.num_threads is not None:
            found["INFERENCE_NUM_THREADS"] = str(self.num_threads)
        if self.performance_mode is not None:
            found["PERFORMANCE_HINT"] = self.performance_mode.upper()
        return found

    def payloads(self) -> Payloads:
        """Return the options as the runtime's keys and values."""
        options: dict[str, object] = {"graph.-1.graph_backend": _DEVICES.index(self.device)}
        if self.performance_mode is not None:
            options["performance_mode"] = _MODES.index(self.performance_mode)
        properties = self.properties()
        properties.pop("PERFORMANCE_HINT", None)
        options.update({f"configs_map.{key}": value for key, value in properties.items()})
        return {"intel_openvino": options}

    def check_model(self, model: Model) -> None:
        """Refuse a model with an op that OpenVINO computes wrongly; warn of integers that overflow on this CPU."""
        openvino_ops.refuse_wrong_ops(model)
        if self.device == "CPU":
            openvino_ops.warn_of_saturation(model)

    def environment(self) -> dict[int, str]:
        """Return the runtime's folders of Intel's libraries."""
        libraries = openvino_library.find()
        return npu.environment(libraries.dispatch_dir, libraries.compiler_dir)

    def step(self) -> _core.Step:
        """Return the runtime's NPU accelerator, with OpenVINO's libraries loaded and its options checked."""
        try:
            library = openvino_library.load()
            library.check_device(self.device)
        except DelegateUnavailableError as error:
            raise DelegateUnavailableError(f"the OpenVINO delegate cannot be used here: {error}") from None
        self._check_precision(library)
        library.check(self.device, self.properties())
        return npu.step(openvino_library.find().dispatch_dir)

    def _check_precision(self, library: openvino_library.Library) -> None:
        if self.precision_loss_allowed is None:
            return
        wanted = "FP32" if not self.precision_loss_allowed else "BF16" if self.device == "CPU" else "FP16"
        able = library.capabilities(self.device)
        if wanted not in able:
            raise DelegateUnavailableError(
                f"OpenVino(precision_loss_allowed={self.precision_loss_allowed}): OpenVINO's {self.device} on this "
                f"machine does not compute in {wanted}; it has {', '.join(sorted(able))}"
            )

    def compile(self, make: Callable[[], _core.CompiledModel], in_effect: Payloads) -> _core.CompiledModel:
        """Compile with OpenVINO's properties, and make sure that they took effect and that ops were taken."""
        properties = self.properties()
        with openvino_library.load().importing(properties) as effects:
            compiled = make()
        npu.check_dispatched(compiled, "OpenVINO")
        if properties and not effects:
            raise DelegateError(
                f"{self!r}: the options cannot be handed to OpenVINO, because something else loaded it for the whole "
                "process before; load a model with OpenVino() first, or leave them unset"
            )
        for effect in effects:
            for key, value in properties.items():
                if effect.get(key, value).upper() != value.upper():
                    raise DelegateError(f"{self!r}: OpenVINO was given {key}={value} and computes with {effect[key]}")
        if effects:
            name = openvino_library.load().full_name(self.device)
            in_effect["openvino"] = {**effects[0], "FULL_DEVICE_NAME": name}
        return compiled

    def why_not_classic(self) -> str | None:
        """Only the compiled route has dispatch libraries."""
        return "it has no OpenVINO delegate"
