"""Trials of a study whose folders are not in the sweep directory of this start.

Every start on a database may have a folder of its own, as where `hydra.sweep.dir` holds the time. Each trial notes the
machine and the folder that it runs in; the sweep directory gets signposts to those that are on this disk.
"""

import math
import os
import socket
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from inksweep.files import replacing
from inksweep.paths import RunDir, SweepDir
from inksweep.runs import result
from inksweep.sweep.study.notes import OWNER


def put_signposts(study: Study, sweep: SweepDir) -> None:
    """Leave word in a sweep directory of the complete trials whose folders are elsewhere on this disk."""
    for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
        place = noted_folder(trial)
        if place is None or SweepDir(place).root == sweep.root or sweep.trial(trial.number).root.exists():
            continue
        run = SweepDir(place).trial(trial.number)
        if run.root.is_dir() and (host(trial) == socket.gethostname() or _is_of(run, trial)):
            signpost = sweep.signpost(trial.number)
            signpost.parent.mkdir(parents=True, exist_ok=True)
            with replacing(signpost, durable=False) as file:
                file.write(Path(os.path.relpath(run.root, sweep.root)).as_posix())


def noted(trial: FrozenTrial, name: str) -> Any:
    """Return what a trial has noted of its process; None if it has not."""
    owner = trial.user_attrs.get(OWNER)
    return owner.get(name) if isinstance(owner, dict) else None


def host(trial: FrozenTrial) -> str:
    """Return the machine that ran a trial."""
    return str(noted(trial, "host") or "an unknown machine")


def noted_folder(trial: FrozenTrial) -> Path | None:
    """Return the sweep directory that a trial ran in, as its machine calls it."""
    folder = noted(trial, "folder")
    return Path(folder) if isinstance(folder, str) else None


def _is_of(run: RunDir, trial: FrozenTrial) -> bool:
    """Whether a folder is that of a trial of another machine: a shared disk, and no folder that only is called so."""
    values = [objective.value for objective in result.read_or_empty(run.result).objectives]
    return len(values) == len(trial.values) and all(
        value is not None and math.isclose(value, other, rel_tol=1e-9)
        for value, other in zip(values, trial.values, strict=True)
    )
