"""One start of a sweep, from its checked settings to its winner."""

import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.study import Study
from optuna.trial import Trial

from inksweep.paths import SweepDir, held, shown
from inksweep.sweep import sampler, winner
from inksweep.sweep.declaration import declare
from inksweep.sweep.engine import Engine, Rules, Target
from inksweep.sweep.plugin import InksweepSweeperConf
from inksweep.sweep.report import Report, write_settings
from inksweep.sweep.slots import LauncherSlot
from inksweep.sweep.study import check_space, finished, incumbent, open_study, repair, without_password

log = logging.getLogger(__name__)


def run(
    config: DictConfig,
    conf: InksweepSweeperConf,
    arguments: Sequence[str],
    launcher: Launcher,
    compose: Callable[[list[str]], None],
) -> None:
    """Begin a sweep or go on with it, until one of its stop rules holds; save the winner.

    Args:
        config: what Hydra composed for the sweep.
        conf: `config.hydra.sweeper`, checked.
        arguments: overrides from the command line, swept ones and others.
        launcher: runs a trial.
        compose: composes the config of a job, and raises if that cannot be done.

    Raises:
        InputError: something the user gave cannot be used.
        Exception: too many trials failed; that of the last one.
    """
    sweep = SweepDir(Path(str(config.hydra.sweep.dir)).absolute())
    space = declare(conf.params, conf.when, arguments, _extension(config, conf.custom_search_space))
    # A misspelt key, in whichever branch, is one message now, before anything is written.
    for job in space.examples():
        compose(job)
    with held(sweep.lock, f"{sweep.root}: another process is running this sweep; wait for it or stop it"):
        study = open_study(sweep, conf.study_name, conf.storage, conf.direction_name)
        check_space(study, space)
        study.sampler = sampler.build(config.hydra.sweeper.sampler, space, len(study.get_trials(deepcopy=False)))
        target = None if conf.target is None else Target(conf.target.metric, conf.target.value)
        n_trials = min(conf.n_trials, sampler.grid_size(study.sampler) or conf.n_trials)
        rules = Rules(n_trials, conf.max_failure_rate, target)
        report = Report(study, sweep, target)
        write_settings(sweep, _settings(config, arguments))
        _greet(study, rules, repair(study))
        report.write()
        engine = Engine(study, space, LauncherSlot(launcher), sweep, rules, report.update)
        reason = "error"
        try:
            reason = engine.run()
        except (KeyboardInterrupt, SystemExit):
            reason = "interrupted"
            raise
        finally:
            reason = engine.stop_reason or reason
            report.write(reason)
            _conclude(study, sweep, rules, reason)


def _extension(config: DictConfig, path: str | None) -> Callable[[Trial], None] | None:
    """Return the function at `path` (`hydra.sweeper.custom_search_space`), given the config."""
    if path is None:
        return None
    return partial(instantiate({"_target_": path, "_partial_": True}), config)


def _settings(config: DictConfig, arguments: Sequence[str]) -> dict[str, Any]:
    sweeper = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    assert isinstance(sweeper, dict)
    if isinstance(sweeper["storage"], str):
        sweeper["storage"] = without_password(sweeper["storage"])
    return {"command": shlex.join(["python", *sys.argv]), "overrides": list(arguments), "sweeper": sweeper}


def _greet(study: Study, rules: Rules, lost: list[int]) -> None:
    for number in lost:
        log.info("trial %d was lost with its process; it is repeated under a new number", number)
    log.info("sweep %s: %d of %d trials are done", study.study_name, len(finished(study)), rules.n_trials)


def _conclude(study: Study, sweep: SweepDir, rules: Rules, reason: str) -> None:
    """Save the winner; say why the sweep ended, which trial won, and where it is."""
    why = {
        "target": f"{rules.target.metric} of the best trial exceeds {rules.target.value:g}" if rules.target else "",
        "n_trials": f"all {rules.n_trials} trials are done",
        "failures": f"too many trials failed (hydra.sweeper.max_failure_rate={rules.max_failure_rate:g})",
        "interrupted": "interrupted; the same command with the same study name goes on",
        "error": "it could not go on",
    }
    log.info("sweep %s ends: %s", study.study_name, why[reason])
    best = incumbent(study)
    if best is None:
        log.info("no trial is complete, so there is no winner")
        return
    program = sys.argv[0]
    saved = winner.save(sweep, best, study.study_name, program)
    log.info("winner: trial %d, objective %.4f -> %s", best.number, best.value, shown(saved.root))
    log.info("train it again: %s", winner.command(sweep, best, program))
    log.info("how to use it: %s", shown(saved.card))
