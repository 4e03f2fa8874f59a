"""Points to try first: those that the user knows, and the best of another sweep.

A point gives some parameters of the search space a value; the sampler chooses the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from inksweep.errors import InputError, nearest
from inksweep.sweep.space.grammar import Fixed, Leaf, bare, parse
from inksweep.sweep.space.space import Space, canonical, first
from inksweep.sweep.space.written import written


def fit(space: Space, point: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Translate a point into what the study stores.

    Args:
        space: what the parameters may be.
        point: parameter -> value.

    Returns:
        Parameters as `Space.overrides` asks for them, without those that are fixed; and what does not fit: parameter ->
        what is wrong with its value.
    """
    params: dict[str, Any] = {}
    misfits: dict[str, str] = {}
    taken: dict[str, str] = {}

    def choose(key: str, leaf: Leaf) -> str:
        name = bare(key)
        # What the sampler will choose is not known, so that no branch is taken.
        taken[name] = first(leaf) if isinstance(leaf, Fixed) or leaf.single() else ""
        if name in point:
            try:
                value = stored(leaf, point[name])
            except ValueError as error:
                misfits[name] = str(error)
            else:
                taken[name] = canonical(leaf, value)
                if not isinstance(leaf, Fixed):
                    params[key] = value
        return taken[name]

    space.walk(choose)
    misfits |= {name: _why_not(space, name, taken) for name in point if name not in taken}
    return params, misfits


def stored(leaf: Leaf, value: Any) -> Any:
    """Return `value` as the study stores it for `leaf`.

    Args:
        leaf: what the parameter may be.
        value: as in YAML: `[64, 32]`; or the text that means it in an override: `"[64,32]"`.

    Raises:
        ValueError: `leaf` cannot take it; the message says what is allowed.
    """
    meanings = [value, meaning(value)] if isinstance(value, str) else [value]
    if isinstance(leaf, Fixed):
        if any(_same(leaf.value, one) for one in meanings):
            return leaf.value
        raise ValueError(f"is fixed to {leaf.text} in this search; leave it out of the point")
    if isinstance(leaf, CategoricalDistribution):
        for wished in meanings:
            for choice in leaf.choices:
                if _same(meaning(choice), wished):
                    return choice
        raise ValueError(f"must be one of {', '.join(canonical(leaf, choice) for choice in leaf.choices)}")
    assert isinstance(leaf, IntDistribution | FloatDistribution)
    number = meanings[-1]
    kind = int if isinstance(leaf, IntDistribution) else float
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    # In this order: a huge int is out of range, not too large for a float. `_contains`, private, knows the steps of a
    # distribution; without it a point between two steps would be queued, and Optuna would run it.
    if is_number and leaf.low <= number <= leaf.high and leaf._contains(number):
        return kind(number)
    step = "" if leaf.step is None or (kind is int and leaf.step == 1) else f" in steps of {leaf.step}"
    raise ValueError(f"must be {'a whole' if kind is int else 'a'} number from {leaf.low} to {leaf.high}{step}")


def checked(space: Space, point: Any, place: str) -> dict[str, Any]:
    """Return what the study stores for a point of the user.

    Raises:
        InputError: it is no mapping, or does not fit the space.
    """
    known, given = _parameters(space), _given(space, point, place)
    params, misfits = fit(space, {name: value for name, (_, value) in given.items()})
    for name, (key, value) in given.items():
        if space.extend is not None and name not in known:
            # What is suggested in Python is known only once it is suggested.
            params[key] = value if value is None or isinstance(value, bool | int | float | str) else written(value)
        elif name in misfits:
            raise InputError(f"{place}.{key}={written(value)}: {misfits[name]}")
    return params


def narrowed(space: Space, point: Any, place: str) -> tuple[dict[str, Any], set[str]]:
    """Return what the study stores of a point, and the parameters whose values do not fit.

    Raises:
        InputError: it is no mapping.
    """
    given = _given(space, point, place)
    params, misfits = fit(space, {name: value for name, (_, value) in given.items()})
    return params, set(misfits)


def _given(space: Space, point: Any, place: str) -> dict[str, tuple[str, Any]]:
    """Return parameter -> key as it is written in `point`, and value."""
    if not isinstance(point, Mapping) or not point:
        raise InputError(f"{place}={written(point)}: must be a mapping of parameters to values, such as {{a.b: 1}}")
    given: dict[str, tuple[str, Any]] = {}
    for key, value in _flat(_parameters(space), point):
        if bare(key) in given:
            raise InputError(f"{place}.{key}={written(value)}: the point gives {bare(key)} twice; keep one")
        given[bare(key)] = key, value
    return given


def _flat(known: Mapping[str, Sequence[Leaf]], point: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of a point; a mapping that its parameter can take is a value."""
    for key, value in point.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and not any(_takes(leaf, value) for leaf in known.get(bare(path), ())):
            yield from _flat(known, value, f"{path}.")
        else:
            yield path, value


def _takes(leaf: Leaf, value: Any) -> bool:
    try:
        stored(leaf, value)
    except ValueError:
        return False
    return True


def _parameters(space: Space) -> dict[str, list[Leaf]]:
    """Return what each parameter may be in one branch or another."""
    known: dict[str, list[Leaf]] = {}
    for block in space.blocks:
        for key, leaf in block.items():
            known.setdefault(bare(key), []).append(leaf)
    return known


def _why_not(space: Space, name: str, taken: Mapping[str, str]) -> str:
    """Say why a parameter does not count for a point that takes these values."""
    known = _parameters(space)
    if name not in known:
        deletes = [argument for argument in space.deletes if bare(argument) == name]
        reason = f"is taken away by {deletes[0]}" if deletes else "is no parameter of the search space"
        return reason + (nearest(name, known) or "; leave it out of the point")
    conditions = {
        condition: [value for value, block in blocks.items() if name in map(bare, block)]
        for condition, blocks in space.branches.items()
    }
    wanted = {condition: values for condition, values in conditions.items() if values}
    condition = next((condition for condition in wanted if condition in taken), next(iter(wanted)))
    has = f"{condition}={taken[condition]}" if taken.get(condition) else f"no {condition}"
    return f"counts only while {condition} is {' or '.join(wanted[condition])}, and the point has {has}"


@lru_cache(maxsize=4096)
def _meaning_of_text(text: str) -> Any:
    try:
        _, leaf = parse(f"key={text}", text)
    except InputError:
        return text
    return leaf.value if isinstance(leaf, Fixed) else text


def meaning(value: Any) -> Any:
    """Return what a stored value means: a string is override text, unless it is no single value."""
    return _meaning_of_text(value) if isinstance(value, str) else value


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; True and 1 are not, nan and nan are."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other) or (one != one and other != other)
