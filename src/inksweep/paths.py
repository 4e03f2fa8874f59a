"""Every file name in a run, winner or sweep directory, and what a path means that a user gave."""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from inksweep.errors import InputError


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
    def output(self) -> Path:
        """What a trial printed, in a slot of its own."""
        return self.root / "output.log"

    @property
    def figures(self) -> Path:
        """Pictures of this run, when asked for."""
        return self.root / "figures"

    @property
    def tracker(self) -> Path:
        """The name that a tracker gave this run, so that it finds it again when the run is resumed."""
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
        """The run directory of trial `number`: called by its number, or by what `hydra.sweep.subdir` makes of it."""
        try:
            name = self.signpost(number).read_text(encoding="utf-8")
        except OSError:
            name = ""
        return RunDir(self.root / (name or str(number)))

    def signpost(self, number: int) -> Path:
        """Holds the name of the folder of trial `number`, relative to the sweep directory, if that is another."""
        return self.root / ".trials" / str(number)


def home() -> Path:
    """Return the folder in which the command was typed; with `hydra.job.chdir=true` a job is elsewhere."""
    hydra = sys.modules.get("hydra.core.hydra_config")  # where it is not imported, nothing has changed the folder
    cfg = None if hydra is None else hydra.HydraConfig.instance().cfg
    return Path(cfg.hydra.runtime.cwd) if cfg is not None and cfg.hydra.job.chdir else Path.cwd()


def typed(path: str | Path, key: str = "", start: Path | None = None) -> Path:
    """Return the place that a path means which a user gave.

    A `~` or `~user` in front is a home folder, as in a shell: none stands between a config file, or a word with quotes,
    and us. A relative path begins where the command was typed.

    Args:
        path: as it was given.
        key: the key that it was given for, to be named in the error.
        start: where a relative path begins; None: where the command was typed.

    Raises:
        InputError: there is no such home folder.
    """
    # Not by pathlib: to it ./~ is ~.
    expanded = os.path.expanduser(path)  # noqa: PTH111
    place = Path(expanded)
    if str(path).startswith("~") and str(expanded).startswith("~"):
        name = f"{key}={path}" if key else str(path)
        raise InputError(f"{name}: the home folder is not known; write the whole path (or ./~ for that name)")
    # As it stands where that means the same: messages show it.
    return place if start is None and home() == Path.cwd() else (start or home()) / place


def cache() -> Path | None:
    """Return the folder for what can be made again: INKSWEEP_CACHE, else the user's cache folder; None: there is none.

    The user's is `$XDG_CACHE_HOME/inksweep` or `~/.cache/inksweep`, or what the system has in its place.

    Raises:
        InputError: INKSWEEP_CACHE begins with a home folder that is not known.
    """
    from platformdirs import user_cache_path

    if named := os.environ.get("INKSWEEP_CACHE"):
        return typed(named, "INKSWEEP_CACHE")
    try:
        folder = user_cache_path("inksweep")
    except RuntimeError:  # no HOME, and a user without an entry in the list of users
        return None
    return folder if folder.is_absolute() else None  # older platformdirs: without a home it is called ~


def temporary() -> Path | None:
    """Return a folder of this user's among those for temporary files, the same for all processes; None: there is none.

    Somebody else may have made it: see that it is the user's before it is used.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    try:
        return Path(tempfile.gettempdir(), f"inksweep-{user}")
    except FileNotFoundError:
        return None


def spare_data() -> list[Path]:
    """Return where prepared data go if their own folder may only be read: to the user's cache, else to `temporary`."""
    return [folder / "data" for folder in (cache(), temporary()) if folder is not None]


def shown(path: Path) -> str:
    """Return `path` as a user would type it where the command was typed."""
    path, here = path.resolve(), home().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
