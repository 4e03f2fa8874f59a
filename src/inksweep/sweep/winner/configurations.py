"""Trials of a search as they can be trained again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FixedTrial, FrozenTrial

from inksweep.errors import InputError, nearest
from inksweep.paths import SweepDir
from inksweep.sweep.space.grammar import Fixed, bare, is_delete, parse
from inksweep.sweep.space.space import Space
from inksweep.sweep.study.trials import queued_point
from inksweep.sweep.winner.full_data import LENGTH, ON_ALL, value_of

SEED_KEY = "hydra.sweeper.winner.seed_key"
# Optuna keeps whole numbers as floating point ones.
MOST = 2**53


@dataclass(frozen=True)
class Training:
    """One training of the final stage: the configuration of a trial of the search, on another seed."""

    trial: int
    seed: int
    # On all of the train files.
    full: bool = False

    @classmethod
    def of(cls, trial: FrozenTrial) -> "Training | None":
        """Return which one a trial of the final stage is; None if its process died before it was given its values."""
        values: dict[str, Any] = {**(queued_point(trial) or {}), **trial.params}
        return cls(values["trial"], values["seed"], bool(values["full"])) if "full" in values else None

    @property
    def parameters(self) -> dict[str, int]:
        """The same as a study keeps it."""
        return {name: int(value) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"trial {self.trial}, seed {self.seed}" + (", all data" if self.full else "")


class Configurations:
    """The trials of a search, as they can be trained again.

    Args:
        sweep: of the search.
        space: what was searched.
        config: what Hydra composed for the sweep.
        seed_key: the key of a training's seed.
        unrelated: keys of the config that change no result: they have the values of this start, not those of the trial.

    Raises:
        InputError: there is no such key, or its value is no seed to count on from.
    """

    def __init__(self, sweep: SweepDir, space: Space, config: DictConfig, seed_key: str, unrelated: Sequence[str] = ()):
        self.sweep, self.space, self.config, self.seed_key = sweep, space, config, seed_key
        below = tuple(f"{key}." for key in unrelated)
        self._typed = [word for word in space.fixed() if f"{bare(word)}.".startswith(below)]
        leaves = [leaf for block in space.blocks for key, leaf in block.items() if bare(key) == seed_key]
        known = _keys(config)
        if not leaves and seed_key not in known:
            raise InputError(
                f"{SEED_KEY}={seed_key}: the app's config has no such key{nearest(seed_key, known)}; name the key that "
                "holds the seed of a training"
            )
        if not all(isinstance(leaf, Fixed) for leaf in leaves):
            raise InputError(
                f"{SEED_KEY}={seed_key}: is searched; fix it ({seed_key}=1), new seeds are counted from it"
            )
        for leaf in leaves:
            self._checked(leaf.value if isinstance(leaf, Fixed) else None)
        if not leaves:
            self._checked(OmegaConf.select(config, seed_key))

    def overrides(self, trial: FrozenTrial) -> list[str]:
        """Return the overrides of the job of `trial`."""
        path = self.sweep.trial(trial.number).overrides
        if path.is_file():
            given: Any = yaml.safe_load(path.read_text(encoding="utf-8"))  # not OmegaConf's: the words may hold `${`
            typed = {bare(word) for word in self._typed}
            return [*(str(word) for word in given if bare(str(word)) not in typed), *self._typed]
        again: Any = FixedTrial(trial.params)  # it ran on another machine
        return self.space.overrides(again)

    def seed(self, trial: FrozenTrial) -> int:
        """Return the seed that the search trained `trial` with."""
        return self._checked(self._value(trial, self.seed_key))

    def job(self, trial: FrozenTrial, training: Training) -> list[str]:
        """Return the overrides of a training."""
        return replaced(self.overrides(trial), [f"{self.seed_key}={training.seed}", *(ON_ALL if training.full else ())])

    def otherwise(self, trial: FrozenTrial) -> dict[str, Any]:
        """Return, of `LENGTH`, what the search trained `trial` with where that was something else."""
        path = self.sweep.trial(trial.number).config
        composed: Any = OmegaConf.load(path) if path.is_file() else None  # it may have run on another machine
        found = {key: self._value(trial, key) if composed is None else value_of(composed, key) for key in LENGTH}
        # A key that is not there has no other value.
        return {key: value for key, value in found.items() if value is not None and value != LENGTH[key]}

    def _value(self, trial: FrozenTrial, key: str) -> Any:
        """Return the value that `trial` had of a key that no group but that of the config itself sets."""
        for override in reversed(self.overrides(trial)):
            if not is_delete(override) and bare(override) == key:
                leaf = parse(override, override)[1]
                return leaf.value if isinstance(leaf, Fixed) else None
        return value_of(self.config, key)

    def _checked(self, seed: Any) -> int:
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < MOST // 2:
            raise InputError(f"{SEED_KEY}={self.seed_key}: {self.seed_key}={seed} is no whole number from 0 to 2**52")
        return seed


def _keys(config: DictConfig) -> list[str]:
    """Return the dotted keys of the app's own config that hold a value."""
    found: list[str] = []

    def walk(node: Any, place: str) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping):
                walk(value, f"{place}{key}.")
            else:
                found.append(f"{place}{key}")

    container: Any = OmegaConf.to_container(config, resolve=False)
    walk({key: value for key, value in container.items() if key != "hydra"}, "")
    return found


def replaced(overrides: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return `overrides` with `words` in the place of those about the same keys, `+` and the like kept."""
    new = {bare(word): word for word in words}
    kept = [override for override in overrides if bare(override) not in new]
    prefixes: dict[str, str] = {}
    for override in overrides:
        name = bare(override)
        # `~key +key=1`: the key is there now, and the word that took it away is dropped.
        prefix = "++" if is_delete(override) else override[: len(override) - len(override.lstrip("+"))]
        prefixes[name] = max(prefix, prefixes.get(name, ""), key=len)
    return [*kept, *(prefixes.get(key, "") + word for key, word in new.items())]
