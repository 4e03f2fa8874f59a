"""One start of a sweep, from its checked settings to its winner."""

import logging
import math
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper.config import Direction
from omegaconf import DictConfig, OmegaConf
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial

from inksweep.errors import without_password
from inksweep.paths import SweepDir, held, shown
from inksweep.sweep import definition, launchers, page, points, pruner, rehearsal, sampler, storage, watch, winner
from inksweep.sweep.declaration import declare
from inksweep.sweep.engine import Engine, Rules, Target
from inksweep.sweep.launcher import SlotsLauncher
from inksweep.sweep.ledger import Ledger
from inksweep.sweep.overview import Overview
from inksweep.sweep.owner import Owner
from inksweep.sweep.report import Report, numbers, write_settings
from inksweep.sweep.screen import Screen
from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.slots import BlockingSlot, EndNow, LauncherSlots, Slots
from inksweep.sweep.space import Space
from inksweep.sweep.storage import Address
from inksweep.sweep.study import check_space, finished, front, incumbent, open_study, repair

log = logging.getLogger(__name__)


def run(
    config: DictConfig,
    conf: InksweepSweeperConf,
    arguments: Sequence[str],
    launcher_for: Callable[[DictConfig], Launcher],
    compose: Callable[[list[str]], None],
    serial: bool,
) -> None:
    """Begin a sweep or go on with it, until one of its stop rules holds; save the winner.

    Args:
        config: what Hydra composed for the sweep.
        conf: `config.hydra.sweeper`, checked.
        arguments: overrides from the command line, swept ones and others.
        launcher_for: makes the launcher, which runs trials, for such a config.
        compose: composes the config of a job, and raises if that cannot be done.
        serial: whether the launcher runs jobs in this process.

    Raises:
        InputError: something the user gave cannot be used.
        Exception: too many trials failed; that of the last one.
    """
    address = storage.address(config.hydra)
    sweep = SweepDir(address.sweep)
    space = declare(conf.params, conf.when, arguments, _extension(config, conf.custom_search_space))
    # What is wrong, in whichever branch, is one message now, before anything is written.
    for overrides in space.examples():
        compose(overrides)
    search = definition.describe(space, conf.directions, _base(config), extension=conf.custom_search_space)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial_run = optuna.create_study(directions=[StudyDirection[name.upper()] for name in conf.directions])
    prune = pruner.build(OmegaConf.create(vars(conf.pruner)), trial_run.directions)
    sampler.build(config.hydra.sweeper.sampler, space, 0)
    points.enqueue(trial_run, space, conf.enqueue)
    if conf.dry_run:
        rehearsal.run(config, conf, space, launcher_for)
        return
    # What is left to do when the sweep is over, and its lock free for the next start.
    with ExitStack() as afterwards, _joined(sweep, address):
        study = open_study(address, conf.directions)
        owner = Owner(study, sweep, address)
        study.pruner = prune
        rules = _prepare(study, space, search, config, conf, address, owner.salt)
        ledger = Ledger(study)
        report = Report(ledger, sweep, rules.target)
        write_settings(sweep, _settings(config, conf, address, arguments))
        with owner.alive():
            _greet(study, rules, repair(study, owner.orphans(), alone=address.exclusive))
            report.write()
            slots = _slots(launcher_for(config), conf.n_jobs, serial, sweep, owner)
            engine = Engine(ledger, space, slots, sweep, rules, owner, report.update, alone=address.exclusive)
            try:
                _search(engine, report, visible=not serial)
            finally:
                _conclude(study, sweep, rules, engine.stop_reason or "error")
                # Who interrupts does not want to wait.
                if engine.stop_reason != "interrupted" and page.is_wanted(conf.report, ledger.seconds):
                    afterwards.callback(page.write, sweep, address)


def _prepare(
    study: Study,
    space: Space,
    search: dict[str, str],
    config: DictConfig,
    conf: InksweepSweeperConf,
    address: Address,
    salt: int,
) -> Rules:
    """Make sure that the study is of this search, give it its sampler and the points to try first; return its rules."""
    check_space(study, space)
    is_same = definition.check(study, search, conf.on_mismatch.value, conf.unrelated)
    existing = len(study.get_trials(deepcopy=False))
    study.sampler = sampler.build(config.hydra.sweeper.sampler, space, existing, salt)
    points.enqueue(study, space, conf.enqueue)
    if conf.warm_start is not None:
        points.warm_start(study, space, Path(conf.warm_start), conf.warm_start_best, address.url)
    # What another search has found out of a point says nothing of this one.
    return _rules(conf, sampler.grid_size(study.sampler), conf.reuse_results and is_same)


def _search(engine: Engine, report: Report, visible: bool) -> None:
    """Run the engine; whatever ends it, nothing of it runs afterwards, and the summary says why."""
    screen = Screen(Overview(engine, report).view)
    screen.active = screen.active and visible
    try:
        with screen, _interruptible(engine) as interrupted:
            engine.on_look = screen.refresh
            engine.run()
        if interrupted:
            sys.exit(128 + interrupted[0])
    finally:
        engine.abandon(engine.stop_reason or "error")
        report.write(engine.stop_reason or "error")


@contextmanager
def _interruptible(engine: Engine) -> Iterator[list[int]]:
    """Let Ctrl-C, or a scheduler's SIGTERM, end the sweep with its running trials; a second one ends it now.

    Yields:
        The signals that came.
    """
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            raise EndNow(128 + number)
        engine.stop("interrupted")
        watch.stop_here = "interrupted"

    if threading.current_thread() is not threading.main_thread():  # others may set no handler
        yield came
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        watch.stop_here = None
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _joined(sweep: SweepDir, address: Address) -> Iterator[None]:
    """Be alone with a journal; many may share a database."""
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


def _slots(launcher: Launcher, size: int, serial: bool, sweep: SweepDir, owner: Owner) -> Slots:
    if isinstance(launcher, SlotsLauncher):
        return launcher.pool(size)
    if serial:
        return BlockingSlot(launcher)
    return LauncherSlots(launcher, size, launchers.prepare(launcher, size, sweep.root, owner.id))


def _rules(conf: InksweepSweeperConf, grid_size: int | None, reuse_results: bool) -> Rules:
    n_trials = min(conf.n_trials, grid_size or conf.n_trials)
    rate = math.floor(conf.max_failure_rate * n_trials + 1e-9)
    return Rules(
        n_trials,
        rate if conf.max_failures is None else conf.max_failures,
        _target(conf),
        conf.timeout_s or math.inf,
        conf.trial_timeout_s or math.inf,
        conf.retry,
        reuse_results,
    )


def _target(conf: InksweepSweeperConf) -> Target | None:
    if conf.target is None or conf.target.value is None:
        return None
    if conf.target.direction is not None:
        maximize = conf.target.direction is Direction.maximize
    else:
        maximize = conf.target.metric is not None or conf.directions[0] == "maximize"
    return Target(conf.target.metric, conf.target.value, maximize)


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


def _settings(
    config: DictConfig, conf: InksweepSweeperConf, address: Address, arguments: Sequence[str]
) -> dict[str, Any]:
    sweeper = OmegaConf.to_container(config.hydra.sweeper, resolve=True, enum_to_str=True)
    assert isinstance(sweeper, dict)
    sweeper["study_name"] = address.study
    if isinstance(conf.storage, str):
        sweeper["storage"] = without_password(conf.storage)
    return {"command": shlex.join(["python", *sys.argv]), "overrides": list(arguments), "sweeper": sweeper}


def _greet(study: Study, rules: Rules, lost: list[int]) -> None:
    for number in lost:
        log.info("trial %d was lost with its process; it is repeated under a new number", number)
    log.info("sweep %s: %d of %d trials are done", study.study_name, len(finished(study)), rules.n_trials)


def _conclude(study: Study, sweep: SweepDir, rules: Rules, reason: str) -> None:
    """Save the winner; say why the sweep ended, which trial won, and where everything is."""
    why = {
        "target": f"the target is reached: {rules.target} of the best trial",
        "n_trials": f"all {rules.n_trials} trials are done",
        "timeout": f"{rules.timeout_s:g} s are over (hydra.sweeper.timeout_s); the same command goes on",
        "failures": f"more than {rules.max_failures} trials failed (hydra.sweeper.max_failure_rate, max_failures)",
        "interrupted": "interrupted; the same command with the same study name goes on",
        "error": "it could not go on",
    }
    log.info("sweep %s ends: %s", study.study_name, why[reason])
    best = incumbent(study)
    if best is None:
        log.info("no trial is complete, so there is no winner")
    else:
        if len(study.directions) > 1:
            log.info("Pareto front: trials %s", ", ".join(str(trial.number) for trial in front(study)))
        _announce(study, sweep, best)
    log.info("everything: %s", shown(sweep.root))
    log.info("look at it: inksweep compare %s", shlex.quote(shown(sweep.root)))


def _announce(study: Study, sweep: SweepDir, best: FrozenTrial) -> None:
    saved = winner.save(sweep, best, study.study_name, sys.argv[0])
    place = f"-> {shown(saved.root)}" if saved is not None else f"on {winner.host(best)}, which has its folder"
    log.info("winner: trial %d, objective %s %s", best.number, numbers(best), place)
    log.info("train it again: %s", winner.command(sweep, best, sys.argv[0]))
    if saved is not None:
        log.info("how to use it: %s", shown(saved.card))
