"""The winner: what a training left, copied to `winner/` with `selection.json` and a card that say what it is."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inksweep.errors import InputError
from inksweep.files import flush, held, json_text, new_folder, put_folder, read_json, recover, replacing
from inksweep.paths import RunDir, SweepDir, WinnerDir, shown
from inksweep.runs import selection as selections
from inksweep.runs.selection import Selection
from inksweep.sweep.settings import EXPORTS
from inksweep.sweep.winner.choice import Choice
from inksweep.sweep.winner.commands import commands
from inksweep.sweep.winner.full_data import is_ours
from inksweep.sweep.winner.plain_card import card

log = logging.getLogger(__name__)


# What of selection.json makes it this winner; the rest tells how it came to be chosen.
IDENTITY = ("study", "trial", "model", "members", "calibrate_on", "full_data")


def save(sweep: SweepDir, choice: Choice, selection: Selection, program: Sequence[str]) -> WinnerDir | None:
    """Put what was chosen in `winner/`; a reader sees the old winner, for an instant none, or this one: never half.

    If the same is there already it stays, with all that has been added to it, and only the story of its choice is
    written anew. What another winner was exported to, this one is to be exported to as well. Files that the training
    does not have (other apps write no model.pt) are left out.

    Args:
        sweep: where.
        choice: what was chosen.
        selection: how; the commands that train it again are added.
        program: the words that start the app, before the overrides of a job.

    Returns:
        Where it is; None if the training ran on another machine and its folder is there, or is gone.
    """
    with held(sweep.winner_lock, None):  # another process of this sweep may be at the same
        return _save(sweep, choice, selection, program)


def _save(sweep: SweepDir, choice: Choice, selection: Selection, program: Sequence[str]) -> WinnerDir | None:
    recover(sweep.winner.root)
    for leftover in sweep.root.glob(".winner-*"):
        shutil.rmtree(leftover)
    run, winner = RunDir(sweep.root / choice.model.path), sweep.winner
    saved = saved_selection(sweep)
    is_same = saved is not None and _identity(saved) == _identity(selection)
    is_here = run.root.exists()
    if not is_here and not is_same:
        if winner.root.exists():
            log.warning("%s: is still that of trial %s", shown(winner.root), saved.trial if saved else "(unknown)")
        return None
    selection = replace(
        selection,
        commands=commands(sweep, choice, program) if is_here else saved.commands if saved else [],
        export=list(dict.fromkeys([*selection.export, *_exported(winner, saved)])),
    )
    if is_same and (not is_here or _is_copy(winner, run, is_ensemble=bool(choice.members))):
        if saved != selection:
            _write_selection(winner, selection, card(sweep, choice, selection))
        return winner
    _put(sweep, run, selection, card(sweep, choice, selection))
    return winner


def _put(sweep: SweepDir, run: RunDir, selection: Selection, plain_card: str) -> None:
    """Put the files of a training in the place of the winner."""
    building = WinnerDir(new_folder(sweep.root, ".winner-"))
    copies = {
        run.model: building.model,
        run.predictions: building.predictions,
        run.result: building.result,
        run.metrics: building.metrics,
        run.config: building.config,
    }
    for source, copy in copies.items():
        if source.is_file():
            shutil.copyfile(source, copy)
            _flush(copy)
    building.selection.write_text(_as_text(selection), encoding="utf-8")
    building.card.write_text(plain_card, encoding="utf-8")
    for written in (building.selection, building.card):
        _flush(written)
    put_folder(building.root, sweep.winner.root)


def restore(sweep: SweepDir) -> None:
    """Put the winner back that a process which was killed had just moved aside."""
    if sweep.root.exists():
        with held(sweep.winner_lock, None):
            recover(sweep.winner.root)


def _identity(selection: Selection) -> list[Any]:
    return [getattr(selection, key) for key in IDENTITY]


def _is_copy(winner: WinnerDir, run: RunDir, *, is_ensemble: bool) -> bool:
    """Whether a winner was saved from what is in this folder: a study that was begun anew has the same numbers."""
    pairs = [(winner.config, run.config), (winner.metrics, run.metrics)]
    if not is_ensemble:  # the card's process writes what the models measure together
        pairs.append((winner.result, run.result))
    return all(_content(copy) == _content(source) for copy, source in pairs)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _exported(winner: WinnerDir, saved: Selection | None) -> list[str]:
    """Return what the winner that is there was exported to, or is to be and has not been tried."""
    asked = set(saved.export if saved else ()) - _failed_exports(winner)
    recorded = _json(winner.exports) or {}
    return [name for name in EXPORTS if name in asked or _is_inside(winner, recorded.get(name))]


def _is_inside(winner: WinnerDir, export: Any) -> bool:
    """Whether an export lies beside the model; one that was written elsewhere belongs to who wrote it."""
    file = export.get("file") if isinstance(export, dict) else None
    return isinstance(file, str) and Path(file).name == file and (winner.root / file).is_file()


def _failed_exports(winner: WinnerDir) -> set[str]:
    """Return the formats that could not be written when the card was."""
    exports = (_json(winner.card_facts) or {}).get("exports")
    entries = exports.items() if isinstance(exports, dict) else ()
    return {name for name, entry in entries if isinstance(entry, dict) and "failed" in entry}


def _write_selection(winner: WinnerDir, selection: Selection, plain_card: str) -> None:
    """Write anew how a winner was chosen. A card with facts of the model stays: `inksweep card` makes it again."""
    if not winner.card_facts.exists():
        with replacing(winner.card) as file:
            file.write(plain_card)
    with replacing(winner.selection) as file:
        file.write(_as_text(selection))


def _as_text(selection: Selection) -> str:
    return json_text(selection.content())


def saved_selection(sweep: SweepDir) -> Selection | None:
    """Return what the winner that is there says of its choice; None if there is none, or it says nothing."""
    return selections.read_if_whole(sweep.winner.selection)


def wants_card(sweep: SweepDir) -> bool:
    """Whether the winner has a model of ours, and no card yet of it as it is chosen now, with the exports asked for."""
    made, selection = (_json(sweep.winner.card_facts) or {}).get("selection"), saved_selection(sweep)
    is_current = made == selection if made is None or selection is None else selections.is_of(made, selection)
    failed = _failed_exports(sweep.winner).intersection(selection.export if selection else ())
    return is_ours(sweep.winner.model, sweep.winner.result) and (not is_current or bool(failed))


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except InputError:
        return None


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes only what may be written
        flush(file)
