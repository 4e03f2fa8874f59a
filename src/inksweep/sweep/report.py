"""What a sweep says of itself while it runs: its files, and a line a trial."""

import json
import logging
import time
from collections import Counter
from typing import Any

from omegaconf import OmegaConf
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from inksweep.paths import SweepDir, replacing
from inksweep.sweep.engine import Target
from inksweep.sweep.study import LOST, REASON, incumbent
from inksweep.sweep.trial import metrics

log = logging.getLogger(__name__)


class Report:
    """Writes `summary.json` and `optimization_results.yaml`, and prints.

    Args:
        study: what is told of.
        sweep: where the files go.
        target: for the summary and the metric to show.
    """

    def __init__(self, study: Study, sweep: SweepDir, target: Target | None):
        self.study, self.sweep, self.target = study, sweep, target
        self._started = time.monotonic()

    def update(self, trial: FrozenTrial, seconds: float) -> None:
        """Write the files anew, and print the line of a trial that has just been told."""
        self.write()
        log.info("%s", self.line(trial, seconds))

    def write(self, stop_reason: str | None = None) -> None:
        """Write both files; a reader sees the old ones or these."""
        best = incumbent(self.study)
        with replacing(self.sweep.summary) as file:
            json.dump(self.summary(best, stop_reason), file, indent=2)
            file.write("\n")
        if best is not None:
            results = {"name": "optuna", "best_params": best.params, "best_value": best.value}
            with replacing(self.sweep.results) as file:
                file.write(OmegaConf.to_yaml(OmegaConf.create(results)))

    def summary(self, best: FrozenTrial | None, stop_reason: str | None) -> dict[str, Any]:
        """Return the content of `summary.json`."""
        trials = self.study.get_trials(deepcopy=False)
        counts = Counter("lost" if LOST in trial.user_attrs else trial.state.name.lower() for trial in trials)
        spent = [trial.duration.total_seconds() for trial in trials if trial.duration is not None]
        return {
            "schema_version": 1,
            "study": self.study.study_name,
            "direction": self.study.direction.name.lower(),
            "trials": {state: counts[state] for state in ("complete", "pruned", "fail", "running", "waiting", "lost")},
            "incumbent": None if best is None else self._described(best),
            "target": None if self.target is None else {"metric": self.target.metric, "value": self.target.value},
            # Of this start; and of all trials of the study together.
            "elapsed_s": round(time.monotonic() - self._started, 3),
            "trials_s": round(sum(spent), 3),
            "stop_reason": stop_reason,
        }

    def line(self, trial: FrozenTrial, seconds: float) -> str:
        """Return a trial as one line: number, value, target metric, seconds, best so far, parameters."""
        parts = [f"trial {trial.number}: {_verdict(trial)}"]
        measured = metrics(self.sweep.trial(trial.number))
        if self.target is not None and trial.state is TrialState.COMPLETE and self.target.metric in measured:
            parts.append(f"{self.target.metric} {measured[self.target.metric]:.4f}")
        parts.append(f"{seconds:.1f} s")
        best = incumbent(self.study)
        if best is not None:
            parts.append(f"best {best.value:.4f} (trial {best.number})")
        return ", ".join(parts) + " | " + parameters(trial)

    def _described(self, trial: FrozenTrial) -> dict[str, Any]:
        return {
            "number": trial.number,
            "value": trial.value,
            "params": trial.params,
            "metrics": metrics(self.sweep.trial(trial.number)),
        }


def write_settings(sweep: SweepDir, settings: dict[str, Any]) -> None:
    """Write `sweep.yaml`: what this sweep was told to do."""
    with replacing(sweep.config) as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(settings)))


def parameters(trial: FrozenTrial) -> str:
    """Return the parameters of a trial in short."""
    return " ".join(f"{key}={v:.4g}" if isinstance(v, float) else f"{key}={v}" for key, v in trial.params.items())


def _verdict(trial: FrozenTrial) -> str:
    if trial.state is TrialState.COMPLETE:
        return f"{trial.value:.4f}"
    reason = str(trial.user_attrs.get(REASON, "")).partition("\n")[0]
    return f"{trial.state.name.lower()} ({reason})"
