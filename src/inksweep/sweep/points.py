"""Points to try first: those that the user knows, and the best of another sweep.

A point gives some parameters of the search space a value; the sampler chooses the others.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GridSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.errors import InputError, last_line, nearest, without_password
from inksweep.paths import SweepDir
from inksweep.sweep.grammar import Fixed, Leaf, bare, is_delete, parse, written
from inksweep.sweep.marks import ORIGIN, SURPLUS, WARM_STARTS
from inksweep.sweep.space import Space, canonical, first

log = logging.getLogger(__name__)

WARM_START = "hydra.sweeper.warm_start"


def enqueue(
    study: Study, space: Space, points: Sequence[Mapping[str, Any]] | None, place: str = "hydra.sweeper.enqueue"
) -> int:
    """Let `study` try `points` first; one that it has already tried, or has in its queue, is not queued again.

    Args:
        study: to be given the points; it has its sampler.
        space: what the parameters may be.
        points: parameter -> value, as in YAML. Names may be dotted or nested, with or without the `+` of the space.
        place: how an error names `points`.

    Returns:
        How many points are new.

    Raises:
        InputError: a point does not fit the space. Then none is queued.
    """
    if not isinstance(points, Sequence | None) or isinstance(points, str):
        raise InputError(f"{place}={points}: must be a list of points, each a mapping of parameters to values")
    checked = [_checked(space, point, f"{place}[{index}]") for index, point in enumerate(points or [])]
    for index, params in enumerate(checked):
        if missing := _left_to_a_grid(study, space, params):
            raise InputError(
                f"{place}[{index}]: hydra.sweeper.sampler=grid cannot complete a point; give {', '.join(missing)} too"
            )
    return _add(study, checked, "enqueue")


def warm_start(study: Study, space: Space, directory: Path, k: int, storage: str | None = None) -> int:
    """Let `study` try the best points of another sweep first. The other sweep is only read, and may be running.

    What does not fit `space` is left out. A study takes the points of a sweep once: a rerun does not look again.

    Args:
        study: to be given the points; it has its sampler.
        space: what the parameters may be.
        directory: of the other sweep.
        k: how many of its points.
        storage: URL that this sweep's study lies in; it knows the password of a database that holds both.

    Returns:
        How many points are new.

    Raises:
        InputError: `directory` holds no study that can be read.
    """
    mark = [str(directory.resolve()), k]
    marks = study.user_attrs.get(WARM_STARTS, [])
    if mark in marks:
        return 0
    sweep = SweepDir(directory)
    trials = best_trials(_load(sweep, storage), k)
    points = [fit(space, _wished(sweep, trial))[0] for trial in trials]
    usable = [point for point in points if point and not _left_to_a_grid(study, space, point)]
    new = _add(study, usable, "warm_start")
    log.info(
        "warm start from %s: %d of its best %d points can be used, %d are new", directory, len(usable), len(points), new
    )
    if usable:
        study.set_user_attr(WARM_STARTS, [*marks, mark])
    return new


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
    meanings = [value, _meaning(value)] if isinstance(value, str) else [value]
    if isinstance(leaf, Fixed):
        if any(_same(leaf.value, meaning) for meaning in meanings):
            return leaf.value
        raise ValueError(f"is fixed to {leaf.text} in this search; leave it out of the point")
    if isinstance(leaf, CategoricalDistribution):
        for meaning in meanings:
            for choice in leaf.choices:
                if _same(_meaning(choice), meaning):
                    return choice
        raise ValueError(f"must be one of {', '.join(canonical(leaf, choice) for choice in leaf.choices)}")
    assert isinstance(leaf, IntDistribution | FloatDistribution)
    number = meanings[-1]
    kind = int if isinstance(leaf, IntDistribution) else float
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    # In this order: a huge int is out of range, not too large for a float.
    if is_number and leaf.low <= number <= leaf.high and leaf._contains(number):
        return kind(number)
    step = "" if leaf.step is None or (kind is int and leaf.step == 1) else f" in steps of {leaf.step}"
    raise ValueError(f"must be {'a whole' if kind is int else 'a'} number from {leaf.low} to {leaf.high}{step}")


def _left_to_a_grid(study: Study, space: Space, params: Mapping[str, Any]) -> list[str]:
    """Return what a point leaves to a grid sampler, which cannot complete points."""
    if not isinstance(study.sampler, GridSampler) or not params:
        return []
    return [key for key, leaf in space.block.items() if not isinstance(leaf, Fixed) and key not in params]


def _checked(space: Space, point: Any, place: str) -> dict[str, Any]:
    """Return what the study stores for a point of the user."""
    if not isinstance(point, Mapping) or not point:
        raise InputError(f"{place}={written(point)}: must be a mapping of parameters to values, such as {{a.b: 1}}")
    known = _parameters(space)
    # Parameter -> key as the user wrote it, and value.
    given: dict[str, tuple[str, Any]] = {}
    for key, value in _flat(known, point):
        if bare(key) in given:
            raise InputError(f"{place}.{key}={written(value)}: the point gives {bare(key)} twice; keep one")
        given[bare(key)] = key, value
    params, misfits = fit(space, {name: value for name, (_, value) in given.items()})
    for name, (key, value) in given.items():
        if space.extend is not None and name not in known:
            # What is suggested in Python is known only once it is suggested.
            params[key] = value if value is None or isinstance(value, bool | int | float | str) else written(value)
        elif name in misfits:
            raise InputError(f"{place}.{key}={written(value)}: {misfits[name]}")
    return params


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


def _meaning(value: Any) -> Any:
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


def _add(study: Study, points: Sequence[Mapping[str, Any]], origin: str) -> int:
    """Queue the points that `study` does not know; return how many.

    Optuna's own `skip_if_exists` takes seeds 1234567 and 1234568 for one, and a point that the sampler completed for
    another than the same point in full.
    """
    # A point whose every parameter is fixed anyway asks for nothing.
    known = {_identity({})}
    for trial in study.get_trials(deepcopy=False):
        if SURPLUS in trial.user_attrs:
            continue  # never tried
        known.add(_identity(trial.system_attrs.get("fixed_params", {})))
        if trial.state.is_finished():
            known.add(_identity(trial.params))
    new = 0
    for point in points:
        if _identity(point) not in known:
            known.add(_identity(point))
            study.enqueue_trial(dict(point), user_attrs={ORIGIN: origin})
            new += 1
    return new


def _identity(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True, default=str)


def best_trials(study: Study, k: int) -> list[FrozenTrial]:
    """Return the `k` best complete trials, no point twice.

    With several objectives the Pareto front comes first, then the front of the others, and so on; where not all of a
    front are wanted, they are spread over it.
    """
    signs = [1 if direction is StudyDirection.MINIMIZE else -1 for direction in study.directions]

    def losses(trial: FrozenTrial) -> tuple[float, ...]:
        return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))

    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    points: dict[str, FrozenTrial] = {}
    for trial in sorted(complete, key=lambda trial: (losses(trial), trial.number)):
        points.setdefault(_identity(trial.params), trial)
    rest, best = list(points.values()), list[FrozenTrial]()
    if len(signs) == 1:
        return rest[:k]
    while rest and len(best) < k:
        # Who is better than a trial stands before it, and so does the front's trial that is better still.
        front: list[FrozenTrial] = []
        others: list[FrozenTrial] = []
        for trial in rest:
            behind = any(_dominates(losses(leader), losses(trial)) for leader in front)
            (others if behind else front).append(trial)
        best += _spread(front, k - len(best))
        rest = others
    return best


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _spread(front: list[FrozenTrial], n: int) -> list[FrozenTrial]:
    """Return `n` of a front, its ends among them; all if it has no more."""
    if len(front) <= n:
        return front
    return [front[len(front) // 2]] if n == 1 else [front[i * (len(front) - 1) // (n - 1)] for i in range(n)]


def _wished(sweep: SweepDir, trial: FrozenTrial) -> dict[str, Any]:
    """Return the values that a trial had: those it was suggested, and those that its sweep fixed."""
    fixed: dict[str, Any] = {}
    overrides = _yaml(sweep.trial(trial.number).overrides, [])
    for argument in overrides if isinstance(overrides, list) else []:
        if not is_delete(str(argument)):
            key, leaf = parse(str(argument), str(argument))
            fixed[bare(key)] = leaf.value if isinstance(leaf, Fixed) else None
    return fixed | {bare(key): _meaning(value) for key, value in trial.params.items()}


def _load(sweep: SweepDir, storage: str | None) -> Study:
    """Open the study of another sweep to read it."""
    place = f"{WARM_START}={sweep.root}"
    settings = _yaml(sweep.config, {})
    sweeper = settings.get("sweeper") if isinstance(settings, dict) else None
    sweeper = sweeper if isinstance(sweeper, dict) else {}
    # A sweep without a name in its settings was given one.
    url, name = sweeper.get("storage"), sweeper.get("study_name") or _told_name(sweep)
    try:
        opened = _database(place, url, storage) if isinstance(url, str) and "://" in url else _journal(place, sweep)
        names = optuna.get_all_study_names(opened)
        # The folder may have been renamed since; its journal holds one study.
        name = name if name in names or len(names) != 1 else names[0]
        if name not in names:
            raise InputError(
                f"{place}: its study ({name or 'without a name'}) is not in its storage; name another sweep"
            )
        return optuna.load_study(study_name=name, storage=opened)
    except InputError:
        raise
    except Exception as error:  # whatever a database driver raises
        reason = without_password(str(error).partition("\n")[0]) or type(error).__name__
        raise InputError(f"{place}: its study cannot be read ({reason}); name another sweep directory") from error


def _told_name(sweep: SweepDir) -> str | None:
    """Return the name of a study according to the summary of its sweep."""
    summary = _yaml(sweep.summary, {})
    return summary.get("study") if isinstance(summary, dict) else None


def _database(place: str, url: str, storage: str | None) -> BaseStorage:
    if "***" in url:
        if storage is None or without_password(storage) != url:
            raise InputError(
                f"{place}: its study is in a database whose password was not kept ({url}); use this database as "
                "hydra.sweeper.storage, or give the points in hydra.sweeper.enqueue"
            )
        url = storage
    # Nobody else's database gets tables because we look into it.
    return RDBStorage(url, skip_table_creation=True)


def _journal(place: str, sweep: SweepDir) -> BaseStorage:
    if not sweep.journal.is_file():
        raise InputError(f"{place}: there is no study in this directory; name one that holds {sweep.journal.name}")
    return JournalStorage(_Snapshot(sweep.journal))


class _Snapshot(BaseJournalBackend):
    """What a journal holds at this moment. Takes no lock and writes nothing: it may be somebody else's."""

    def __init__(self, path: Path):
        # The last line may be half written.
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        self._logs = [json.loads(line) for line in whole.splitlines()]

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the entries from this one on."""
        yield from self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse: a reader has nothing to say."""
        raise NotImplementedError


def _yaml(path: Path, missing: Any) -> Any:
    """Return what a YAML file of another sweep holds."""
    if not path.is_file():
        return missing
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:  # whatever YAML or OmegaConf makes of a broken file
        raise InputError(f"{path}: cannot be read ({last_line(error)}); restore or remove it") from error
