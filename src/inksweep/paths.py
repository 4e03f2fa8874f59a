"""Every file name in a run or sweep directory, how one is written so that nobody reads half of it, and read."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from inksweep.errors import InputError

# How the name of a folder begins that `put_folder` is to put in its place, and how it calls the old one meanwhile.
BUILDING = (".winner-", ".card-")
ASIDE = ".old"


@dataclass(frozen=True)
class RunDir:
    """One training: `outputs/<date>/<time>/` or `multirun/<study>/<trial number>/`."""

    root: Path

    @property
    def config(self) -> Path:
        """What Hydra composed for this run."""
        return self.root / ".hydra" / "config.yaml"

    @property
    def hydra(self) -> Path:
        """Hydra's own settings for this run, with the folder in which it was started."""
        return self.root / ".hydra" / "hydra.yaml"

    @property
    def overrides(self) -> Path:
        """What was typed on the command line, a YAML list."""
        return self.root / ".hydra" / "overrides.yaml"

    @property
    def metrics(self) -> Path:
        """A row an evaluation."""
        return self.root / "metrics.csv"

    @property
    def result(self) -> Path:
        """How the run ended."""
        return self.root / "result.json"

    @property
    def model(self) -> Path:
        """Weights and what is needed to use them."""
        return self.root / "model.pt"

    @property
    def predictions(self) -> Path:
        """What the saved model makes of each picture of the validation and test split."""
        return self.root / "predictions.npz"

    @property
    def figures(self) -> Path:
        """Pictures of this run, when asked for."""
        return self.root / "figures"

    @property
    def tracker(self) -> Path:
        """The name that a tracker gave this run, for the day when it is resumed."""
        return self.root / "tracker.json"

    @property
    def checkpoint(self) -> Path:
        """What is needed to go on; removed when the run completes."""
        return self.root / "checkpoint.pt"

    @property
    def card(self) -> "WinnerDir":
        """The model card of this one run, with the model as the card describes it."""
        return WinnerDir(self.root / "card")

    @property
    def lock(self) -> Path:
        """Held by the process that writes here."""
        return self.root / ".lock"


@dataclass(frozen=True)
class WinnerDir:
    """The chosen model of a sweep, saved for use: `multirun/<study>/winner/`."""

    root: Path

    @property
    def model(self) -> Path:
        """Weights and what is needed to use them."""
        return self.root / "model.pt"

    @property
    def config(self) -> Path:
        """Enough to train it again."""
        return self.root / "config.yaml"

    @property
    def result(self) -> Path:
        """How the winning run ended."""
        return self.root / "result.json"

    @property
    def metrics(self) -> Path:
        """The winning run's evaluations."""
        return self.root / "metrics.csv"

    @property
    def predictions(self) -> Path:
        """What the winner makes of each picture of the validation and test split."""
        return self.root / "predictions.npz"

    @property
    def selection(self) -> Path:
        """How it was chosen, and from what."""
        return self.root / "selection.json"

    @property
    def exports(self) -> Path:
        """What it was exported to, by format."""
        return self.root / "export.json"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.root / "README.md"

    @property
    def card_facts(self) -> Path:
        """Every number of the model card, and more."""
        return self.root / "card.json"

    @property
    def confusion(self) -> Path:
        """Picture in the card: which class was answered with which."""
        return self.root / "confusion.png"

    @property
    def mistakes(self) -> Path:
        """Picture in the card: the most confident mistakes."""
        return self.root / "mistakes.png"

    @property
    def reliability(self) -> Path:
        """Picture in the card: whether the model is as often right as it says."""
        return self.root / "reliability.png"

    @property
    def card_lock(self) -> Path:
        """Held by the process that writes the card; beside the folder, which is put in place as a whole."""
        return self.root.with_name(".card.lock")


@dataclass(frozen=True)
class SweepDir:
    """One search: `multirun/<study>/`."""

    root: Path

    @property
    def journal(self) -> Path:
        """Optuna's journal, the default storage."""
        return self.root / "study.journal"

    @property
    def config(self) -> Path:
        """The resolved sweep configuration, with the command."""
        return self.root / "sweep.yaml"

    @property
    def summary(self) -> Path:
        """Counts, incumbent, target, elapsed time; rewritten after every trial."""
        return self.root / "summary.json"

    @property
    def results(self) -> Path:
        """The same keys as the stock Optuna sweeper writes."""
        return self.root / "optimization_results.yaml"

    @property
    def report(self) -> Path:
        """The sweep in one page."""
        return self.root / "report.html"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the sweep."""
        return self.root / ".lock"

    def owner_lock(self, owner: str) -> Path:
        """Held, as long as it lives, by a process that runs trials."""
        return self.root / ".owners" / owner

    @property
    def winner_lock(self) -> Path:
        """Held while the winner is saved."""
        return self.root / ".winner.lock"

    @property
    def winner(self) -> WinnerDir:
        """The chosen model."""
        return WinnerDir(self.root / "winner")

    @property
    def finals(self) -> "SweepDir":
        """The final stage, a sweep of its own: the best configurations trained again."""
        return SweepDir(self.root / "finalists")

    def trial(self, number: int) -> RunDir:
        """The run directory of trial `number`."""
        return RunDir(self.root / str(number))


def shown(path: Path) -> str:
    """Return `path` as a user in the current folder would type it."""
    path, here = path.resolve(), Path.cwd().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@contextmanager
def held(lock: Path, refusal: str) -> Iterator[None]:
    """Hold the file `lock` during the block; the kernel lets go of it for a process that dies.

    Raises:
        InputError: another process holds it; `refusal` is the message.
    """
    from filelock import FileLock, Timeout

    lock.parent.mkdir(parents=True, exist_ok=True)
    kernel_lock = FileLock(lock)
    try:
        kernel_lock.acquire(timeout=0.1)  # not at once: `is_held` may be looking
    except Timeout:
        raise InputError(refusal) from None
    try:
        yield
    finally:
        kernel_lock.release()


def is_held(lock: Path) -> bool | None:
    """Whether a living process of this machine holds the file `lock`; None if that cannot be told.

    Only reads: the folder of another user, or an archive, will do.
    """
    try:
        with lock.open("rb") as file:
            return _is_locked(file)
    except OSError:
        return None


def _is_locked(file: IO[bytes]) -> bool | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        # Side by side with others that look, but not with a holder, who has it for himself.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def put_folder(new: Path, old: Path) -> None:
    """Put the folder `new` in the place of `old`, which may exist.

    A reader sees the old one, for an instant none, or the new one. If it fails, `old` is where it was; for a process
    that is killed in that instant, `recover` puts it back.

    Args:
        new: hidden, beside `old`; its name begins with one of `BUILDING`.
        old: where it is to be.
    """
    if not old.exists():
        new.replace(old)
        return
    aside = new.with_name(f"{new.name}{ASIDE}")
    old.replace(aside)
    try:
        new.replace(old)
    except BaseException:
        aside.replace(old)
        raise
    # Under another name before it is taken apart: what is called `ASIDE` is always whole.
    doomed = new.with_name(f"{new.name}.gone")
    with suppress(OSError):
        aside.replace(doomed)
        shutil.rmtree(doomed)


def recover(folder: Path) -> None:
    """Put `folder` back if `put_folder` was killed after it had moved it aside and before the new one was in its place.

    Call it before the leftovers of a killed process are cleared away, and under the lock that guards the folder's
    place (for a winner, `SweepDir.winner_lock`): another process may be in the middle of `put_folder`. Does nothing if
    `folder` is there, or nothing of it is left.

    Args:
        folder: the `old` of `put_folder`: a winner, or the card of a run. Looked for are its hidden siblings
            `.winner-*.old` and `.card-*.old`, which are whole.
    """
    asides = [aside for name in BUILDING for aside in folder.parent.glob(f"{name}*{ASIDE}")]
    if asides and not folder.exists():
        max(asides, key=lambda aside: aside.stat().st_ctime_ns).replace(folder)  # renamed last


@contextmanager
def replacing(path: Path, mode: str = "w", *, durable: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; once the block ends well, fsync it and put it in the place of `path`.

    A reader sees the old file or the new one, never a part. If the block raises, `path` is untouched. Without `durable`
    there is no fsync: for what can be made again after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        # A full disk does not say which file it was.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds keys; InputError names one that is missing, broken, or holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no keys")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return found
