"""The GPU, through the accelerator library that ships with the runtime (WebGPU over Vulkan on Linux)."""

from __future__ import annotations

import enum
import os
import platform
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from litedelegates import _core
from litedelegates.delegates import base
from litedelegates.delegates.base import Payloads
from litedelegates.delegates.opened import open_once
from litedelegates.delegates.options import delegate_options, set_options
from litedelegates.errors import DelegateError, DelegateUnavailableError, OptionError, SoftwareGpuWarning, nearest
from litedelegates.runtime import open_runtime

if TYPE_CHECKING:
    from litedelegates.model import Model

_LIBRARY_NAME = {
    "darwin": "libLiteRtMetalAccelerator.dylib",
    "win32": "libLiteRtWebGpuAccelerator.dll",
}.get(sys.platform, "libLiteRtWebGpuAccelerator.so")
# How Dawn, inside the library, begins a line that says what it misses.
_DAWN = "Warning: "
IN_SOFTWARE = ", in software on the CPU"
_has_warned = False


class Precision(enum.Enum):
    """What the GPU computes in."""

    DEFAULT = 0
    FP16 = 1
    FP32 = 2
    FP16_WITH_FP32_ACCUMULATION = 3


class Backend(enum.Enum):
    """The programming interface of the GPU."""

    AUTO = 0
    OPENCL = 1
    WEBGPU = 2
    OPENGL = 3


class Priority(enum.Enum):
    """How the work is queued beside other users of the GPU."""

    DEFAULT = 0
    LOW = 1
    NORMAL = 2
    HIGH = 3


class BufferStorage(enum.Enum):
    """Where tensors live on the GPU."""

    DEFAULT = 0
    BUFFER = 1
    TEXTURE_2D = 2


class WaitType(enum.Enum):
    """How the runtime waits for the GPU; outputs are waited for in any case when they are read."""

    DEFAULT = 0
    PASSIVE = 1
    ACTIVE = 2
    DO_NOT_WAIT = 3


_ENUMS: dict[str, type[enum.Enum]] = {
    "precision": Precision,
    "backend": Backend,
    "priority": Priority,
    "buffer_storage_type": BufferStorage,
    "wait_type": WaitType,
}
_AT_LEAST_ONE = ("kernel_batch_size", "num_threads_to_upload", "num_threads_to_compile")


@delegate_options
class Gpu(base.Delegate):
    """Run on the GPU.

    Enumerations are also taken by name, in any case: ``Gpu(backend="webgpu")``.

    Attributes:
        precision_loss_allowed: True computes in half precision, False in float32. Unset leaves it to the runtime.
        precision: The same with more choices; give one of the two.
        backend: Programming interface; AUTO takes what is there.
        priority: Beside other users of the GPU.
        benchmark_mode: Make every run wait until the GPU is done.
        buffer_storage_type: Buffers or textures.
        prefer_texture_weights: Keep weights in textures.
        allow_src_quantized_fc_conv_ops: Take fully connected and convolution ops with quantized sources.
        serialization_dir: Folder for compiled programs and converted weights.
        model_cache_key: Name of this model in that folder.
        serialize_program_cache: Keep compiled programs there.
        serialize_external_tensors: Keep converted weights there.
        program_cache_fd: Open descriptor in place of a file for programs.
        weight_cache_fd: The same for weights.
        cache_only_compiled_programs: Keep programs and nothing else.
        preferred_device_substr: Part of the name of the GPU to take when there are several.
        num_threads_to_upload: CPU threads that upload weights.
        num_threads_to_compile: CPU threads that compile programs.
        wait_type: How to wait for the GPU.
        hint_waiting_for_completion: Tell the runtime that the caller waits after each run.
        kernel_batch_size: Kernels that are submitted together.
        num_steps_of_command_buffer_preparations: Runs prepared ahead.
        enable_constant_tensors_sharing: Share weights between the subgraphs of a model.
        enable_infinite_float_capping: Replace infinities by the largest number.
        external_tensors_mode: Bind tensors from outside.
        external_tensor_patterns: Names of such tensors.
        buffer_storage_tensor_patterns: Names of tensors that stay in buffers.
        madvise_original_shared_tensors: Give the pages of converted weights back to the system.
        convert_weights_on_gpu: Convert weights on the GPU and not on the CPU.
        wait_for_weights_conversion_complete: Wait until they are converted.
        disable_shader_optimization: Compile faster, run slower.
        hint_fully_delegated_to_single_delegate: Promise that one delegate takes every op.
        use_metal_argument_buffers: Metal only.
        enable_metal_residency_set: Metal only.
    """

    precision_loss_allowed: bool | None = None
    precision: Precision | None = None
    backend: Backend | None = None
    priority: Priority | None = None
    benchmark_mode: bool | None = None
    buffer_storage_type: BufferStorage | None = None
    prefer_texture_weights: bool | None = None
    allow_src_quantized_fc_conv_ops: bool | None = None
    serialization_dir: str | None = None
    model_cache_key: str | None = None
    serialize_program_cache: bool | None = None
    serialize_external_tensors: bool | None = None
    program_cache_fd: int | None = None
    weight_cache_fd: int | None = None
    cache_only_compiled_programs: bool | None = None
    preferred_device_substr: str | None = None
    num_threads_to_upload: int | None = None
    num_threads_to_compile: int | None = None
    wait_type: WaitType | None = None
    hint_waiting_for_completion: bool | None = None
    kernel_batch_size: int | None = None
    num_steps_of_command_buffer_preparations: int | None = None
    enable_constant_tensors_sharing: bool | None = None
    enable_infinite_float_capping: bool | None = None
    external_tensors_mode: bool | None = None
    external_tensor_patterns: tuple[str, ...] | None = None
    buffer_storage_tensor_patterns: tuple[str, ...] | None = None
    madvise_original_shared_tensors: bool | None = None
    convert_weights_on_gpu: bool | None = None
    wait_for_weights_conversion_complete: bool | None = None
    disable_shader_optimization: bool | None = None
    hint_fully_delegated_to_single_delegate: bool | None = None
    use_metal_argument_buffers: bool | None = None
    enable_metal_residency_set: bool | None = None

    name = "gpu"
    hardware = base.GPU

    def __post_init__(self) -> None:
        for option, enumeration in _ENUMS.items():
            value = getattr(self, option)
            if isinstance(value, str):
                object.__setattr__(self, option, _by_name(option, value, enumeration))
        for option in ("external_tensor_patterns", "buffer_storage_tensor_patterns"):
            if isinstance(getattr(self, option), list):
                object.__setattr__(self, option, tuple(getattr(self, option)))
        if isinstance(self.serialization_dir, os.PathLike):
            object.__setattr__(self, "serialization_dir", os.fspath(self.serialization_dir))
        for option in _AT_LEAST_ONE:
            value = getattr(self, option)
            if isinstance(value, int) and value < 1:
                raise OptionError(f"Gpu({option}={value}): {option} must be at least 1")
        if self.precision_loss_allowed is not None and self.precision is not None:
            raise OptionError("Gpu(): give precision_loss_allowed or precision, not both")

    def payloads(self) -> Payloads:
        """Return the options as the runtime's keys and values."""
        options = set_options(self)
        allowed = options.pop("precision_loss_allowed", None)
        if allowed is not None:
            options["precision"] = Precision.FP16 if allowed else Precision.FP32
        return {"gpu_options": options}

    def check_model(self, model: Model) -> None:
        """Refuse a model with a composite: the library takes ops of its body, and running it ends the process."""
        for number, graph in enumerate(model.subgraphs):
            for index, op in enumerate(graph.operators):
                if op.type == "STABLEHLO_COMPOSITE":
                    raise DelegateError(
                        f"{model.name}: op {index} (STABLEHLO_COMPOSITE) of subgraph {number} is a composite, and the "
                        "GPU's library ends the process where one is run: run this model with delegate='xnnpack' or "
                        "None, or convert it without composites"
                    )

    def step(self) -> _core.Step:
        """Return the GPU's accelerator library."""
        reason = why_unavailable()
        if reason:
            raise DelegateUnavailableError(f"the gpu delegate cannot be used here: {reason}")
        return _core.Step.accelerator_library(library_path())

    def why_it_failed(self, message: str) -> str | None:
        """Tell a machine without a GPU, and one whose driver is not taken, from a model that the GPU refuses."""
        if "No adapters found" not in message:
            return None
        from litedelegates.delegates.vulkan import adapter_names

        lines = [line.strip() for line in message.splitlines()]
        said = "; ".join(line.removeprefix(_DAWN).rstrip(".") for line in lines if line.startswith(_DAWN))
        words = f": {said}" if said else ""
        names = ", ".join(adapter_names())
        other = "VK_ICD_FILENAMES or VK_DRIVER_FILES can name a driver's file"
        if not names:
            return f"no GPU with a Vulkan driver was found{words} ({other}; `vulkaninfo` shows what Vulkan sees)"
        return (
            f"Vulkan finds {names}, and the runtime's GPU library does not take its driver{words}. Update the driver "
            f"(Mesa's llvmpipe is taken from Mesa 25 on), or take another: {other}"
        )

    def why_not_classic(self) -> str | None:
        """The GPU's library is no TFLite delegate."""
        return "it has no GPU delegate"


def refuse_sparse_weights(model: Model, delegates: Sequence[base.Delegate]) -> None:
    """Refuse a model with sparse weights for a chain in which XNNPACK comes after the GPU.

    XNNPACK takes their DENSIFY and hands nothing to what the GPU left on the built-in kernels: outputs are garbage.

    Raises:
        DelegateError: Says which op and what to do.
    """
    names = [delegate.name for delegate in delegates]
    if "xnnpack" not in names[names.index("gpu") :]:
        return
    for graph in model.subgraphs:
        for index, op in enumerate(graph.operators):
            if op.type == "DENSIFY":
                raise DelegateError(
                    f"{model.name}: op {index} (DENSIFY) makes sparse weights dense, and XNNPACK after the GPU "
                    "computes garbage of them: give delegate='gpu' or 'xnnpack' alone"
                )


def device_name(adapter: str) -> str:
    """Return how a GPU is called where it is named, software as such.

    Args:
        adapter: What the library logs of the one that it selected: its name, then properties.
    """
    name = adapter.split(", arch")[0]
    return f"{name}{IN_SOFTWARE}" if "adapterType=CPU" in adapter else name


def warn_of_software(device: str) -> None:
    """Warn of a GPU that computes on the CPU, once in a process.

    Args:
        device: What `device_name` returned.
    """
    global _has_warned
    if not device.endswith(IN_SOFTWARE) or _has_warned:
        return
    _has_warned = True
    warnings.warn(
        f"the gpu delegate runs on {device}: it shows whether a model works, and is slow",
        SoftwareGpuWarning,
        stacklevel=5,  # the line that makes an Interpreter
    )


def _by_name(option: str, value: str, enumeration: type[enum.Enum]) -> enum.Enum:
    for member in enumeration:
        if member.name.lower() == value.lower():
            return member
    raise OptionError(f"Gpu({option}={value!r}): {nearest(value, [m.name.lower() for m in enumeration])}")


def library_path() -> str:
    """Return the path of the GPU's accelerator library."""
    return os.path.join(open_runtime().folder, _LIBRARY_NAME)


def why_unavailable() -> str | None:
    """Return why the GPU cannot be used here as far as can be told without loading its library, or None."""
    library = library_path()
    if not os.path.isfile(library):
        return f"the runtime has no GPU library ({library} does not exist)"
    if sys.platform.startswith("linux"):
        # The library is compiled for ARMv8.1 and aborts the process on older cores, such as a Raspberry Pi 4's.
        if platform.machine() == "aarch64" and not _cpu_has("atomics"):
            return (
                "this CPU lacks the LSE atomic instructions (ARMv8.1) that the runtime's GPU library needs; "
                "loading it would abort the process"
            )
        if not _can_open("libvulkan.so.1"):
            return "libvulkan.so.1 is not installed (Debian: apt install libvulkan1, and a Vulkan driver for the GPU)"
    return None


def _cpu_has(feature: str) -> bool:
    with open("/proc/cpuinfo", errors="replace") as lines:
        return any(feature in line.split() for line in lines if line.startswith("Features"))


def _can_open(library: str) -> bool:
    try:
        open_once(library)
    except OSError:
        return False
    return True
