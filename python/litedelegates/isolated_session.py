"""Runs a model in a worker process, which may crash or be ended without harm to this one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
import weakref
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from litedelegates.delegates import Delegate, Hosted
from litedelegates.errors import RunTimeoutError, UnsupportedError, WorkerCrashedError
from litedelegates.isolated import end_process, python_command
from litedelegates.isolated_protocol import decode, encode
from litedelegates.loading import Skipped
from litedelegates.model import Model, numpy_dtype
from litedelegates.placement import Placement
from litedelegates.profile import Profile
from litedelegates.routes import Array, Route
from litedelegates.run_lock import RunLock
from litedelegates.shared_memory import Block

if TYPE_CHECKING:
    from litedelegates.routes.compiled import CompiledSession

_GRACE_S = 0.25  # for a run that stops by itself when its time is over
_QUIT_S = 2.0
_LONGEST_WAIT_S = 3600.0  # at a time: the system takes no more than some days


class IsolatedSession:
    """A model in a worker process, which is started anew where it has ended.

    Attributes:
        route: The route in the worker.
        skipped: With ``fallback``: the delegates that were left out.
        device: Name of the GPU in use; empty when there is none.
    """

    def __init__(self, model: Model, chain: Sequence[Delegate], *, fallback: bool, **how: Any) -> None:
        """Start a worker and load the model in it; the arguments are those of `loading.load_session`."""
        if any(isinstance(delegate, Hosted) for delegate in chain):
            raise UnsupportedError(
                "a delegate that lives in this process (experimental_delegates) cannot be used in another one: name it "
                "by its library, with External or Stable, or leave isolated=True out"
            )
        self.model = model
        self._arguments = {"delegates": tuple(chain), "fallback": fallback, "how": how}
        self._graph = model.subgraphs[0]
        self._lock = RunLock()
        self._pid = os.getpid()
        self._resized: dict[int, tuple[int, ...]] = {}
        self._strings: dict[int, Any] = {}
        self._file = None if model.path else _memory_file(model.file.bytes)
        self._close_file = weakref.finalize(self, os.close, self._file) if self._file is not None else None
        self._make_blocks()
        self._inputs: dict[str, Array] = {}
        self._places: list[dict[str, Any]] = []
        self._outputs: dict[str, Array] = {}
        self._string_outputs: dict[int, Any] = {}
        self._worker: _Worker | None = None
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._placement: tuple[Placement, ...] | None = None
        self._is_allocated = False
        loaded = self._start()
        self.route = _in_worker(loaded["route"])
        self.device: str = loaded["device"]
        self.skipped = tuple(Skipped(chain[position], reason) for position, reason in loaded["skipped"])
        self._options: dict[str, dict[str, Any]] = loaded["options"]

    @property
    def running(self) -> CompiledSession:
        """Nothing in this process: what runs the model is in the worker."""
        raise UnsupportedError("the model runs in a worker process")

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        return None if self._worker is None else self._worker.process.pid

    def set_tensor(self, index: int, value: Any) -> None:
        """Copy a value into an input."""
        if index not in self._graph.inputs:
            raise ValueError(f"tensor {index} is not an input of the model")
        if not self._is_allocated:
            raise ValueError("the tensors are not allocated: call allocate_tensors() first")
        array = np.asarray(value)
        if self._graph.tensors[index].element_type == "string":
            self._strings[index] = array
            return
        target = self._inputs[str(index)]
        if array.dtype != target.dtype or array.shape != target.shape:
            raise ValueError(
                f"cannot set input {self._graph.inputs.index(index)} (tensor {index}): it is {array.dtype}"
                f"{list(array.shape)}, the model takes {target.dtype}{list(target.shape)} (resize_tensor_input changes "
                "the shape)"
            )
        target[...] = array

    def get_tensor(self, index: int, subgraph: int = 0) -> Array:
        """Return a copy of a tensor's value."""
        if subgraph == 0:
            if index in self._strings or index in self._string_outputs:
                return np.array(self._strings.get(index, self._string_outputs.get(index)))
            if str(index) in self._inputs or str(index) in self._outputs:
                return self.view(index).copy()
            if index in self._graph.outputs:
                raise ValueError(f"output {index} was not computed: run the model")
        value: Array = self._call("get_tensor", index=index, subgraph=subgraph)
        return value

    def view(self, index: int) -> Array:
        """Return an input or output in the memory that is shared with the worker; the next run overwrites outputs."""
        found = self._outputs.get(str(index), self._inputs.get(str(index)))
        if found is None:
            raise ValueError(f"tensor {index} is no input, or an output that was not computed yet: run the model")
        return found

    def invoke(self) -> None:
        """Run the model on the inputs that were set."""
        self._run(None)

    def invoke_within(self, time_limit_s: float) -> None:
        """Run the model; the worker is ended when the time is over and the run does not stop by itself."""
        self._run(time_limit_s)

    def _run(self, time_limit_s: float | None) -> None:
        if not self._is_allocated:
            raise RuntimeError("the tensors are not allocated: call allocate_tensors() first")
        self._forget_outputs()
        grace_s = _GRACE_S if self.route.name == "compiled" else 0.0
        reply = self._call(
            "run",
            limit_s=None if time_limit_s is None else time_limit_s + grace_s,
            strings=self._strings,
            time_limit_s=time_limit_s,
        )
        self._shapes = reply["shapes"]
        self._outputs, self._string_outputs = self._outbox.read(reply["outputs"]), reply["strings"]

    def _forget_outputs(self) -> None:
        self._outputs, self._string_outputs = {}, {}

    def is_running(self, was_in_run: bool) -> bool:
        """Return False: a run of the parent's goes on in the parent's worker, and a child process starts its own."""
        return False

    def allocate(self) -> None:
        """Prepare memory for the current shapes."""
        if not self._is_allocated:
            prepared = self._call("allocate")
            self._shapes, self.route = prepared["shapes"], _in_worker(prepared["route"])
            self._place_inputs()
            self._is_allocated = True

    def resize_input(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        """Give an input another shape."""
        self._call("resize", index=index, shape=shape, strict=strict)
        self._resized[index] = tuple(shape)
        self._shapes[index] = tuple(shape)
        self._is_allocated = False

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the current shape of an input or output."""
        return self._shapes.get(index, tuple(self._graph.tensors[index].shape))

    def reset_variables(self) -> None:
        """Set the variable tensors back to their first values; a worker that was started anew has those."""
        self._call("reset_variables")

    def time_runs(self, min_runs: int, max_runs: int, max_seconds: float) -> Array:
        """Return nanoseconds of upload, run and read-back of each run in the worker, shape (runs, 3)."""
        samples: Array = self._call("time_runs", strings=self._strings, limits=(min_runs, max_runs, max_seconds))
        return samples

    def run_signature(self, key: str, values: dict[str, Any]) -> dict[str, Array]:
        """Run a signature on inputs by name."""
        arrays = {name: np.asarray(value) for name, value in values.items()}
        outputs: dict[str, Array] = self._call("run_signature", key=key, values=arrays)
        return outputs

    def placement(self) -> tuple[Placement, ...]:
        """Return where each op ran."""
        if self._placement is None:
            self._placement = tuple(self._call("placement"))
        return self._placement

    def profile(self, runs: int) -> Profile:
        """Return the times of each op."""
        found: Profile = self._call("profile", strings=self._strings, runs=runs)
        return found

    def options_in_effect(self) -> dict[str, dict[str, Any]]:
        """Return the options as the runtime holds them."""
        return self._options

    def close(self) -> None:
        """End the worker."""
        self._end_worker(in_order=True)
        self._inputs.clear()
        self._forget_outputs()
        self._close_blocks()
        if self._close_file is not None:
            self._close_file()

    def _call(self, command: str, *, limit_s: float | None = None, **arguments: Any) -> Any:
        """Have the worker do something and return its reply.

        Raises:
            WorkerCrashedError: It ended meanwhile.
            RunTimeoutError: It did not reply in time and was ended.
        """
        if os.getpid() != self._pid:
            self._forget_parent()
        with self._lock:
            # It may have ended while it did nothing: the system ends processes when memory runs out.
            if self._worker is None or self._worker.process.poll() is not None:
                self._start()
            return self._exchange(command, limit_s, arguments)

    def _start(self) -> dict[str, Any]:
        self._end_worker(in_order=False)
        self._worker = _Worker(self._blocks, () if self._file is None else (self._file,))
        weakref.finalize(self, end_process, self._worker.process)
        model = str(Path(self.model.path).absolute()) if self.model.path else self._file
        try:
            loaded: dict[str, Any] = self._exchange(
                "load", None, {**self._arguments, "model": model, "shapes": self._resized}
            )
            self._shapes = loaded["shapes"]
            if self._is_allocated:
                self._exchange("allocate", None, {})
            if self._places:
                self._exchange("place_inputs", None, {"places": self._places})
        except BaseException:  # without its model it is of no use
            self._end_worker(in_order=False)
            raise
        return loaded

    def _make_blocks(self) -> None:
        self._blocks = self._inbox, self._outbox, self._others = Block(), Block(), Block()
        self._close_blocks = weakref.finalize(self, _close, self._blocks)

    def _exchange(self, command: str, limit_s: float | None, arguments: dict[str, Any]) -> Any:
        assert self._worker is not None
        try:
            is_done, reply = self._worker.call(command, arguments, limit_s)
        except BaseException:  # what it does or replies now is of no use: Ctrl-C too
            self._end_worker(in_order=False)
            raise
        if is_done:
            return reply
        raise reply

    def _place_inputs(self) -> None:
        """Lay the inputs out in the shared memory, with the values of those that keep their shape."""
        arrays: dict[str, Array] = {}
        for index in self._graph.inputs:
            element_type = self._graph.tensors[index].element_type
            if element_type == "string":
                continue
            old = self._inputs.get(str(index))
            keeps = old is not None and old.shape == self._shapes[index]
            arrays[str(index)] = (
                old.copy() if keeps and old is not None else np.zeros(self._shapes[index], numpy_dtype(element_type))
            )
        self._places = self._inbox.write(arrays)
        self._inputs = self._inbox.read(self._places)
        self._call("place_inputs", places=self._places)

    def _end_worker(self, in_order: bool) -> None:
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.end(in_order)

    def _forget_parent(self) -> None:
        """Leave the worker and the memory to the parent, in a child process, and make others."""
        self._pid, self._lock, self._worker = os.getpid(), RunLock(), None
        values = {name: array.copy() for name, array in self._inputs.items()}
        self._make_blocks()
        self._forget_outputs()
        self._places = self._inbox.write(values)
        self._inputs = self._inbox.read(self._places)


class _Worker:
    """The process and its two pipes."""

    def __init__(self, blocks: Sequence[Block], files: Collection[int]) -> None:
        descriptors = [block.file for block in blocks]
        self._others = blocks[-1]
        # A session of its own: Ctrl-C is for the process that the user sees.
        self.process = subprocess.Popen(
            python_command("litedelegates.isolated_worker", *map(str, descriptors)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(*descriptors, *files),
        )

    def call(self, command: str, arguments: dict[str, Any], limit_s: float | None) -> tuple[bool, Any]:
        """Send a command and return whether it was done, and the reply or the error."""
        deadline = None if limit_s is None else time.monotonic() + limit_s
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(encode([command, arguments], self._others))
            self.process.stdin.flush()
        except OSError:
            self._raise_crashed(command)
        is_done, reply = decode(self._read_line(command, deadline, limit_s), self._others)
        return is_done, reply

    def _read_line(self, command: str, deadline: float | None, limit_s: float | None) -> bytearray:
        assert self.process.stdout is not None
        file = self.process.stdout.fileno()
        waiting = select.poll()
        waiting.register(file, select.POLLIN)
        line = bytearray()
        while not line.endswith(b"\n"):  # it replies when it was asked, a line each time
            left_s = _LONGEST_WAIT_S if deadline is None else deadline - time.monotonic()
            if left_s < 0:
                raise RunTimeoutError(
                    f"{_in_words(command)}: the worker process did not reply within {limit_s:.3g} s and was ended; "
                    "the next call starts another"
                )
            if waiting.poll(1e3 * min(left_s, _LONGEST_WAIT_S)):
                chunk = os.read(file, 1 << 20)
                if not chunk:
                    self._raise_crashed(command)
                line += chunk
        return line

    def _raise_crashed(self, command: str) -> NoReturn:
        code = self.process.wait()
        how = f"exited with code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = f"was ended by signal {-code} ({signal.Signals(-code).name})"
        raise WorkerCrashedError(
            f"{_in_words(command)}: the worker process {how}; the next call starts another",
            signal=-code if code < 0 else None,
            exit_code=code if code >= 0 else None,
        )

    def end(self, in_order: bool) -> None:
        """End the process; in order it frees the model first, if it does so in time."""
        if in_order and self.process.stdin is not None and self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
                self.process.stdin.write(encode(["quit", {}], self._others))
                self.process.stdin.flush()
                self.process.wait(_QUIT_S)
        end_process(self.process)


def _close(blocks: Sequence[Block]) -> None:
    for block in blocks:
        block.close()


def _in_worker(route: Route) -> Route:
    return Route(route.name, f"{route.reason}; in a worker process")


def _in_words(command: str) -> str:
    return {"load": "loading the model", "run": "running the model"}.get(command, command.replace("_", " "))


def _memory_file(content: Array) -> int:
    """Return the descriptor of a file without a name."""
    file = os.memfd_create("litedelegates")
    view = memoryview(content.tobytes())
    while view:
        view = view[os.write(file, view) :]
    return file
