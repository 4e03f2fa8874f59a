"""One start of a sweep, from its checked settings to its winner."""

import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.study import Study, StudyDirection
from optuna.trial import Trial

from inksweep.errors import without_password
from inksweep.files import held
from inksweep.paths import SweepDir
from inksweep.sweep import dry_run, pruners, samplers, stopping, supervise
from inksweep.sweep.afterwards import check_exports, is_wanted, write, write_card
from inksweep.sweep.engine import Engine
from inksweep.sweep.progress.summary import Report, write_settings
from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.slots import hydra_launchers
from inksweep.sweep.space.declare import declare
from inksweep.sweep.space.space import Space
from inksweep.sweep.stopping import Reason, Rules, rules, say_why
from inksweep.sweep.study import fingerprint, first_points, storage
from inksweep.sweep.study.fingerprint import check_space
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.repair import repair
from inksweep.sweep.study.storage import Address, open_study
from inksweep.sweep.study.trials import finished
from inksweep.sweep.winner import final_stage, full_data
from inksweep.sweep.winner.announce import Saving
from inksweep.sweep.winner.final_stage import FinalStage

log = logging.getLogger(__name__)


def run(
    config: DictConfig,
    conf: InksweepSweeperConf,
    arguments: Sequence[str],
    launcher_for: Callable[[DictConfig], Launcher],
    compose: Callable[[list[str]], DictConfig],
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
    full_data.check_ranking(space, config, compose)
    check_exports(conf.winner.export)
    search = fingerprint.describe(space, conf.directions, _base(config), extension=conf.custom_search_space)
    configurations = final_stage.prepare(sweep, space, config, conf, compose)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial_run = optuna.create_study(directions=[StudyDirection[name.upper()] for name in conf.directions])
    prune = pruners.build(OmegaConf.create(vars(conf.pruner)), trial_run.directions)
    samplers.build(config.hydra.sweeper.sampler, space, 0)
    first_points.enqueue(trial_run, space, conf.enqueue)
    if conf.dry_run:
        dry_run.run(config, conf, space, launcher_for)
        return
    # What is left to do when the sweep is over, and its lock free for the next start.
    with ExitStack() as afterwards, _joined(sweep, address):
        study = open_study(address, conf.directions)
        owner = Owner(study, sweep, address)
        study.pruner = prune
        rules = _prepare(study, space, search, config, conf, address, owner.salt)
        ledger = Ledger(study)
        report = Report(ledger, sweep, rules.target)
        settings = _settings(config, conf, address, arguments)
        write_settings(sweep, settings)
        if rules.target is not None:
            stopping.remember_stop_rule(study, rules.target)
        saving = Saving(study, sweep, conf.winner, rules.target)
        with owner.alive():
            _greet(study, rules, repair(study, owner.orphans(), alone=address.exclusive))
            report.write()
            slots = hydra_launchers.slots(launcher_for(config), conf.n_jobs, serial, sweep, owner)
            engine = Engine(ledger, space, slots, sweep, rules, owner, report.update, alone=address.exclusive)
            final = None
            if configurations is not None:
                ends = time.monotonic() + rules.timeout_s
                final = partial(
                    FinalStage, report, search, configurations, config, conf, settings, launcher_for, serial, ends
                )
            is_interrupted = False
            try:
                _train(engine, report, saving, final, visible=not serial)
            except (SystemExit, KeyboardInterrupt):
                is_interrupted = True
                raise
            finally:
                # Who interrupts does not want to wait.
                if not is_interrupted:
                    if is_wanted(conf.report, ledger.seconds):
                        afterwards.callback(write, sweep, address)
                    if conf.winner.card:
                        afterwards.callback(write_card, sweep)  # the first: the report shows the winner


def _train(
    engine: Engine, report: Report, saving: Saving, final: Callable[[], FinalStage] | None, *, visible: bool
) -> None:
    """Run the search, then the final stage if there is one; whatever ends them, there is a winner if there can be."""
    has_final = False
    try:
        supervise.run(engine, report, visible=visible)
        follows = engine.stop_reason is not None and engine.stop_reason.stop.has_final_stage
        has_final = follows and report.ledger.best is not None and final is not None
    finally:
        say_why(engine.study, engine.rules, engine.stop_reason or Reason.ERROR)
        if not has_final:
            if final is not None and engine.stop_reason is Reason.TIMEOUT:
                log.info("the final stage comes when the search is done; the same command goes on")
            saving.announce(None)
    if has_final and final is not None:
        final_stage.run(final, saving)


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
    is_same = fingerprint.check(study, search, conf.on_mismatch.value, conf.unrelated)
    existing = len(study.get_trials(deepcopy=False))
    study.sampler = samplers.build(config.hydra.sweeper.sampler, space, existing, salt)
    first_points.enqueue(study, space, conf.enqueue)
    if conf.warm_start is not None:
        first_points.warm_start(study, space, Path(conf.warm_start), conf.warm_start_best, address.url)
    # What another search has found out of a point says nothing of this one.
    return rules(conf, samplers.grid_size(study.sampler), conf.reuse_results and is_same)


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
