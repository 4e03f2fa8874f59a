"""The winner: what a training left, copied to `winner/` with `selection.json` and a card that say what it is."""

import json
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

from inksweep.errors import last_line
from inksweep.paths import RunDir, SweepDir, WinnerDir, put_folder, shown
from inksweep.sweep.choice import Choice, Ran
from inksweep.sweep.grammar import bare
from inksweep.sweep.marks import OWNER
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


def save(sweep: SweepDir, choice: Choice, selection: dict[str, Any], program: str) -> WinnerDir | None:
    """Put what was chosen in `winner/`; a reader sees the old winner, for an instant none, or this one: never half.

    A winner that was chosen in the same way is left as it is, with all that has been added to it. Files that the
    training does not have (other apps write no model.pt) are left out.

    Args:
        sweep: where.
        choice: what was chosen.
        selection: how, as `choice.selection` returns it.
        program: the script, as the user called it.

    Returns:
        Where it is; None if the training ran on another machine and its folder is there.
    """
    with FileLock(sweep.winner_lock):  # another process of this sweep may be at the same
        return _save(sweep, choice, selection, program)


def _save(sweep: SweepDir, choice: Choice, selection: dict[str, Any], program: str) -> WinnerDir | None:
    for leftover in sweep.root.glob(".winner-*"):
        shutil.rmtree(leftover)
    run, winner = RunDir(sweep.root / choice.model.path), sweep.winner
    if not run.root.exists():
        if winner.root.exists():
            log.warning("%s: its trial's folder %s is gone; it stays as it is", shown(winner.root), shown(run.root))
            return winner
        return None
    selection = selection | {"commands": commands(sweep, choice, program)}
    if saved_selection(sweep) == json.loads(json.dumps(selection)):
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
    building.selection.write_text(json.dumps(selection, indent=2) + "\n", encoding="utf-8")
    building.card.write_text(card(sweep, choice, selection), encoding="utf-8")
    for written in (building.selection, building.card):
        _flush(written)
    building.root.chmod(sweep.root.stat().st_mode)  # mkdtemp's is private
    put_folder(building.root, winner.root)
    return winner


def saved_selection(sweep: SweepDir) -> dict[str, Any] | None:
    """Return what the winner that is there says of its choice; None if there is none, or it says nothing."""
    return _json(sweep.winner.selection)


def wants_card(sweep: SweepDir) -> bool:
    """Whether the winner has a model of ours, and no card yet that was made of it as it is chosen now."""
    made = _json(sweep.winner.card_facts) or {}
    # Only our own runs say this of themselves; a model.pt of another app is not ours to describe.
    is_ours = sweep.winner.model.is_file() and "versions" in (_json(sweep.winner.result) or {})
    return is_ours and made.get("selection") != saved_selection(sweep)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def host(trial: FrozenTrial) -> str:
    """Return the machine that ran `trial`."""
    return str(trial.user_attrs.get(OWNER, {}).get("host", "an unknown machine"))


def card(sweep: SweepDir, choice: Choice, selection: dict[str, Any]) -> str:
    """Return the plain model card, in Markdown: what is known without a look into the model."""
    run, model = RunDir(sweep.root / choice.model.path), choice.model
    objectives = {"objective": model.values[0]} if len(model.values) == 1 else dict(_numbered(model.values))
    known = {**objectives, **model.metrics}
    lines = [
        f"# Winner of {selection['study']}",
        "",
        *_why(choice),
        *(TEST_SPLIT if any(name.startswith("test/") for name in known) else ()),
        "",
        *_ranking(selection["candidates"]),
        "| measured | value |",
        "|---|---|",
        *(f"| {name} | {value:.6g} |" for name, value in known.items()),
        "",
        "| searched | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in choice.trial.params.items()),
        "",
        f"All that it left: {shown(run.root)}",
        "",
        "Run it again:",
        "",
        "```",
        *selection["commands"],
        "```",
        "",
    ]
    if run.model.is_file():
        lines += ["Use it:", "", HOW_TO_LOAD.format(model=shown(sweep.winner.model))]
    return "\n".join(lines)


def _why(choice: Choice) -> Iterator[str]:
    number = choice.trial.number
    if choice.candidates:
        seeds = len(choice.candidates[0].runs)
        yield (
            f"The configuration of trial {number} of the study. The best trials were trained again on {seeds} new "
            "seeds each, and its mean objective is the best."
        )
    else:
        yield f"Trial {number} of the study. Chosen because its objective is the best of all trials."
    if choice.full_data:
        yield (
            "The model was then trained on all of the train files, the validation pictures too: what it measures on "
            "validation is no measure of it."
        )
    elif choice.candidates:
        yield f"The weights are those of its seed {choice.model.seed}, the best of them by the objective."
    if choice.members:
        yield f"It is to be an ensemble of {len(choice.members)} models; model.pt is the first of them."


def _ranking(candidates: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not candidates:
        return
    yield "| trial | in the search | mean of its seeds | deviation | 95 % interval | p against the first |"
    yield "|---|---|---|---|---|---|"
    for one in candidates:
        interval = "" if one["interval"] is None else "{:.4f} to {:.4f}".format(*one["interval"])
        p = "" if one["p"] is None else f"{one['p']:.3g}"
        numbers = " | ".join(f"{one[key]:.6g}" for key in ("searched_objective", "mean", "std"))
        yield f"| {one['trial']} | {numbers} | {interval} | {p} |"
    yield ""


def commands(sweep: SweepDir, choice: Choice, program: str) -> list[str]:
    """Return the commands, quoted for a shell, that train the winner again: one for each training in it."""
    return [_command(RunDir(sweep.root / run.path), program) for run in choice.trainings]


def command(sweep: SweepDir, trial: FrozenTrial, program: str) -> str:
    """Return the command, quoted for a shell, that trains `trial` again: the one its result.json names, if any."""
    return _command(sweep.trial(trial.number), program)


def _command(run: RunDir, program: str) -> str:
    found = result(run)
    if recorded := found.get("command"):
        return str(recorded) + _threads(run, str(recorded), found.get("threads"))
    overrides: Any = OmegaConf.to_container(OmegaConf.load(run.overrides)) if run.overrides.is_file() else []
    return shlex.join(["python", program, *overrides])


def _threads(run: RunDir, recorded: str, threads: Any) -> str:
    """Return what to add so that a training has the threads of its slot again: sums depend on their number."""
    key = "trainer.threads"
    try:
        has_key = OmegaConf.select(OmegaConf.load(run.config), key, default=run) is not run
        is_typed = any(bare(word) == key for word in shlex.split(recorded))
    except Exception as error:  # a config that is gone or broken, a command edited by hand
        log.debug("%s: %s", run.root, last_line(error))
        return ""
    return f" {key}={threads}" if isinstance(threads, int) and has_key and not is_typed else ""


def place(sweep: SweepDir, run: Ran) -> str:
    """Return how the folder of a training is shown."""
    return shown(sweep.root / run.path)


def _numbered(values: Sequence[float]) -> Iterator[tuple[str, float]]:
    return ((f"objective {index}", value) for index, value in enumerate(values, start=1))


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())
