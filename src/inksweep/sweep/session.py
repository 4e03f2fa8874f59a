"""One start of a sweep: check, open, search, final stage, winner."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import Trial

from inksweep.command import override
from inksweep.errors import InputError
from inksweep.files import held
from inksweep.paths import SweepDir, shown
from inksweep.sweep import afterwards, dry_run, next_step, pruners, samplers, stopping, supervise
from inksweep.sweep.context import Context
from inksweep.sweep.engine import Engine
from inksweep.sweep.faults import in_one_line
from inksweep.sweep.progress.summary import Report, write_settings
from inksweep.sweep.slots import hydra_launchers
from inksweep.sweep.space import elsewhere
from inksweep.sweep.space.declare import declare
from inksweep.sweep.space.space import Clash, Space
from inksweep.sweep.start import Start
from inksweep.sweep.stopping import Reason, say_why
from inksweep.sweep.study import fingerprint, first_points, signposts, storage
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.repair import repair
from inksweep.sweep.study.storage import Address
from inksweep.sweep.winner import final_stage, full_data
from inksweep.sweep.winner.announce import Saving
from inksweep.sweep.winner.configurations import Configurations
from inksweep.sweep.winner.final_stage import FinalStage

log = logging.getLogger(__name__)

# The group of search spaces of an app that has one, as ours.
SPACE = "hydra/sweeper/space"


@dataclass(frozen=True)
class Plan:
    """What a start of a sweep is going to do, all of it checked.

    Args:
        address: where the study is kept.
        sweep: where trials leave their files.
        space: what is searched.
        definition: what it is a search of, as text by name.
        pruner: of the study.
        configurations: trials as the final stage trains them again; None: there is no final stage.
    """

    address: Address
    sweep: SweepDir
    space: Space
    definition: dict[str, str]
    pruner: BasePruner
    configurations: Configurations | None


def run(start: Start) -> None:
    """Begin a sweep or go on with it, until one of its stop rules holds; save the winner.

    Raises:
        InputError: something the user gave cannot be used, or the machine does not give what the sweep needs.
        Exception: too many trials failed; that of the last one.
    """
    plan = _check(start)
    if start.conf.dry_run:
        dry_run.run(start, plan.space)
        return
    # What is called at the end comes after the lock is free for the next start.
    with in_one_line(plan.sweep.root), ExitStack() as at_end, _joined(plan.sweep, plan.address):
        context = _open(start, plan)
        with context.owner.alive():
            _go_on(context)
            report = Report(context)
            report.write()
            saving = Saving(context.study, context.sweep, start.conf.winner, context.rules.target, start.program)
            slots = hydra_launchers.slots(start.launcher, start.slots, start.is_serial, context.sweep, context.owner)
            engine = Engine(context, plan.space, slots, report.update)
            # The last one runs first: the report shows the card, and is written also where the card raises.
            at_end.callback(_say_what_next, start, engine)
            at_end.callback(_write_report, start, context)
            if start.conf.winner.card:
                at_end.callback(afterwards.write_card, context.sweep, hydra_launchers.runner(start.launcher))
            try:
                begin_final_stage = _search(start, plan, engine, report, saving)
                if begin_final_stage is not None:
                    final_stage.run(begin_final_stage, saving)
            except (SystemExit, KeyboardInterrupt):
                at_end.pop_all()  # after Ctrl-C neither is made: the user wants the prompt back
                raise


def _check(start: Start) -> Plan:
    """Check all that can be checked in whichever branch of the space, before anything is written."""
    config, conf = start.config, start.conf
    asked = storage.address(config.hydra)
    storage.check(asked)
    address = storage.resolved(asked)
    if address.study != asked.study:
        log.info("%s: the study in it is called %s; it goes on", shown(address.sweep), address.study)
    sweep = SweepDir(address.sweep)
    space = _space(start)
    full_data.check_ranking(space, config, start.compose)
    afterwards.check_exports(conf.winner.export)
    afterwards.check_report(conf.report)
    definition = fingerprint.describe(space, conf.directions, _base(config), extension=conf.custom_search_space)
    configurations = final_stage.prepare(start, sweep, space)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # In memory, only to see whether pruner, sampler and first points can be used.
    study = optuna.create_study(directions=[StudyDirection[name.upper()] for name in conf.directions])
    pruner = pruners.build(OmegaConf.create(vars(conf.pruner)), study.directions)
    samplers.build(config.hydra.sweeper.sampler, space, 0)
    first_points.enqueue(study, space, conf.enqueue)
    first_points.begin(study, space, conf.first_points)
    # A sweep that was begun has taken the points, and the other one may be gone.
    if conf.warm_start is not None and not sweep.config.exists():
        first_points.check_warm_start(Path(conf.warm_start), address.url)
    return Plan(address, sweep, space, definition, pruner, configurations)


def _space(start: Start) -> Space:
    """Return what is searched."""
    config, conf = start.config, start.conf
    extension = _extension(config, conf.custom_search_space)
    try:
        space = declare(conf.params, conf.when, start.arguments, extension, start.loader)
    except Clash as error:
        chosen = config.hydra.runtime.choices.get(SPACE)
        if chosen in (None, "none"):
            raise
        raise InputError(
            f"{error}; {SPACE}={chosen} is part of the search: {SPACE}=none, or `override /{SPACE}: none` in the "
            "defaults of the experiment, leaves it out"
        ) from error
    elsewhere.settle(space, start.compose)
    return space


def _open(start: Start, plan: Plan) -> Context:
    """Open the study, see that it is of this search, and give it its sampler and the points to try first."""
    conf, space = start.conf, plan.space
    study = storage.open_study(plan.address, conf.directions)
    study.pruner = plan.pruner
    fingerprint.check_space(study, space)
    is_same = fingerprint.check(study, plan.definition, conf.on_mismatch.value, conf.unrelated)
    owner = Owner(study, plan.sweep, plan.address)
    existing = len(study.get_trials(deepcopy=False))
    _check_folders(plan, existing, conf.n_trials)
    study.sampler = samplers.build(start.config.hydra.sweeper.sampler, space, existing, owner.salt)
    # One after the other, where processes share the folder: no point then takes a number for nothing.
    with nullcontext() if plan.address.exclusive else held(plan.sweep.root / ".queue.lock", None):
        new = first_points.enqueue(study, space, conf.enqueue)
        if (given := len(conf.enqueue or [])) > new:
            log.info("hydra.sweeper.enqueue: %d of %d points are new, the study has the others", new, given)
        if conf.warm_start is not None:
            first_points.warm_start(study, space, Path(conf.warm_start), conf.warm_start_best, plan.address.url)
        first_points.begin(study, space, conf.first_points)
    # A result that the study has from another search says nothing of the same point in this one.
    rules = stopping.rules(conf, samplers.grid_size(study.sampler), conf.reuse_results and is_same)
    signposts.put_signposts(study, plan.sweep)
    write_settings(plan.sweep, start.record(plan.address.study))
    if rules.target is not None:
        stopping.remember_stop_rule(study, rules.target)
    return Context(Ledger(study), plan.sweep, plan.address, owner, rules)


def _check_folders(plan: Plan, existing: int, n_trials: int) -> None:
    """Refuse to begin trials whose folders are there, as those of a study that was deleted or is another one.

    Raises:
        InputError: one of them is there.
    """
    if not plan.address.exclusive:  # another process may have begun them since
        return
    for number in range(existing, max(existing + 1, n_trials)):
        if (folder := plan.sweep.trial(number).root).exists():
            raise InputError(f"{folder}: is there already, but not in the study; move it away or begin a new study")


def _go_on(context: Context) -> None:
    """Repair what a dead process left in the study, and say how far the search is."""
    for number in repair(context.study, context.owner.orphans(), alone=context.is_alone):
        log.info("trial %d was lost with its process; it is repeated under a new number", number)
    context.ledger.look()
    done, n_trials = context.ledger.finished, context.rules.n_trials
    more = "; a higher hydra.sweeper.n_trials goes on" if done >= n_trials else ""
    log.info("sweep %s: %d of %d trials are done%s", context.study.study_name, done, n_trials, more)


def _search(
    start: Start, plan: Plan, engine: Engine, report: Report, saving: Saving
) -> Callable[[], FinalStage] | None:
    """Run the search; return what begins its final stage. If none follows, save the winner, whatever ended the search.

    Raises:
        Exception: too many trials failed; that of the last one.
        SystemExit: it was interrupted.
    """
    begin = None
    ends = time.monotonic() + engine.rules.timeout_s
    try:
        reason = supervise.run(engine, report, visible=not start.is_serial)
        if plan.configurations is not None and reason.stop.has_final_stage and engine.ledger.best is not None:
            begin = partial(FinalStage, start, report, plan.configurations, plan.definition, ends)
    finally:
        say_why(engine.standing, engine.stop_reason or Reason.ERROR)
        goes_on = engine.stop_reason in (Reason.INTERRUPTED, Reason.TIMEOUT) and plan.address.exclusive
        if goes_on and start.has_dated_folder:
            log.info("its folder is called by the time: add %s", override("hydra.sweep.dir", shown(plan.sweep.root)))
        if begin is None:
            if plan.configurations is not None and engine.stop_reason is Reason.TIMEOUT:
                log.info("the final stage comes when the search is done; the same command goes on")
            saving.announce(None)
    return begin


def _say_what_next(start: Start, engine: Engine) -> None:
    if engine.stop_reason is Reason.TARGET:
        next_step.say(start, engine.standing)


def _write_report(start: Start, context: Context) -> None:
    if afterwards.is_wanted(start.conf.report, context.ledger.seconds):
        afterwards.write(context.sweep, context.address)


@contextmanager
def _joined(sweep: SweepDir, address: Address) -> Iterator[None]:
    """Be the only process that runs a sweep whose study is a journal; many may share a database."""
    sweep.root.mkdir(parents=True, exist_ok=True)
    if not address.exclusive:
        yield
        return
    refusal = (
        f"{sweep.root}: another process is running this sweep; wait for it or stop it. Several processes can share a "
        "sweep through a database (hydra.sweeper.storage)"
    )
    with held(sweep.lock, refusal):
        yield


def _extension(config: DictConfig, path: str | None) -> Callable[[Trial], None] | None:
    """Return the function at `path` (`hydra.sweeper.custom_search_space`), given the config."""
    if path is None:
        return None
    return partial(instantiate({"_target_": path, "_partial_": True}), config)


def _base(config: DictConfig) -> dict[str, Any]:
    """Return the app's config, without Hydra's own."""
    base = OmegaConf.to_container(config, resolve=False)
    assert isinstance(base, dict)
    return {str(key): value for key, value in base.items() if key != "hydra"}
