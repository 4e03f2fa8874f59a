"""When a sweep ends, and why it did."""

import logging
import math
from dataclasses import asdict, dataclass

from hydra_plugins.hydra_optuna_sweeper.config import Direction
from optuna.study import Study

from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.study.notes import STOP_RULES

log = logging.getLogger(__name__)


# Stop reasons after which an unfinished trial is repeated by the next start; after the others it is not needed.
REPEAT_AFTER = ("interrupted", "timeout", "failures")


# How a search may end that has a final stage.
AFTER = ("target", "n_trials")


STOPPING = {
    "interrupted": "interrupted: running trials end at their next report; Ctrl-C again ends them now",
    "target": "the target is reached: running trials end at their next report",
    "timeout": "the time is over: running trials end at their next report",
    "failures": "too many trials failed: running ones end at their next report",
}


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
        trial_timeout_s: of one trial.
        retry: how often a trial whose worker died is tried again.
        reuse_results: whether a point that is known already is told without being run.
    """

    n_trials: int
    max_failures: int = 0
    target: Target | None = None
    timeout_s: float = math.inf
    trial_timeout_s: float = math.inf
    retry: int = 1
    reuse_results: bool = True


def rules(conf: InksweepSweeperConf, grid_size: int | None, reuse_results: bool) -> Rules:
    """Return the rules that the settings of a sweep stand for."""
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


def remember_stop_rule(study: Study, target: Target) -> None:
    """Note in a study that this rule has looked at it: a later start may have another one, or none."""
    had, rule = study.user_attrs.get(STOP_RULES, []), asdict(target)
    if rule not in had[-1:]:
        study.set_user_attr(STOP_RULES, [*(one for one in had if one != rule), rule])


def stop_rule(study: Study, target: Target | None, objective: str | None) -> Target | None:
    """Return the stop rule to tell of, of those that the study has had; `target` is the present one.

    The last one. But one that looked at something else than the objective, by which the search ranks anyway, goes
    before one that did not: what it saw has made that metric of the winner look better than it is.
    """
    rules = [Target(**rule) for rule in study.user_attrs.get(STOP_RULES, [])] + ([] if target is None else [target])
    others = [rule for rule in rules if rule.metric not in (None, objective)]
    return next(reversed(others or rules), None)


def say_why(study: Study, rules: Rules, reason: str) -> None:
    """Say why the search ended."""
    why = {
        "target": f"the target is reached: {rules.target} of the best trial",
        "n_trials": f"all {rules.n_trials} trials are done",
        "timeout": f"{rules.timeout_s:g} s are over (hydra.sweeper.timeout_s); the same command goes on",
        "failures": f"more than {rules.max_failures} trials failed (hydra.sweeper.max_failure_rate, max_failures)",
        "interrupted": "interrupted; the same command with the same study name goes on",
        "error": "it could not go on",
    }
    log.info("sweep %s ends: %s", study.study_name, why[reason])
    if reason == "n_trials" and rules.target is not None:
        log.warning(
            "the target is not reached: no trial that was the best had %s; hydra.sweeper.n_trials=%d goes on",
            rules.target,
            2 * rules.n_trials,
        )
