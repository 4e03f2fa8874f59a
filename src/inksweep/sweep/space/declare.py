"""How a search space is written down: `hydra.sweeper.params`, `hydra.sweeper.when` and the command line -> a Space."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import Trial

from inksweep.errors import InputError, nearest
from inksweep.sweep.space.branches import Block
from inksweep.sweep.space.grammar import Fixed, Leaf, bare, is_delete, parse
from inksweep.sweep.space.space import Clash, Space, can_be, first
from inksweep.sweep.space.written import written

PARAMS = "hydra.sweeper.params"
WHEN = "hydra.sweeper.when"
# How a text begins that is to be searched.
DISTRIBUTION = re.compile(r"\s*(choice|range|interval|tag|shuffle|sort|glob|int|float)\s*\(")


def declare(
    params: Mapping[str, Any] | None,
    when: Mapping[str, Any] | None,
    arguments: Sequence[str] = (),
    extend: Callable[[Trial], None] | None = None,
    loader: ConfigLoader | None = None,
) -> Space:
    """Read a search space.

    Args:
        params: parameter -> distribution or value.
        when: parameter -> one of its values -> parameter -> distribution or value.
        arguments: overrides from the command line. They win: a value takes its parameter out of the search, and
            chooses its branch; a distribution takes the place of the configured one; `~key` takes it away. Of several
            about one parameter the last one counts.
        extend: suggests further parameters on a trial.
        loader: knows the options of a config group, for `group=glob(*)`.

    Raises:
        InputError: something cannot be read or contradicts itself; the message names the key.
    """
    space = Space(_block(params or {}, PARAMS, loader), _branches(when or {}, loader), [], extend)
    last = _read(space, arguments, loader)
    _check_conditions(space, set(last))
    _override(space, last)
    branchwork = space.branchwork()
    for values in branchwork.meeting():
        space.example(values)  # raises: says which blocks
    _check_agreement(space)
    # A key whose branch can no longer be taken still has to reach the job: Hydra then says what is wrong with it.
    for name, given in last.items():
        if given is not None and name not in branchwork.parameters:
            space.block[given[0]] = given[1]
    return space


def _read(space: Space, arguments: Sequence[str], loader: ConfigLoader | None) -> dict[str, tuple[str, Leaf] | None]:
    """Read the command line into `space.typed`.

    Returns:
        Parameter -> the last word about it: its key and what it may be, or None where that takes it away.
    """
    last: dict[str, tuple[str, Leaf] | None] = {}
    words: list[tuple[str, str, tuple[str, Leaf] | None]] = []
    for argument in arguments:
        name = bare(argument)
        last[name] = None if is_delete(argument) else parse(argument, argument, loader)
        words.append((name, argument, last[name]))
    for name, argument, given in words:
        if given is None or given is not last[name]:
            if given is None or isinstance(given[1], Fixed):
                space.typed.append(argument)
            elif given[0] != name:  # a later word may rely on this one having added the key
                space.typed.append(f"{given[0]}={first(given[1])}")
        else:
            space.typed.append(name)
    return last


def _block(declared: Any, place: str, loader: ConfigLoader | None) -> Block:
    if not isinstance(declared, Mapping):
        raise InputError(f"{place}={declared}: must be a mapping of parameters to what they may be")
    for key, value in declared.items():
        for inner, text in _distributions(value):
            raise InputError(
                f"{place}.{key}{inner}={text}: is not searched inside the value of {key}; write {key}{inner}: {text}, "
                "with the dots in one key"
            )
    texts = {str(key): value if isinstance(value, str) else written(value) for key, value in declared.items()}
    return dict(parse(f"{key}={text}", f"{place}.{key}={text}", loader) for key, text in texts.items())


def _distributions(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the distributions that stand inside a mapping, each with its dotted key."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, str) and DISTRIBUTION.match(inner):
                yield f"{prefix}.{key}", inner
            yield from _distributions(inner, f"{prefix}.{key}")


def _branches(when: Any, loader: ConfigLoader | None) -> dict[str, dict[str, Block]]:
    if not isinstance(when, Mapping):
        raise InputError(f"{WHEN}={when}: must be a mapping: parameter -> value -> parameter -> what it may be")
    branches: dict[str, dict[str, Block]] = {}
    for condition, blocks in when.items():
        if not isinstance(blocks, Mapping):
            raise InputError(f"{WHEN}.{condition}={blocks}: must be a mapping of values to parameters")
        by_value = {value if isinstance(value, str) else written(value): block for value, block in blocks.items()}
        branches[str(condition)] = {
            value: _block(block, f"{WHEN}.{condition}.{value}", loader) for value, block in by_value.items()
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
                raise Clash(f"{WHEN}.{condition}.{value}: {condition} is never {value} in this search space")


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


def _override(space: Space, last: Mapping[str, tuple[str, Leaf] | None]) -> None:
    """Put what the command line gives in the place of what the config says, in whichever block that stands."""
    for name, given in last.items():
        holders = [block for block in space.blocks if any(bare(key) == name for key in block)]
        if holders:
            key = _adding(space, holders[0], name)
            given = given and (key if given[0] == name else given[0], given[1])
        for block in holders:
            # In its place: with the same seed another order of the parameters would be another search.
            there = [(key, leaf) if bare(key) != name else given for key, leaf in block.items()]
            block.clear()
            block.update(entry for entry in there if entry is not None)
        if not holders and given is not None:
            space.block[given[0]] = given[1]


def _adding(space: Space, holder: Block, name: str) -> str:
    """Let the command line's first word about `name` add the key, where the config's, which it replaces, does.

    Returns:
        The key of the last word.
    """
    prefix = next(key.removesuffix(name) for key in holder if bare(key) == name)
    first_word = next(word for word in space.typed if bare(word) == name)
    at = space.typed.index(first_word)
    if first_word == name:  # the only one
        return prefix + name
    if is_delete(first_word):
        if prefix == "+":  # without the config's word there is nothing to take away
            del space.typed[at]
    elif first_word.startswith(name):
        space.typed[at] = prefix + first_word
    return name
