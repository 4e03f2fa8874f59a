"""The winner: what the incumbent left, copied to `winner/` with a card that says what it is."""

import logging
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from inksweep.paths import SweepDir, WinnerDir, shown
from inksweep.sweep.marks import OWNER
from inksweep.sweep.study import measured
from inksweep.sweep.trial import result

log = logging.getLogger(__name__)

HOW_TO_LOAD = """\
```python
from inksweep.checkpoint import load_model

model, about = load_model("{model}")
print(about["classes"], about["preprocess"])  # pictures: (n, 1, size, size), from 0 to 1, then (x - mean) / std
```
"""


TEST_SPLIT = (
    "The test split ranked nothing; a sweep with a target looks at the best trial's test metric to decide",
    "whether to stop, so that number is slightly optimistic.",
)


def save(sweep: SweepDir, trial: FrozenTrial, study: str, program: str) -> WinnerDir | None:
    """Put `trial` in `winner/`; a reader sees the old winner, for an instant none, or this one: never half of it.

    Files that the trial does not have (other apps write no model.pt) are left out.

    Args:
        sweep: where.
        trial: the incumbent.
        study: name of the study, for the card.
        program: the script, as the user called it.

    Returns:
        Where it is; None if the trial ran on another machine and its folder is there.
    """
    with FileLock(sweep.winner_lock):  # another process of this sweep may be at the same
        return _save(sweep, trial, study, program)


def _save(sweep: SweepDir, trial: FrozenTrial, study: str, program: str) -> WinnerDir | None:
    for leftover in sweep.root.glob(".winner-*"):
        shutil.rmtree(leftover)
    run, winner = sweep.trial(trial.number), sweep.winner
    if not run.root.exists():
        if winner.root.exists():
            log.warning("%s: its trial's folder %s is gone; it stays as it is", shown(winner.root), shown(run.root))
            return winner
        return None
    text = card(sweep, trial, study, program)
    if winner.card.is_file() and winner.card.read_text(encoding="utf-8") == text:
        return winner
    building = WinnerDir(Path(tempfile.mkdtemp(dir=sweep.root, prefix=".winner-")))
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
    building.card.write_text(text, encoding="utf-8")
    _flush(building.card)
    building.root.chmod(sweep.root.stat().st_mode)  # mkdtemp's is private
    _swap(building.root, winner.root)
    return winner


def host(trial: FrozenTrial) -> str:
    """Return the machine that ran `trial`."""
    return str(trial.user_attrs.get(OWNER, {}).get("host", "an unknown machine"))


def card(sweep: SweepDir, trial: FrozenTrial, study: str, program: str) -> str:
    """Return the model card, in Markdown."""
    run = sweep.trial(trial.number)
    objectives = {"objective": trial.values[0]} if len(trial.values) == 1 else dict(_numbered(trial.values))
    known = {**objectives, **measured(trial)}
    lines = [
        f"# Winner of {study}",
        "",
        f"Trial {trial.number} of the study. Chosen because its objective is the best of all trials.",
        *(TEST_SPLIT if any(name.startswith("test/") for name in known) else ()),
        "",
        "| measured | value |",
        "|---|---|",
        *(f"| {name} | {value:.6g} |" for name, value in known.items()),
        "",
        "| searched | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in trial.params.items()),
        "",
        f"All that it left: {shown(run.root)}",
        "",
        "Run it again:",
        "",
        "```",
        command(sweep, trial, program),
        "```",
        "",
    ]
    if run.model.is_file():
        lines += ["Use it:", "", HOW_TO_LOAD.format(model=shown(sweep.winner.model))]
    return "\n".join(lines)


def command(sweep: SweepDir, trial: FrozenTrial, program: str) -> str:
    """Return the command, quoted for a shell, that trains `trial` again: the one its result.json names, if any."""
    if recorded := result(sweep.trial(trial.number)).get("command"):
        return str(recorded)
    path = sweep.trial(trial.number).overrides
    overrides: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else []
    return shlex.join(["python", program, *overrides])


def _numbered(values: Sequence[float]) -> Iterator[tuple[str, float]]:
    return ((f"objective {index}", value) for index, value in enumerate(values, start=1))


def _swap(new: Path, old: Path) -> None:
    """Put the folder `new` in the place of `old`, which may exist."""
    if old.exists():
        aside = new.with_name(f"{new.name}.old")  # matches what `save` clears away
        old.replace(aside)
        new.replace(old)
        shutil.rmtree(aside)
    else:
        new.replace(old)


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())
