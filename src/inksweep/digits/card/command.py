"""`inksweep card`: measures a winner or a run, and puts the finished folder in place as a whole."""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from inksweep.digits import checkpoint, classifier, export
from inksweep.digits.card import ensemble, facts, measure, pictures, source, text
from inksweep.digits.card.calibration import Answers
from inksweep.digits.card.source import Source
from inksweep.digits.data import dataset
from inksweep.digits.data.dataset import Digits
from inksweep.digits.data.prepared import checksum
from inksweep.digits.export.check import latency
from inksweep.digits.export.formats import FORMATS
from inksweep.digits.models import Ensemble, parameter_count
from inksweep.digits.training import device
from inksweep.errors import InputError, last_line
from inksweep.files import put_folder, recover, replacing
from inksweep.paths import RunDir, SweepDir, WinnerDir, shown
from inksweep.runs import predictions
from inksweep.runs import result as results
from inksweep.runs.predictions import Predictions

log = logging.getLogger(__name__)

# A sweep that saves its winner takes a moment.
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
    found = source.find(folder, overrides)
    out = found.out
    with export.alone(out):
        _put_back(out.root)
        for leftover in out.root.parent.glob(f"{PREFIX}*"):
            shutil.rmtree(leftover)
        building = WinnerDir(Path(tempfile.mkdtemp(dir=out.root.parent, prefix=PREFIX)))
        try:
            card = _build(found, building)
            building.root.chmod(found.folder.stat().st_mode)  # mkdtemp's is private
            _put(found, building)
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


def _build(found: Source, building: WinnerDir) -> dict[str, Any]:
    """Make the whole folder beside the one that is there; return the facts of the card."""
    if found.is_winner:
        try:
            shutil.copytree(found.folder, building.root, symlinks=True, dirs_exist_ok=True)
        except shutil.Error as error:  # a list of files that were there a moment ago
            raise _changed(found) from error
    content = _content(found)
    checkpoint.save(building.model, content)
    model, about = checkpoint.load_model(building.model)
    device.set_threads(found.conf.trainer.threads)
    splits = dataset.load(found.conf.data)
    measured = measure.measure(found, model, about, splits)
    content["temperature"] = measured.temperature
    result = found.result
    if isinstance(model, Ensemble):  # a single model has those of its training
        content["metrics"] = measured.metrics
    if found.members:
        result = ensemble.result(found, measured.metrics, parameter_count(model))
        results.write(building.result, result)
    checkpoint.save(building.model, content)
    answers = {name: _predictions(scaled, getattr(splits, name)) for name, scaled in measured.scaled.items()}
    predictions.save(building.predictions, answers)
    card = facts.collect(found, result, model, about, measured, splits)
    ready = classifier.load(building.model)
    card["outside"] = measure.outside(ready, splits.test)
    card["bytes"] = building.model.stat().st_size
    card["latency"] = latency({"torch": ready}, splits.test.images[:1])
    card["processor"] = measure.processor()
    card["exports"] = _exports(found, building)
    pictures.draw(building, card, measured, splits.test.images)
    with replacing(building.card_facts) as file:
        json.dump(card, file, indent=2, allow_nan=False)
        file.write("\n")
    with replacing(building.card) as file:
        file.write(text.write(card))
    return card


def _content(found: Source) -> dict[str, Any]:
    """Return what model.pt is to hold: the model as it is there, or the members named, made one."""
    members, content = found.members, checkpoint.load(found.model)
    # Once made it stays: a winner may be moved to where other runs have the names of its members.
    if not members or len(content.get("model", {}).get("members", [])) == len(members):
        return content
    missing = [member.model for member in members if not member.model.is_file()]
    if missing:
        raise InputError(f"{shown(missing[0])}: there is no such file; the ensemble in {shown(found.folder)} needs it")
    first = checkpoint.load(members[0].model)
    if not _same_weights(first, content):
        raise InputError(
            f"{shown(members[0].model)}: is not the model that {shown(found.folder)} was made of; "
            "put the winner back into its sweep"
        )
    return checkpoint.merge([member.model for member in members])


def _same_weights(a: dict[str, Any], b: dict[str, Any]) -> bool:
    ours, others = a.get("state_dict", {}), b.get("state_dict", {})
    return ours.keys() == others.keys() and all(torch.equal(ours[name], others[name]) for name in ours)


def _predictions(answers: Answers, digits: Digits) -> Predictions:
    return Predictions(digits.labels.numpy(), answers.predicted, answers.confidence)


def _exports(found: Source, building: WinnerDir) -> dict[str, Any]:
    """Export what the sweep asked for, and anew what is there of another model; what cannot be is a warning.

    Only a format's own file counts: one that was written elsewhere with `--out` belongs to who wrote it.

    Returns:
        By format what export.json says of it, or `{"failed": reason}`.
    """
    model_sha256, recorded = checksum(building.model, "sha256"), export.recorded(building.root)
    own = {
        name: building.root / kind.file
        for name, kind in FORMATS.items()
        if recorded.get(name, {}).get("file") == kind.file
    }
    there = [name for name, file in own.items() if file.is_file()]
    exports: dict[str, Any] = {}
    for name in dict.fromkeys([*(found.selection.export if found.selection else ()), *there]):
        if name in there and recorded[name].get("model_sha256") == model_sha256:
            exports[name] = recorded[name]
            continue
        try:
            exports[name] = export.make(building.root, [name], found.conf)[name]
        except Exception as error:  # exporters fail in many ways; the winner is whole without
            reason = last_line(error) or repr(error)
            log.warning("not exported as %s: %s", name, reason)
            exports[name] = {"failed": reason}
            if name in own:  # what is left is of another model
                own[name].unlink(missing_ok=True)
                export.record(building.root, {name: None})
    return exports


def _put(found: Source, building: WinnerDir) -> None:
    """Put the finished folder in its place, unless the sweep has another winner by now."""
    if not found.is_winner:
        put_folder(building.root, found.out.root)
        return
    with _no_winner_saved(found.folder):
        if not found.is_current():
            raise _changed(found)
        put_folder(building.root, found.out.root)


@contextmanager
def _no_winner_saved(folder: Path) -> Iterator[None]:
    """Keep the sweep from saving another winner in `folder` during the block."""
    lock = FileLock(SweepDir(folder.parent).winner_lock)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout:
        raise InputError(f"{shown(folder)}: another process is saving the winner; give the command again") from None
    try:
        yield
    finally:
        lock.release()


def _changed(found: Source) -> InputError:
    return InputError(f"{shown(found.folder)}: the winner was changed meanwhile; give the command again")
