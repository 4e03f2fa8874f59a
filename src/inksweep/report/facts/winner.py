"""The winner of a sweep, as plain data: the best trial, or what a final stage or an ensemble made of the search."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from inksweep.errors import InputError
from inksweep.files import read_json
from inksweep.paths import RunDir, SweepDir, WinnerDir
from inksweep.report.facts.trials import Trial
from inksweep.runs import metrics, predictions, reader
from inksweep.runs import selection as selections
from inksweep.runs.selection import Interval, Selection
from inksweep.sweep.study import signposts
from inksweep.sweep.winner.commands import command as training_command


@dataclass(frozen=True)
class Final:
    """How the winner came about, if it is no plain copy of the best trial, and what its card knows."""

    selection: Selection
    # Where the accuracy on the test split lies with 95 %; None: not known.
    test_interval: Interval | None = None
    # On the test labels as corrected.
    corrected: float | None = None
    temperature: float | None = None
    # Whether the numbers and answers are those of the ensemble; else of the first of its models.
    is_measured: bool = True


@dataclass(frozen=True)
class Winner:
    """What the sweep found, with what its folder holds."""

    # The best trial; of a final stage, that whose configuration was chosen.
    trial: Trial
    # Train it again; none: not known here.
    commands: list[str]
    # `model.pt` and so on, on this machine.
    folder: Path | None
    # Which machine trained it, how many weights it has, ...; from result.json.
    facts: dict[str, Any]
    measured: dict[str, float]
    classes: list[str]
    # How often class `row` of the test split was answered with class `column`; None: not known, and why.
    confusion: list[list[int]] | None
    no_confusion: str = ""
    # None: it is the best trial itself.
    final: Final | None = None
    # What is wrong with what is saved of it.
    remark: str = ""


@dataclass(frozen=True)
class _Answers:
    """What a model makes of the test split."""

    confusion: list[list[int]] | None
    classes: list[str]
    why: str = ""


def of_search(sweep: SweepDir, best: FrozenTrial, trial: Trial, settings: dict[str, Any]) -> Winner:
    """Return the best trial as the winner.

    Args:
        sweep: its directory.
        best: the trial in the study.
        trial: the same, as the page shows it.
        settings: what sweep.yaml holds.
    """
    folder = next((path for path in (trial.folder, sweep.winner.root) if path is not None and path.is_dir()), None)
    if folder is None:
        place = signposts.noted_folder(best)
        where = f"{trial.host or 'an unknown machine'}{f', in {place}' if place else ''}"
        why = f"The winner's folder is not on this machine (it ran on {where})."
        return Winner(trial, [training_command(sweep, best, _program(settings))], None, {}, {}, [], None, why)
    run = reader.read(folder)
    command = (
        training_command(sweep, best, _program(settings)) if trial.folder is not None else run.facts.get("command")
    )
    answers = _answers([RunDir(folder).predictions, sweep.winner.predictions], run, folder)
    commands = [str(command)] if command else []
    return Winner(trial, commands, folder, run.facts, run.metrics, answers.classes, answers.confusion, answers.why)


def of_final_stage(sweep: SweepDir, study: str, trials: Sequence[Trial]) -> Winner | None:
    """Return the winner that is saved, if it is more than a copy of a trial of this study; else None.

    Raises:
        InputError: what is saved of its choice cannot be read.
    """
    saved = sweep.winner
    if not saved.selection.is_file():
        return None
    # The page may be read elsewhere: it names files without the folders of this machine.
    name = f"winner/{saved.selection.name}"
    selection = selections.parse(_json(saved.selection), name)
    is_copy = not selection.is_final and not selection.members
    if is_copy or selection.study != study:  # of a search before, in the same folder
        return None
    numbered = {trial.number: trial for trial in trials}
    for number in (selection.trial, *(candidate.trial for candidate in selection.candidates)):
        if number not in numbered:
            raise InputError(f"{name}: cannot be used (the study has no trial {number})")
    run = reader.read(saved.root)
    final, measured = _measured(selection, run, _card(saved, selection))
    answers = _answers([saved.predictions], run, saved.root)
    return Winner(
        numbered[selection.trial],
        selection.commands,
        saved.root,
        run.facts,
        measured,
        answers.classes,
        answers.confusion,
        answers.why,
        final,
    )


def _card(saved: WinnerDir, selection: Selection) -> dict[str, Any]:
    """Return the facts of the winner's card; nothing if there is none of this very winner."""
    try:
        card = _json(saved.card_facts)
    except InputError:
        return {}
    return card if selections.is_of(card.get("selection"), selection) else {}


def _measured(selection: Selection, run: reader.Run, card: dict[str, Any]) -> tuple[Final, dict[str, float]]:
    """Return how the winner came about with what the card knows besides, and the metrics of the winner itself."""
    measured = {name: value for name, value in run.metrics.items() if run.is_judged_by(name)}
    if selection.full_data:
        measured = {name: value for name, value in measured.items() if not metrics.is_of_validation(name)}
    by_card = metrics.numbers(card.get("measured"))
    is_measured = not selection.members or "ensemble" in run.facts or bool(by_card)
    if by_card:
        measured |= by_card | metrics.numbers({"parameters": _part(card, "model", "parameters")})
    if selection.members and "ensemble" not in run.facts:  # of the first of its models
        time = metrics.numbers({"seconds/total": _part(card, "training", "seconds")})
        measured = {name: value for name, value in measured.items() if not name.startswith("seconds/")} | time
    ends = _part(card, "accuracy", "test", "interval")
    final = Final(
        selection,
        test_interval=(ends[0], ends[1]) if isinstance(ends, list) and len(ends) == 2 else None,
        corrected=metrics.number(_part(card, "accuracy", "test_corrected", "accuracy")),
        temperature=metrics.number(_part(card, "calibration", "temperature")),
        is_measured=is_measured,
    )
    return final, measured


def _part(card: dict[str, Any], *keys: str) -> Any:
    part: Any = card
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    return part


def _answers(paths: Sequence[Path], run: reader.Run, folder: Path) -> _Answers:
    """Return the confusion matrix by the first of some predictions.npz that is there."""
    classes = run.settings.get("data.classes")
    classes = [str(name) for name in classes] if isinstance(classes, list) else []
    try:
        for path in paths:
            answers = predictions.load(path).get("test")
            if answers is not None:
                size = max(len(classes), 1 + int(max(answers.labels.max(), answers.predicted.max())))
                classes = classes if len(classes) == size else [str(label) for label in range(size)]
                return _Answers(answers.confusion(size).tolist(), classes)
    except InputError as error:
        return _Answers(None, classes, f"The stored predictions cannot be read: {error}.")
    why = f"{folder.name}/ holds no predictions.npz: an earlier version, or an app of another kind, wrote it."
    return _Answers(None, classes, why)


def _program(settings: dict[str, Any]) -> list[str]:
    """Return the words that start the app, before the overrides of a job."""
    program = settings.get("program")
    if isinstance(program, list):
        return [str(word) for word in program]
    return ["python", "app.py"]  # edited by hand


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except InputError as error:  # the page may be read elsewhere: without the folders of this machine
        raise InputError(f"{path.parent.name}/{path.name} cannot be read ({error.__cause__})") from error
