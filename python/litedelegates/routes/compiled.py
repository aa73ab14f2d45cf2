"""The compiled route: every delegate, every option."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates import _core
from litedelegates.delegates import Delegate
from litedelegates.delegates.base import CPU, GPU, NPU, Payloads
from litedelegates.delegates.options import from_toml, to_toml
from litedelegates.errors import CompileError, DelegateUnavailableError, UnsupportedError
from litedelegates.model import Model, numpy_dtype
from litedelegates.routes import Array, Route
from litedelegates.routes.shapes import check_shape
from litedelegates.runtime import log_lines, log_severity, open_runtime

if TYPE_CHECKING:
    from litedelegates.placement import Placement

# How the kernels of delegates name themselves in the execution plan.
_KERNEL_NAMES = {
    "TfLiteXNNPackDelegate": "xnnpack",
    "YNNPackDelegate": "xnnpack",
    "EdgeTpuDelegateForCustomOp": "edgetpu",
}
_GPU_KERNELS = ("WEBGPU", "ML_DRIFT", "LITERT_CL", "METAL")


def asked(chain: Sequence[Delegate]) -> str:
    """Say what was asked for in one word, such as "gpu+xnnpack"."""
    return "+".join(delegate.name for delegate in chain) or "none"


class CompiledSession:
    """A model compiled for a chain of delegates."""

    def __init__(
        self,
        model: Model,
        chain: Sequence[Delegate],
        *,
        num_threads: int | None,
        runtime_options: dict[str, Any] | None = None,
        profiling: bool = False,
        folded: _core.FoldedModel | None = None,
    ) -> None:
        """Compile a model.

        Args:
            model: The verified model.
            chain: Delegates, in order.
            num_threads: Threads of the CPU kernels.
            runtime_options: Options of the runtime itself, by its own keys.
            profiling: Record per-op times.
            folded: The model for the shapes it will run with, where it computes shapes itself.
        """
        open_runtime()
        self.model = model
        self.chain = tuple(chain)
        self._how: dict[str, Any] = {"num_threads": num_threads, "runtime_options": runtime_options, "folded": folded}
        self._folded = folded
        self.route = Route("compiled", describe_folding(folded, model))
        self._requested: dict[int, tuple[int, ...]] = {}  # shapes that inputs were resized to
        runtime_options = {**(runtime_options or {}), "enable_profiling": profiling or None}
        if any(delegate.hardware == NPU for delegate in self.chain):
            from litedelegates.routes import rewritten

            rewritten.check(model.subgraphs, self.chain)
        if any(delegate.hardware == GPU for delegate in self.chain):
            from litedelegates.delegates.gpu import refuse_sparse_weights

            refuse_sparse_weights(model, self.chain)
        payloads = _payloads(self.chain, num_threads, runtime_options)
        compile_ = functools.partial(
            _core.CompiledModel,
            model.file if folded is None else folded.file,
            steps=[step for delegate in self.chain if (step := delegate.step()) is not None],
            payloads=[(identifier, to_toml(options)) for identifier, options in payloads.items() if options],
            environment=[item for delegate in self.chain for item in delegate.environment().items()],
            hardware=functools.reduce(operator.or_, (delegate.hardware for delegate in self.chain), CPU),
            is_profiled=profiling,
            log_severity=log_severity(),
        )
        self._in_effect: Payloads = {}
        for delegate in reversed(self.chain):
            compile_ = functools.partial(delegate.compile, compile_, self._in_effect)
        try:
            self.compiled = compile_()
        except CompileError as error:
            for delegate in self.chain:
                reason = delegate.why_it_failed(str(error))
                if reason:
                    raise DelegateUnavailableError(
                        f"the {delegate.name} delegate cannot be used here: {reason}"
                    ) from error
            raise
        self._signature_runners: dict[int, _core.Runner] = {}
        self.runner = self._make_runner(model.signature_of(0) or 0)
        # The two that are called for every run go straight to the native core.
        self.set_tensor = self.runner.set_tensor
        self.invoke = self.runner.invoke
        self.invoke_within = self.runner.invoke_within
        log_lines(self.compiled.log_lines)
        if any(delegate.hardware == GPU for delegate in self.chain):
            from litedelegates.delegates.gpu import warn_of_software

            warn_of_software(self.device)

    def _make_runner(self, signature: int) -> _core.Runner:
        subgraph = self.model.signatures[signature].subgraph_index if self.model.signatures else 0
        graph = self.model.subgraphs[subgraph]
        return _core.Runner(
            self.compiled,
            signature=signature,
            subgraph=subgraph,
            input_dtypes=[numpy_dtype(graph.tensor(index).element_type) for index in graph.inputs],
            output_dtypes=[numpy_dtype(graph.tensor(index).element_type) for index in graph.outputs],
        )

    @property
    def running(self) -> CompiledSession:
        """This session: what runs the model for its current shapes."""
        return self

    def copy(self, *, profiling: bool) -> CompiledSession:
        """Return a second copy of the compiled model, with the runtime's profiler on or off."""
        return CompiledSession(self.model, self.chain, profiling=profiling, **self._how)

    def op_index(self, subgraph: int, index: int) -> int:
        """Return which op of the model file an op of the compiled model is.

        Ops that the runtime added, such as those of a composite in its place, come after all of the file's.
        """
        if self._folded is None or not self._folded.operators:
            return index
        left = self._folded.operators[subgraph]
        return left[index] if index < len(left) else len(self.model.subgraphs[subgraph].operators) + index - len(left)

    def dynamic_outputs(self) -> list[str]:
        """Return the names of outputs whose size is only known while the model runs; such models cannot run here."""
        graph = self.model.subgraphs[0]
        return [graph.tensor(graph.outputs[position]).name for position in self.runner.dynamic_outputs()]

    def get_tensor(self, index: int, subgraph: int = 0) -> Array:
        """Return a copy of an input, an output or a constant."""
        graph = self.model.subgraphs[subgraph]
        if subgraph == 0 and (index in graph.outputs or index in graph.inputs):
            return self.runner.get_tensor(index)
        if not 0 <= index < len(graph.tensors):
            raise ValueError(f"the model has no tensor {index}: it has {len(graph.tensors)} tensors")
        return self._constant(subgraph, index)

    def _constant(self, subgraph: int, index: int) -> Array:
        tensor = self.model.subgraphs[subgraph].tensors[index]
        data = self.model.file.constant_data(subgraph, index)
        if data is None or tensor.element_type == "string":
            raise ValueError(
                f"tensor {index} ({tensor.name!r}) is computed inside the model and its value is not kept: load it "
                "with experimental_preserve_all_tensors=True"
            )
        shape = tuple(tensor.shape)
        if tensor.is_sparse:  # only its stored elements are there, in a row
            shape = (len(data) * 8 // tensor.element_bits,)
        if tensor.element_bits < 8:
            return _unpack(data, tensor.element_type, tensor.element_bits, shape)
        value: Array = data.view(numpy_dtype(tensor.element_type)).reshape(shape)
        return value.copy()

    def view(self, index: int) -> Array:
        """Return an input or output without copying it; the array keeps its memory alive."""
        return self.runner.view(index)

    def is_running(self, was_in_run: bool) -> bool:
        """Return whether a thread is in the middle of a run of any signature."""
        return self.compiled.is_running

    def allocate(self) -> None:
        """Prepare memory for the current shapes."""
        self.runner.allocate()

    def resize_input(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        """Give an input another shape."""
        position = self.model.subgraphs[0].inputs.index(index)
        check_shape(self.model, self.chain, 0, index, shape)
        self._resize(self.runner, position, shape, strict)
        self._requested[index] = tuple(shape)

    def _resize(self, runner: _core.Runner, position: int, shape: tuple[int, ...], strict: bool) -> None:
        for delegate in self.chain:
            # Its kernel keeps the shapes it was compiled for, and leaves the rest of a larger output untouched.
            if delegate.hardware != CPU and tuple(runner.input_shapes[position]) != tuple(shape):
                raise UnsupportedError(
                    f"the {delegate.name} delegate compiled this model for inputs of shape "
                    f"{tuple(runner.input_shapes[position])} and cannot take {tuple(shape)}: resize on another "
                    "delegate, or run a model that was made for this shape"
                )
        runner.resize_input(position, list(shape), strict=strict)

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the current shape of an input or output."""
        graph = self.model.subgraphs[0]
        if self.runner.is_allocated:
            if index in graph.outputs:
                return tuple(self.runner.output_shapes[graph.outputs.index(index)])
            if index in graph.inputs:
                return tuple(self.runner.input_shapes[graph.inputs.index(index)])
        # A shape that the model refused is still the current one.
        return self._requested.get(index, tuple(graph.tensor(index).shape))

    def reset_variables(self) -> None:
        """Do nothing: models with variables run on the classic route."""

    def time_runs(self, min_runs: int, max_runs: int, max_seconds: float) -> Array:
        """Return nanoseconds of upload, run and read-back of each run, shape (runs, 3)."""
        return self.runner.time_runs(min_runs=min_runs, max_runs=max_runs, max_seconds=max_seconds)

    def run_signature(self, key: str, values: dict[str, Any]) -> dict[str, Array]:
        """Run a signature on inputs by name."""
        position = [signature.key for signature in self.model.signatures].index(key)
        signature = self.model.signatures[position]
        if position not in self._signature_runners:
            self._signature_runners[position] = self._make_runner(position)
        runner = self._signature_runners[position]
        graph = self.model.subgraphs[signature.subgraph_index]
        runner.allocate()
        for name, index in signature.inputs:
            shape, at = np.shape(values[name]), graph.inputs.index(index)
            if tuple(runner.input_shapes[at]) != shape:
                check_shape(self.model, self.chain, signature.subgraph_index, index, shape)
                self._resize(runner, at, shape, strict=False)
        runner.allocate()
        for name, index in signature.inputs:
            runner.set_tensor(index, values[name])
        runner.invoke()
        return {name: runner.get_tensor(index) for name, index in signature.outputs}

    def placement(self) -> tuple[Placement, ...]:
        """Return where each op ran, read from the execution plan."""
        from litedelegates.placement import Placement
        from litedelegates.routes import rewritten

        npu = next((delegate.name for delegate in self.chain if delegate.hardware == NPU), None)
        records: list[Placement] = []
        following = 0
        kept_off = {
            (subgraph, self.op_index(subgraph, op)): reason for subgraph, op, reason in self.compiled.kept_off()
        }
        for subgraph, plan in self.compiled.plans():
            graph = self.model.subgraphs[subgraph] if subgraph < len(self.model.subgraphs) else None
            if npu is not None and rewritten.is_rewritten(plan, graph):
                found = rewritten.find_subgraph(plan, self.model, following)
                if found is not None:
                    following = found + 1
                    left = self._left(found)
                    records += [
                        record if left is None or record.op_index in left else _folded_away(record)
                        for record in rewritten.placements(
                            plan, self.model, found, asked=asked(self.chain), npu=npu, who=self.who
                        )
                    ]
                continue
            if graph is None:
                continue
            took = {
                self.op_index(subgraph, op): (self.who(node.name), partition)
                for partition, node in enumerate(node for node in plan.nodes if node.is_delegate)
                for op in node.replaced
            }
            left = self._left(subgraph)
            for index, op in enumerate(graph.operators):
                ran, partition = took.get(index, ("builtin", None))
                reason = kept_off.get((subgraph, index))
                evidence = f"execution plan; kept off {reason}" if reason else "execution plan"
                record = Placement(index, op.type, asked(self.chain), ran, partition, evidence, subgraph)
                records.append(record if left is None or index in left else _folded_away(record))
        if npu is not None and not any(record.subgraph == 0 for record in records):
            records += rewritten.unknown(self.model.subgraphs[0], 0, asked=asked(self.chain))
        return tuple(records)

    def _left(self, subgraph: int) -> frozenset[int] | None:
        """Return the ops of a subgraph that folding left; None where all are."""
        if self._folded is None or not self._folded.operators:
            return None
        return frozenset(self._folded.operators[subgraph])

    def who(self, kernel: str) -> str:
        """Return the delegate of a kernel in the execution plan, or the kernel's own name where it is unknown."""
        if kernel in _KERNEL_NAMES:
            return _KERNEL_NAMES[kernel]
        if any(part in kernel.upper() for part in _GPU_KERNELS):
            return "gpu"
        if not kernel:
            # The kernel of dispatch libraries is the only one without a name.
            return next((delegate.name for delegate in self.chain if delegate.hardware == NPU), "unknown")
        return kernel

    @property
    def device(self) -> str:
        """Name of the GPU that was chosen, as the runtime logs it, or of OpenVINO's device; empty without one.

        A GPU that computes on the CPU is called so.
        """
        for line in self.compiled.log_lines:
            _, found, adapter = line.partition("Selected adapter: ")
            if found:
                from litedelegates.delegates.gpu import device_name

                return device_name(adapter)
        return str(self._in_effect.get("openvino", {}).get("FULL_DEVICE_NAME", ""))

    def options_in_effect(self) -> Payloads:
        """Return the options as the runtime holds them, by its own identifiers and keys."""
        read = {identifier: from_toml(text) for identifier, text in self.compiled.payloads_in_effect}
        return {**read, **self._in_effect}

    def close(self) -> None:
        """Free the runtime's objects."""
        del self.set_tensor, self.invoke, self.invoke_within, self.runner, self.compiled
        self._signature_runners.clear()


def _folded_away(record: Placement) -> Placement:
    """Return the placement of an op that the compiled model lacks."""
    from litedelegates.placement import FOLDED

    how = "computed from the shapes of the inputs when the model was compiled"
    return replace(record, ran=FOLDED, partition=None, evidence=how)


def describe_folding(folded: _core.FoldedModel | None, model: Model) -> str:
    """Say why a model takes the compiled route, and how many of its ops are gone."""
    if folded is None or not folded.operators:
        return "the runtime's C interface takes this model"
    ops = sum(graph.operator_count for graph in model.subgraphs)
    gone = ops - sum(map(len, folded.operators))
    if not gone:
        return "the runtime's C interface takes this model, with the sizes that follow from its inputs stored"
    return (
        f"the runtime's C interface takes this model; {gone} of its {ops} ops only compute shapes and were folded for "
        "the shapes of its inputs"
    )


def _payloads(chain: Sequence[Delegate], num_threads: int | None, runtime_options: dict[str, Any]) -> Payloads:
    merged: Payloads = {}
    for delegate in chain:
        for identifier, options in delegate.payloads().items():
            merged.setdefault(identifier, {}).update(options)
    if num_threads is not None:
        # The runtime reads the threads of its built-in kernels here too.
        merged.setdefault("xnnpack", {}).setdefault("num_threads", num_threads)
    # 2: the runtime keeps its error messages, for the exception that follows them.
    merged["runtime_options_string"] = {
        "error_reporter_mode": 2,
        **{key: value for key, value in runtime_options.items() if value is not None},
    }
    return merged


def _unpack(data: Array, element_type: str, bits: int, shape: tuple[int, ...]) -> Array:
    """Spread packed integers to one value an element, the lowest bits of a byte first."""
    count = int(np.prod(shape, dtype=np.int64))
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values = ((data[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:count].astype(np.uint8)
    if element_type.startswith("int"):
        sign = np.uint8(1 << (bits - 1))
        return ((values ^ sign).astype(np.int8) - np.int8(sign)).reshape(shape)
    return values.reshape(shape)
