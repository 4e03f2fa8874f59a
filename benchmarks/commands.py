"""Commands as a user types them: run in a folder that is deleted, timed, ended with all that they have started."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"


class Skipped(Exception):
    """A peer cannot be run here; the message says what to install."""


class Ended(Exception):
    """A command ended with an error; the message has its last lines."""


class NotReached(Ended):
    """A command ended as it should, but before what was waited for had come."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"ended after {seconds:.0f} s without what was waited for")
        self.seconds = seconds


@dataclass(frozen=True)
class Place:
    """What all measurements are given.

    Args:
        data: the folder with MNIST.
        quick: a look within minutes, at a part of the data and with fewer repeats: its figures say nothing.
        peers: the Python that peers run in.
        say: prints a line of progress.
    """

    data: Path
    quick: bool = False
    peers: str = sys.executable
    say: Callable[[str], None] = field(default=print)

    def peer(self, script: str, *words: object) -> list[str]:
        """Return the command of a peer's script."""
        return [self.peers, str(PEERS / script), *map(str, words)]

    def need(self, *packages: str) -> None:
        """Raise Skipped if the peers' Python lacks a package."""
        for package in packages:
            found = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
            if subprocess.run([self.peers, "-c", found], check=False).returncode:
                raise Skipped(f"needs {package}: pip install {package}, or --peers PYTHON that has it")

    def command(self, what: str, words: list[str], **options: Any) -> float:
        """Run a command to its end and say how long it took; return the seconds."""
        seconds = seconds_of(words, **options)
        self.say(f"{what}: {seconds:.1f} s")
        return seconds


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder for temporary files, deleted afterwards."""
    path = Path(tempfile.mkdtemp(prefix="inksweep-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def train(place: Place, *words: str) -> list[str]:
    """Return the command that starts our own app."""
    return [sys.executable, str(ROOT / "train.py"), *words, f"data.root={place.data}"]


def seconds_of(
    words: list[str],
    *,
    cwd: Path,
    beside: list[str] | None = None,
    until: Callable[[], bool] | None = None,
    limit_s: float = 1800,
) -> float:
    """Run a command in `cwd` and return the seconds until it has ended, or until `until` is true, which ends it.

    Args:
        words: the command.
        cwd: where it runs and its output is kept.
        beside: a second command, started at once with it; the last one to end counts.
        until: asked every 20 ms; None: never.
        limit_s: after so many seconds it is ended with an error.

    Raises:
        Ended: it did not end as it should.
        NotReached: it ended before `until` was true.
    """
    out = cwd / "output.txt"
    began = time.perf_counter()
    with out.open("ab") as output:
        processes = [
            subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            for command in (words, beside)
            if command
        ]
        try:
            while any(process.poll() is None for process in processes):
                if until is not None and until():
                    return time.perf_counter() - began
                if time.perf_counter() - began > limit_s:
                    raise Ended(f"{' '.join(words)}: more than {limit_s:.0f} s")
                time.sleep(0.02)
            seconds = time.perf_counter() - began
        finally:
            for process in processes:
                end(process)
    if any(process.returncode for process in processes):
        raise Ended(f"{' '.join(words)}: ended with an error\n{out.read_text()[-2000:]}")
    if until is not None and not until():
        raise NotReached(seconds)
    return seconds


def end(process: "subprocess.Popen[bytes]", grace_s: float = 15) -> None:
    """End a process and its group: with SIGTERM, so that it ends what it has started elsewhere; then with SIGKILL."""
    for number, seconds in ((signal.SIGTERM, grace_s), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a peer's output that are JSON objects."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
