"""Two runs side by side, as plain data: settings that differ, metrics, McNemar's test, curves, disagreements.

What one of them lacks is named, and the rest is compared all the same. How it looks is up to text.py and figure.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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
# Settings that decide which pictures there are, and which of them are the validation split.
DATA = ("data.name", "data.source._target_", "data.classes", "data.size", "data.fit", "data.transpose")
CUT = ("data.split_seed", "data.val_size", "data.train_images")


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
        return _trained_on_validation(self.a, self.b)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, unrounded, for JSON."""
        return {
            "a": _facts(self.a),
            "b": _facts(self.b),
            "notes": self.notes,
            "settings": {
                key: {who: _json(value) for who, value in zip("ab", pair, strict=True) if value is not ABSENT}
                for key, pair in self.settings.items()
            },
            "metrics": {
                metric.name: {
                    "a": metric.a,
                    "b": metric.b,
                    "difference": _json(metric.difference),
                    "better": metric.better and metric.better.lower(),
                }
                for metric in self.metrics
            },
            "tests": {split: _test(test) for split, test in self.tests.items()},
            "curves": dict(zip("ab", ([dict(row) for row in rows] for rows in self.curves), strict=True)),
            "disagreements": {"split": self.split, **_rows(self.disagreements)},
        }


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
    curve_a, why_a = _curve(run_a)
    curve_b, why_b = _curve(run_b)
    answers_a, answers_b = _answers(run_a), _answers(run_b)
    odd = [f"A: {why}" for why in (why_a, *_strange(run_a, answers_a)) if why]
    odd += [f"B: {why}" for why in (why_b, *_strange(run_b, answers_b)) if why]
    pairs = {name: _pair(name, answers_a, answers_b) for name in SPLITS}
    odd += [
        f"{who}: {why}"
        for who, run, rows in (("A", run_a, curve_a), ("B", run_b, curve_b))
        if (why := _whose(run, rows))
    ]
    return Diff(
        run_a,
        run_b,
        notes(run_a, run_b) + odd,
        settings(run_a, run_b),
        metrics(run_a, run_b),
        {name: _tested(name, pair, run_a, run_b) for name, pair in pairs.items()},
        (curve_a, curve_b),
        split,
        _disagreements(pairs[split], run_a, run_b),
    )


def _check(path: Path) -> None:
    if find.is_run(path) or find.is_winner(path):
        return
    if not path.exists():
        raise InputError(f"{path}: there is no such folder; diff takes two run directories, or a sweep's winner/")
    if find.is_sweep(path):
        raise InputError(f"{path}: is a sweep; diff takes two runs, such as {path / '0'} and {path / 'winner'}")
    raise InputError(f"{path}: is no run (no .hydra/config.yaml, no result.json); diff takes two runs")


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


def _has_choices(run: Run) -> bool:
    return RunDir(run.folder).hydra.is_file()


def _without_choices(run: Run) -> dict[str, Any]:
    config = WinnerDir(run.folder).config if find.is_winner(run.folder) else RunDir(run.folder).config
    try:
        return read_settings(config, hydra=run.folder / "none")
    except InputError:
        return run.settings


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


def notes(a: Run, b: Run) -> list[str]:
    """Say what makes two runs hard to compare, a line each; nothing: they are alike."""
    said = []
    for who, run in (("A", a), ("B", b)):
        if run.status != "completed":
            why = f" ({run.reason})" if run.reason not in (None, run.status) else ""
            said.append(f"{who} is {run.status}{why}: what it lacks is missing below")
    if who := _trained_on_validation(a, b):
        said.append(f"{who} trained on the validation pictures (data.train_on_all): no verdict by val/...")
    if a.settings and b.settings:
        if data := _other(a.settings, b.settings, DATA):
            said.append(f"other data: {data}")
        if cut := _other(a.settings, b.settings, CUT):
            said.append(f"other validation split: {cut}; their val/ metrics are of other pictures")
    if a.objective and b.objective and a.objective != b.objective:
        said.append(f"other objective: {a.objective} | {b.objective}; it chose the weights that were kept")
    if machine := _other(a.facts, b.facts, ("device", "threads")):
        said.append(f"other machine: {machine}; their seconds say little")
    (sha_a, versions_a), (sha_b, versions_b) = _code(a), _code(b)
    if sha_a and sha_b and sha_a != sha_b:
        said.append(f"other code: git {sha_a[:7]} | {sha_b[:7]}")
    if versions := _other(versions_a, versions_b, list(versions_a)):
        said.append(f"other versions: {versions}")
    return said


def _trained_on_validation(a: Run, b: Run) -> str:
    """Return who of the two was trained on the validation pictures; nothing: neither was."""
    return " and ".join(who for who, run in (("A", a), ("B", b)) if run.trained_on_validation)


def _whose(run: Run, rows: Sequence[Row]) -> str | None:
    """Say whose evaluations an ensemble has, as it was never trained as a whole."""
    members = run.facts.get("ensemble")
    if not isinstance(members, list) or not rows:
        return None
    return f"is an ensemble of {len(members)} models; the curve is that of one of them"


def _other(a: Mapping[str, Any], b: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return `key a | b` for those keys that both have with different values."""
    differing = [key for key in keys if key in a and key in b and a[key] != b[key]]
    return ", ".join(f"{key} {a[key]} | {b[key]}" for key in differing)


def _code(run: Run) -> tuple[str | None, Mapping[str, Any]]:
    """Return the commit that a run was made with, and the versions of the packages."""
    git, versions = run.facts.get("git"), run.facts.get("versions")
    sha = git.get("sha") if isinstance(git, dict) else None
    return str(sha) if sha else None, versions if isinstance(versions, dict) else {}


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


def _strange(run: Run, answers: dict[str, Predictions] | str) -> list[str]:
    """Say where a run's predictions are not those that its metrics were measured on."""
    if isinstance(answers, str):
        return []
    said = []
    for split, of_split in answers.items():
        recorded = run.metrics.get(f"{split}/accuracy")
        if recorded is not None and abs(recorded - of_split.accuracy) > 0.5 / len(of_split):
            said.append(
                f"its predictions.npz is of another model: {split}/accuracy {of_split.accuracy:.4f} by it, "
                f"{recorded:.4f} in result.json"
            )
    return said


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
    if split == "val" and (who := _trained_on_validation(a, b)):
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


def _facts(run: Run) -> dict[str, Any]:
    return {
        "folder": run.name,
        "study": run.study,
        "status": run.status,
        "reason": run.reason,
        "objective": run.objective,
        "started": run.started if math.isfinite(run.started) else None,
        **{
            key: _json(run.facts[key])
            for key in ("command", "device", "threads", "git", "versions")
            if key in run.facts
        },
    }


def _test(test: Paired | str) -> dict[str, Any]:
    if isinstance(test, str):
        return {"missing": test}
    return {
        "pictures": test.pictures,
        "both_right": test.both_right,
        "only_a": test.only_a,
        "only_b": test.only_b,
        "both_wrong": test.both_wrong,
        "difference": test.difference,
        "interval": list(test.interval),
        "p": test.p,
    }


def _rows(found: Disagreements | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"missing": found, "rows": []}

    def answer(of: Predictions, row: int) -> dict[str, Any]:
        return {"answer": found.name(int(of.predicted[row])), "confidence": float(of.confidence[row])}

    return {
        "rows": [
            {"row": row, "label": found.name(int(found.a.labels[row])), "a": answer(found.a, row),
             "b": answer(found.b, row)}
            for row in found.rows.tolist()
        ]
    }  # fmt: skip


def _json(value: Any) -> Any:
    """Return what JSON can hold of a value read from YAML, which knows dates and infinities."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)
