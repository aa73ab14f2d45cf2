"""The worker process of an isolated Interpreter: loads the model and runs it on command.

``python -m litedelegates.isolated_worker INBOX OUTBOX OTHERS`` reads commands from its standard input and answers on
its standard output, a line each (see `isolated_protocol`). Arrays are in three blocks of shared memory, which it
inherits as the descriptors named: the model's inputs, its outputs, and what else a message holds. It ends when its
input is closed.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from litedelegates.delegates import Delegate
    from litedelegates.routes import Array
    from litedelegates.routes.session import Session
    from litedelegates.shared_memory import Block


class Handler:
    """Holds the model and does what commands say; each public method is a command."""

    def __init__(self, inbox: Block, outbox: Block) -> None:
        """Start with no model."""
        self._inbox, self._outbox = inbox, outbox
        self._session: Session
        self._strings: dict[int, Any] = {}
        self._inputs: dict[str, Array] = {}

    def load(
        self,
        model: str | int,
        delegates: Sequence[Delegate],
        fallback: bool,
        how: Mapping[str, Any],
        shapes: Mapping[int, tuple[int, ...]],
    ) -> dict[str, Any]:
        """Load a model, from its path or from an inherited file, and give its inputs these shapes."""
        from litedelegates.loading import load_session, load_without_failing
        from litedelegates.model import Model

        if isinstance(model, int):
            with open(model, "rb", closefd=False) as file:
                file.seek(0)
                self._model = Model.load(file.read())
        else:
            self._model = Model.load(model)
        self._delegates = list(delegates)
        skipped: list[tuple[int, str]] = []
        if fallback:
            self._session, left_out = load_without_failing(self._model, self._delegates, **how)
            positions = {id(delegate): position for position, delegate in enumerate(self._delegates)}
            skipped = [(positions[id(entry.delegate)], entry.reason) for entry in left_out]
            self._delegates = [entry for entry in self._delegates if positions[id(entry)] not in dict(skipped)]
        else:
            self._session = load_session(self._model, self._delegates, **how)
        for index, shape in shapes.items():
            self._session.resize_input(index, shape, False)
        return {
            "route": self._session.route,
            "skipped": skipped,
            "device": self._session.device,
            "options": self._session.options_in_effect(),
            "shapes": self._shapes(),
        }

    def allocate(self) -> dict[str, Any]:
        """Prepare memory for the current shapes."""
        self._session.allocate()
        return {"shapes": self._shapes(), "route": self._session.route}

    def resize(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        """Give an input another shape."""
        self._session.resize_input(index, shape, strict)

    def place_inputs(self, places: list[dict[str, Any]]) -> None:
        """Learn where in the shared memory the inputs are."""
        self._inputs = self._inbox.read(places)

    def run(self, strings: Mapping[int, Any], time_limit_s: float | None) -> dict[str, Any]:
        """Run the model on the inputs in the shared memory and put the outputs there."""
        self._set_inputs(strings)
        if time_limit_s is None or self._session.route.name != "compiled":
            self._session.invoke()  # who waits ends this process when the time is over
        else:
            self._session.invoke_within(time_limit_s)
        outputs, strings_out = {}, {}
        tensors = self._model.subgraphs[0].tensors
        for index in dict.fromkeys(self._model.subgraphs[0].outputs):
            tensor = tensors[index]
            if tensor.element_type == "string":
                strings_out[index] = self._session.get_tensor(index)
            elif tensor.element_bits < 8:
                outputs[str(index)] = self._session.get_tensor(index)
            else:
                outputs[str(index)] = self._session.view(index)
        return {"outputs": self._outbox.write(outputs), "strings": strings_out, "shapes": self._shapes()}

    def time_runs(self, strings: Mapping[int, Any], limits: tuple[int, int, float]) -> Array:
        """Time runs on the inputs in the shared memory."""
        self._set_inputs(strings)
        return self._session.time_runs(*limits)

    def run_signature(self, key: str, values: dict[str, Any]) -> dict[str, Array]:
        """Run a signature on inputs by name."""
        return self._session.run_signature(key, values)

    def get_tensor(self, index: int, subgraph: int) -> Array:
        """Return a value that is not in the shared memory."""
        return self._session.get_tensor(index, subgraph)

    def reset_variables(self) -> None:
        """Set the variable tensors back to their first values."""
        self._session.reset_variables()

    def placement(self) -> Any:
        """Return where each op ran."""
        return self._session.placement()

    def profile(self, strings: Mapping[int, Any], runs: int) -> Any:
        """Return the times of each op."""
        from litedelegates.profile import profile

        self._set_inputs(strings)
        return profile(self._model, self._delegates, self._session, runs=runs)

    def quit(self) -> None:
        """Free the model in order and end the process."""
        self._session.close()
        os._exit(0)  # not by way of Python's end, for which the thread that listens would have to end too

    def _set_inputs(self, strings: Mapping[int, Any]) -> None:
        self._session.allocate()
        for name, value in self._inputs.items():
            self._session.set_tensor(int(name), value)
        for index, value in strings.items():
            self._session.set_tensor(index, value)

    def _shapes(self) -> dict[int, tuple[int, ...]]:
        graph = self._model.subgraphs[0]
        return {index: self._session.shape(index) for index in (*graph.inputs, *graph.outputs)}


def main() -> None:
    """Do commands until there are no more."""
    # Libraries print; what they print must not pass for an answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    commands: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, commands), daemon=True).start()

    from litedelegates.isolated_protocol import decode, encode
    from litedelegates.shared_memory import Block

    inbox, outbox, others = (Block(int(descriptor)) for descriptor in sys.argv[1:4])
    handler = Handler(inbox, outbox)
    while True:
        line = commands.get()
        try:
            name, arguments = decode(line, others)
            answer = encode([True, getattr(handler, name)(**arguments)], others)
        except Exception as error:
            answer = encode([False, error], others)
        view = memoryview(answer)
        while view:
            view = view[os.write(answers, view) :]


def _listen(file: BinaryIO, commands: queue.SimpleQueue[bytes]) -> None:
    """Pass commands on, and end the process when there will be no more, even while it runs a model."""
    for line in file:
        commands.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
