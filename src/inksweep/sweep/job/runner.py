"""TRIAL SIDE. Jobs of a long-lived process, one after the other as Hydra's basic launcher runs them, for less.

What the jobs of a sweep have in common is worked out once: Hydra composes a config for each set of chosen options, it
is kept, and a job then only gets its own values. So config files, and the variables that `hydra.job.env_copy` names,
are read when a set is first seen. What is edited during a sweep counts for no later trial with the same options, which
is as well: a study compares its trials.
"""

import contextlib
import io
import pickle
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

# Sets of options whose config is kept, some 25 kB each.
KEPT_SETS = 256


class JobRunner:
    """Runs jobs one after the other in this process, as Hydra's basic launcher does.

    Args:
        hydra_context, config, task_function: what a launcher's `setup` is given.
    """

    def __init__(self, hydra_context: HydraContext, config: DictConfig, task_function: TaskFunction):
        setup_globals()
        self.hydra_context, self.config, self.task_function = hydra_context, config, task_function
        # Resolved before the config of any job: all then write into the same folder, also if its name is a time.
        Path(str(config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        self._parser = OverridesParser.create()
        self._common = lru_cache(KEPT_SETS)(self._compose_common)
        self._options = lru_cache(None)(self._list_options)

    def run(self, number: int, overrides: Sequence[str]) -> JobReturn:
        """Run a job; an exception that its task raised is in what is returned.

        Raises:
            HydraException: the config does not compose.
        """
        return self.execute(self.prepare(number, overrides))

    def prepare(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """Return the config of job `number`.

        Raises:
            HydraException: it does not compose.
        """
        job = self.compose(overrides)
        with open_dict(job):
            job.hydra.job.id = str(number)
            job.hydra.job.num = number
        return job

    def execute(self, job: DictConfig) -> JobReturn:
        """Run a job that is prepared; an exception that its task raised is in what is returned."""
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=job,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the config of a job: the one that Hydra's `load_sweep_config` returns.

        Raises:
            HydraException: it does not compose.
        """
        # If anything fails here, Hydra composes the job and raises its own error.
        with contextlib.suppress(Exception):
            parsed = self._parser.parse_overrides(list(overrides))
            if not any(_is_special(override) for override in parsed):
                return self._compose(parsed)
        return self._compose_by_hydra(overrides)

    def _compose_by_hydra(self, overrides: Iterable[str]) -> DictConfig:
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))

    def _compose(self, overrides: list[Override]) -> DictConfig:
        options = tuple(str(override.input_line) for override in overrides if self._selects_option(override))
        values = [override for override in overrides if not self._selects_option(override)]
        job: DictConfig = pickle.loads(self._common(Path.cwd(), options))
        # As Hydra does once all files are merged, by the same private function: there is no public one. Without it
        # every job is composed by `_compose_by_hydra`, which is right too, and slower.
        self.hydra_context.config_loader._apply_overrides_to_config(values, job)  # type: ignore[attr-defined]
        job.hydra.overrides.task = [override.input_line for override in overrides]
        OmegaConf.copy_cache(from_config=self.config, to_config=job)
        for node in (job, job.hydra):
            _make_quick(node)
        return job

    def _compose_common(self, directory: Path, options: tuple[str, ...]) -> bytes:
        """Return what jobs with the same options have in common. `directory`: Hydra notes it down in the config."""
        return _pickled(self._compose_by_hydra(options))

    def _selects_option(self, override: Override) -> bool:
        """Tell an override that selects or drops a config file from one that sets a value."""
        drops = override.is_delete()
        if override.is_value_path or (isinstance(override.value(), dict) and not drops):
            return False
        group, _, name = override.key_or_group.rpartition("/")
        return name in self._options(group, None if drops else ObjectType.GROUP)

    def _list_options(self, group: str, kind: ObjectType | None) -> frozenset[str]:
        hydra = self.config.hydra
        loader = self.hydra_context.config_loader
        return frozenset(loader.get_group_options(group, kind, hydra.job.config_name, list(hydra.overrides.hydra)))


def _is_special(override: Override) -> bool:
    """Return whether an override needs more than a value set: those of Hydra itself, and those that are no job's."""
    return override.is_sweep_override() or re.match(r"hydra\b", override.key_or_group) is not None


class QuickCopy(DictConfig):
    """A config that is deep-copied several times as fast as others: Hydra copies that of a job four times.

    It saves 10 to 17 ms of CPU time a job (medians of 40 jobs with and without, alternating: 20 instead of 31 ms with
    an app of one key, 34 instead of 47 ms with the settings of train.py). Pickled, it is a plain config.

    The parent of a node is a private matter of OmegaConf; a copy that took the parent along would copy all of it, and
    without these names a config could only be copied as OmegaConf does.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> DictConfig:
        """Copy as DictConfig does: with the parent, which is not copied."""
        parent = self._get_parent()
        self._set_parent(None)
        try:
            copied: DictConfig = pickle.loads(_pickled(self))
        finally:
            self._set_parent(parent)
        if parent is not None:
            # Hydra's part of the config. HydraConfig takes this copy, and has it copied once more.
            copied._set_parent(parent)
            _make_quick(copied)
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle as a DictConfig."""
        return DictConfig.__new__, (DictConfig,), self.__getstate__()


def _make_quick(node: DictConfig) -> None:
    # Not by assignment, which adds a key to a config.
    object.__setattr__(node, "__class__", QuickCopy)


class _Pickler(pickle.Pickler):
    """Pickles for this process alone: a class is the very same afterwards, also if no module holds it.

    So are the schemas of an app whose script is the main program, in a worker that was sent them.
    """

    def reducer_override(self, value: Any) -> Any:
        """Refer to classes, leave the rest to pickle."""
        if not isinstance(value, type):
            return NotImplemented
        _classes[id(value)] = value
        return _class, (id(value),)


# The classes that pickles of this process refer to.
_classes: dict[int, type] = {}


def _class(key: int) -> type:
    return _classes[key]


def _pickled(config: DictConfig) -> bytes:
    with io.BytesIO() as file:
        _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(config)
        return file.getvalue()
