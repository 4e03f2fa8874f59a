"""The final stage of a sweep, run: the best configurations are trained again, in the same slots as the search."""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from optuna.study import Study

from inksweep.errors import InputError, explain, last_line
from inksweep.paths import SweepDir, shown
from inksweep.sweep import definition, running, storage
from inksweep.sweep.choice import best_of
from inksweep.sweep.conclusion import Saving
from inksweep.sweep.elsewhere import moved
from inksweep.sweep.engine import Engine, Rules
from inksweep.sweep.finals import ON_ALL, Configurations, Finals, FinalsReport, FinalsSampler, replaced
from inksweep.sweep.finals import digest as digest_of
from inksweep.sweep.ledger import Ledger
from inksweep.sweep.marks import FINAL
from inksweep.sweep.owner import Owner
from inksweep.sweep.report import write_settings
from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.space import Space
from inksweep.sweep.study import open_study, repair

log = logging.getLogger(__name__)

# How a search may end that has a final stage.
AFTER = ("target", "n_trials", "timeout")


def prepare(
    sweep: SweepDir,
    space: Space,
    config: DictConfig,
    conf: InksweepSweeperConf,
    compose: Callable[[list[str]], None],
) -> Configurations | None:
    """Return the trials as a final stage trains them again; None if none is asked for.

    Raises:
        InputError: it could not be done, whatever the search finds.
    """
    if not conf.winner.runs_again:
        return None
    configurations = Configurations(sweep, space, config, conf.winner.seed_key)
    if conf.winner.full_data:
        try:
            compose(replaced(space.examples()[0], ON_ALL))
        except Exception as error:
            reason = explain(error) or last_line(error)
            raise InputError(f"hydra.sweeper.winner.full_data=true: the app cannot train so ({reason})") from error
    return configurations


class FinalStage:
    """The final stage of a sweep.

    Args:
        search: the study of the search.
        searched: of what it is a search.
        configurations: its trials.
        config: what Hydra composed for the sweep.
        conf: `config.hydra.sweeper`, checked.
        settings: what `sweep.yaml` says of the sweep.
        launcher_for: makes the launcher, which runs trials, for such a config.
        serial: whether the launcher runs jobs in this process.
    """

    def __init__(
        self,
        search: Study,
        searched: Mapping[str, str],
        configurations: Configurations,
        config: DictConfig,
        conf: InksweepSweeperConf,
        settings: Mapping[str, Any],
        launcher_for: Callable[[DictConfig], Launcher],
        serial: bool,
    ):
        self.conf, self.launcher_for, self.serial = conf, launcher_for, serial
        self.sweep = configurations.sweep.finals
        # In a database a search without a name is called by its folder, and so is then its final stage.
        name = f"{search.study_name}.finalists" if PurePath(search.study_name).name == search.study_name else None
        self.config = moved(config, self.sweep.root, {"study_name": name})
        self.address = storage.address(self.config.hydra)
        self.sweep.root.mkdir(parents=True, exist_ok=True)
        self.study = open_study(self.address, conf.directions)
        self.study.set_user_attr(FINAL, True)
        sweeper = {**settings["sweeper"], "study_name": self.address.study, "target": None}
        write_settings(self.sweep, {**settings, "sweeper": sweeper})
        mark = digest_of(definition.without(searched, conf.unrelated), conf.winner.seed_key)
        self.finals = Finals(search, self.study, conf.winner, configurations, mark)
        self.study.sampler = FinalsSampler(self.finals)

    def run(self, saving: Saving) -> None:
        """Train what is missing, then save the winner.

        Raises:
            Exception: too many trainings failed; that of the last one. The winner is then that of the search.
        """
        missing = self.finals.missing()
        if missing:
            saving.keep()  # whatever happens now
        self._say_what(len(missing))
        owner, has_ended = Owner(self.study, self.sweep, self.address), False
        try:
            with owner.alive():
                # Those on all data are known once the others are there; another process may have found a better trial.
                while self.finals.missing():
                    repair(self.study, owner.orphans(), alone=self.address.exclusive)
                    self.finals.retire()
                    self._train(owner)
            has_ended = True
        finally:
            if not has_ended:
                log.info("the final stage is not done; the same command goes on with it")
                saving.announce(None)
        for training in self.finals.failed():
            log.warning("final stage: %s failed; the same command tries it again", training)
        decided = self.finals.choice()
        if decided is None:
            log.warning("no training of the final stage is complete; the winner is that of the search")
        saving.announce(decided)

    def _say_what(self, missing: int) -> None:
        conf, found = self.conf.winner, best_of(self.finals.search, self.conf.winner.top_k)
        if len(found) < conf.top_k:
            log.warning(
                "hydra.sweeper.winner.top_k=%d: only %d trials of different parameters are complete; they are taken",
                conf.top_k,
                len(found),
            )
        if conf.seeds:
            numbers = ", ".join(str(trial.number) for trial in found)
            log.info("final stage: the best trials (%s) again, on %d new seeds each", numbers, conf.seeds)
        if conf.full_data:
            log.info("final stage: the best configuration on all data, on %d new seeds", conf.ensemble)
        log.info("final stage: %d trainings are missing -> %s", missing, shown(self.sweep.root))

    def _train(self, owner: Owner) -> None:
        """Run one engine until what is missing now has ended."""
        rules, report = self._rules(), FinalsReport(Ledger(self.study), self.sweep, None)
        slots = running.slots(self.launcher_for(self.config), self.conf.n_jobs, self.serial, self.sweep, owner)
        engine = Engine(
            report.ledger, self.finals, slots, self.sweep, rules, owner, report.update, alone=self.address.exclusive
        )
        running.run(engine, report, visible=not self.serial)

    def _rules(self) -> Rules:
        conf, budget = self.conf, self.conf.max_failures
        if budget is None:
            budget = math.floor(conf.max_failure_rate * self.finals.total + 1e-9)
        return Rules(
            self.finals.size(),
            budget,
            trial_timeout_s=conf.trial_timeout_s or math.inf,
            retry=conf.retry,
            reuse_results=not self.finals.has_others(),
        )
