"""The command that trains a winner again."""

import logging
import shlex
from collections.abc import Sequence
from typing import Any

import yaml
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from inksweep.errors import last_line
from inksweep.paths import RunDir, SweepDir
from inksweep.runs import result
from inksweep.sweep.space.grammar import as_override, bare
from inksweep.sweep.study.signposts import noted
from inksweep.sweep.winner.choice import Choice
from inksweep.sweep.winner.full_data import THREADS_KEY

log = logging.getLogger(__name__)


def commands(sweep: SweepDir, choice: Choice, program: Sequence[str]) -> list[str]:
    """Return the commands, quoted for a shell, that train the winner again: one for each training in it.

    Args:
        sweep: where it was trained.
        choice: what was chosen.
        program: the words before the overrides.
    """
    return [_command(RunDir(sweep.root / run.path), run.trial, program) for run in choice.trainings]


def command(sweep: SweepDir, trial: FrozenTrial, program: Sequence[str]) -> str:
    """Return the command, quoted for a shell, that trains `trial` again: the one its result.json names, if any."""
    return _command(sweep.trial(trial.number), trial, program)


def _command(run: RunDir, trial: FrozenTrial, program: Sequence[str]) -> str:
    ended = result.read_or_empty(run.result)
    if ended.command:
        return ended.command + _threads(run, ended.command, ended.threads)
    return shlex.join([*program, *_overrides(run, trial)])


def _overrides(run: RunDir, trial: FrozenTrial) -> list[str]:
    """Return the overrides that a trial ran with: its folder may be on another machine, or gone."""
    given: Any = noted(trial, "overrides")
    if given is None and run.overrides.is_file():
        # Not read by OmegaConf: the words may hold `${`.
        given = yaml.safe_load(run.overrides.read_text(encoding="utf-8"))
    if isinstance(given, list):
        return [str(word) for word in given]
    return [as_override(key, value) for key, value in trial.params.items()]


def _threads(run: RunDir, recorded: str, threads: int | None) -> str:
    """Return what to add so that a training has the threads of its slot again: sums depend on their number."""
    try:
        has_key = OmegaConf.select(OmegaConf.load(run.config), THREADS_KEY, default=run) is not run
        is_typed = any(bare(word) == THREADS_KEY for word in shlex.split(recorded))
    except Exception as error:  # a config that is gone or broken, a command edited by hand
        log.debug("%s: %s", run.root, last_line(error))
        return ""
    return f" {THREADS_KEY}={threads}" if threads is not None and has_key and not is_typed else ""
