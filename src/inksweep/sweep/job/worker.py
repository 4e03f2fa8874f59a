"""TRIAL SIDE. A worker: runs one job after the other, until the sweep that asked for them is gone.

A worker knows neither the study nor Optuna; a job that reports opens the study itself (watcher.py). The sweep's side of
the pipe is slots/pool.py; what goes over it stands in job.py.
"""

import contextlib
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle

from inksweep.sweep.job.job import BROKEN, DONE, HELLO, READY, as_user_error, outcome_of


def main(connection: Connection, environment: Mapping[str, str]) -> None:
    """Serve jobs from `connection` until it closes.

    Args:
        connection: to the sweep; job.py says what goes over it.
        environment: variables of this slot, such as CUDA_VISIBLE_DEVICES; set before the app's imports.
    """
    _live_with_the_sweep()
    os.environ.update(environment)
    connection.send_bytes(cloudpickle.dumps((HELLO,)))
    try:
        runner = _runner(connection.recv_bytes())
    except BaseException:
        connection.send_bytes(cloudpickle.dumps((BROKEN, traceback.format_exc())))
        return
    connection.send_bytes(cloudpickle.dumps((READY,)))
    while True:
        try:
            number, overrides, folder = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        with _output_into(folder):
            value, error = _run(runner, number, overrides)
        _send(connection, value, error)


def _live_with_the_sweep() -> None:
    """Be untouched by Ctrl-C, which is for the sweep to handle, and end, with all children, when it has ended."""
    if hasattr(os, "setsid"):
        os.setsid()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    sweep = parent_process()
    assert sweep is not None

    def end_after_it() -> None:
        wait([sweep.sentinel])
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=end_after_it, name="end-with-the-sweep", daemon=True).start()


def _runner(setup: bytes) -> Any:
    from hydra.core.singleton import Singleton
    from hydra.core.utils import setup_globals

    from inksweep.sweep.job.runner import JobRunner

    setup_globals()
    hydra_context, config, task_function, singletons = pickle.loads(setup)
    Singleton.set_state(singletons)
    return JobRunner(hydra_context, config, task_function)


def _run(runner: Any, number: int, overrides: list[str]) -> tuple[Any, Exception | None]:
    try:
        value, error = outcome_of(runner.run(number, overrides))
    except Exception as raised:  # the config does not compose
        value, error = None, as_user_error(raised)
    except SystemExit as raised:  # the app ended itself
        value, error = None, RuntimeError(f"the job called sys.exit({raised.code!r})")
    if error is not None and error.__traceback__ is not None:
        # A traceback cannot be sent; its text can.
        error.add_note("".join(traceback.format_exception(error)))
    return value, error


def _send(connection: Connection, value: Any, error: Exception | None) -> None:
    try:
        message = cloudpickle.dumps((DONE, value, error, _memory()))
        pickle.loads(message)  # an exception with a constructor of its own may go in and not come out
    except Exception as reason:
        returned = repr(value) if error is None else f"{type(error).__name__}: {error}"
        lost = RuntimeError(f"{returned} (as text: it cannot be sent, {reason})")
        message = cloudpickle.dumps((DONE, None, lost, _memory()))
    with contextlib.suppress(BrokenPipeError):
        connection.send_bytes(message)


def _memory() -> int:
    """Return the bytes of memory that this process uses; where the system does not say, the most it has used."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - no file, and once a trial
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


@contextlib.contextmanager
def _output_into(folder: str) -> Any:
    """Let what is printed, also by libraries and at a crash, go to `output.log` in `folder`."""
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.path.join(folder, "output.log"), "ab") as file:  # noqa: PTH118, PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
