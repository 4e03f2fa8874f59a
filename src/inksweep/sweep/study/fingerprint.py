"""What a study is a search of, in plain text: a study does not go on with another search under its old name."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from operator import itemgetter
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.study import Study

from inksweep.errors import InputError
from inksweep.sweep.space.branches import Block
from inksweep.sweep.space.grammar import Fixed, Leaf, bare
from inksweep.sweep.space.space import Space, canonical
from inksweep.sweep.study.notes import CHANGED, DEFINITION

log = logging.getLogger(__name__)

# Differences that a message shows.
SHOWN = 5
ABSENT = "(not there)"


def describe(
    space: Space, directions: Sequence[str], base: Mapping[str, Any], extension: str | None = None
) -> dict[str, str]:
    """Return what a search is, as text by name: the same however it was written down.

    Args:
        space: what is searched, with what the command line fixes and takes away.
        directions: `minimize` or `maximize`, one an objective.
        base: the app's composed config, without `hydra`, as a plain container whose interpolations stand as written.
        extension: path of the function that suggests further parameters (`hydra.sweeper.custom_search_space`).

    Returns:
        Entries `direction`, `space...` and `base...`. A value of `base` that every trial sets is left out.
    """
    definition = {
        "direction": ", ".join(directions),
        **_of_block(space.block, "space"),
    }
    for condition, blocks in sorted(space.branches.items()):
        for value, block in sorted(blocks.items()):
            definition |= _of_block(block, f"space.when.{condition}.{value}")
    definition |= {f"space.~{bare(argument)}": argument for argument in sorted(space.deletes)}
    if extension is not None:
        definition["space.custom_search_space"] = extension
    always = {bare(key) for key in space.block}
    return definition | {f"base.{key}": _json(value) for key, value in _leaves(base) if key not in always}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return one line for each entry that is not the same in two definitions."""
    return [
        f"{key}: {before.get(key, ABSENT)} -> {now.get(key, ABSENT)}"
        for key in [*now, *(key for key in before if key not in now)]
        if before.get(key) != now.get(key)
    ]


def check(study: Study, definition: Mapping[str, str], on_mismatch: str, unrelated: Sequence[str] = ()) -> bool:
    """Refuse to go on with a study that is a search of something else; tell a new study what it is.

    Args:
        study: that of a rerun, or a new one. One without a definition, made by another tool, is taken as it is.
        definition: of the search that is about to start.
        on_mismatch: `error`, or `continue`: say what differs, and go on with the new definition.
        unrelated: keys of the base config, and what is below them, that may differ.

    Returns:
        Whether all trials of the study are of this definition.

    Raises:
        InputError: the study has another definition; the message shows the differences.
    """
    before, has_changed = study.user_attrs.get(DEFINITION), bool(study.user_attrs.get(CHANGED))
    found = differences(without(before or {}, unrelated), without(definition, unrelated))
    if before is not None and not found:
        return not has_changed
    if before is not None:
        more = f"; ... and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        changes = "; ".join(found[:SHOWN]) + more
        if on_mismatch == "error":
            raise InputError(
                f"hydra.sweeper.study_name={study.study_name}: the study began as another search ({changes}); "
                "restore it, begin a new study (another hydra.sweeper.study_name) or go on all the same "
                "(hydra.sweeper.on_mismatch=continue)"
            )
        study.set_user_attr(CHANGED, True)
        has_changed = True
        log.warning("study %s began as another search and goes on all the same: %s", study.study_name, changes)
    study.set_user_attr(DEFINITION, dict(definition))
    return not has_changed


def without(definition: Mapping[str, str], unrelated: Sequence[str]) -> dict[str, str]:
    """Return a definition without what is below the keys `unrelated` of the base config."""
    left_out = tuple(f"base.{key}." for key in unrelated)
    return {key: text for key, text in definition.items() if not f"{key}.".startswith(left_out)}


def _of_block(block: Block, place: str) -> dict[str, str]:
    return {f"{place}.{bare(key)}": _described(key, block[key]) for key in sorted(block, key=bare)}


def _described(key: str, leaf: Leaf) -> str:
    if isinstance(leaf, Fixed):
        return canonical(leaf, leaf.value)
    # Optuna knows a parameter by its whole key: `+a` and `a` are two.
    return distribution_text(leaf) + (f" (as {key})" if key != bare(key) else "")


def distribution_text(leaf: Leaf) -> str:
    """Return what a parameter may be, in words: `int 1 to 9 step 2`, `float 0.001 to 0.1 log`, `choice(cnn, mlp)`."""
    if isinstance(leaf, CategoricalDistribution):
        return f"choice({', '.join(canonical(leaf, choice) for choice in leaf.choices)})"
    assert isinstance(leaf, IntDistribution | FloatDistribution)
    kind = "int" if isinstance(leaf, IntDistribution) else "float"
    step = "" if leaf.step is None or (kind == "int" and leaf.step == 1) else f" step {leaf.step}"
    return f"{kind} {leaf.low} to {leaf.high}{step}{' log' if leaf.log else ''}"


def _leaves(node: Mapping[Any, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of everything in `node` that is no mapping, or an empty one."""
    for key, value in sorted(((str(_plain(key)), value) for key, value in node.items()), key=itemgetter(0)):
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> Any:
    """Return `value` made of what JSON knows."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.name
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def check_space(study: Study, space: Space) -> None:
    """Refuse a parameter that the study knows as something else: Optuna cannot change choices, nor kinds.

    Raises:
        InputError: the message names the parameter.
    """
    now = [(key, leaf) for block in space.blocks for key, leaf in block.items() if not isinstance(leaf, Fixed)]
    # The last trial that has a parameter stands for all: each was checked when it was asked.
    known: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        known.update(trial.distributions)
    for key, leaf in now:
        try:
            check_distribution_compatibility(known.get(key, leaf), leaf)
        except ValueError as error:
            raise InputError(
                f"{key}: is not the parameter that study {study.study_name} began with ({error}) "
                "Restore it, or begin a new study (hydra.sweeper.study_name)"
            ) from error
