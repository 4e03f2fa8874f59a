"""A recorder that needs no GPU, and takes a recording as literally as a CUDA graph does."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from inksweep.digits.training.graph import GraphLearner, Moment

Replay = Callable[[], None]

# What a step on a GPU would wait for the device with, or bring from the host: reading a value, torch.tensor(...).
FROM_HOST = {"aten._local_scalar_dense", "aten.lift_fresh", "aten.is_nonzero", "aten.equal", "aten.nonzero"}


class Tape(TorchDispatchMode):
    """Notes each operation of torch with the tensors that it reads and those that it makes; refuses those of the host.

    Played again, the same operations read the same tensors and write into the same ones. Numbers stay as they were:
    what a step computes in Python is computed once, as with a graph.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(operation.overloadpacket) in FROM_HOST:
            raise RuntimeError(f"operation not permitted while recording: {operation}")
        made = operation(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves(made) if isinstance(each, Tensor)]
        self.operations.append((operation, args, kwargs or {}, tensors))
        return made

    def play(self) -> None:
        """Do it again."""
        with torch.no_grad():
            for operation, args, kwargs, targets in self.operations:
                made = [each for each in tree_leaves(operation(*args, **kwargs)) if isinstance(each, Tensor)]
                for target, value in zip(targets, made, strict=True):
                    # Of an operation in place, or of a view, it is the same memory.
                    if target.data_ptr() != value.data_ptr():
                        target.detach().copy_(value)


class TapeRecorder:
    """Records on tapes; counts what it is asked for."""

    def __init__(self) -> None:
        self.learner: GraphLearner
        self.recorded = 0
        # Steps of each replay.
        self.replays: list[int] = []

    def apart(self, function: Replay) -> None:
        function()

    def record(self, function: Replay, generator: Generator) -> Replay:
        assert generator is self.learner.generator
        self.recorded += 1
        before, tape = Moment(self.learner), Tape()
        # It does what it records, on any batches, which is undone; what it does in Python stays.
        self.learner.position.zero_()
        with tape:
            function()
        steps = int(self.learner.position)
        left = {parameter: dict(state) for parameter, state in self.learner.optimizer.state.items()}
        before.put_back()
        self.learner.optimizer.state.update(left)

        def replay() -> None:
            self.replays.append(steps)
            tape.play()

        return replay

    def upload(self, target: Tensor, source: Tensor) -> None:
        target.copy_(source)

    def keep_pace(self) -> None:
        pass
