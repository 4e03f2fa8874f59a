"""What one start of a sweep is given by Hydra. The sweeper makes it; session, dry run and final stage read it."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from inksweep import command
from inksweep.errors import without_password
from inksweep.sweep.settings import InksweepSweeperConf


@dataclass(frozen=True)
class Start:
    """One start of a sweep: its settings, and how to run its jobs.

    Args:
        config: what Hydra composed for the sweep.
        conf: `config.hydra.sweeper`, checked.
        arguments: overrides from the command line, swept ones and others.
        launcher: runs trials of that config.
        launcher_for: makes a launcher, which runs trials, for another config.
        compose: composes the config of a job, and raises if that cannot be done.
        is_serial: whether the launcher runs jobs in this process.
        loader: knows the app's config files.
        slots: how many trials run at a time: `hydra.sweeper.n_jobs`, or what that comes to here.
    """

    config: DictConfig
    conf: InksweepSweeperConf
    arguments: Sequence[str]
    launcher: Launcher
    launcher_for: Callable[[DictConfig], Launcher]
    compose: Callable[[list[str]], DictConfig]
    is_serial: bool
    loader: ConfigLoader | None = None
    slots: int = 1

    def record(self, study: str) -> dict[str, Any]:
        """Return the content of `sweep.yaml`: the command, and what it sets for the sweep whose study has this name."""
        sweeper = OmegaConf.to_container(self.config.hydra.sweeper, resolve=True, enum_to_str=True)
        assert isinstance(sweeper, dict)
        sweeper["study_name"] = study
        if isinstance(self.conf.storage, str):
            sweeper["storage"] = without_password(self.conf.storage)
        typed = [without_password(word) for word in sys.argv[1:]]
        return {
            "command": command.as_typed(typed),
            # The words before the overrides of a job, to train one of its trials again.
            "program": self.program,
            "overrides": [without_password(word) for word in self.arguments],
            "sweeper": sweeper,
        }

    @property
    def has_dated_folder(self) -> bool:
        """Whether the same command, typed again, has another sweep directory: one that is called by the time."""
        is_named = self.names_its_folder and self.config.hydra.sweeper.study_name is not None
        return "${now:" in self._folder and not is_named

    @property
    def names_its_folder(self) -> bool:
        """Whether the sweep directory is called by the study, where that has a name."""
        return "inksweep.study_folder" in self._folder

    @property
    def _folder(self) -> str:
        return str(OmegaConf.to_container(self.config.hydra.sweep, resolve=False)["dir"])  # type: ignore[call-overload, index]

    @property
    def program(self) -> list[str]:
        """The words that start the app, before the overrides of a job."""
        return command.prefix(command.program(), self.config.hydra)
