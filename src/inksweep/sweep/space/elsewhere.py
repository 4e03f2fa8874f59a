"""A value typed for a parameter of a branch: does it count in the other branches too?

`trainer.epochs=1` does in every trial, though a space may set it in one branch; `model.hidden=[64]` can only where the
network has hidden layers. Only composing a job tells which.
"""

import logging
from collections.abc import Callable, Iterator

from optuna.distributions import CategoricalDistribution

from inksweep.errors import InputError, explain
from inksweep.sweep.space.grammar import Fixed, bare
from inksweep.sweep.space.space import Space, canonical

log = logging.getLogger(__name__)


def settle(space: Space, compose: Callable[[list[str]], object]) -> None:
    """Let the values of the command line count in every trial that can have them; say where one cannot.

    Args:
        space: what is searched; changed.
        compose: composes the config of a job, and raises if that cannot be done.

    Raises:
        InputError: a value belongs to a branch that is never taken, and no trial can have it.
    """
    everywhere = {bare(key) for key in space.block}
    for name in dict.fromkeys(word for word in space.typed if "=" not in word):
        holders = [block for block in space.blocks if any(bare(key) == name for key in block)]
        leaves = [(key, leaf) for block in holders for key, leaf in block.items() if bare(key) == name]
        if not leaves or not isinstance(leaves[0][1], Fixed):
            continue
        word = f"{leaves[0][0]}={leaves[0][1].text}"
        if name in everywhere:
            if len(holders) > 1:  # its branch is never taken
                _need_composable(space, name, word, compose)
            continue
        others = [job for job in _jobs_without(space, name) if _composes(compose, job)]
        if others and all(_composes(compose, [*job, word]) for job in others):
            for block in holders:
                for key in [key for key in block if bare(key) == name]:
                    del block[key]
            space.block[leaves[0][0]] = leaves[0][1]
        elif others:
            log.info("%s counts only while %s: other trials have no such key", word, _when(space, name))


def _need_composable(space: Space, name: str, word: str, compose: Callable[[list[str]], object]) -> None:
    try:
        compose(space.examples()[0])
    except Exception as error:
        line = explain(error)
        if line is None or name not in line:
            return  # something else is wrong; it shows when all is composed
        raise InputError(f"{line}; {word} counts only while {_when(space, name)}") from error


def _jobs_without(space: Space, name: str) -> Iterator[list[str]]:
    """Yield the overrides of example jobs for which a parameter does not count, one for each way to be without it."""
    leaves = {bare(key): leaf for block in space.blocks for key, leaf in block.items()}
    for condition, values in _conditions(space, name).items():
        leaf = leaves.get(condition)
        if not isinstance(leaf, CategoricalDistribution):
            continue
        for choice in leaf.choices:
            if (value := canonical(leaf, choice)) not in values:
                example = space.example(space.branchwork().together([(condition, value)]) or {condition: value})
                if name not in map(bare, example):
                    yield space.words(example)


def _conditions(space: Space, name: str) -> dict[str, list[str]]:
    """Return the parameters, with their values, that open the branches where a parameter stands."""
    found = {
        condition: [value for value, block in blocks.items() if name in map(bare, block)]
        for condition, blocks in space.branches.items()
    }
    return {condition: values for condition, values in found.items() if values}


def _when(space: Space, name: str) -> str:
    return " or ".join(
        f"{condition}={value}" for condition, values in _conditions(space, name).items() for value in values
    )


def _composes(compose: Callable[[list[str]], object], words: list[str]) -> bool:
    try:
        compose(words)
    except Exception:  # whatever the app or Hydra raises
        return False
    return True
