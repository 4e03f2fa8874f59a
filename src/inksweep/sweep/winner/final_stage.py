"""The final stage of a sweep, run: the best configurations are trained again, in the same slots as the search."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from inksweep.errors import InputError, explain, last_line
from inksweep.paths import SweepDir, shown
from inksweep.silence import saying
from inksweep.sweep import supervise
from inksweep.sweep.context import Context
from inksweep.sweep.engine import Engine
from inksweep.sweep.progress.summary import Report, write_settings
from inksweep.sweep.slots import hydra_launchers
from inksweep.sweep.space.space import Space
from inksweep.sweep.space.written import written
from inksweep.sweep.start import Start
from inksweep.sweep.stopping import Reason, Rules
from inksweep.sweep.study import fingerprint, storage
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.notes import FINAL
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.repair import repair
from inksweep.sweep.study.storage import moved, open_study
from inksweep.sweep.study.trials import best_of
from inksweep.sweep.winner.announce import Saving
from inksweep.sweep.winner.choice import Choice
from inksweep.sweep.winner.configurations import Configurations, replaced
from inksweep.sweep.winner.finals import Finals, FinalsReport, FinalsSampler
from inksweep.sweep.winner.finals import digest as digest_of
from inksweep.sweep.winner.full_data import ON_ALL

log = logging.getLogger(__name__)

# How often the trials of other processes are looked at while they are waited for.
LOOK_S = 0.5


def prepare(start: Start, sweep: SweepDir, space: Space) -> Configurations | None:
    """Return the trials as a final stage trains them again; None if none is asked for.

    Args:
        start: this start of the sweep.
        sweep: its directory.
        space: what is searched.

    Raises:
        InputError: it could not be done, whatever the search finds.
    """
    conf = start.conf
    if not conf.winner.runs_again:
        return None
    configurations = Configurations(sweep, space, start.config, conf.winner.seed_key, conf.unrelated)
    if conf.winner.full_data:
        try:
            for overrides in space.examples():
                start.compose(replaced(overrides, ON_ALL))
        except Exception as error:
            reason = explain(error) or last_line(error)
            raise InputError(f"hydra.sweeper.winner.full_data=true: the app cannot train so ({reason})") from error
    return configurations


def run(begin: Callable[[], "FinalStage"], saving: Saving) -> None:
    """Run a final stage, then save its winner; one that is not completed leaves that of the search.

    Args:
        begin: makes the stage.
        saving: of the search.

    Raises:
        Exception: it could not begin, or too many trainings failed; that of the last one.
    """
    saving.keep()  # should this process be killed now, there is a winner
    is_done, decided = False, None
    try:
        stage = begin()
        if stage.train():
            decided, is_done = stage.decide(), True
    finally:
        if not is_done:
            log.info("the final stage is not done; the same command goes on with it")
            saving.announce(None)
    if is_done:
        saving.announce(decided)


class FinalStage:
    """The final stage of a sweep.

    Args:
        start: this start of the sweep.
        report: on the search.
        configurations: the trials of the search.
        definition: what it is a search of, as text by name.
        ends: when the time of this start is over, by `time.monotonic()`.
    """

    def __init__(
        self, start: Start, report: Report, configurations: Configurations, definition: Mapping[str, str], ends: float
    ):
        self.start, self.conf, self.report, self.ends = start, start.conf, report, ends
        search, conf = report.study, start.conf
        self.sweep = configurations.sweep.finals
        # In a database a study whose search has no name is named by its folder; so is then that of the final stage.
        name = f"{search.study_name}.finalists" if PurePath(search.study_name).name == search.study_name else None
        self.config = moved(start.config, self.sweep.root, {"study_name": name})
        self.address = storage.address(self.config.hydra)
        self.sweep.root.mkdir(parents=True, exist_ok=True)
        self.study = open_study(self.address, conf.directions)
        self.study.set_user_attr(FINAL, True)
        record = start.record(self.address.study)
        record["sweeper"]["target"] = None
        write_settings(self.sweep, record)
        digest = digest_of(fingerprint.without(definition, conf.unrelated), conf.winner.seed_key)
        self.finals = Finals(search, self.study, conf.winner, configurations, digest)
        self.study.sampler = FinalsSampler(self.finals)

    def train(self) -> bool:
        """Train what is missing; return whether all is done now, False if time ran out before.

        Raises:
            Exception: too many trainings failed; that of the last one.
        """
        wait_for_others(self.report.context, self.ends)
        self._announce(len(self.finals.missing()))
        owner, ledger, state = Owner(self.study, self.sweep, self.address), Ledger(self.study), "interrupted"
        self._note_progress("running")
        try:
            with owner.alive():
                # Again and again: trainings on all data are known only when the others have ended, and another process
                # may have found a better trial meanwhile.
                while self.finals.missing():
                    repair(self.study, owner.orphans(), alone=self.address.exclusive)
                    self.finals.retire()
                    reason = self._train(Context(ledger, self.sweep, self.address, owner, self._rules()))
                    if reason is Reason.TIMEOUT and self.finals.missing():
                        log.info("%g s are over (hydra.sweeper.timeout_s)", self.conf.timeout_s)
                        return False
            state = "ended"
        finally:
            self._note_progress(state)
        return True

    def decide(self) -> Choice | None:
        """Return what follows from the trainings, and say what is wrong with it; None if nothing does."""
        for training in self.finals.failed():
            log.warning("final stage: %s failed; the same command tries it again", training)
        decided = self.finals.choice()
        if self.conf.winner.full_data and (decided is None or not decided.full_data):
            reasons = "; ".join(self.finals.not_on_all()) or "no configuration could be trained again"
            log.warning("hydra.sweeper.winner.full_data=true: the winner is not of all data (%s)", reasons)
        elif decided is not None and decided.retrained_with:
            had = self.finals.configurations.otherwise(decided.trial)
            log.warning(
                "on all data it was trained with %s, where trial %d had %s: how long to train was found on other "
                "settings, and could not be measured on validation",
                _settings(decided.retrained_with),
                decided.trial.number,
                _settings(had),
            )
        if decided is None:
            log.warning("no training of the final stage is complete; the winner is that of the search")
        return decided

    def _note_progress(self, state: str) -> None:
        """Write how far it is into the summary of the search."""
        done = self.finals.done
        self.report.final_stage = {"missing": self.finals.total - done, "done": done, "state": state}
        self.report.write(self.report.stop_reason)

    def _announce(self, missing: int) -> None:
        """Log what is going to be trained."""
        conf, best = self.conf.winner, best_of(self.finals.search, self.conf.winner.top_k)
        if len(best) < conf.top_k:
            log.warning(
                "hydra.sweeper.winner.top_k=%d: only %d trials of different parameters are complete; they are taken",
                conf.top_k,
                len(best),
            )
        if conf.seeds:
            numbers = ", ".join(str(trial.number) for trial in best)
            log.info("final stage: the best trials (%s) again, on %d new seeds each", numbers, conf.seeds)
        if conf.full_data:
            log.info("final stage: the best configuration on all data, on %d new seeds", conf.ensemble)
        if missing:
            log.info("final stage: %d trainings are missing -> %s", missing, shown(self.sweep.root))

    def _train(self, context: Context) -> Reason:
        """Run one engine until what is missing now has ended; return why it stopped."""
        start, report = self.start, FinalsReport(context)
        launcher = start.launcher_for(self.config)
        slots = hydra_launchers.slots(launcher, start.slots, start.is_serial, context.sweep, context.owner)
        engine = Engine(context, self.finals, slots, report.update)
        return supervise.run(engine, report, visible=not start.is_serial)

    def _rules(self) -> Rules:
        conf = self.conf
        return Rules(
            n_trials=self.finals.size(),
            max_failures=conf.failures_allowed(self.finals.total),
            timeout_s=max(0.0, self.ends - time.monotonic()),
            trial_timeout_s=conf.trial_timeout_s or math.inf,
            retry=conf.retry,
            reuse_results=not self.finals.has_others(),
        )


def wait_for_others(context: Context, ends: float) -> None:
    """Wait for the trials that other living processes run as this one's search ends: they may be among its best.

    Those that begin later are not waited for: the others may go on searching for hours.

    Args:
        context: of the search, of which nothing runs here any more.
        ends: when the time of this start is over, by `time.monotonic()`.
    """

    def running() -> set[int]:
        repair(context.study, context.owner.orphans(), alone=context.is_alone)
        context.ledger.look()
        return {trial.number for trial in context.ledger.running}

    if not (awaited := running()):
        return
    numbers = ", ".join(map(str, sorted(awaited)))
    text = f"final stage: waiting for the trials of the search that other processes still run ({numbers})"
    log.info(text)
    with saying(text):
        while awaited and time.monotonic() < ends:
            time.sleep(LOOK_S)
            awaited &= running()


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={written(value)}" for key, value in values.items())
