"""Everything that a card says, as plain values: what `card.json` holds and what text.py puts into words."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from inksweep.command import typed_in
from inksweep.digits.card import labels
from inksweep.digits.card.calibration import Answers, summary
from inksweep.digits.card.measure import Measured
from inksweep.digits.card.source import Source
from inksweep.digits.config.data import DataConfig
from inksweep.digits.config.parse import plain
from inksweep.digits.data.dataset import Splits
from inksweep.digits.models import Ensemble, parameter_count
from inksweep.paths import shown
from inksweep.runs.predictions import Predictions
from inksweep.runs.result import Result
from inksweep.significance import expected_optimism, wilson

SCHEMA_VERSION = 1
# Mistakes that are named and drawn.
MISTAKES = 30
# Accuracies at which the cost of looking at the test split is given too, for orientation.
ORIENTATION = (0.9, 0.995)

Labels = npt.NDArray[np.integer[Any]]


def collect(
    source: Source,
    result: Result,
    model: nn.Module,
    about: dict[str, Any],
    measured: Measured,
    splits: Splits,
) -> dict[str, Any]:
    """Return the facts of a card, but for what is only known of the finished folder: bytes, latency, exports.

    Args:
        source: what the card is of.
        result: of the run or ensemble that the model is.
        model: the model.
        about: the rest of its model.pt.
        measured: its answers.
        splits: the pictures that it answered.
    """
    conf = source.conf.data
    test, given = measured.scaled["test"], splits.test.labels.numpy()
    known = labels.are_known(conf.name, len(given))
    accuracy = {
        "val": None if source.trained_on_val else counted(measured.scaled["val"].correct),
        "test": counted(test.correct),
        "test_corrected": _corrected(test.predicted, given) if known else None,
    }
    confusion = Predictions(given, test.predicted, test.confidence).confusion(len(conf.classes))
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "winner" if source.is_winner else "run",
        "name": _name(source),
        "folder": source.shown,
        "selection": source.selection.content() if source.selection else None,
        "model": _model(model, about),
        "data": describe_data(conf),
        "accuracy": accuracy,
        # Of digits as they come from photos and drawings; null: its classes are no digits.
        "warped": None if measured.warped is None else _of_warped(*measured.warped),
        "measured": {name: value for name, value in measured.metrics.items() if _is_shown(name, source)},
        "label_errors": _label_errors(test, given, conf.classes) if known else None,
        "optimism": _optimism(source, accuracy, len(splits.val)),
        "classes": per_class(confusion, conf.classes),
        "confusion": confusion.tolist(),
        "mistakes": _mistakes(test, given, conf.classes, known=known),
        "calibration": _calibration(source, measured),
        "training": _training(source, result),
    }


def counted(correct: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return how many of the answers (n,) are right, and Wilson's 95 % interval of the accuracy."""
    n, right = len(correct), int(correct.sum())
    return {"n": n, "right": right, "errors": n - right, "accuracy": right / n, "interval": list(wilson(right, n))}


def _of_warped(split: str, correct: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {"split": split, **counted(correct)}


def per_class(confusion: npt.NDArray[np.int64], classes: list[str]) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of each class, and what it is most often taken for; null: it has none."""
    rows = []
    for number, name in enumerate(classes):
        right, n, answered = (
            int(x) for x in (confusion[number, number], confusion[number].sum(), confusion[:, number].sum())
        )
        others = confusion[number].copy()
        others[number] = 0
        most = int(others.argmax())
        rows.append(
            {
                "name": name,
                "n": n,
                "precision": right / answered if answered else None,
                "recall": right / n if n else None,
                "f1": 2 * right / (n + answered) if n + answered else None,
                "taken_for": {"name": classes[most], "count": int(others[most])} if others[most] else None,
            }
        )
    return rows


def describe_data(conf: DataConfig) -> dict[str, Any]:
    """Return what a card says of a data set."""
    return {
        "name": conf.name,
        "title": conf.title or conf.name,
        "about": conf.about,
        "handwritten_digits": conf.handwritten_digits,
        "classes": list(conf.classes),
        "size": conf.size,
        "train": conf.train_size,
        "val": conf.val_size,
        "test": conf.test_images,
        "split_seed": conf.split_seed,
        "source": str(plain(conf.source).get("_target_", "")),
        "checksums": dict(conf.checksums or {}),
    }


def _name(source: Source) -> str:
    if source.selection is not None:
        return source.selection.study
    return source.folder.parent.name if source.is_winner else shown(source.folder)


def _is_shown(metric: str, source: Source) -> bool:
    return not (source.trained_on_val and metric.startswith("val/"))


def _model(model: nn.Module, about: dict[str, Any]) -> dict[str, Any]:
    described = dict(about["model"])
    members = [dict(member) for member in described["members"]] if isinstance(model, Ensemble) else None
    classes = {str(one["_target_"]).rpartition(".")[2] for one in members or [described]}
    return {
        # Null: an ensemble of several.
        "class": classes.pop() if len(classes) == 1 else None,
        "settings": None if members else {name: value for name, value in described.items() if name != "_target_"},
        "members": members,
        "parameters": parameter_count(model),
    }


def _corrected(predicted: Labels, given: Labels) -> dict[str, Any]:
    better, kept = labels.corrected(given)
    return counted((predicted == better)[kept])


def _label_errors(test: Answers, given: Labels, classes: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "given": classes[given[row]],
            "corrected": None if majority is None else classes[majority],
            "answer": classes[test.predicted[row]],
            "confidence": float(test.confidence[row]),
        }
        for row, majority in labels.MAJORITY.items()
    ]


def _optimism(source: Source, accuracy: dict[str, Any], val_images: int) -> dict[str, Any]:
    """Return by how much looks flatter at most: those of the stop rule at test, those of the search at validation."""
    selection, test = source.selection, accuracy["test"]
    if selection is None:
        return {"stop_rule": None, "search": None}
    rule = selection.stop_rule
    stop = None
    if rule is not None and rule.metric == "test/accuracy":
        looks = rule.looks
        stop = {
            "looks": looks,
            "at_most": expected_optimism(looks, test["accuracy"], test["n"]),
            "orientation": {str(at): expected_optimism(looks, at, test["n"]) for at in ORIENTATION},
        }
    search = None
    if selection.objective.name == "val/accuracy":
        best = max((candidate.searched_objective for candidate in selection.candidates), default=None)
        value = best if best is not None else (accuracy["val"] or {}).get("accuracy")
        complete = selection.trials.complete
        if value is not None:
            search = {"trials": complete, "at_most": expected_optimism(complete, value, val_images)}
    return {"stop_rule": stop, "search": search}


def _mistakes(test: Answers, given: Labels, classes: list[str], *, known: bool) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "given": classes[given[row]],
            "answer": classes[test.predicted[row]],
            "confidence": float(test.confidence[row]),
            "label_error": known and row in labels.MAJORITY,
        }
        for row in mistaken(test)
    ]


def mistaken(test: Answers) -> list[int]:
    """Return the rows of the most confident wrong answers, the surest first."""
    wrong = np.flatnonzero(~test.correct)
    rows: list[int] = wrong[np.argsort(test.doubt[wrong], kind="stable")][:MISTAKES].tolist()
    return rows


def _calibration(source: Source, measured: Measured) -> dict[str, Any]:
    def both(before: Answers, after: Answers) -> dict[str, Any]:
        return {"before": summary(before), "after": summary(after)}

    fitted = measured.fitted
    # Where every answer is right there is nothing to fit.
    known = {
        "fitted": fitted is not None and not bool(fitted[0].correct.all()),
        "val": None if fitted is None else both(*fitted),
    }
    if measured.kept:
        before = (source.card_before or {}).get("calibration") or {"fitted": True, "val": None}
        known = {name: before.get(name) for name in known}
    return {
        "temperature": measured.temperature,
        **known,
        # The runs whose answers to the validation pictures these are; null: they are those of the model itself.
        "fitted_on": (source.calibrate_on or None) if source.trained_on_val else None,
        # Whether temperature and validation rows are those of the card before: those runs are gone.
        "kept": measured.kept,
        "test": both(measured.plain["test"], measured.scaled["test"]),
    }


def _training(source: Source, result: Result) -> dict[str, Any]:
    commands = (source.selection.commands if source.selection else []) or result.commands
    commands = commands or ([result.command] if result.command else [])
    home = source.started_in
    return {
        # As typed where the training was started, as all folders in a card.
        "commands": commands if home is None else [typed_in(home, command) for command in commands],
        "seconds": result.seconds.get("total"),
        # Of each training in it, in their order.
        "seeds": result.seeds or [result.seed],
        # Not the date of a file: a copy has a later one.
        **{key: getattr(result, key) for key in ("started", "threads", "device", "git", "versions")},
    }
