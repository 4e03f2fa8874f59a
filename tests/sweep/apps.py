"""Small Hydra apps for tests of whole commands: written into a folder, started as by a user, watched from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

# In the environment of a sweep and of every process that it starts, with the folder of its app.
MARK = "INKSWEEP_TEST_APP"


@dataclass(frozen=True)
class App:
    """A Hydra app in a folder of its own, whose sweep directory is `night` and which notes its jobs in `ran.txt`."""

    root: Path

    @property
    def sweep(self) -> Path:
        return self.root / "night"

    def run(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `python app.py -m` with `arguments`."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    @contextmanager
    def started(self, *arguments: str, stdout: int | IO[str] = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
        """Begin the same in a process group of its own; nothing of it is left after the block."""
        process = subprocess.Popen(
            self._command(arguments),
            cwd=self.root,
            env=self._environment,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            for pid in [process.pid, *self.processes()]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.communicate()

    def ran(self) -> list[tuple[int, str]]:
        """Return (number, x) of every job that has begun, in order."""
        path = self.root / "ran.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(number), x) for number, x in (line.split() for line in lines)]

    def trials(self) -> list[FrozenTrial]:
        """Read the study as any tool of Optuna would."""
        storage = JournalStorage(JournalFileBackend(str(self.sweep / "study.journal")))
        (study,) = storage.get_all_studies()
        return storage.get_all_trials(study._study_id)

    def summary(self) -> dict[str, Any]:
        return json.loads((self.sweep / "summary.json").read_text())

    def result(self, number: int) -> dict[str, Any]:
        return json.loads((self.sweep / str(number) / "result.json").read_text())

    def log(self, number: int) -> str:
        """Return what Hydra logged of a job."""
        return (self.sweep / str(number) / "app.log").read_text()

    def processes(self) -> list[int]:
        """Return the processes of this app's sweeps that are alive; none where the system does not tell."""
        return [pid for pid in _process_ids() if self._owns(pid)]

    def leaves_nothing(self, seconds: float = 60) -> bool:
        """Wait until no process of this app is alive; False if one still is after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, MARK: str(self.root)}

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "app.py", "-m", *arguments]

    def _owns(self, pid: int) -> bool:
        mark = f"{MARK}={self.root}".encode()
        with suppress(OSError):  # it has ended, or is none of ours
            alive = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            return alive and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return False


def _process_ids() -> list[int]:
    proc = Path("/proc")
    return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()] if proc.is_dir() else []


def write(root: Path, code: str, config: str) -> App:
    """Write an app into `root`."""
    (root / "conf").mkdir(parents=True)
    (root / "conf/config.yaml").write_text(config)
    (root / "app.py").write_text(code)
    return App(root)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
