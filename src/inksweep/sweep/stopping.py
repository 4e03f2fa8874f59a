"""When a sweep ends, and why it did: one table of stop reasons, each with its rule, its sentences and what follows.

The engine, the screen, the log and the report ask a member of `Reason`; none of them has words or rules of its own.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum, StrEnum, auto
from typing import Any, Self

from hydra_plugins.hydra_optuna_sweeper.config import Direction
from optuna.study import Study
from optuna.trial import FrozenTrial

from inksweep.errors import InputError, nearest
from inksweep.paths import SweepDir
from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.notes import STOP_RULES
from inksweep.sweep.study.trials import measured

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """Stop as soon as the incumbent's metric is better than `value`.

    Args:
        metric: a key of `metrics` in its result.json; None: the (first) objective.
        value: to be exceeded, or undercut if `maximize` is false.
    """

    metric: str | None
    value: float
    maximize: bool = True

    def is_reached_by(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value > self.value if self.maximize else value < self.value

    def __str__(self) -> str:
        return f"{self.metric or 'objective'} {'>' if self.maximize else '<'} {self.value:g}"


@dataclass(frozen=True)
class Rules:
    """When a sweep ends, and what is tried again.

    Args:
        n_trials: finished trials that the study is to hold in all.
        max_failures: how many may fail in one start of the sweep; one more, and it gives up.
        target: None: none.
        timeout_s: of this start.
        patience_trials: how many in a row, over the whole study, may bring nothing better.
        trial_timeout_s: of one trial.
        retry: how often a trial whose worker died is tried again.
        reuse_results: whether a point that is known already is told without being run.
        is_stock: what a task returns is judged as by the stock sweeper: see outcomes.py.
        next_target: the value to try for once the target is reached, if it is harder; None: none is known.
    """

    n_trials: int
    max_failures: int = 0
    target: Target | None = None
    timeout_s: float = math.inf
    patience_trials: float = math.inf
    trial_timeout_s: float = math.inf
    retry: int = 1
    reuse_results: bool = True
    is_stock: bool = False
    next_target: float | None = None

    @property
    def may_end_before(self) -> bool:
        """Whether what the trials come to may end the search before all of them are done."""
        return self.target is not None or self.patience_trials < math.inf


def rules(conf: InksweepSweeperConf, grid_size: int | None, reuse_results: bool) -> Rules:
    """Return the rules that the settings of a sweep stand for."""
    n_trials = min(conf.n_trials, grid_size or conf.n_trials)
    if n_trials < conf.n_trials:
        log.info("hydra.sweeper.n_trials=%d: the grid has %d points", conf.n_trials, n_trials)
    return Rules(
        n_trials=n_trials,
        max_failures=conf.failures_allowed(n_trials),
        target=_target(conf),
        timeout_s=conf.timeout_s or math.inf,
        patience_trials=conf.patience_trials or math.inf,
        trial_timeout_s=conf.trial_timeout_s or math.inf,
        retry=conf.retry,
        reuse_results=reuse_results,
        is_stock=conf.is_stock,
        next_target=None if conf.target is None else conf.target.next,
    )


def _target(conf: InksweepSweeperConf) -> Target | None:
    if conf.target is None or conf.target.value is None:
        return None
    if conf.target.direction is not None:
        maximize = conf.target.direction is Direction.maximize
    else:
        maximize = conf.target.metric is not None or conf.directions[0] == "maximize"
    return Target(conf.target.metric, conf.target.value, maximize)


@dataclass(frozen=True)
class Standing:
    """How a sweep stands, as far as rules look at it.

    Args:
        rules: of this start.
        ledger: of the study, up to date.
        sweep: where trials leave their files.
        failures: how many trials have failed in this start.
        seconds: since this start began.
    """

    rules: Rules
    ledger: Ledger
    sweep: SweepDir
    failures: int
    seconds: float


@dataclass(frozen=True)
class Account:
    """What the report's sentence on why a sweep ended is made of.

    Args:
        done: how many trials are done, such as `7 of 20`.
        n_trials: how many it was to have; None: not known.
        sweeper: the keys of `hydra.sweeper` as sweep.yaml holds them.
        reached: what the best trial has of the target's metric, and the target.
        missed: a sentence with the same for a target that was not reached; empty without a target.
    """

    done: str
    n_trials: int | None
    sweeper: Mapping[str, Any]
    reached: str
    missed: str


class Fate(Enum):
    """What becomes of the trials that run when a search ends."""

    # They run to their end.
    RUNS_ON = auto()
    # They end at their next report and are recorded as PRUNED, with the reason `stopped`: nobody needs them any more.
    PRUNED = auto()
    # They end at their next report and are recorded as FAIL; the next start repeats them.
    REPEATED = auto()


@dataclass(frozen=True, kw_only=True)
class Stop:
    """All that a stop reason means; no field has a default, so that none is forgotten.

    Args:
        holds: the rule: whether the search ends now; None: no rule, but something that happens to the sweep.
        line: for the log, after `sweep NAME ends: `.
        screen: while running trials end; None where they run on.
        report: the report's sentence.
        running: what becomes of the trials that run.
        has_final_stage: whether the final stage follows, if one is asked for.
        raise_this: what to give so that this rule holds no more, if the target was not reached; None: there is no such
            setting.
    """

    holds: Callable[[Standing], bool] | None
    line: Callable[[Standing], str]
    screen: str | None
    report: Callable[[Account], str]
    running: Fate
    has_final_stage: bool
    raise_this: Callable[[Standing], str] | None


def _target_is_reached(now: Standing) -> bool:
    best, target = now.ledger.best, now.rules.target
    return best is not None and target is not None and target.is_reached_by(_targeted(best, target, now.sweep))


def _targeted(best: FrozenTrial, target: Target, sweep: SweepDir) -> float:
    """Return what the best trial has of the target's metric.

    Raises:
        InputError: it has not measured it.
    """
    if target.metric is None:
        assert best.values is not None
        return float(best.values[0])
    metrics = measured(best)
    if target.metric not in metrics:
        raise InputError(
            f"hydra.sweeper.target.metric={target.metric}: {sweep.trial(best.number).result} does not have it"
            f"{nearest(target.metric, metrics)}; hydra.sweeper.target=null does without"
        )
    return metrics[target.metric]


def _met(now: Standing) -> str:
    """Say by what the target is reached, and whether at once."""
    best, target = now.ledger.best, now.rules.target
    assert best is not None
    assert target is not None
    which = f"trial {best.number}" + (", the first point of the search" if best.number == 0 else "")
    value = _targeted(best, target, now.sweep)
    return f"{target.metric or 'objective'} {value:.4g} {'>' if target.maximize else '<'} {target.value:g} ({which})"


class Reason(StrEnum):
    """Why a search ended: THE TABLE. Of several rules that hold, the first one here is the reason.

    The values are what summary.json and the notes of trials hold.
    """

    stop: Stop

    def __new__(cls, word: str, stop: Stop) -> Self:
        """Return the member that is stored as `word`."""
        reason = str.__new__(cls, word)
        reason._value_, reason.stop = word, stop
        return reason

    TARGET = (
        "target",
        Stop(
            holds=_target_is_reached,
            line=lambda now: f"the target is reached: {_met(now)}",
            screen="the target is reached: running trials end at their next report",
            report=lambda account: f"It stopped because its best trial reached the target: {account.reached}.",
            running=Fate.PRUNED,
            has_final_stage=True,
            raise_this=None,
        ),
    )
    FAILURES = (
        "failures",
        Stop(
            holds=lambda now: now.failures > now.rules.max_failures,
            line=lambda now: (
                f"more than {now.rules.max_failures} trials failed (hydra.sweeper.max_failure_rate, max_failures)"
            ),
            screen="too many trials failed: running ones end at their next report",
            report=lambda account: (
                f"It gave up because too many trials failed, with {account.done} trials done; the reasons stand below."
            ),
            running=Fate.REPEATED,
            has_final_stage=False,
            raise_this=None,
        ),
    )
    TIMEOUT = (
        "timeout",
        Stop(
            holds=lambda now: now.seconds > now.rules.timeout_s,
            line=lambda now: f"{now.rules.timeout_s:g} s are over (hydra.sweeper.timeout_s); the same command goes on",
            screen="the time is over: running trials end at their next report",
            report=lambda account: (
                f"It stopped because its time was over ({account.sweeper.get('timeout_s')} s), "
                f"with {account.done} trials done; the same command goes on."
            ),
            running=Fate.REPEATED,
            has_final_stage=False,
            raise_this=None,
        ),
    )
    N_TRIALS = (
        "n_trials",
        Stop(
            holds=lambda now: now.ledger.finished >= now.rules.n_trials,
            line=lambda now: f"all {now.rules.n_trials} trials are done",
            screen=None,
            report=lambda account: f"It ended because all {account.n_trials} trials are done. {account.missed}",
            running=Fate.RUNS_ON,
            has_final_stage=True,
            raise_this=lambda now: f"hydra.sweeper.n_trials={2 * max(now.rules.n_trials, now.ledger.finished)}",
        ),
    )
    PATIENCE = (
        "patience_trials",  # a training calls its own end `patience`, and is complete then
        Stop(
            holds=lambda now: now.ledger.since_better >= now.rules.patience_trials,
            line=lambda now: (
                f"{now.rules.patience_trials:g} trials in a row brought nothing better; a higher "
                "hydra.sweeper.patience_trials goes on"
            ),
            screen="the last trials brought nothing better: running ones end at their next report",
            report=lambda account: (
                f"It ended because {account.sweeper.get('patience_trials')} trials in a row brought nothing better, "
                f"with {account.done} trials done. {account.missed}"
            ),
            running=Fate.PRUNED,
            has_final_stage=True,
            raise_this=lambda now: (
                f"hydra.sweeper.patience_trials={2 * max(now.rules.patience_trials, now.ledger.since_better):g}"
            ),
        ),
    )
    INTERRUPTED = (
        "interrupted",
        Stop(
            holds=None,
            line=lambda now: "interrupted; the same command with the same study name goes on",
            screen="interrupted: running trials end at their next report; Ctrl-C again ends them now",
            report=lambda account: (
                f"It was interrupted with {account.done} trials done; the same command goes on where it was."
            ),
            running=Fate.REPEATED,
            has_final_stage=False,
            raise_this=None,
        ),
    )
    MACHINE = (
        "machine",
        Stop(
            holds=None,
            line=lambda now: "the machine does not give what trials need; the same command goes on",
            screen="the machine does not give what trials need: running ones end at their next report",
            report=lambda account: (
                f"It stopped because the machine did not give what trials need, with {account.done} trials done; its "
                "log says what; the same command goes on."
            ),
            running=Fate.REPEATED,
            has_final_stage=False,
            raise_this=None,
        ),
    )
    ERROR = (
        "error",
        Stop(
            holds=None,
            line=lambda now: "it could not go on",
            screen=None,
            report=lambda account: (
                f"It stopped because of an error, with {account.done} trials done; its log says which."
            ),
            running=Fate.REPEATED,
            has_final_stage=False,
            raise_this=None,
        ),
    )

    @classmethod
    def stored_as(cls, word: object) -> Self | None:
        """Return the reason that a file or a note calls `word`; None: it is no stop reason."""
        return next((reason for reason in cls if reason.value == word), None)


def rule_that_holds(now: Standing) -> Reason | None:
    """Return why the search ends now; None: it goes on.

    Raises:
        InputError: the best trial does not have the target's metric.
    """
    return next((reason for reason in Reason if reason.stop.holds is not None and reason.stop.holds(now)), None)


def say_why(now: Standing, reason: Reason) -> None:
    """Log why the search ended; and, if its target was not reached, what goes on with it.

    Args:
        now: how the sweep stands at its end.
        reason: of the rule that ended it. Others may hold too: each of them would end the next start at once.
    """
    log.info("sweep %s ends: %s", now.ledger.study.study_name, reason.stop.line(now))
    if now.ledger.copied:
        log.info(
            "%d of its %d trials were not trained: their points were known already, and took the results "
            "(hydra.sweeper.reuse_results=false trains them again)",
            now.ledger.copied,
            now.ledger.finished,
        )
    if reason.stop.raise_this is None or now.rules.target is None:
        return
    log.warning(
        "the target is not reached: no trial that was the best had %s; %s goes on",
        now.rules.target,
        " ".join(to_raise(now, reason)),
    )


def to_raise(now: Standing, reason: Reason) -> list[str]:
    """Return the settings without which the next start would end at once, though its target is not reached."""
    return [
        each.stop.raise_this(now)
        for each in Reason
        if each.stop.raise_this is not None
        and (each is reason or (each.stop.holds is not None and each.stop.holds(now)))
    ]


def harder_target(now: Standing) -> float | None:
    """Return what to try for after a target that is reached; None: the best trial has all that is known of."""
    best, target, harder = now.ledger.best, now.rules.target, now.rules.next_target
    if best is None or target is None or harder is None:
        return None
    has = _targeted(best, target, now.sweep)
    is_harder = target.is_reached_by(harder) and not replace(target, value=harder).is_reached_by(has)
    return harder if is_harder else None


def remember_stop_rule(study: Study, target: Target) -> None:
    """Note in a study that this rule has looked at it: a later start may have another one, or none."""
    had, rule = study.user_attrs.get(STOP_RULES, []), asdict(target)
    if rule not in had[-1:]:
        study.set_user_attr(STOP_RULES, [*(earlier for earlier in had if earlier != rule), rule])


def stop_rule(study: Study, target: Target | None, objective: str | None) -> Target | None:
    """Return the target that a winner's card tells of, of those that the study has had; `target` is the present one.

    It is the last one that looked at something else than the objective: that metric of the winner then looks better
    than it is. A target on the objective, by which the search ranks anyway, is told of only if there was no other.
    """
    had = [Target(**rule) for rule in study.user_attrs.get(STOP_RULES, [])] + ([] if target is None else [target])
    others = [rule for rule in had if rule.metric not in (None, objective)]
    return next(reversed(others or had), None)
