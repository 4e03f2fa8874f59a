"""SWEEP SIDE. The processes behind slots: forked from one that has all they need, or spawned anew.

Both kinds of `Processes` begin a worker that talks over a pipe, and give back a `Process`, which can be waited for and
killed with all that it has started.
"""

import itertools
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from inksweep.cores import usable_cores
from inksweep.errors import InputError, last_line
from inksweep.sweep.job import children, fork_server, script, worker
from inksweep.sweep.job.job import Setup

# Variables from which numeric libraries take the number of their threads.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What every worker needs.
PRELOAD = ("inksweep.sweep.job.runner", "inksweep.sweep.job.task", "inksweep.sweep.job.watcher")
# How long a fork server has to end its workers, which takes it some milliseconds, until it is killed itself.
END_S = 5.0


class Process(Protocol):
    """A worker's process."""

    @property
    def sentinel(self) -> Any:
        """What `multiprocessing.connection.wait` finds ready when there is something to be learnt of the process."""

    def has_ended(self) -> bool:
        """Whether it has ended."""

    def ending(self) -> str:
        """Say how it ended."""

    def kill(self) -> None:
        """End it now, and all that it has started."""

    def join(self) -> None:
        """Wait until it has ended."""


class Processes(Protocol):
    """Where workers come from."""

    def begin(self, name: str, environment: Mapping[str, str]) -> tuple[Process, Connection]:
        """Start a worker; return its process and our end of its pipe."""

    def greet(self, connection: Connection) -> None:
        """Send what a worker needs that says it has started."""

    def close(self) -> None:
        """End all of them."""


class CannotForkError(RuntimeError):
    """Workers must not be forked from this process; the message says why."""


class Forked:
    """Workers forked from a process that was forked from this one: see job/fork_server.py.

    Args:
        setup: what workers need; they have it by the fork.
        preload: modules to import once.
        environment: variables of all workers.

    Raises:
        CannotForkError: they would not work.
    """

    def __init__(self, setup: Setup, preload: Sequence[str], environment: Mapping[str, str]):
        self._setup, self._preload, self._environment = setup, [*preload, *PRELOAD], dict(environment)
        self._keys = itertools.count()
        self._start()

    def begin(self, name: str, environment: Mapping[str, str]) -> tuple["ForkedProcess", Connection]:
        """Start a worker; it begins when all is imported."""
        try:
            return self._begin(name, environment)
        except ConnectionError:  # the fork server has been killed
            self.close()
            self._start()
            return self._begin(name, environment)

    def greet(self, connection: Connection) -> None:
        """Forked workers say nothing before they are ready."""

    def run(self, command: Sequence[str], patience_s: float) -> tuple[int, str]:
        """Run a module as `python -m` does, in a process that has imported all that workers have.

        Args:
            command: the module, and the words for it.
            patience_s: how long it may take.

        Returns:
            Its exit code, negative for a signal, and what it printed.

        Raises:
            TimeoutError: it took longer, and was ended.
            ConnectionError: the fork server has been killed.
        """
        # It computes with as many threads as it would if it had been started by itself.
        environment = {name: os.environ.get(name, str(usable_cores())) for name in self._environment}
        process, connection = self._begin("after-sweep", environment, [*command])
        deadline, printed = time.monotonic() + patience_s, b""
        try:
            with connection:
                while wait([connection], max(0.0, deadline - time.monotonic())):
                    if not (part := os.read(connection.fileno(), 2**16)):
                        break
                    printed += part
                else:
                    raise TimeoutError
            process.join()
        finally:
            if process.code is None:
                process.kill()
                process.join()
        if process.code is None:
            raise ConnectionResetError("the process that it was forked from has ended")
        return process.code, printed.decode(errors="replace")

    def close(self) -> None:
        """Let the fork server end its workers, and itself."""
        # While it imports it does not listen, and has no workers.
        is_preloading = not wait([self._control], 0)
        self._control.close()
        deadline = time.monotonic() + (0 if is_preloading else END_S)
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):
                if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                    time.sleep(0.002)
                    continue
            return
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _start(self) -> None:
        # Their buffers would be written by both processes.
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._pid = fork_server.fork()
        except OSError as error:  # too many processes, too little memory
            self._control.close()
            theirs.close()
            raise CannotForkError(str(error)) from error
        if self._pid == 0:
            try:
                self._control.close()
                serve = partial(worker.serve, setup=lambda: self._setup)
                fork_server.main(theirs, serve, self._preload, self._environment)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()
        answer = self._control.recv(fork_server.MESSAGE)
        obstacle = pickle.loads(answer) if answer else "the process to fork them from was ended"
        if obstacle is not None:
            self.close()
            raise CannotForkError(obstacle)

    def _begin(
        self, name: str, environment: Mapping[str, str], command: Sequence[str] | None = None
    ) -> tuple["ForkedProcess", Connection]:
        ours, theirs = multiprocessing.Pipe()
        reports, report = multiprocessing.Pipe(duplex=False)
        key = next(self._keys)
        with theirs, report:
            message = pickle.dumps((fork_server.BEGIN, key, name, dict(environment), command))
            socket.send_fds(self._control, [message], [theirs.fileno(), report.fileno()])
        return ForkedProcess(reports, partial(self._kill, key)), ours

    def _kill(self, key: int) -> None:
        with suppress(OSError):
            self._control.send(pickle.dumps((fork_server.KILL, key)))


class Kept:
    """Workers from where others will come from after these have ended.

    Args:
        processes: what they are from.
    """

    def __init__(self, processes: Processes):
        self.begin, self.greet = processes.begin, processes.greet

    def close(self) -> None:
        """What they are from stays."""


class ForkedProcess:
    """A worker that was forked elsewhere.

    Args:
        reports: its process id comes here, and once it has ended its exit code.
        kill: asks the fork server to kill it.
    """

    def __init__(self, reports: Connection, kill: Callable[[], None]):
        self.sentinel, self.kill = reports, kill
        self.pid: int | None = None
        self.code: int | None = None
        self._obstacle: str | None = None
        self._is_lost = False

    def has_ended(self) -> bool:
        """Read what is reported of it."""
        while self.code is None and not self._is_lost and self.sentinel.poll():
            try:
                report = self.sentinel.recv()
            except (EOFError, OSError):
                # The fork server was killed. The system has killed the worker with it, but not what that had started.
                self._is_lost = True
                if self.pid is not None:
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.pid, signal.SIGKILL)
            else:
                if isinstance(report, str):
                    self._obstacle = report  # the end of the pipe follows
                elif self.pid is None:
                    self.pid = report
                else:
                    self.code = report
        return self.code is not None or self._is_lost

    def ending(self) -> str:
        """Say how it ended."""
        return self._obstacle or _ending(self.code)

    def join(self) -> None:
        """Wait for its exit code."""
        deadline = time.monotonic() + END_S
        while not self.has_ended() and self.sentinel.poll(max(0.0, deadline - time.monotonic())):
            pass
        if self.has_ended():
            self.sentinel.close()


class Spawned:
    """Workers that begin with nothing, as everywhere but on Linux: they import the script again.

    Args:
        setup: what workers need; it is sent to them.
        environment: variables of all workers.

    Raises:
        InputError: the script cannot be imported without starting its sweep again, or its task cannot be sent.
    """

    def __init__(self, setup: Setup, environment: Mapping[str, str]):
        from hydra.core.singleton import Singleton

        script.check_guard()
        try:
            self._setup = script.dumps((setup, Singleton.get_state()))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise InputError(
                f"hydra.launcher.start_method=spawn: the task cannot be sent to another process ({last_line(error)}); "
                "define it at the top of the script, or use hydra/launcher=basic"
            ) from error
        self._environment = dict(environment)
        self._context = multiprocessing.get_context("spawn")

    def begin(self, name: str, environment: Mapping[str, str]) -> tuple["SpawnedProcess", Connection]:
        """Start a worker."""
        environment = {**self._environment, **environment}
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=worker.main, args=(theirs, environment), name=name, daemon=False)
        # Before the script is imported, which is before `worker.main` is called.
        with _set(environment):
            process.start()
        theirs.close()
        return SpawnedProcess(process), ours

    def greet(self, connection: Connection) -> None:
        """Send it all; not with the process's arguments: writing to one that dies meanwhile would not end."""
        with suppress(ConnectionError):
            connection.send_bytes(self._setup)

    def close(self) -> None:
        """Nothing is kept between workers."""


class SpawnedProcess:
    """A worker that is a child of this process."""

    def __init__(self, process: BaseProcess):
        self._process = process
        self.sentinel = process.sentinel

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.exitcode is not None

    def ending(self) -> str:
        """Say how it ended."""
        return _ending(self._process.exitcode)

    def kill(self) -> None:
        """Kill it, after all that it has started."""
        assert self._process.pid is not None
        children.kill_all(self._process.pid)
        self._process.kill()

    def join(self) -> None:
        """Wait until it has ended."""
        self._process.join()


def _ending(code: int | None) -> str:
    if code is None:
        return "the process that it was forked from has ended"
    if code < 0:
        name = next((each.name for each in signal.Signals if each == -code), f"signal {-code}")
        return f"its process was ended by {name}"
    return f"its process ended with exit code {code}"


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
