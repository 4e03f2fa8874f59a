"""`inksweep card`: measures a winner or a run, and puts the finished folder in place as a whole."""

import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from inksweep import checkpoint, classifier, data, device, export, predictions
from inksweep.card import facts, measure, pictures, source, text
from inksweep.card.calibration import Answers
from inksweep.card.source import Source
from inksweep.data import Digits
from inksweep.errors import InputError, last_line
from inksweep.export.check import latency
from inksweep.models import Ensemble
from inksweep.paths import SweepDir, WinnerDir, held, put_folder, replacing, shown
from inksweep.predictions import Predictions
from inksweep.prepared import checksum

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
    found = source.find(folder, overrides)
    out = found.out
    with held(out.card_lock, f"{shown(out.root)}: another process is writing this card; wait for it or stop it"):
        for leftover in out.root.parent.glob(f"{PREFIX}*"):
            shutil.rmtree(leftover)
        building = WinnerDir(Path(tempfile.mkdtemp(dir=out.root.parent, prefix=PREFIX)))
        try:
            card = _build(found, building, overrides)
            building.root.chmod(found.folder.stat().st_mode)  # mkdtemp's is private
            _put(found, building)
        finally:
            shutil.rmtree(building.root, ignore_errors=True)
    test = card["accuracy"]["test"]
    words = f"{test['accuracy']:.2%} of {test['n']:,} test pictures right, temperature"
    print(f"card: {shown(out.card)}  ({words} {card['calibration']['temperature']:.3f})")


def _build(found: Source, building: WinnerDir, overrides: list[str]) -> dict[str, Any]:
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
    splits = data.load(found.conf.data)
    measured = measure.measure(found, model, about, splits)
    content["temperature"] = measured.temperature
    if isinstance(model, Ensemble):  # a single model has those of its training
        content["metrics"] = measured.metrics
    checkpoint.save(building.model, content)
    answers = {name: _predictions(scaled, getattr(splits, name)) for name, scaled in measured.scaled.items()}
    predictions.save(building.predictions, answers)
    card = facts.collect(found, model, about, measured, splits)
    ready = classifier.load(building.model)
    card["outside"] = measure.outside(ready, splits.test)
    card["bytes"] = building.model.stat().st_size
    card["latency"] = latency({"torch": ready}, splits.test.images[:1])
    card["processor"] = measure.processor()
    card["exports"] = _exports(found, building, overrides)
    pictures.draw(building, card, measured, splits.test.images)
    with replacing(building.card_facts) as file:
        json.dump(card, file, indent=2, allow_nan=False)
        file.write("\n")
    with replacing(building.card) as file:
        file.write(text.write(card))
    return card


def _content(found: Source) -> dict[str, Any]:
    """Return what model.pt is to hold: the model as it is there, or the members named, made one."""
    members = found.members
    if not members:
        return checkpoint.load(found.model)
    missing = [member.model for member in members if not member.model.is_file()]
    if not missing:
        return checkpoint.merge([member.model for member in members])
    # A winner that was moved, or whose finalists were cleared away, is whole once its card was written.
    content = checkpoint.load(found.model)
    if len(content.get("model", {}).get("members", [])) != len(members):
        raise InputError(f"{shown(missing[0])}: there is no such file; the ensemble in {shown(found.folder)} needs it")
    return content


def _predictions(answers: Answers, digits: Digits) -> Predictions:
    return Predictions(digits.labels.numpy(), answers.predicted, answers.confidence)


def _exports(found: Source, building: WinnerDir, overrides: list[str]) -> dict[str, Any]:
    """Export what the sweep asked for, and anew what is there of another model; what cannot be is a warning.

    Returns:
        By format what export.json says of it, or `{"failed": reason}`.
    """
    model_sha256 = checksum(building.model, "sha256")
    there = {
        name: entry for name, entry in _recorded(building).items() if (building.root / str(entry.get("file"))).is_file()
    }
    exports: dict[str, Any] = {}
    for name in dict.fromkeys([*(found.selection or {}).get("export", []), *there]):
        if name in there and there[name].get("model_sha256") == model_sha256:
            exports[name] = there[name]
            continue
        # The copy of config.yaml lies elsewhere, and means the same data.
        settings = [*overrides, f"data.root={found.conf.data.root}"]
        try:
            exports[name] = export.export(building.root, [name], settings)[name]
        except Exception as error:  # exporters fail in many ways; the winner is whole without
            reason = last_line(error) or repr(error)
            log.warning("not exported as %s: %s", name, reason)
            exports[name] = {"failed": reason}
            if name in there:  # what is left is of another model
                (building.root / str(there[name]["file"])).unlink()
    return exports


def _recorded(winner: WinnerDir) -> dict[str, dict[str, Any]]:
    """Return what export.json says, by format; nothing if there is none that can be read."""
    try:
        found = json.loads((winner.root / export.RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)} if isinstance(found, dict) else {}


def _put(found: Source, building: WinnerDir) -> None:
    """Put the finished folder in its place, unless the sweep has another winner by now."""
    if not found.is_winner:
        put_folder(building.root, found.out.root)
        return
    try:
        with FileLock(SweepDir(found.folder.parent).winner_lock, timeout=PATIENCE_S):
            if not found.is_current():
                raise _changed(found)
            put_folder(building.root, found.out.root)
    except Timeout:
        raise InputError(
            f"{shown(found.folder)}: another process is saving the winner; give the command again"
        ) from None


def _changed(found: Source) -> InputError:
    return InputError(f"{shown(found.folder)}: the winner was changed meanwhile; give the command again")
