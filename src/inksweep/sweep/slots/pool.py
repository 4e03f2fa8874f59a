"""SWEEP SIDE. Slots that are processes: one long-lived worker each, so that what a job needs is imported once.

A worker that dies takes its own trial with it and is replaced; workers die with the sweep. The workers' side is
job/worker.py; what goes over the pipe between the two stands in job/job.py.
"""

import multiprocessing
import os
import pickle
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from inksweep.sweep.job import worker
from inksweep.sweep.job.job import BROKEN, HELLO, READY, Done, Job, TooLong, WorkerDied

# Variables from which numeric libraries take the number of their threads.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What every worker needs.
PRELOAD = ("inksweep.sweep.job.runner", "inksweep.sweep.job.task", "inksweep.sweep.job.watcher")
# Workers that die one after the other before they are ready, until there is no point in trying again.
MAX_STILLBORN = 3


@dataclass
class Slot:
    """One slot: its worker, and what that does."""

    index: int
    process: BaseProcess
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
        setup: pickled for `worker.main`.
        folder: the sweep directory; the output of trial 7 goes to `7/output.log` in it.
        preload: modules to import once, in the process that workers are forked from.
        threads: CPU threads of a worker.
        devices: what each slot sees in CUDA_VISIBLE_DEVICES, round-robin; empty: left alone.
        method: `forkserver`: workers share what is preloaded, and start within milliseconds. `spawn`: on any system.
        growth: bytes by which a worker's memory may grow from its first job on before it is replaced.
    """

    def __init__(
        self,
        size: int,
        setup: bytes,
        folder: Path,
        *,
        preload: Sequence[str] = (),
        threads: int = 1,
        devices: Sequence[str] = (),
        method: str = "forkserver",
        growth: int = 2**30,
    ):
        self.size, self._setup, self._folder, self._devices = size, setup, folder, devices
        self._growth, self._stillborn = growth, 0
        self._threads = dict.fromkeys(THREADS, str(threads))
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload([*PRELOAD, *preload, "inksweep.sweep.job.preloaded"])
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
            RuntimeError: workers cannot be started.
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

    def end(self, number: int) -> bool:
        """Kill the worker of trial `number`."""
        slot = self._slot_of(number)
        slot.ended = True
        _kill(slot.process)
        return True

    def close(self) -> None:
        """Kill all workers."""
        for slot in self._slots:
            _kill(slot.process)
        for slot in self._slots:
            slot.process.join()
            slot.connection.close()
        self._slots = []

    def _slot_of(self, number: int) -> Slot:
        return next(slot for slot in self._slots if slot.job is not None and slot.job.number == number)

    def _begin(self, index: int) -> Slot:
        environment = dict(self._threads)
        if self._devices:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[index % len(self._devices)]
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=worker.main, args=(theirs, environment), name=f"slot-{index}", daemon=False
        )
        # The process that workers are forked from reads the number of threads when it imports.
        with _set(environment):
            process.start()
        theirs.close()
        return Slot(index, process, ours)

    def _send(self, slot: Slot) -> None:
        assert slot.job is not None
        slot.started = time.perf_counter()
        folder = str(self._folder / str(slot.job.number))
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: `wait` will see
            slot.connection.send_bytes(pickle.dumps((slot.job.number, slot.job.overrides, folder)))

    def _heard(self, slot: Slot) -> Done | None:
        """Take a message from the worker of `slot`, or its death; return a job that this ended."""
        try:
            if not slot.connection.poll():
                return self._died(slot)
            kind, *rest = pickle.loads(slot.connection.recv_bytes())
        except (EOFError, OSError, pickle.UnpicklingError):  # also in the middle of a message
            return self._died(slot)
        if kind == HELLO:
            # Not with the process's arguments: one that dies while it starts would leave us writing to it for ever.
            with suppress(BrokenPipeError, ConnectionResetError):
                slot.connection.send_bytes(self._setup)
            return None
        if kind == BROKEN:
            raise RuntimeError(f"a worker could not begin:\n{rest[0]}")
        if kind == READY:
            slot.ready, self._stillborn = True, 0
            if slot.job is not None:
                self._send(slot)
            return None
        value, error, memory = rest
        job, slot.job = slot.job, None
        assert job is not None
        slot.memory = slot.memory or memory
        # Ended, if it finished in the very moment in which `end` killed its worker.
        if slot.ended or memory > slot.memory + self._growth:
            self._replace(slot)
        return Done(job.number, value, error, time.perf_counter() - slot.started)

    def _died(self, slot: Slot) -> Done | None:
        """Replace a dead worker; return its job if it had begun one."""
        was_ready, job, ended, started = slot.ready, slot.job, slot.ended, slot.started
        self._replace(slot)
        if not was_ready and not ended:
            self._stillborn += 1
            if self._stillborn >= MAX_STILLBORN:
                raise RuntimeError(f"{self._stillborn} workers died at once while they were starting")
            self._slots[slot.index].job = job
            return None
        if job is None:
            return None
        error: Exception = TooLong("ended") if ended else WorkerDied(_how_it_ended(slot.process))
        return Done(job.number, error=error, seconds=time.perf_counter() - started)

    def _replace(self, slot: Slot) -> None:
        _kill(slot.process)
        slot.process.join()
        slot.connection.close()
        self._slots[slot.index] = self._begin(slot.index)


def visible_devices() -> list[str]:
    """Return the CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them, without touching them."""
    if (allowed := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in allowed.split(",") if device]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(index) for index, line in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]


def _how_it_ended(process: BaseProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _kill(process: BaseProcess) -> None:
    """End a worker and all that it has started."""
    assert process.pid is not None
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or leads no group yet
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


@contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process during the block."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
