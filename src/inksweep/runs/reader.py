"""Reads run and sweep directories back: the one reader that compare, diff and report share.

A folder that cannot be read is a run too, one with a status that says so: what is broken never hides the rest. Only
plain files are read, without torch, Hydra or Optuna, so that a look at thousands of runs takes a moment.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from inksweep.errors import InputError
from inksweep.files import is_held, read_json
from inksweep.paths import RunDir, SweepDir, WinnerDir, shown
from inksweep.runs.find import Sweeps, is_file, is_final_stage, is_winner
from inksweep.runs.metrics import curve, is_better_greater, is_of_validation, numbers
from inksweep.runs.result import MEASURED, Result, Status, is_of_an_app
from inksweep.runs.settings import read_settings


@dataclass(frozen=True)
class Run:
    """One run directory, as it was when it was read."""

    folder: Path
    status: Status
    # Why it ended early, or what is wrong with its files.
    reason: str | None = None
    # As one would type them: `model` is the option chosen, `model._target_` its class, `optimizer.lr` a value; lists
    # stay lists, and what is not a number is the word `nan`, which is equal to itself.
    settings: dict[str, Any] = field(default_factory=dict)
    # What was measured: `val/accuracy`, ..., `parameters`, `seconds/total`, ...; of a running run, so far.
    metrics: dict[str, float] = field(default_factory=dict)
    # What it was judged by; the key of `metrics` that holds it. None: not known.
    objective: str | None = None
    # Whether the objective is better if it is greater.
    maximize: bool = True
    # When it began, seconds since 1970.
    started: float = math.nan
    # The rest of result.json: command, device, threads, git, versions, error.
    facts: dict[str, Any] = field(default_factory=dict)
    # The sweep that it is a trial of; `night/finalists` for the final stage of one.
    study: str | None = None

    @property
    def name(self) -> str:
        """Return what to call it: its folder, as typed from here."""
        return shown(self.folder)

    @property
    def value(self) -> float | None:
        """Return the objective's value, None if it is not known."""
        return None if self.objective is None else self.metrics.get(self.objective)

    @property
    def trained_on_validation(self) -> bool:
        """Whether the validation pictures were among those it was trained on."""
        # Its result says so; one that has none yet has only its settings.
        said = self.facts.get("trained_on_validation", self.settings.get("data.train_on_all"))
        return said is True

    def is_judged_by(self, name: str) -> bool:
        """Whether the metric `name` says how good it is: one on pictures that it was trained on does not."""
        return not (self.trained_on_validation and (is_of_validation(name) or name == self.objective))


def read(folder: Path) -> Run:
    """Read one run directory or `winner/`; whatever is wrong with it becomes its status."""
    return load([folder])[0]


def load(folders: Iterable[Path], known: Mapping[Path, Run] | None = None) -> list[Run]:
    """Read the runs in `folders`; `known` are those that need not be read again."""
    folders, found = list(folders), Sweeps()
    sweeps = [found.of(folder) for folder in folders]
    runs = [
        run if (run := (known or {}).get(folder)) is not None else _read(folder, sweep)
        for folder, sweep in zip(folders, sweeps, strict=True)
    ]
    # Direction and study are those of the sweep; read once for each.
    directions = {sweep: _direction(sweep) for sweep in set(sweeps) if sweep is not None}
    studies = {sweep: _study(sweep) for sweep in directions}
    return [
        replace(
            run,
            study=None if sweep is None else studies[sweep],
            maximize=is_better_greater(run.objective or "")
            if sweep is None or (up := directions[sweep]) is None
            else up,
        )
        for run, sweep in zip(runs, sweeps, strict=True)
    ]


def _study(sweep: Path) -> str:
    """Return what to call a sweep; a final stage is called after its sweep."""
    return f"{sweep.absolute().parent.name}/{sweep.name}" if is_final_stage(sweep) else sweep.name


def _read(folder: Path, sweep: Path | None) -> Run:
    run = RunDir(folder)
    config = WinnerDir(folder).config if is_winner(folder) and not is_file(run.config) else run.config
    try:
        started = (config if config.is_file() else run.result).stat().st_mtime
        settings = read_settings(config, run.hydra)
        if run.result.is_file():
            return _ended(Run(folder, Status.BROKEN, settings=settings, started=started))
        # `.lock` is there from the first moment of a run of ours; a trial of another app is as alive as its sweep.
        if run.lock.is_file():
            status, reason = _alive(run.lock)
        elif sweep is not None:
            status, reason = _alive(SweepDir(sweep).lock)
        else:
            what = "no result.json: made by something else, or by a version before it"
            return Run(folder, Status.FOREIGN, what, settings, started=started)
        rows = curve(folder)
        objective = _first(settings.get("objective"))
        return Run(folder, status, reason, settings, rows[-1] if rows else {}, objective, started=started)
    except (InputError, OSError) as error:
        return Run(folder, Status.BROKEN, str(error))
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return Run(folder, Status.BROKEN, f"holds what no run writes ({error})")


def _alive(lock: Path) -> tuple[Status, str | None]:
    """Return the status of a run without a result, by the lock of the process that it was made by."""
    held = is_held(lock)
    if held is None and lock.exists():
        return Status.UNFINISHED, "whether it still runs cannot be told"
    return Status.RUNNING if held else Status.UNFINISHED, None


def _ended(run: Run) -> Run:
    """Return `run` with what its result.json says."""
    content = read_json(RunDir(run.folder).result)
    ended = Result.of(content)
    if ended.status is Status.FOREIGN:
        metrics = ended.metrics if is_of_an_app(content) else {}
        return replace(run, status=ended.status, reason=ended.reason, metrics=metrics)
    named = {}
    for number, objective in enumerate(ended.objectives, start=1):
        if objective.name is None and objective.value is None:
            continue  # its process died before it could say
        # Apps of other kinds return a number without a name.
        name = objective.name or ("objective" if len(ended.objectives) == 1 else f"objective {number}")
        named[name] = objective.value
    measured: dict[str, float | None] = {
        **ended.metrics,
        "parameters": ended.parameters,
        **{f"seconds/{phase}": seconds for phase, seconds in ended.seconds.items()},
    }
    started = _moment(ended.started)
    return replace(
        run,
        status=ended.status,
        reason=_reason(ended),
        metrics=numbers(measured) | numbers(named),
        objective=next(iter(named), None) or _first(run.settings.get("objective")),
        facts={key: value for key, value in content.items() if key not in MEASURED},
        # The date of the config is that of the copy, if the file was copied.
        started=run.started if started is None else started,
    )


def _reason(ended: Result) -> str | None:
    """Return in one line why a run ended early."""
    error = ended.error or {}
    if error.get("message"):
        return f"{ended.reason or error.get('type')}: {str(error['message']).splitlines()[0]}"
    return ended.reason


def _moment(text: Any) -> float | None:
    """Return a time in ISO 8601 as seconds since 1970; None if it is none. Without a zone it is of this place."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def visible(text: str) -> str:
    """Return `text` for a terminal, on one line: a folder or a setting may hold a newline or an escape sequence."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def _first(objective: Any) -> str | None:
    names = objective if isinstance(objective, list) else [objective]
    return str(names[0]) if names and names[0] else None


def _direction(sweep: Path) -> bool | None:
    """Whether a sweep maximizes its (first) objective; None if its summary does not say."""
    direction = summary(sweep).get("direction")
    direction = direction[0] if isinstance(direction, list) and direction else direction
    return direction == "maximize" if direction in ("maximize", "minimize") else None


def summary(sweep: Path) -> dict[str, Any]:
    """Return the summary.json of a sweep; nothing if there is none that can be read."""
    try:
        return read_json(SweepDir(sweep).summary)
    except InputError:
        return {}
