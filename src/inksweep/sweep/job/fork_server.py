"""TRIAL SIDE. The process that workers are forked from.

It is forked from the sweep's own process before the first trial. So the script is there once, as the main module that
it is: its functions, classes, registered resolvers and open files need not be sent or made again. Here it imports what
is to be preloaded, which all workers then share, and forks a worker when the sweep asks for one. It dies with the
sweep, and what trials have started dies with their workers: this process adopts it.

What goes over its sockets (slots/processes.py is the other side):

    sweep -> fork server   (BEGIN, key, name, environment, command), with two file descriptors: the worker's end of its
                           own pipe, and where to report of it; command is None, or what the worker does instead of
                           serving jobs: the words after `python -m`. Its pipe then gets what is printed. (KILL, key)
    fork server -> sweep   None, or why nothing can be forked from here; PRELOADED once all is imported
    of a worker            its process id, and once it has ended its exit code, negative for a signal; or a line on
                           why it could not be forked
"""

import ctypes
import gc
import importlib
import logging
import os
import pickle
import runpy
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn

from inksweep.sweep.job import children

BEGIN, KILL, PRELOADED = "begin", "kill", "preloaded"
# As `ps -o comm` shows it.
NAME = "fork-server"
# The longest message: a dictionary of a few variables.
MESSAGE = 2**16
# One of them is there where a driver of GPUs is: NVIDIA's, AMD's, that of Windows below Linux.
GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
# How long the last processes are waited for: one that waits for a file system ends only after it.
LINGER_S = 5.0
# How long a try may take, which needs some milliseconds, or for ever.
PROBE_S = 5.0


@dataclass
class Child:
    """A worker: its process, and where its end is reported."""

    pid: int
    report: Connection


def main(
    control: socket.socket,
    serve: Callable[[Connection], None],
    preload: Sequence[str],
    environment: Mapping[str, str],
) -> NoReturn:
    """Fork workers until the sweep is gone.

    Args:
        control: to the sweep.
        serve: what a worker does with its pipe.
        preload: modules to import once. One that cannot be imported is passed over: the app says so when it needs it.
        environment: variables for all workers, set before anything is imported.
    """
    with suppress(OSError):
        os.setsid()
    children.call_this_process(NAME)
    children.adopt_orphans()
    children.be_deaf()
    _read_nothing()
    _let_go_of_locks()
    threads = int(environment.get("OMP_NUM_THREADS", 1))
    obstacle = why_not_fork(threads)
    control.send(pickle.dumps(obstacle))
    if obstacle is not None:
        os._exit(0)
    os.environ.update(environment)
    for name in preload:
        with suppress(Exception):
            importlib.import_module(name)
    _limit_threads(threads)
    # The collector writes into every object that it looks at, and a page that is written to is no longer shared.
    gc.collect()
    gc.freeze()
    with suppress(OSError):  # the sweep is gone: `run` sees it
        control.send(pickle.dumps(PRELOADED))
    _Server(control, serve).run()
    os._exit(0)


class _Server:
    def __init__(self, control: socket.socket, serve: Callable[[Connection], None]):
        self.control, self.serve = control, serve
        self.workers: dict[int, Child] = {}
        # Of modules that were preloaded.
        self.own = children.of(os.getpid())
        self.ended, wake = socket.socketpair()
        for end in (self.ended, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._wake = wake

    def run(self) -> None:
        """Do what the sweep asks for, and report who has ended, until the sweep is gone."""
        while True:
            readable = wait([self.control, self.ended])
            if self.ended in readable:
                with suppress(BlockingIOError):
                    self.ended.recv(MESSAGE)
                self._reap()
            if self.control in readable and not self._answer():
                break
        for child in self.workers.values():
            _kill(child.pid)
        deadline = time.monotonic() + LINGER_S
        while (children.kill_all(os.getpid()) or self._reap()) and time.monotonic() < deadline:
            time.sleep(0.002)

    def _answer(self) -> bool:
        """Read what the sweep asks for, and do it; False: the sweep is gone."""
        try:
            message, files, _, _ = socket.recv_fds(self.control, MESSAGE, 2)
        except ConnectionError:
            return False
        if not message:
            return False
        kind, key, *rest = pickle.loads(message)
        if kind == BEGIN:
            self._begin(key, files, *rest)
        elif key in self.workers:
            _kill(self.workers[key].pid)
        return True

    def _begin(
        self, key: int, files: Sequence[int], name: str, environment: Mapping[str, str], command: Sequence[str] | None
    ) -> None:
        connection, report = Connection(files[0]), Connection(files[1], readable=False)
        server = os.getpid()
        try:
            pid = fork()
        except OSError as error:  # too many processes, too little memory
            with connection, report:
                report.send(f"a worker could not be forked ({error})")
            return
        if pid == 0:
            try:
                children.call_this_process(name)
                self._become_worker(server, report, environment)
                if command is None:
                    self.serve(connection)
                else:
                    run_module(command, connection)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        connection.close()
        self.workers[key] = Child(pid, report)
        with suppress(OSError):  # the sweep does not listen any more
            report.send(pid)

    def _become_worker(self, server: int, report: Connection, environment: Mapping[str, str]) -> None:
        with suppress(OSError):
            os.setsid()
        children.end_with_parent(server)
        children.adopt_orphans()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        children.be_deaf()
        # Only the fork server is to know these: a process that a trial leaves behind would hold them open.
        for end in (self.control, self.ended, self._wake):
            end.close()
        for other in (report, *(child.report for child in self.workers.values())):
            other.close()
        os.environ.update(environment)
        _draw_anew()

    def _reap(self) -> bool:
        """Report who has ended, and end what they have left running; return whether anybody had ended."""
        ended = dict(_ended())
        if ended:
            living = {child.pid for child in self.workers.values()} - ended.keys()
            # What an ended worker had started is a child of this process now.
            children.kill_all(os.getpid(), spare=self.own | living)
        for key, child in list(self.workers.items()):
            if child.pid in ended:
                del self.workers[key]
                with suppress(OSError), child.report:
                    child.report.send(ended[child.pid])
        return bool(ended)


def run_module(command: Sequence[str], output: Connection) -> NoReturn:
    """Do what `python -m` does with `command`, in this process, and end it; what is printed goes to `output`."""
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    sys.stdout = sys.stderr = open(2, "w", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115
    logging.getLogger().handlers.clear()  # those of the sweep
    sys.argv = [*command]
    code: object = 1
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ending:
        code = ending.code or 0
        if not isinstance(code, int):
            print(code)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def fork() -> int:
    """Fork, without Python's warning that threads of this process, such as a library's, will not be in the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


def why_not_fork(threads: int) -> str | None:
    """Return why a process that is forked from this one could not do all that it should; None: it can."""
    torch: Any = sys.modules.get("torch")
    # A script that asks whether there is a GPU has used CUDA; where there is none that is no harm.
    if torch is not None and any(Path(file).exists() for file in GPU_FILES):
        with suppress(AttributeError):
            # Private, and nothing else tells it. Without it each trial that uses CUDA ends with CUDA's own error.
            if torch.cuda._is_in_bad_fork():
                return "the script has used CUDA before it called its main"
    jax: Any = sys.modules.get("jax._src.xla_bridge")
    if getattr(jax, "_backends", None):
        return "the script has used JAX before it called its main"
    if threads > 1 and not _works(lambda: _compute_with(threads)):
        return "the script has computed with several threads before it called its main"
    if torch is not None and not _works(_differentiate):
        return "the script has trained with PyTorch before it called its main"
    return None


def _works(task: Callable[[], None]) -> bool:
    """Whether `task` ends well in a process that is forked from this one: it may also raise, or wait for ever."""
    pid = fork()
    if pid == 0:
        code = 1
        try:
            task()
            code = 0
        finally:
            os._exit(code)
    # A pidfd would say it too, on a kernel that has them.
    for _ in range(int(PROBE_S / 0.002)):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == pid:
            return status == 0
        time.sleep(0.002)
    _kill(pid)
    os.waitpid(pid, 0)
    return False


def _compute_with(threads: int) -> None:
    """Let GNU's OpenMP, if it is loaded, do nothing in several threads: forked, it waits for ever for those it had."""
    nothing = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
    for path in _libraries():  # several packages bring a copy of their own
        if Path(path).name.startswith("libgomp"):
            ctypes.CDLL(path).GOMP_parallel(nothing, None, threads, 0)


def _differentiate() -> None:
    """Let PyTorch differentiate: forked, it refuses if it has done so before."""
    torch: Any = sys.modules["torch"]
    torch.ones((), requires_grad=True).mul(2.0).backward()


def _libraries() -> Iterator[str]:
    """Yield the files that are loaded into this process."""
    with suppress(OSError):
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
        yield from {line.split(None, 5)[5] for line in lines if line.count("/")}


def _limit_threads(threads: int) -> None:
    """Limit libraries that the script had imported before their number of threads was set in the environment."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _draw_anew() -> None:
    """Let workers draw different numbers, as processes of their own do, unless the script has seeded NumPy."""
    numpy: Any = sys.modules.get("numpy.random.mtrand")
    if numpy is not None and getattr(numpy._rand._bit_generator, "seed_seq", None) is not None:
        numpy.seed()


def _read_nothing() -> None:
    """Leave what is typed to the sweep: nobody reads there in the background."""
    if sys.stdin is None:  # it is closed, and its number may be that of another file
        return
    with suppress(OSError), open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)


def _let_go_of_locks() -> None:
    """Let go of files that are locked by the sweep: its locks end with it, and not a moment later with its workers."""
    with suppress(OSError), open(os.devnull, "rb") as nothing:  # noqa: PTH123
        for entry in os.scandir("/proc/self/fdinfo"):
            with suppress(OSError):
                if "\nlock:" in Path(entry.path).read_text():
                    # Not closed: the object that has it open would later close another file of the same number.
                    os.dup2(nothing.fileno(), int(entry.name))


def _ended() -> Iterator[tuple[int, int]]:
    """Yield the children that have ended, with their exit codes."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
