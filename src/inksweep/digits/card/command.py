"""`inksweep card`: measures a winner or a run, and puts the finished folder in place as a whole."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from inksweep.digits import checkpoint, classifier, export
from inksweep.digits.card import ensemble, facts, measure, pictures, text
from inksweep.digits.card.calibration import Answers
from inksweep.digits.card.source import Source, find
from inksweep.digits.data import dataset
from inksweep.digits.data.dataset import Digits
from inksweep.digits.data.prepared import sha256
from inksweep.digits.export.check import latency
from inksweep.digits.export.formats import FORMATS
from inksweep.digits.models import Ensemble, parameter_count
from inksweep.digits.training import device, threads
from inksweep.errors import InputError, last_line
from inksweep.files import copy_folder, held, new_folder, put_folder, recover, replacing, write_json
from inksweep.paths import RunDir, SweepDir, WinnerDir, shown
from inksweep.runs import predictions
from inksweep.runs import result as results
from inksweep.runs.predictions import Predictions

log = logging.getLogger(__name__)

# How long to wait for a sweep that is saving its winner, which takes seconds.
PATIENCE_S = 30.0
PREFIX = ".card-"


def run(folder: Path, overrides: list[str]) -> None:
    """Write the card of a winner into it, or of a run into its `card/`; print where.

    Args:
        folder: the winner's folder or a run directory.
        overrides: settings, such as `data.root=/elsewhere`.

    Raises:
        InputError: something in it cannot be used, or it was changed meanwhile; the folder is as it was.
    """
    _put_back(folder)
    source = find(folder, overrides)
    out = source.out
    with export.alone(out):
        _put_back(out.root)
        for leftover in out.root.parent.glob(f"{PREFIX}*"):
            shutil.rmtree(leftover)
        building = WinnerDir(new_folder(out.root.parent, PREFIX))
        try:
            card = _build(source, building)
            _put(source, building)
        finally:
            shutil.rmtree(building.root, ignore_errors=True)
    test = card["accuracy"]["test"]
    words = f"{test['accuracy']:.2%} of {test['n']:,} test pictures right, temperature"
    print(f"card: {shown(out.card)}  ({words} {card['calibration']['temperature']:.3f})")


def _put_back(folder: Path) -> None:
    """Put the folder back that a killed process had moved aside, to put a new one in its place."""
    if folder.exists() or folder not in (SweepDir(folder.parent).winner.root, RunDir(folder.parent).card.root):
        return
    if SweepDir(folder.parent).winner_lock.is_file():
        with _no_winner_saved(folder):
            recover(folder)
    else:  # the card of a run, whose lock is held
        recover(folder)


def _build(source: Source, building: WinnerDir) -> dict[str, Any]:
    """Make the whole folder beside the one that is there; return the facts of the card."""
    if source.is_winner:
        try:
            copy_folder(source.folder, building.root)
        except FileNotFoundError as error:  # the sweep removed some of its files meanwhile
            raise _changed(source) from error
    content = _content(source)
    checkpoint.save(building.model, content)
    model, about = checkpoint.load_model(building.model)
    conf = source.conf
    worth = threads.worthwhile(model, conf.data.size, conf.data.batch_size)
    device.set_threads(conf.trainer.threads, worth)  # as its training would be given
    splits = dataset.load(conf.data)
    measured = measure.measure(source, model, about, splits)
    content["temperature"] = measured.temperature
    result = source.result
    if isinstance(model, Ensemble):  # a single model has those of its training
        content["metrics"] = measured.metrics
    if source.members:
        result = ensemble.result(source, measured.metrics, parameter_count(model))
        results.write(building.result, result)
    checkpoint.save(building.model, content)
    answers = {name: _predictions(scaled, getattr(splits, name)) for name, scaled in measured.scaled.items()}
    predictions.save(building.predictions, answers)
    card = facts.collect(source, result, model, about, measured, splits)
    ready = classifier.load(building.model)
    card["outside"] = measure.outside(ready, splits.test)
    card["bytes"] = building.model.stat().st_size
    card["latency"] = latency({"torch": ready}, splits.test.images[:1])
    card["processor"] = measure.processor()
    card["exports"] = _exports(source, building)
    pictures.draw(building, card, measured, splits.test.images)
    write_json(building.card_facts, card)
    with replacing(building.card) as file:
        file.write(text.write(card))
    return card


def _content(source: Source) -> dict[str, Any]:
    """Return what model.pt is to hold: the model as it is there, or the members named, made one."""
    members, content = source.members, checkpoint.load(source.model)
    # An ensemble that is made already is not made again: after the winner was moved, the names of its members may be
    # those of other runs.
    if not members or len(content.get("model", {}).get("members", [])) == len(members):
        return content
    missing = [member.model for member in members if not member.model.is_file()]
    if missing:
        raise InputError(f"{shown(missing[0])}: there is no such file; the ensemble in {shown(source.folder)} needs it")
    first = checkpoint.load(members[0].model)
    if not _same_weights(first, content):
        raise InputError(
            f"{shown(members[0].model)}: is not the model that {shown(source.folder)} was made of; "
            "put the winner back into its sweep"
        )
    return checkpoint.merge([member.model for member in members])


def _same_weights(a: dict[str, Any], b: dict[str, Any]) -> bool:
    ours, others = a.get("state_dict", {}), b.get("state_dict", {})
    return ours.keys() == others.keys() and all(torch.equal(ours[name], others[name]) for name in ours)


def _predictions(answers: Answers, digits: Digits) -> Predictions:
    return Predictions(digits.labels.numpy(), answers.predicted, answers.confidence)


def _exports(source: Source, building: WinnerDir) -> dict[str, Any]:
    """Export the formats that the sweep asked for, and again those that are there of another model.

    A format that cannot be exported costs a warning.

    Only the file beside the model is made anew: one that `inksweep export --out` wrote elsewhere is left alone.

    Returns:
        By format what export.json says of it, or `{"failed": reason}`.
    """
    model_sha256, recorded = sha256(building.model), export.recorded(building.root)
    own = {
        name: building.root / kind.file
        for name, kind in FORMATS.items()
        if recorded.get(name, {}).get("file") == kind.file
    }
    there = [name for name, file in own.items() if file.is_file()]
    exports: dict[str, Any] = {}
    for name in dict.fromkeys([*(source.selection.export if source.selection else ()), *there]):
        if name in there and recorded[name].get("model_sha256") == model_sha256:
            exports[name] = recorded[name]
            continue
        try:
            exports[name] = export.make(building.root, [name], source.conf)[name]
        except Exception as error:  # exporters raise errors of many kinds, and the card is written all the same
            reason = last_line(error) or repr(error)
            log.warning("not exported as %s: %s", name, reason)
            exports[name] = {"failed": reason}
            if name in own:  # the file that is there is of another model
                own[name].unlink(missing_ok=True)
                export.record(building.root, {name: None})
    return exports


def _put(source: Source, building: WinnerDir) -> None:
    """Put the finished folder in its place, unless the sweep has another winner by now."""
    if not source.is_winner:
        put_folder(building.root, source.out.root)
        return
    with _no_winner_saved(source.folder):
        if not source.is_current():
            raise _changed(source)
        put_folder(building.root, source.out.root)


@contextmanager
def _no_winner_saved(folder: Path) -> Iterator[None]:
    """Keep the sweep from saving another winner in `folder` during the block."""
    refusal = f"{shown(folder)}: another process is saving the winner; give the command again"
    with held(SweepDir(folder.parent).winner_lock, refusal, PATIENCE_S):
        yield


def _changed(source: Source) -> InputError:
    return InputError(f"{shown(source.folder)}: the winner was changed meanwhile; give the command again")
