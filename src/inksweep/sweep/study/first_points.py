"""Points that are tried before the sampler is asked: of the user, of another sweep, and of the space's own file."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.samplers import GridSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from inksweep.errors import InputError, last_line, without_password
from inksweep.paths import SweepDir, typed
from inksweep.sweep.space.grammar import Fixed, bare, is_delete, parse
from inksweep.sweep.space.points import checked as checked_point
from inksweep.sweep.space.points import fit, meaning, narrowed
from inksweep.sweep.space.space import Space
from inksweep.sweep.study import reader
from inksweep.sweep.study.notes import ENDED_WITH_SWEEP, ORIGIN, QUEUED_TWICE, REASON, SURPLUS, WARM_STARTS
from inksweep.sweep.study.repair import end
from inksweep.sweep.study.trials import best_of, is_as_good, losses, queued_point
from inksweep.sweep.study.trials import point as identity

log = logging.getLogger(__name__)

# The key that names another sweep.
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
    checked = [checked_point(space, point, f"{place}[{index}]") for index, point in enumerate(points or [])]
    for index, params in enumerate(checked):
        if missing := _left_to_a_grid(study, space, params):
            raise InputError(
                f"{place}[{index}]: hydra.sweeper.sampler=grid cannot complete a point; give {', '.join(missing)} too"
            )
    return _add(study, checked, "enqueue")


def begin(study: Study, space: Space, points: Sequence[Mapping[str, Any]] | None) -> int:
    """Let `study` try the points of the space's own file, each once in its life.

    The command line may have narrowed the space. A value that it fixed takes the place of the point's; a point of a
    branch that it excluded is passed over.

    Args:
        study: to be given the points; it has its sampler.
        space: what the parameters may be.
        points: as for `enqueue`.

    Returns:
        How many points are new.

    Raises:
        InputError: they are no list of mappings.
    """
    place = "hydra.sweeper.first_points"
    if not isinstance(points, Sequence | None) or isinstance(points, str):
        raise InputError(f"{place}={points}: must be a list of points, each a mapping of parameters to values")
    usable: list[dict[str, Any]] = []
    for index, point in enumerate(points or []):
        params, misfits = narrowed(space, point, f"{place}[{index}]")
        if not (misfits & space.branches.keys()) and not _left_to_a_grid(study, space, params):
            usable.append(params)
    return _add(study, usable, "first_points")


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
    directory = typed(directory, WARM_START)
    note = [str(directory.resolve()), k]
    notes = study.user_attrs.get(WARM_STARTS, [])
    if note in notes:
        return 0
    sweep = SweepDir(directory)
    trials = best_trials(_study_of(directory, storage), k)
    points = [fit(space, _wished(sweep, trial))[0] for trial in trials]
    usable = [point for point in points if point and not _left_to_a_grid(study, space, point)]
    new = _add(study, usable, "warm_start")
    log.info(
        "warm start from %s: %d of its best %d points can be used, %d are new", directory, len(usable), len(points), new
    )
    if usable:
        study.set_user_attr(WARM_STARTS, [*notes, note])
    return new


def check_warm_start(directory: Path, storage: str | None = None) -> None:
    """See that another sweep can be read; `directory` and `storage`: as for `warm_start`.

    Raises:
        InputError: it holds no study that can be read.
    """
    _study_of(typed(directory, WARM_START), storage)


def _study_of(directory: Path, storage: str | None) -> Study:
    """Open the study of another sweep; `storage`: as for `warm_start`."""
    place, remedy = f"{WARM_START}={directory}", "name another sweep directory"
    try:
        other = SweepDir(directory)
        # A sweep directory of which only the journal was copied has points too.
        alone = other.journal.is_file() and not other.config.exists()
        sweeper = {} if alone else reader.settings(directory)["sweeper"]
        url = reader.recorded_storage(sweeper)
        if url is not None and "***" in url:
            if storage is not None and url == without_password(storage):
                url = storage
            else:
                remedy = "use this database as hydra.sweeper.storage, or give the points in hydra.sweeper.enqueue"
        return reader.look(reader.find(directory, url, sweeper))
    except reader.Unreadable as error:
        raise InputError(f"{place}: its study cannot be read ({error.fact}); {remedy}") from error


def _left_to_a_grid(study: Study, space: Space, params: Mapping[str, Any]) -> list[str]:
    """Return what a point leaves to a grid sampler, which cannot complete points."""
    if not isinstance(study.sampler, GridSampler) or not params:
        return []
    return [key for key, leaf in space.block.items() if not isinstance(leaf, Fixed) and key not in params]


def _add(study: Study, points: Sequence[Mapping[str, Any]], origin: str) -> int:
    """Queue the points that `study` does not know; return how many.

    Optuna's own `skip_if_exists` takes seeds 1234567 and 1234568 for one, and a point that the sampler completed for
    another than the same point in full.
    """
    # A point whose every parameter is fixed anyway asks for nothing.
    known = {identity({})}
    for trial in study.get_trials(deepcopy=False):
        if _is_open(trial):
            continue
        known.add(identity(queued_point(trial) or {}))
        if trial.state.is_finished():
            known.add(identity(trial.params))
    new = 0
    for point in points:
        if identity(point) not in known:
            known.add(identity(point))
            study.enqueue_trial(dict(point), user_attrs={ORIGIN: origin})
            new += 1
    if new:
        _take_out_twins(study)
    return new


def _is_open(trial: FrozenTrial) -> bool:
    """Whether its point was never tried, or not to its end because its search had ended: one that goes on tries it."""
    return SURPLUS in trial.user_attrs or trial.user_attrs.get(REASON) == ENDED_WITH_SWEEP


def _take_out_twins(study: Study) -> None:
    """Let of each point that is queued twice the first one stay: another process began at the same moment.

    Each process looks after it has queued its own, and takes out those of both: the last one to look has seen all.
    """
    first: dict[str, int] = {}
    for trial in study.get_trials(deepcopy=False):
        queued = queued_point(trial)
        if queued is None or ORIGIN not in trial.user_attrs or _is_open(trial):
            continue
        number = first.setdefault(identity(queued), trial.number)
        if number != trial.number and trial.state is TrialState.WAITING:
            end(study, trial, TrialState.FAIL, {QUEUED_TWICE: number, REASON: f"queued already as trial {number}"})


def best_trials(study: Study, k: int) -> list[FrozenTrial]:
    """Return the `k` best complete trials, no point twice.

    With several objectives the Pareto front comes first, then the front of the others, and so on; where not all of a
    front are wanted, they are spread over it.
    """
    rest, best = best_of(study, None), list[FrozenTrial]()
    if len(study.directions) == 1:
        return rest[:k]
    losses_of = losses(study)
    while rest and len(best) < k:
        # A trial that is better than another stands before it in `rest`: if not in the front, then behind one that is.
        front: list[FrozenTrial] = []
        others: list[FrozenTrial] = []
        for trial in rest:
            behind = any(_is_better(losses_of(leader), losses_of(trial)) for leader in front)
            (others if behind else front).append(trial)
        best += _spread(front, k - len(best))
        rest = others
    return best


def _is_better(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and is_as_good(one, other)


def _spread(front: list[FrozenTrial], n: int) -> list[FrozenTrial]:
    """Return `n` of a front, its ends among them; all if it has no more."""
    if len(front) <= n:
        return front
    return [front[len(front) // 2]] if n == 1 else [front[i * (len(front) - 1) // (n - 1)] for i in range(n)]


def _wished(sweep: SweepDir, trial: FrozenTrial) -> dict[str, Any]:
    """Return the values that a trial had: those it was suggested, and those that its sweep fixed."""
    fixed: dict[str, Any] = {}
    for argument in _overrides(sweep.trial(trial.number).overrides):
        if not is_delete(str(argument)):
            key, leaf = parse(str(argument), str(argument))
            fixed[bare(key)] = leaf.value if isinstance(leaf, Fixed) else None
    return fixed | {bare(key): meaning(value) for key, value in trial.params.items()}


def _overrides(path: Path) -> list[Any]:
    """Return the overrides that a trial's job was given; none if its folder is not here."""
    try:
        overrides = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({last_line(error)}); restore or remove it") from error
    return overrides if isinstance(overrides, list) else []
