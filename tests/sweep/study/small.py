"""A sweep directory as small as can be: its settings, and a study of two trials in a journal."""

from pathlib import Path

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from inksweep.paths import SweepDir

optuna.logging.set_verbosity(optuna.logging.WARNING)


def settings_only(folder: Path, storage: str | None = None, name: str | None = "night") -> SweepDir:
    """Write the settings of a sweep."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep = SweepDir(folder)
    sweep.config.write_text(yaml.safe_dump({"sweeper": {"storage": storage, "study_name": name}}))
    return sweep


def two_trials(folder: Path) -> SweepDir:
    """Write a sweep of two trials."""
    sweep = settings_only(folder)
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(sweep.journal))), study_name="night")
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=2)
    return sweep


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
