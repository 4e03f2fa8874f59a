"""The command that trains a winner again."""

import logging
import shlex
from typing import Any

import yaml
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from inksweep.errors import last_line
from inksweep.paths import RunDir, SweepDir
from inksweep.runs import result
from inksweep.sweep.space.grammar import bare
from inksweep.sweep.winner.choice import Choice
from inksweep.sweep.winner.full_data import THREADS_KEY

log = logging.getLogger(__name__)


def commands(sweep: SweepDir, choice: Choice, program: str) -> list[str]:
    """Return the commands, quoted for a shell, that train the winner again: one for each training in it."""
    return [_command(RunDir(sweep.root / run.path), program) for run in choice.trainings]


def command(sweep: SweepDir, trial: FrozenTrial, program: str) -> str:
    """Return the command, quoted for a shell, that trains `trial` again: the one its result.json names, if any."""
    return _command(sweep.trial(trial.number), program)


def _command(run: RunDir, program: str) -> str:
    ended = result.read_or_empty(run.result)
    if ended.command:
        return ended.command + _threads(run, ended.command, ended.threads)
    # Not read by OmegaConf: the words may hold `${`.
    overrides: Any = yaml.safe_load(run.overrides.read_text(encoding="utf-8")) if run.overrides.is_file() else []
    return shlex.join(["python", program, *map(str, overrides)])


def _threads(run: RunDir, recorded: str, threads: int | None) -> str:
    """Return what to add so that a training has the threads of its slot again: sums depend on their number."""
    try:
        has_key = OmegaConf.select(OmegaConf.load(run.config), THREADS_KEY, default=run) is not run
        is_typed = any(bare(word) == THREADS_KEY for word in shlex.split(recorded))
    except Exception as error:  # a config that is gone or broken, a command edited by hand
        log.debug("%s: %s", run.root, last_line(error))
        return ""
    return f" {THREADS_KEY}={threads}" if threads is not None and has_key and not is_typed else ""
