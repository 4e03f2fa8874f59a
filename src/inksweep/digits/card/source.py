"""What a card is written of: the winner of a sweep with the story of its choice, or a single run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from inksweep.digits.config import parse, saved
from inksweep.digits.config.schema import Config
from inksweep.errors import InputError
from inksweep.files import read_json
from inksweep.paths import RunDir, SweepDir, WinnerDir, shown
from inksweep.runs import result as results
from inksweep.runs import selection as selections
from inksweep.runs.find import is_winner as is_winner_folder
from inksweep.runs.result import Result
from inksweep.runs.selection import Selection

# What says of which trainings the model and its temperature are.
MODEL = ("full_data", "model", "members", "calibrate_on")


@dataclass(frozen=True)
class Source:
    """A folder to write a card of, read and checked."""

    # What holds the model, and its result.json.
    folder: Path
    # Where the card goes: the winner's folder itself, `card/` in a run directory.
    out: WinnerDir
    is_winner: bool
    # What selection.json says; None: it is a single run, or a winner without such a file.
    selection: Selection | None
    result: Result
    conf: Config
    # The run directory with what Hydra knows, which may be gone.
    origin: RunDir

    @property
    def model(self) -> Path:
        """Return the file with the trained weights."""
        return WinnerDir(self.folder).model

    @property
    def trained_on_val(self) -> bool:
        """Whether the model has seen the validation pictures."""
        return (self.selection is not None and self.selection.full_data) or self.conf.data.train_on_all

    @property
    def members(self) -> list[RunDir]:
        """Return the runs of an ensemble; none for a single model."""
        return [self._run(path) for path in (self.selection.members if self.selection else [])]

    @property
    def calibrate_on(self) -> list[str]:
        """Return the runs whose validation answers together give the temperature; none: the model itself does."""
        return self.selection.calibrators if self.selection else []

    @property
    def calibrators(self) -> list[RunDir]:
        """Return the same as run directories."""
        return [self._run(path) for path in self.calibrate_on]

    @property
    def card_before(self) -> dict[str, Any] | None:
        """Return the facts of the card that is there; None if there is none of this model."""
        try:
            before = read(WinnerDir(self.folder).card_facts)
        except InputError:
            return None
        said, now = before.get("selection") or {}, self.selection.content() if self.selection else {}
        # The rest of the story may have gone on: more trials that changed nothing.
        return before if all(said.get(key) == now.get(key) for key in MODEL) else None

    @property
    def started_in(self) -> Path | None:
        """Return the folder in which the training was started; None if that is not known."""
        if not self.origin.hydra.is_file():
            return None
        cwd = OmegaConf.select(parse.load_yaml(self.origin.hydra), "hydra.runtime.cwd")
        return None if cwd is None else Path(cwd)

    @property
    def shown(self) -> str:
        """Return the card's folder as typed from where the training was started."""
        started, out = self.started_in, self.out.root.resolve()
        inside = started is not None and out.is_relative_to(started.resolve())
        return str(out.relative_to(started.resolve())) if started is not None and inside else shown(out)

    def is_current(self) -> bool:
        """Whether the winner is still the one that was read."""
        now = WinnerDir(self.folder)
        return now.result.is_file() and (_selection(now), read_result(now.result)) == (self.selection, self.result)

    def _run(self, path: str) -> RunDir:
        return RunDir(self.folder.parent / path)


def find(folder: Path, overrides: list[str]) -> Source:
    """Read a winner's folder or a run directory.

    Args:
        folder: the winner's folder or a run directory.
        overrides: settings, such as `data.root=/elsewhere`.

    Raises:
        InputError: it is neither, or a file in it cannot be used.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the winner/ of a sweep or a run directory")
    folder = folder.resolve()
    run, winner = RunDir(folder), WinnerDir(folder)
    is_winner = is_winner_folder(folder) and not run.config.is_file()
    if not is_winner and not run.config.is_file():
        inside = SweepDir(folder).winner.root
        hint = f"; did you mean {shown(inside)}?" if is_winner_folder(inside) else ""
        raise InputError(f"{folder}: no winner or run directory (it has no config.yaml or .hydra/config.yaml){hint}")
    if not run.result.is_file():
        raise InputError(f"{run.result}: there is no such file; a run has one when it is over")
    selection = _selection(winner) if is_winner else None
    origin = run if selection is None else RunDir(folder.parent / selection.model.path)
    conf = saved.settings(folder, overrides)
    return Source(
        folder, winner if is_winner else run.card, is_winner, selection, read_result(run.result), conf, origin
    )


def _selection(winner: WinnerDir) -> Selection | None:
    """Read selection.json; None if there is none."""
    path = winner.selection
    if not path.is_file():
        return None
    content = read(path)
    try:
        return selections.parse(content, str(path))
    except InputError as error:
        raise InputError(f"{error}; run its sweep again to save the winner anew") from error


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file of a winner or a run; InputError names one that is missing, broken, or holds no keys."""
    with _hint():
        return read_json(path)


def read_result(path: Path) -> Result:
    """Read a result.json; InputError names one that is missing, broken, or holds what no run writes."""
    with _hint():
        return results.read(path)


@contextmanager
def _hint() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{error}; restore it or train again") from error
