"""How the work of a function on the device is recorded, to be repeated as a whole: as a CUDA graph."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Generator, Tensor

Replay = Callable[[], None]

# Replays between two looks at how far the device is; the host is at most twice as many ahead of it.
PACE = 25


class Recorder(Protocol):
    """What GraphLearner needs of a device: `CudaRecorder`, or in tests a recorder that needs no GPU."""

    def apart(self, function: Replay) -> None:
        """Call a function on the stream where it will be recorded, after all that was started before."""

    def record(self, function: Replay, generator: Generator) -> Replay:
        """Return what repeats all that `function` lets the device do, without doing it now.

        Args:
            function: draws from `generator` and from torch's own, and never waits for the device.
            generator: on the device.
        """

    def upload(self, target: Tensor, source: Tensor) -> None:
        """Copy a tensor of the CPU to the device, after all that was started there, without waiting for it."""

    def keep_pace(self) -> None:
        """Wait for the device if the host is far ahead: called after each replay."""


class CudaRecorder:
    """Records CUDA graphs, on a stream of its own as CUDA asks for."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()
        # A blocking event leaves the core to others while it is waited for.
        self._passed, self._replays = torch.cuda.Event(blocking=True), 0

    def apart(self, function: Replay) -> None:
        """Call a function on the stream where it will be recorded, after all that was started before."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            function()
        current.wait_stream(self._stream)

    def record(self, function: Replay, generator: Generator) -> Replay:
        """Return what repeats all that `function` lets the device do, without doing it now.

        Raises:
            RuntimeError: it does what a graph cannot hold, such as waiting for the device.
        """
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        graph.register_generator_state(generator)  # torch's own generator it knows by itself
        own = torch.cuda.default_generators[torch.cuda.current_device()]
        states = [(each, each.clone_state()) for each in (generator, own)]
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                function()
        except BaseException:
            # Where a recording fails, torch stays on its stream, and the generators wait for its end.
            torch.cuda.set_stream(current)
            for each, state in states:
                each.graphsafe_set_state(state)
            raise
        replay: Replay = graph.replay
        return replay

    def upload(self, target: Tensor, source: Tensor) -> None:
        """Copy a tensor of the CPU to the device, after all that was started there, without waiting for it."""
        target.copy_(source.pin_memory(), non_blocking=True)

    def keep_pace(self) -> None:
        """Wait for the device if the host is far ahead: a training that is called off then ends soon."""
        self._replays += 1
        if self._replays % PACE == 0:
            self._passed.synchronize()
            self._passed.record()
