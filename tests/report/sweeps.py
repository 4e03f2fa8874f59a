"""Sweep directories for tests of the report: studies told by hand, with the files that a sweep leaves."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from inksweep.paths import SweepDir
from inksweep.report.facts.facts import Facts, collect
from inksweep.runs import predictions
from inksweep.runs.predictions import Predictions
from inksweep.sweep.study import reader
from inksweep.sweep.study.notes import METRICS, OWNER, REASON
from inksweep.sweep.study.storage import Address, open_study

BEGIN = datetime(2026, 3, 1, 12, 0, 0)


@dataclass
class Made:
    """A sweep directory that is being made; `trial` adds to its study."""

    root: Path
    study: optuna.Study
    directions: Sequence[str]
    numbers: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def sweep(self) -> SweepDir:
        return SweepDir(self.root)

    def trial(
        self,
        values: float | Sequence[float] | None,
        state: TrialState = TrialState.COMPLETE,
        *,
        params: dict[str, Any] | None = None,
        space: dict[str, BaseDistribution] | None = None,
        begin: float = 0,
        end: float | None = 10,
        slot: int = 0,
        owner: str | None = "a",
        metrics: dict[str, float] | None = None,
        reports: Sequence[float] = (),
        **notes: Any,
    ) -> int:
        """Tell a trial that ran from `begin` to `end`, in seconds since `BEGIN`; None: it runs."""
        if owner is not None:
            notes[OWNER] = {"id": owner, "host": "box", "slot": slot}
        if metrics is not None:
            notes[METRICS] = metrics
        listed = None if values is None else [values] if isinstance(values, int | float) else list(values)
        frozen = create_trial(
            state=state,
            values=listed,
            params=params or {},
            distributions=space or {},
            user_attrs=notes,
            intermediate_values=dict(enumerate(reports, start=1)),
        )
        frozen.datetime_start = BEGIN + timedelta(seconds=begin)
        frozen.datetime_complete = None if end is None else BEGIN + timedelta(seconds=end)
        self.study.add_trial(frozen)
        self.numbers += 1
        return self.numbers - 1

    def fail(self, reason: str, **more: Any) -> int:
        return self.trial(None, TrialState.FAIL, **{REASON: reason}, **more)

    def prune(self, reason: str = "pruned", **more: Any) -> int:
        return self.trial(None, TrialState.PRUNED, **{REASON: reason}, **more)

    def end(self, reason: str | None) -> None:
        direction = self.directions[0] if len(self.directions) == 1 else list(self.directions)
        self.sweep.summary.write_text(json.dumps({"stop_reason": reason, "direction": direction}))

    def folder(self, number: int, result: dict[str, Any], rows: Sequence[dict[str, float]] = ()) -> Path:
        """Write what a run of ours leaves."""
        run = self.sweep.trial(number)
        run.root.mkdir(exist_ok=True)
        run.result.write_text(json.dumps({"schema_version": 1, "status": "completed", **result}))
        if rows:
            lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
            run.metrics.write_text("\n".join(lines) + "\n")
        return run.root

    def answers(self, number: int, labels: Sequence[int], predicted: Sequence[int]) -> None:
        split = Predictions(np.array(labels), np.array(predicted), np.full(len(labels), 0.9))
        predictions.save(self.sweep.trial(number).predictions, {"val": split, "test": split})


def make(
    root: Path,
    directions: Sequence[str] = ("maximize",),
    name: str = "night",
    command: str = "python train.py -m hydra/sweeper=optuna",
    **sweeper: Any,
) -> Made:
    """Begin a sweep directory."""
    root.mkdir(parents=True, exist_ok=True)
    study = open_study(Address(name, sweeper.get("storage"), root, 60), directions)
    content = {"storage": None, "study_name": name, "n_trials": 5, "target": None, **sweeper}
    SweepDir(root).config.write_text(yaml.safe_dump({"command": command, "overrides": [], "sweeper": content}))
    return Made(root, study, directions)


def usual(root: Path, trials: int = 14, **more: Any) -> Made:
    """A sweep with trials of every kind, in two branches."""
    made = make(root, target={"metric": "test/accuracy", "value": 0.97, "direction": None}, **more)
    draw = random.Random(0)
    model = CategoricalDistribution(["cnn", "mlp"])
    for number in range(trials):
        kind, lr = ("cnn", "mlp")[number % 2], 10 ** draw.uniform(-4, -1)
        params = {"model": kind, "lr": lr, **({"depth": 1 + number % 5} if kind == "cnn" else {})}
        space = {"model": model, "lr": FloatDistribution(1e-4, 1e-1, log=True)}
        space |= {"depth": IntDistribution(1, 5)} if kind == "cnn" else {}
        value = 0.9 + 0.05 * draw.random()
        begin, metrics = number // 2 * 10, {"val/accuracy": value, "test/accuracy": value - 0.01}
        reports = [value - 0.1, value]
        made.trial(value, params=params, space=space, begin=begin, end=begin + 9, slot=number % 2, metrics=metrics,
                   reports=reports)  # fmt: skip
    made.prune(begin=200, end=203, reports=[0.5])
    made.fail("ValueError: x < y & z", begin=203, end=204)
    made.folder(0, {"objective": {"name": "val/accuracy", "value": 0.9}})
    made.end("n_trials")
    return made


def read(root: Path, storage: str | None = None) -> Facts:
    """Open the study of a sweep directory and read what a report says of it, as the command does."""
    return collect(root, reader.look(reader.find(root, storage)), reader.settings(root))
