"""Two runs side by side, as plain data: settings that differ, metrics, McNemar's test, curves, disagreements.

What one of them lacks is named, and the rest is compared all the same. text.py, figure.py and plain.py show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inksweep.diff import notes
from inksweep.errors import InputError, Unavailable
from inksweep.paths import RunDir, WinnerDir
from inksweep.runs import find, predictions, reader
from inksweep.runs.metrics import curve, is_better_greater
from inksweep.runs.predictions import SPLITS, Predictions
from inksweep.runs.reader import Run
from inksweep.runs.settings import is_silent, read_settings, target_options
from inksweep.significance import Paired

Row = Mapping[str, float]

# How far an evaluation had come, which is no merit.
PROGRESS = ("epoch", "step", "samples", "lr")


class Absent:
    """In the place of a setting that a run does not have: None is a value."""

    def __repr__(self) -> str:
        return "-"


ABSENT = Absent()


@dataclass(frozen=True)
class Metric:
    """A number that at least one of the two has."""

    name: str
    a: float | None
    b: float | None
    # Whether more of it is better; None: neither is, or it says nothing of one of them.
    greater: bool | None

    @property
    def difference(self) -> float | None:
        """Return B less A; None if one has none."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def better(self) -> str | None:
        """Return `A`, `B`, or None: they are equal, one has none, or it is no merit."""
        if not self.difference or self.greater is None:
            return None
        return "B" if (self.difference > 0) == self.greater else "A"


@dataclass(frozen=True)
class Disagreements:
    """The pictures of one split to which A and B gave different answers."""

    a: Predictions
    b: Predictions
    # Row numbers in the split: first those where both were the surest, (k,).
    rows: npt.NDArray[np.intp]
    # Names of the classes; empty: not known.
    classes: Sequence[str]

    def name(self, label: int) -> str:
        """Return the name of a class."""
        return self.classes[label] if label < len(self.classes) else str(label)

    def right(self, row: int) -> str | None:
        """Return who is right about a row: `A`, `B`, or None."""
        label = self.a.labels[row]
        return "A" if self.a.predicted[row] == label else "B" if self.b.predicted[row] == label else None

    def counts(self) -> tuple[int, int, int]:
        """Return in how many of them A, B and neither is right."""
        labels = self.a.labels[self.rows]
        a = int(np.sum(self.a.predicted[self.rows] == labels))
        b = int(np.sum(self.b.predicted[self.rows] == labels))
        return a, b, len(self.rows) - a - b


@dataclass(frozen=True)
class Diff:
    """All that is known of two runs side by side. A text in the place of data says why there are none."""

    a: Run
    b: Run
    # What makes them hard to compare, a line each.
    notes: list[str]
    # By key: the value of A and of B, ABSENT where a run has no such key.
    settings: dict[str, tuple[Any, Any]]
    metrics: list[Metric]
    # By split.
    tests: dict[str, Paired | str]
    # Rows of metrics.csv of A and of B.
    curves: tuple[Sequence[Row], Sequence[Row]]
    # The split that `disagreements` is of.
    split: str
    disagreements: Disagreements | str = field(default="")

    @property
    def names(self) -> tuple[str, str]:
        """Return what to call the two."""
        return self.a.name, self.b.name

    @property
    def trained_on_validation(self) -> str:
        """Return who was trained on the validation pictures, `A and B`; nothing: neither was."""
        return notes.trained_on_validation(self.a, self.b)


def compare(a: Path, b: Path, split: str = "test") -> Diff:
    """Read two runs and compare them.

    Args:
        a: a run directory, or the `winner/` of a sweep.
        b: another one.
        split: `test` or `val`, where disagreements are looked for.

    Raises:
        InputError: a path is no run, or both are the same.
    """
    for path in (a, b):
        _check(path)
    if a.resolve() == b.resolve():
        raise InputError(f"{a} and {b} are the same run: name two")
    run_a, run_b = reader.read(a), reader.read(b)
    curve_a, no_curve_a = _curve(run_a)
    curve_b, no_curve_b = _curve(run_b)
    answers_a, answers_b = _answers(run_a), _answers(run_b)
    pairs = {name: _pair(name, answers_a, answers_b) for name in SPLITS}
    lines = notes.of_both(run_a, run_b)
    for who, run, no_curve, answers in (("A", run_a, no_curve_a, answers_a), ("B", run_b, no_curve_b, answers_b)):
        of_one = (no_curve, *notes.of_another_model(run, answers), notes.of_one_member(run))
        lines += [f"{who}: {note}" for note in of_one if note]
    return Diff(
        run_a,
        run_b,
        lines,
        settings(run_a, run_b),
        metrics(run_a, run_b),
        {name: _tested(name, pair, run_a, run_b) for name, pair in pairs.items()},
        (curve_a, curve_b),
        split,
        _disagreements(pairs[split], run_a, run_b),
    )


def settings(a: Run, b: Run) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, by key: the value of A and of B, ABSENT where there is none.

    The class of a group is among them only if the options chosen do not say it.
    """
    both = [a.settings, b.settings]
    if _has_choices(a) != _has_choices(b):
        # A winner has no Hydra settings, so no `model: cnn`: what the choice stands for is compared.
        both = [_without_choices(run) for run in (a, b)]
    in_a, in_b = both
    pairs = {key: (in_a.get(key, ABSENT), in_b.get(key, ABSENT)) for key in sorted(in_a | in_b)}
    differing = {key: pair for key, pair in pairs.items() if pair[0] != pair[1] and not is_silent(key)}
    return {
        key: pair
        for key, pair in differing.items()
        if not any(ABSENT not in differing.get(option, (ABSENT,)) for option in target_options(key))
    }


def metrics(a: Run, b: Run) -> list[Metric]:
    """Return every number measured of either, in the order of result.json."""
    # It is no merit to be done sooner when one was not let finish.
    both_completed = a.status == b.status == "completed"
    found = []
    for name in dict.fromkeys([*a.metrics, *b.metrics]):
        judged = next((run for run in (a, b) if run.objective == name), None)
        greater: bool | None = judged.maximize if judged else is_better_greater(name)
        if name in PROGRESS or (name.startswith("seconds") and not both_completed):
            greater = None
        if not (a.is_judged_by(name) and b.is_judged_by(name)):
            greater = None
        found.append(Metric(name, a.metrics.get(name), b.metrics.get(name), greater))
    return found


def images(diff: Diff, rows: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return the pictures of some rows of the split, (n, h, w).

    Raises:
        Unavailable: the data set is not there any more.
    """
    from inksweep.diff import pictures

    if isinstance(diff.disagreements, str):
        raise Unavailable(diff.disagreements)
    found = pictures.find((diff.a, diff.b), diff.split, diff.disagreements.a.labels)
    return np.array([found[row] for row in rows], dtype=np.uint8)


def kept(run: Run, rows: Sequence[Row]) -> Row | None:
    """Return the evaluation whose weights were saved: the one with the metrics of the result; None if not known."""
    names = ("val/loss", "val/accuracy")
    if run.status != "completed" or not all(name in run.metrics for name in names):
        return None
    return next((row for row in rows if all(row.get(name) == run.metrics[name] for name in names)), None)


def _check(path: Path) -> None:
    if find.is_run(path) or find.is_winner(path):
        return
    if not path.exists():
        raise InputError(f"{path}: there is no such folder; diff takes two run directories, or a sweep's winner/")
    if find.is_sweep(path):
        raise InputError(f"{path}: is a sweep; diff takes two runs, such as {path / '0'} and {path / 'winner'}")
    raise InputError(f"{path}: is no run (no .hydra/config.yaml, no result.json); diff takes two runs")


def _has_choices(run: Run) -> bool:
    return RunDir(run.folder).hydra.is_file()


def _without_choices(run: Run) -> dict[str, Any]:
    config = WinnerDir(run.folder).config if find.is_winner(run.folder) else RunDir(run.folder).config
    try:
        return read_settings(config, hydra=run.folder / "none")
    except InputError:
        return run.settings


def _curve(run: Run) -> tuple[Sequence[Row], str | None]:
    """Return the evaluations that have an epoch, or say why there are none."""
    try:
        return [row for row in curve(run.folder) if "epoch" in row], None
    except InputError as error:
        return [], str(error)


def _answers(run: Run) -> dict[str, Predictions] | str:
    """Return a run's predictions by split, or say why there are none."""
    path = RunDir(run.folder).predictions
    try:
        found = predictions.load(path)
    except InputError as error:
        return str(error)
    except Exception as error:  # of a damaged archive: zlib.error, TokenError, ...
        return f"{path}: cannot be read ({error})"
    if not found and run.status == "completed":
        return "no predictions.npz (made before predictions were stored, or removed)"
    if not found:
        return f"no predictions.npz (it is {run.status}: only a completed run has one)"
    return found


def _pair(
    split: str, a: dict[str, Predictions] | str, b: dict[str, Predictions] | str
) -> tuple[Predictions, Predictions] | str:
    """Return the predictions of both for the same pictures, or say why they cannot be paired."""
    if isinstance(a, str) or isinstance(b, str):
        if a == b:
            return f"A and B: {a}"
        return "; ".join(f"{who}: {why}" for who, why in (("A", a), ("B", b)) if isinstance(why, str))
    if not np.array_equal(a[split].labels, b[split].labels):
        return f"the {split} pictures of A and B are not the same ones (their labels differ): they cannot be paired"
    return a[split], b[split]


def _tested(split: str, pair: tuple[Predictions, Predictions] | str, a: Run, b: Run) -> Paired | str:
    if isinstance(pair, str):
        return pair
    if split == "val" and (who := notes.trained_on_validation(a, b)):
        return f"{who} trained on these pictures (data.train_on_all)"
    return Paired.of(pair[0].correct, pair[1].correct)


def _disagreements(pair: tuple[Predictions, Predictions] | str, *of: Run) -> Disagreements | str:
    if isinstance(pair, str):
        return pair
    a, b = pair
    rows = np.flatnonzero(a.predicted != b.predicted)
    surest = np.argsort(-np.minimum(a.confidence[rows], b.confidence[rows]), kind="stable")
    classes = next((found for run in of if isinstance(found := run.settings.get("data.classes"), list)), [])
    return Disagreements(a, b, rows[surest], [str(name) for name in classes])
