"""The winner: what the incumbent left, copied to `winner/` with a card that says what it is."""

import logging
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from inksweep.paths import SweepDir, WinnerDir, shown
from inksweep.sweep.trial import metrics, result

log = logging.getLogger(__name__)

HOW_TO_LOAD = """\
```python
from inksweep.checkpoint import load_model

model, about = load_model("{model}")
print(about["classes"], about["preprocess"])  # pictures: (n, 1, size, size), from 0 to 1, then (x - mean) / std
```
"""


def save(sweep: SweepDir, trial: FrozenTrial, study: str, program: str) -> WinnerDir:
    """Put `trial` in `winner/`; a reader sees the old winner, for an instant none, or this one: never half of it.

    Files that the trial does not have (other apps write no model.pt) are left out.

    Args:
        sweep: where.
        trial: the incumbent.
        study: name of the study, for the card.
        program: the script, as the user called it.
    """
    for leftover in sweep.root.glob(".winner.*"):
        shutil.rmtree(leftover)
    run, winner = sweep.trial(trial.number), sweep.winner
    if winner.root.exists() and not run.root.exists():
        log.warning("%s: its trial's folder %s is gone; it stays as it is", shown(winner.root), shown(run.root))
        return winner
    text = card(sweep, trial, study, program)
    if winner.card.is_file() and winner.card.read_text(encoding="utf-8") == text:
        return winner
    building = WinnerDir(Path(tempfile.mkdtemp(dir=sweep.root, prefix=".winner.")))
    for source, copy in ((run.model, building.model), (run.result, building.result), (run.config, building.config)):
        if source.is_file():
            shutil.copyfile(source, copy)
            _flush(copy)
    building.card.write_text(text, encoding="utf-8")
    _flush(building.card)
    building.root.chmod(sweep.root.stat().st_mode)  # mkdtemp's is private
    _swap(building.root, winner.root)
    return winner


def card(sweep: SweepDir, trial: FrozenTrial, study: str, program: str) -> str:
    """Return the model card, in Markdown."""
    run = sweep.trial(trial.number)
    measured = {"objective": trial.value, **metrics(run)}
    lines = [
        f"# Winner of {study}",
        "",
        f"Trial {trial.number} of the study. Chosen because its objective is the best of all trials.",
        "The test split ranked nothing; a sweep with a target looks at the best trial's test metric to decide",
        "whether to stop, so that number is slightly optimistic.",
        "",
        "| measured | value |",
        "|---|---|",
        *(f"| {name} | {value:.6g} |" for name, value in measured.items()),
        "",
        "| searched | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in trial.params.items()),
        "",
        "Train it again:",
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
