"""How a search space is written down: `hydra.sweeper.params`, `hydra.sweeper.when` and the command line -> a Space."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import Trial

from inksweep.errors import InputError, nearest
from inksweep.sweep.space.grammar import Fixed, Leaf, bare, is_delete, parse, written
from inksweep.sweep.space.space import Block, Space, can_be

PARAMS = "hydra.sweeper.params"
WHEN = "hydra.sweeper.when"


def declare(
    params: Mapping[str, Any] | None,
    when: Mapping[str, Any] | None,
    arguments: Sequence[str] = (),
    extend: Callable[[Trial], None] | None = None,
) -> Space:
    """Read a search space.

    Args:
        params: parameter -> distribution or value.
        when: parameter -> one of its values -> parameter -> distribution or value.
        arguments: overrides from the command line. They win: a value takes its parameter out of the search, and
            chooses its branch; a distribution takes the place of the configured one; `~key` takes it away.
        extend: suggests further parameters on a trial.

    Raises:
        InputError: something cannot be read or contradicts itself; the message names the key.
    """
    space = Space(_block(params or {}, PARAMS), _branches(when or {}), [], extend)
    given: Block = {}
    for argument in arguments:
        if is_delete(argument):
            space.deletes.append(argument)
        else:
            key, leaf = parse(argument, argument)
            given[key] = leaf
    _check_conditions(space, {bare(key) for key in [*given, *space.deletes]})
    for argument in space.deletes:
        for block in space.blocks:
            _take(block, bare(argument))
    _override(space, given)
    _check_agreement(space)
    return space


def _block(declared: Any, place: str) -> Block:
    if not isinstance(declared, Mapping):
        raise InputError(f"{place}={declared}: must be a mapping of parameters to what they may be")
    texts = {str(key): value if isinstance(value, str) else written(value) for key, value in declared.items()}
    return dict(parse(f"{key}={text}", f"{place}.{key}={text}") for key, text in texts.items())


def _branches(when: Any) -> dict[str, dict[str, Block]]:
    if not isinstance(when, Mapping):
        raise InputError(f"{WHEN}={when}: must be a mapping: parameter -> value -> parameter -> what it may be")
    branches: dict[str, dict[str, Block]] = {}
    for condition, blocks in when.items():
        if not isinstance(blocks, Mapping):
            raise InputError(f"{WHEN}.{condition}={blocks}: must be a mapping of values to parameters")
        by_value = {value if isinstance(value, str) else written(value): block for value, block in blocks.items()}
        branches[str(condition)] = {
            value: _block(block, f"{WHEN}.{condition}.{value}") for value, block in by_value.items()
        }
    return branches


def _check_conditions(space: Space, given: set[str]) -> None:
    """Refuse a condition that no parameter meets, and a value that its parameter cannot take."""
    leaves: dict[str, list[Leaf]] = {}
    for block in space.blocks:
        for key, leaf in block.items():
            leaves.setdefault(bare(key), []).append(leaf)
    for condition, blocks in space.branches.items():
        if condition not in leaves and condition not in given:
            hint = nearest(condition, leaves) or "; add it to hydra.sweeper.params or set it on the command line"
            raise InputError(f"{WHEN}.{condition}: is no parameter of the search space{hint}")
        for value in blocks:
            if condition in leaves and not any(can_be(leaf, value) for leaf in leaves[condition]):
                raise InputError(f"{WHEN}.{condition}.{value}: {condition} is never {value} in this search space")


def _check_agreement(space: Space) -> None:
    """Refuse a parameter that has other choices, or is of another kind, in another branch: a study knows but one."""
    known: dict[str, BaseDistribution] = {}
    for block in space.blocks:
        for key, leaf in block.items():
            if isinstance(leaf, Fixed):
                continue
            try:
                check_distribution_compatibility(known.setdefault(bare(key), leaf), leaf)
            except ValueError as error:
                raise InputError(
                    f"{key}: is {known[bare(key)]} in one branch of the search space and {leaf} in another; "
                    "Optuna needs the same choices, and the same kind, in all of them"
                ) from error


def _override(space: Space, given: Block) -> None:
    """Put what the command line gives in the place of what the config says, in whichever block that stands."""
    for key, leaf in given.items():
        holders = [block for block in space.blocks if any(bare(known) == bare(key) for known in block)]
        for block in holders:
            # In its place: with the same seed another order of the parameters would be another search.
            there = [(key, leaf) if bare(known) == bare(key) else (known, old) for known, old in block.items()]
            block.clear()
            block.update(there)
        if not holders:
            space.block[key] = leaf
    # A key whose branch can no longer be taken still has to reach the job: Hydra then says what is wrong with it.
    counting = {key for world in space.worlds() for key in world}
    for key in given.keys() - counting:
        space.block[key] = given[key]


def _take(block: Block, parameter: str) -> bool:
    """Remove `parameter` from `block`, whatever its prefix; return whether it was there."""
    keys = [key for key in block if bare(key) == parameter]
    for key in keys:
        del block[key]
    return bool(keys)
