"""SWEEP SIDE. Slots that are processes: one long-lived worker each, so that what a job needs is imported once.

A worker that dies takes its own trial with it and is replaced; workers die with the sweep. The workers' side is
job/worker.py; what goes over the pipe between the two stands in job/job.py.
"""

import functools
import os
import pickle
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from inksweep.errors import InputError
from inksweep.sweep.job.job import BROKEN, HELLO, READY, Done, Job, TooLong, WorkerDied, outcome_of
from inksweep.sweep.slots.processes import Process, Processes

# Workers that die one after the other before they are ready, until there is no point in trying again.
MAX_STILLBORN = 3


@dataclass
class Slot:
    """One slot: its worker, and what that does."""

    index: int
    process: Process
    connection: Connection
    ready: bool = False
    job: Job | None = None
    # Of the job's start.
    started: float = 0.0
    # The worker's memory in bytes after its first job.
    memory: int | None = None
    # Whether `end` has ended the job.
    ended: bool = False


class Pool:
    """Slots of workers.

    Args:
        size: how many.
        processes: where workers come from.
        devices: what each slot sees in CUDA_VISIBLE_DEVICES, round-robin; empty: left alone.
        growth: bytes by which a worker's memory may grow from its first job on before it is replaced.
        preload: what workers import before they are ready; only to say so.
    """

    def __init__(
        self,
        size: int,
        processes: Processes,
        *,
        devices: Sequence[str] = (),
        growth: int = 2**30,
        preload: Sequence[str] = (),
    ):
        self.size, self._processes, self._devices, self._growth = size, processes, devices, growth
        # The last is the heaviest: what it needs itself stands before it in such a list.
        package = preload[-1].partition(".")[0] if preload else None
        self._preparing = f"importing {package}" if package else "its process starts"
        self._stillborn = 0
        self._slots: list[Slot] = []

    @property
    def free(self) -> int:
        """How many jobs could be started now."""
        return self.size - sum(slot.job is not None for slot in self._slots)

    @property
    def next(self) -> int:
        """Which slot the next job gets: one that is ready before one that is not."""
        idle = [slot for slot in self._slots if slot.job is None]
        return min(idle, key=lambda slot: (not slot.ready, slot.index)).index if idle else len(self._slots)

    def start(self, job: Job) -> None:
        """Give `job` to a free slot; a worker that is still starting takes it when it is ready."""
        index = self.next
        if index == len(self._slots):
            self._slots.append(self._begin(index))
        slot = self._slots[index]
        slot.job, slot.ended = job, False
        if slot.ready:
            self._send(slot)

    def wait(self, seconds: float) -> Done | None:
        """Return a job that has ended, or None.

        Raises:
            InputError: workers cannot be started, because of what the script is like.
            RuntimeError: they cannot be started for another reason.
        """
        deadline = time.monotonic() + seconds
        while True:
            # A worker speaks through its connection; its death shows at its sentinel.
            signs: dict[Any, Slot] = {
                sign: slot for slot in self._slots for sign in (slot.connection, slot.process.sentinel)
            }
            if not signs:
                time.sleep(seconds)
                return None
            for sign in wait(list(signs), max(0.0, deadline - time.monotonic())):
                slot = signs[sign]
                if slot is self._slots[slot.index] and (done := self._heard(slot)) is not None:
                    return done
            if time.monotonic() >= deadline:
                return None

    def seconds(self, number: int) -> float | None:
        """Return how long the job of trial `number` has been running; None while its worker is starting."""
        slot = self._slot_of(number)
        return time.perf_counter() - slot.started if slot.ready else None

    def preparing(self, number: int) -> str | None:
        """Return what the worker of trial `number` does until it is ready."""
        return None if self._slot_of(number).ready else self._preparing

    def end(self, number: int) -> bool:
        """Kill the worker of trial `number`."""
        slot = self._slot_of(number)
        slot.ended = True
        slot.process.kill()
        return True

    def close(self) -> None:
        """Kill all workers."""
        for slot in self._slots:
            slot.process.kill()
        for slot in self._slots:
            slot.process.join()
            slot.connection.close()
        self._slots = []
        self._processes.close()

    def _slot_of(self, number: int) -> Slot:
        return next(slot for slot in self._slots if slot.job is not None and slot.job.number == number)

    def _begin(self, index: int) -> Slot:
        device = {"CUDA_VISIBLE_DEVICES": self._devices[index % len(self._devices)]} if self._devices else {}
        return Slot(index, *self._processes.begin(f"slot-{index}", device))

    def _send(self, slot: Slot) -> None:
        assert slot.job is not None
        slot.started = time.perf_counter()
        with suppress(ConnectionError):  # it has died: `wait` will see
            slot.connection.send_bytes(pickle.dumps((slot.job.number, slot.job.overrides, slot.job.whole)))

    def _heard(self, slot: Slot) -> Done | None:
        """Take a message from the worker of `slot`, or its death; return a job that this ended."""
        try:
            if not slot.connection.poll():
                return self._died(slot) if slot.process.has_ended() else None
            kind, *rest = pickle.loads(slot.connection.recv_bytes())
        except (EOFError, OSError, pickle.UnpicklingError):  # also in the middle of a message
            return self._died(slot)
        if kind == HELLO:
            self._processes.greet(slot.connection)
            return None
        if kind == BROKEN:
            error, text = rest
            if isinstance(error, InputError):
                raise error
            raise RuntimeError(f"a worker could not begin:\n{text}") from error
        if kind == READY:
            slot.ready, self._stillborn = True, 0
            if slot.job is not None:
                self._send(slot)
            return None
        returned, left, memory = rest
        job, slot.job = slot.job, None
        assert job is not None
        slot.memory = slot.memory or memory
        # What the job has left running ends with its worker. Ended, if it finished in the very moment in which `end`
        # killed its worker.
        if left or slot.ended or memory > slot.memory + self._growth:
            self._replace(slot)
        seconds = time.perf_counter() - slot.started
        if isinstance(returned, tuple):
            value, error = returned
            return Done(job.number, value, error, seconds)
        value, error = outcome_of(returned)
        return Done(job.number, value, error, seconds, returned)

    def _died(self, slot: Slot) -> Done | None:
        """Replace a dead worker; return its job if it had begun one."""
        was_ready, job, ended, started = slot.ready, slot.job, slot.ended, slot.started
        self._replace(slot)
        if not was_ready and not ended:
            self._stillborn += 1
            if self._stillborn >= MAX_STILLBORN:
                raise RuntimeError(
                    f"{self._stillborn} workers died at once while they were starting: {slot.process.ending()}"
                )
            self._slots[slot.index].job = job
            return None
        if job is None:
            return None
        error: Exception = TooLong("ended") if ended else WorkerDied(slot.process.ending())
        return Done(job.number, error=error, seconds=time.perf_counter() - started)

    def _replace(self, slot: Slot) -> None:
        slot.process.kill()
        slot.process.join()
        slot.connection.close()
        self._slots[slot.index] = self._begin(slot.index)


def visible_devices() -> list[str]:
    """Return the CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them, without touching them."""
    if (allowed := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in allowed.split(",") if device]
    return list(_listed_devices())


@functools.cache
def _listed_devices() -> list[str]:
    """Return the CUDA devices of this machine; they are asked for once, which takes a part of a second."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(index) for index, line in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]
