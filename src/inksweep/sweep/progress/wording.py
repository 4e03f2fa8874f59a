"""A trial in a few words, for the log, the screen and the card."""

import os
import re
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from inksweep.sweep.study.notes import LOST, REASON, RETRIED


def parameters(trial: FrozenTrial) -> str:
    """Return the parameters of a trial in short."""
    return " ".join(f"{key}={v:.4g}" if isinstance(v, float) else f"{key}={v}" for key, v in trial.params.items())


def numbers(trial: FrozenTrial) -> str:
    """Return the objective of a complete trial in short; of several, all."""
    return ", ".join(short(value) for value in trial.values)


def short(value: float) -> str:
    """Return a value of an objective in short."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def verdict(trial: FrozenTrial) -> str:
    """Return in a few words what came of a trial."""
    if trial.state is TrialState.COMPLETE:
        return numbers(trial)
    reason = str(trial.user_attrs.get(REASON, "")).partition("\n")[0]
    is_lost = LOST in trial.user_attrs or RETRIED in trial.user_attrs
    state = "lost, to be repeated" if is_lost else trial.state.name.lower()
    return state if reason in ("", state) else f"{state} ({reason})"


# What logging writes before a message: `[2030-01-31 12:00:00,000][app][INFO] - `.
BEFORE_MESSAGE = re.compile(r"(\[[^\]]*\]\s*)+(- )?")


def last_printed(path: Path) -> str | None:
    """Return the last line that a trial has printed, shortened; None: nothing yet.

    Raises:
        OSError: there is no such file.
    """
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        lines = file.read().decode("utf-8", "replace").splitlines()
    printed = (BEFORE_MESSAGE.sub("", line.strip(), count=1) for line in reversed(lines))
    line = next((line for line in printed if line), None)
    return line if line is None or len(line) <= 60 else f"{line[:59]}…"
