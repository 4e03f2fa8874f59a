"""The search space: what is searched, under which condition, and the overrides that the job of a trial gets.

A space is a block of parameters; a parameter's value may open a further block, its branch. This room knows nothing of
the study, nor of files, nor of how a space is written down (declare.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from inksweep.errors import InputError
from inksweep.sweep.space.branches import Block, Branches
from inksweep.sweep.space.grammar import Fixed, Leaf, as_override, bare, is_delete
from inksweep.sweep.space.written import written


class Clash(InputError):
    """Two parts of a search space contradict each other."""


@dataclass
class Space:
    """What is searched.

    Args:
        block: parameters of every trial.
        branches: parameter -> one of its values, as written in an override -> the block that it opens.
        typed: the words of the command line in their order. Where a word is the last of its parameter, the parameter
            stands for it: a job gets the value that the parameter has in its trial.
        extend: suggests further parameters on a trial (`hydra.sweeper.custom_search_space`).
    """

    block: Block
    branches: dict[str, dict[str, Block]] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)
    extend: Callable[[Trial], None] | None = None

    def overrides(self, trial: Trial) -> list[str]:
        """Suggest every parameter that counts for `trial`; return the overrides of its job.

        Raises:
            InputError: the extension suggests a parameter that is fixed.
        """
        overrides: dict[str, str] = {}

        def choose(key: str, leaf: Leaf) -> str:
            value = leaf.value if isinstance(leaf, Fixed) else suggest(trial, key, leaf)
            overrides[key] = f"{key}={leaf.text}" if isinstance(leaf, Fixed) else as_override(key, value)
            return canonical(leaf, value)

        self.walk(choose)
        if self.extend is not None:
            self._extend(trial, overrides)
        return self.words(overrides)

    def words(self, overrides: Mapping[str, str]) -> list[str]:
        """Return the overrides of a job, key -> override, in order: those of the config, then those typed.

        Hydra reads them from left to right: `~a +a=1` is not `+a=1 ~a`, and `a={b: 1} a={c: 2}` sets both.
        """
        typed = {bare(word) for word in self.typed}
        known = {bare(key) for block in self.blocks for key in block}
        by_name = {bare(key): text for key, text in overrides.items()}
        words = [text for key, text in overrides.items() if bare(key) not in typed]
        for word in self.typed:
            if is_delete(word) or bare(word) not in known:
                words.append(word)
            elif bare(word) in by_name:  # else it belongs to a branch that is not taken
                words.append(word if "=" in word else by_name[bare(word)])
        return words

    def fixed(self) -> list[str]:
        """Return the overrides that every job gets."""
        return self.words({key: f"{key}={leaf.text}" for key, leaf in self.block.items() if isinstance(leaf, Fixed)})

    @property
    def deletes(self) -> list[str]:
        """Overrides `~key`, which every job gets."""
        return [word for word in self.typed if is_delete(word)]

    def walk(self, choose: Callable[[str, Leaf], str]) -> Block:
        """Visit each parameter that counts, given the values (as written) that `choose` returns.

        Returns:
            The parameters visited.

        Raises:
            InputError: a parameter stands in two blocks that both count.
        """
        visited: Block = {}
        places: dict[str, str] = {}

        def visit(block: Block, place: str) -> None:
            for key, leaf in block.items():
                other = places.setdefault(bare(key), place)
                if other != place:
                    raise Clash(f"{place}.{key}: {other}.{key} gives this parameter too")
                visited[key] = leaf
                value = choose(key, leaf)
                branch = self.branches.get(bare(key), {}).get(value)
                if branch is not None:
                    visit(branch, f"hydra.sweeper.when.{bare(key)}.{value}")

        visit(self.block, "hydra.sweeper.params")
        return visited

    def branchwork(self) -> Branches:
        """Return which branches can be taken, and which together."""
        return Branches(self.block, self.branches, can_be)

    def example(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return an example trial, key -> override, with these values as far as they count.

        Raises:
            InputError: a parameter stands in two blocks that both count.
        """
        example: dict[str, str] = {}
        self.walk(partial(_choose_as_wished, values, example))
        return example

    def examples(self) -> list[list[str]]:
        """Return the overrides of example jobs which together take every branch at least once."""
        jobs: list[list[str]] = []
        for values in ({}, *self.branchwork().covering()):
            words = self.words(self.example(values))
            if words not in jobs:
                jobs.append(words)
        return jobs

    @property
    def blocks(self) -> list[Block]:
        """All blocks, those of branches included."""
        return [self.block, *(block for blocks in self.branches.values() for block in blocks.values())]

    def grid(self) -> dict[str, list[Any]]:
        """Return every value of every searched parameter, for the grid sampler.

        Raises:
            InputError: a parameter has no end of values, or counts under a condition only.
        """
        # Private, but the stock sweeper's own: with another one a grid would have other points there than here.
        from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl

        if any(bare(key) in self.branches and not isinstance(leaf, Fixed) for key, leaf in self.block.items()):
            raise InputError("hydra.sweeper.sampler=grid: knows no conditions (hydra.sweeper.when); use random or tpe")
        values = {}
        for key, leaf in self.walk(lambda _, leaf: first(leaf)).items():
            if not isinstance(leaf, Fixed):
                try:
                    values[key] = list(OptunaSweeperImpl._to_grid_sampler_choices(leaf))
                except ValueError as error:
                    raise InputError(f"{key}: {error} Give hydra.sweeper.sampler=grid choices or ranges") from error
        return values

    def _extend(self, trial: Trial, overrides: dict[str, str]) -> None:
        assert self.extend is not None
        # The stock sweeper shows fixed values to the extension this way.
        fixed = {key: text.partition("=")[2] for key, text in overrides.items() if key not in trial.params}
        for key, text in fixed.items():
            trial.set_user_attr(key, text)
        self.extend(trial)
        for key, value in trial.params.items():
            if key in fixed:
                raise InputError(f"hydra.sweeper.custom_search_space: suggests {key}, which is fixed to {fixed[key]}")
            overrides.setdefault(key, as_override(key, value))


def _choose_as_wished(wish: Mapping[str, str], example: dict[str, str], key: str, leaf: Leaf) -> str:
    """Give a parameter the wished value if it can have it, else any; note in `example` how that is written."""
    wished = wish.get(bare(key), "")
    value = wished if can_be(leaf, wished) else first(leaf)
    example[key] = f"{key}={leaf.text if isinstance(leaf, Fixed) else value}"
    return value


def suggest(trial: Trial, key: str, leaf: BaseDistribution) -> Any:
    """Ask the sampler for a value of `leaf`."""
    if isinstance(leaf, CategoricalDistribution):
        return trial.suggest_categorical(key, leaf.choices)
    if isinstance(leaf, IntDistribution):
        return trial.suggest_int(key, leaf.low, leaf.high, step=leaf.step, log=leaf.log)
    assert isinstance(leaf, FloatDistribution)
    return trial.suggest_float(key, leaf.low, leaf.high, step=leaf.step, log=leaf.log)


def canonical(leaf: Leaf, value: Any) -> str:
    """Return `value` as written in an override; strings that are suggested already are."""
    return value if isinstance(value, str) and not isinstance(leaf, Fixed) else written(value)


def can_be(leaf: Leaf, value: str) -> bool:
    """Whether `leaf` may take the value so written."""
    if isinstance(leaf, Fixed):
        return value == canonical(leaf, leaf.value)
    if isinstance(leaf, CategoricalDistribution):
        return any(value == canonical(leaf, choice) for choice in leaf.choices)
    if isinstance(leaf, IntDistribution):
        # Private, and without a public name: it knows the steps and the ends. Without it no sweep with a branch that a
        # whole number opens could begin.
        return value.lstrip("-").isdecimal() and leaf._contains(int(value))
    return False


def first(leaf: Leaf) -> str:
    """Return some value of `leaf`, as written."""
    if isinstance(leaf, Fixed):
        return canonical(leaf, leaf.value)
    value = leaf.choices[0] if isinstance(leaf, CategoricalDistribution) else leaf.low  # type: ignore[attr-defined]
    return canonical(leaf, value)
