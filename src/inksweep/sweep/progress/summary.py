"""What a sweep writes and logs while it runs: `summary.json` and other files, and a line for each trial."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState

from inksweep.files import replacing, write_json
from inksweep.paths import SweepDir
from inksweep.sweep.context import Context
from inksweep.sweep.progress.wording import numbers, parameters, verdict
from inksweep.sweep.stopping import Reason
from inksweep.sweep.study.notes import COPIES, OWNER
from inksweep.sweep.study.trials import front, measured

log = logging.getLogger(__name__)


class Report:
    """Writes `summary.json` and `optimization_results.yaml`, and prints.

    Args:
        context: the study that is reported on, the folder of the files, and the target.
    """

    # What the trials are called where they are counted.
    trials = "trials"

    def __init__(self, context: Context):
        self.context = context
        self.ledger, self.study, self.sweep = context.ledger, context.study, context.sweep
        self.target = context.rules.target
        # How far the final stage is, once it has begun: `state`, and how many trainings are `done` and `missing`.
        self.final_stage: dict[str, Any] | None = None
        self.started = time.monotonic()
        # As last written.
        self.stop_reason: Reason | None = None
        self._best: tuple[int, ...] | None = None

    def update(self, trial: FrozenTrial, seconds: float) -> None:
        """Write the files anew, and print the line of a trial that has just been told."""
        try:
            self.write()
        finally:  # on a full disk the line says what came of the trial
            log.info("%s", self.line(trial, seconds))

    def write(self, stop_reason: Reason | None = None) -> None:
        """Write both files; a reader sees the old ones or the new ones, never half of one."""
        self.ledger.look()
        self.stop_reason = stop_reason
        # Not durable before the end: a lost file can be made again from the study, and to wait for the disk may take
        # longer than a trial.
        write_json(self.sweep.summary, self.summary(stop_reason), durable=stop_reason is not None)
        best = self._front()
        numbers = tuple(trial.number for trial in best)
        if best and (numbers != self._best or stop_reason is not None):
            self._best = numbers
            with replacing(self.sweep.results, durable=stop_reason is not None) as file:
                file.write(as_yaml(self._results(best)))

    def _results(self, best: Sequence[FrozenTrial]) -> dict[str, Any]:
        """Return what the stock sweeper writes."""
        if len(self.study.directions) == 1:
            return {"name": "optuna", "best_params": best[0].params, "best_value": best[0].value}
        return {"name": "optuna", "solutions": [{"params": t.params, "values": t.values} for t in best]}

    def summary(self, stop_reason: Reason | None) -> dict[str, Any]:
        """Return the content of `summary.json`."""
        best = self.ledger.best
        directions = [direction.name.lower() for direction in self.study.directions]
        content: dict[str, Any] = {
            "schema_version": 1,
            "study": self.study.study_name,
            "direction": directions[0] if len(directions) == 1 else directions,
            "trials": self.ledger.states,
            "incumbent": None if best is None else self._described(best),
        }
        if len(directions) > 1:
            content["pareto_front"] = [self._described(trial) for trial in self._front()]
        return content | {
            "target": None if self.target is None else {"metric": self.target.metric, "value": self.target.value},
            # Of this start; and of all trials of the study together.
            "elapsed_s": round(time.monotonic() - self.started, 3),
            "trials_s": round(self.ledger.seconds, 3),
            "stop_reason": stop_reason,
            "final_stage": self.final_stage,
        }

    def line(self, trial: FrozenTrial, seconds: float) -> str:
        """Return a trial as one line: number, value, target metric, seconds, best so far, parameters."""
        parts = [f"trial {trial.number}: {verdict(trial)}"]
        metrics = measured(trial)
        if self.target is not None and trial.state is TrialState.COMPLETE and self.target.metric in metrics:
            parts.append(f"{self.target.metric} {metrics[self.target.metric]:.4f}")
        if COPIES in trial.user_attrs:
            parts.append(f"known from trial {trial.user_attrs[COPIES]}")
        else:
            parts.append(f"{seconds:.1f} s")
        best = self.ledger.best
        if best is not None:
            parts.append(f"best {numbers(best)} (trial {best.number})")
        return ", ".join(parts) + " | " + parameters(trial)

    def _front(self) -> list[FrozenTrial]:
        """Return the best trials: one, or with several objectives the Pareto front."""
        if len(self.study.directions) > 1:
            return front(self.study)
        return [] if self.ledger.best is None else [self.ledger.best]

    def _described(self, trial: FrozenTrial) -> dict[str, Any]:
        values = {"value": trial.value} if len(trial.values) == 1 else {"values": trial.values}
        host = trial.user_attrs.get(OWNER, {}).get("host")
        return {"number": trial.number, **values, "params": trial.params, "metrics": measured(trial), "host": host}


def write_settings(sweep: SweepDir, settings: dict[str, Any]) -> None:
    """Write `sweep.yaml`: the command, and the settings of the sweep."""
    with replacing(sweep.config) as file:
        file.write(as_yaml(settings))


def as_yaml(values: dict[str, Any]) -> str:
    """Return plain values as YAML. OmegaConf would read text with `${` in it, such as a command, as its own."""
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
