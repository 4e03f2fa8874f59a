"""TRIAL SIDE. A worker: runs one job after the other, until the sweep that asked for them is gone.

A worker knows neither the study nor Optuna; a job that reports opens the study itself (watcher.py). The sweep's side of
the pipe is slots/pool.py; what goes over it stands in job.py.
"""

import contextlib
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from inksweep.sweep.job import children, script
from inksweep.sweep.job.job import BROKEN, DONE, HELLO, READY, Setup, as_user_error, outcome_of


def main(connection: Connection, environment: Mapping[str, str]) -> None:
    """Be a spawned worker: serve jobs from `connection` until it closes.

    Args:
        connection: to the sweep; job.py says what goes over it.
        environment: variables of this slot, such as CUDA_VISIBLE_DEVICES; set before the app's imports.
    """
    _live_with_the_sweep()
    os.environ.update(environment)
    script.be_main()
    connection.send_bytes(script.dumps((HELLO,)))
    received = connection.recv_bytes()

    def setup() -> Setup:
        from hydra.core.singleton import Singleton
        from hydra.core.utils import setup_globals

        setup_globals()
        sent, singletons = pickle.loads(received)
        Singleton.set_state(singletons)
        assert isinstance(sent, Setup)
        return sent

    serve(connection, setup)


def serve(connection: Connection, setup: Callable[[], Setup]) -> None:
    """Serve jobs from `connection` until it closes.

    Args:
        connection: to the sweep; job.py says what goes over it.
        setup: returns what all jobs have in common.
    """
    from inksweep.sweep.job.runner import JobRunner

    try:
        common = setup()
        runner = JobRunner(common.hydra_context, common.config, common.task_function)
    except BaseException as error:
        connection.send_bytes(script.dumps((BROKEN, _that_can_be_sent(error), traceback.format_exc())))
        return
    connection.send_bytes(script.dumps((READY,)))
    while True:
        try:
            number, overrides, whole = pickle.loads(connection.recv_bytes())
        except (EOFError, ConnectionError):
            return
        children.be_deaf()  # a job may have set handlers of its own
        returned = _run(runner, number, overrides)
        with contextlib.suppress(BrokenPipeError):
            connection.send_bytes(_message(returned, whole))


def _live_with_the_sweep() -> None:
    """Be untouched by Ctrl-C, which is for the sweep to handle, and end, with all children, when it has ended."""
    if hasattr(os, "setsid"):
        os.setsid()
    children.adopt_orphans()
    children.be_deaf()
    sweep = parent_process()
    assert sweep is not None

    def end_after_it() -> None:
        wait([sweep.sentinel])
        with contextlib.suppress(Exception):
            children.kill_all(os.getpid())
        os._exit(1)

    threading.Thread(target=end_after_it, name="end-with-the-sweep", daemon=True).start()


def _run(runner: Any, number: int, overrides: list[str]) -> JobReturn:
    try:
        job = runner.prepare(number, overrides)
    except Exception as raised:  # the config does not compose
        returned = _failed(overrides, as_user_error(raised))
    else:
        with _output_into(_folder_of(job)):
            try:
                returned = runner.execute(job)
            except Exception as raised:  # Hydra, or one of its callbacks
                returned = _failed(overrides, as_user_error(raised))
            except SystemExit as raised:  # the app ended itself
                returned = _failed(overrides, RuntimeError(f"the job called sys.exit({raised.code!r})"))
    _, error = outcome_of(returned)
    if error is not None and error.__traceback__ is not None:
        # A traceback cannot be sent; its text can.
        error.add_note("".join(traceback.format_exception(error)))
    return returned


def _failed(overrides: list[str], error: Exception) -> JobReturn:
    returned = JobReturn(overrides=overrides, status=JobStatus.FAILED)
    returned.return_value = error
    return returned


def _folder_of(job: DictConfig) -> str:
    """Return the run directory, as Hydra works it out."""
    return str(Path(str(OmegaConf.select(job, "hydra.sweep.dir")), str(OmegaConf.select(job, "hydra.sweep.subdir"))))


def _message(returned: JobReturn, whole: bool) -> bytes:
    """Return what the sweep is sent of a job."""
    value, error = outcome_of(returned)
    left, memory = children.has_left(), _memory()
    if whole:
        with contextlib.suppress(Exception):  # settings that cannot be sent
            return _checked((DONE, returned, left, memory))
    try:
        return _checked((DONE, (value, error), left, memory))
    except Exception as reason:
        text = repr(value) if error is None else f"{type(error).__name__}: {error}"
        lost = RuntimeError(f"{text} (as text: it cannot be sent, {reason})")
        return script.dumps((DONE, (None, lost), left, memory))


def _checked(message: tuple[Any, ...]) -> bytes:
    pickled = script.dumps(message)
    pickle.loads(pickled)  # an exception with a constructor of its own may go in and not come out
    return pickled


def _that_can_be_sent(error: BaseException) -> BaseException | None:
    with contextlib.suppress(Exception):
        explained = as_user_error(error) if isinstance(error, Exception) else error
        pickle.loads(script.dumps(explained))
        return explained
    return None


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
    # A stream that was closed when the sweep began is None, and its number may be that of another file.
    streams = {number: stream for number, stream in ((1, sys.stdout), (2, sys.stderr)) if stream is not None}
    for stream in streams.values():
        stream.flush()
    with open(os.path.join(folder, "output.log"), "ab") as file:  # noqa: PTH118, PTH123
        for number in streams:
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        for stream in streams.values():
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
