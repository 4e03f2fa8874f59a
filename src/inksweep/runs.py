"""Reads run and sweep directories back: the one reader that compare, diff and report share.

A folder that cannot be read is a run too, one with a status that says so: what is broken never hides the rest. Only
plain files are read, without torch, Hydra or Optuna, so that a look at thousands of runs takes a moment.
"""

import csv
import glob
import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir, WinnerDir, is_held, read_json, shown

SCHEMA_VERSION = 1
# How a run may have ended, or be: those of result.json, then what the folder itself shows.
ENDED = ("completed", "pruned", "failed", "stopped")
RUNNING = "running"
# No result, and nobody at work: its process was killed.
UNFINISHED = "unfinished"
# Not ours, or of a version that we do not know.
FOREIGN = "foreign"
BROKEN = "broken"
# Those whose files say little.
UNREADABLE = (FOREIGN, BROKEN)

# What is better if there is less of it. All else: if there is more.
LESS_IS_BETTER = re.compile(r"loss|error|seconds|parameters|latency|bytes")
# What makes a folder a run, as names in it.
OF_A_RUN = [str(path) for path in (RunDir(Path()).config, RunDir(Path()).result)]
WINNER = SweepDir(Path()).winner.root.name
FINALS = SweepDir(Path()).finals.root.name
# Folders that hold no runs.
SKIPPED = {WINNER, "figures", "tensorboard", "wandb", "mlruns"}
# Settings that change nothing a run learns: where its files come from, and what is written besides.
SILENT = re.compile(r"(data\.(root|npm|checksums)|trainer\.(resume|keep_checkpoint)|figures|tracker)(\..+)?")
# The values of a config. More are no config but YAML's aliases in each other: thirty of them are a billion.
MOST_VALUES = 100_000


@dataclass(frozen=True)
class Run:
    """One run directory, as it was when it was read."""

    folder: Path
    # Of ENDED, or RUNNING, UNFINISHED, FOREIGN, BROKEN.
    status: str
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


def find(paths: Iterable[str | Path]) -> list[Path]:
    """Return the run directories that `paths` stand for, in their order; none twice, whatever links lead to it.

    Args:
        paths: each a run, a sweep, any folder above such, the `winner/` of a sweep, or a pattern (`multirun/*/3`). A
            `winner/` is a copy of a trial, and `finalists/` has the configurations of some trials once more: beside
            trials of their sweep, and in a folder above them, they are left out.

    Raises:
        InputError: a path does not exist, or there is no run in any. Beside others a path may be without: a shell makes
            `multirun/night/*` the sweep's own files, too.
    """
    found: dict[str, Path] = {}  # by real path
    empty, named = [], []
    for path in paths:
        folders = [Path(path)] if Path(path).exists() else sorted(map(Path, glob.glob(str(path))))  # noqa: PTH207  a pattern may be absolute
        if not folders:
            raise InputError(f"{path}: there is no such folder; give a run, a sweep or a folder above them")
        named.append((path, folders))
    # What a pattern finds: not a sweep and its final stage, but the trials and the final stage.
    trials = {folder.absolute().parent for _, folders in named for folder in folders if is_run(folder)}
    for path, folders in named:
        runs = [
            run
            for folder in folders
            if not (is_final_stage(folder) and folder.absolute().parent in trials)
            for run in _below(folder)
        ]
        if not runs:
            empty.append(path)
        for real, run in runs:
            found.setdefault(real, run)
    if not found and empty:
        raise InputError(f"{empty[0]}: there is no run in it (no folder with .hydra/config.yaml or result.json)")
    beside = Counter(real.rpartition(os.sep)[0] for real in found)
    return [run for real, run in found.items() if not (beside[real.rpartition(os.sep)[0]] > 1 and _is_copy(real))]


def _is_copy(real: str) -> bool:
    """Whether a folder is the `winner/` in the sweep that it is of."""
    return real.endswith(f"{os.sep}{WINNER}") and is_winner(Path(real)) and is_sweep(Path(real).parent)


def finalists(sweep: Path) -> list[Path]:
    """Return the runs of a sweep's final stage; none if it has none."""
    stage = SweepDir(sweep).finals.root
    return [run for _, run in _below(stage)] if is_final_stage(stage) else []


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the run directories in `folder`, itself included, each with its real path; those of a sweep by number."""
    if is_run(folder) or is_winner(folder):
        yield os.path.realpath(folder), folder.absolute()
        return
    seen: set[str] = set()

    def walk(folder: str, real: str) -> Iterator[tuple[str, Path]]:
        try:
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".") and entry.is_dir()]
        except OSError:  # not to be entered: no reason to stop
            return
        # Links last: a folder is called by its own name, if it is found by that too.
        for entry in sorted(entries, key=lambda entry: (entry.is_symlink(), _natural(entry.name))):
            if entry.name in SKIPPED or (entry.name == FINALS and is_final_stage(Path(entry.path))):
                continue
            inside = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}{os.sep}{entry.name}"
            if inside in seen or f"{real}{os.sep}".startswith(f"{inside}{os.sep}"):
                continue  # a link to a folder above would go round for ever
            seen.add(inside)
            if any(_is_file(f"{entry.path}/{name}") for name in OF_A_RUN):
                yield inside, Path(entry.path)
            else:
                yield from walk(entry.path, inside)

    if folder.is_dir():
        yield from walk(str(folder.absolute()), os.path.realpath(folder).rstrip(os.sep))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts `2` before `10`."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", name)]


def is_run(folder: Path) -> bool:
    """Whether a folder is a run directory, as it stands: it has a config of Hydra's or a result."""
    return _is_file(RunDir(folder).config) or (_is_file(RunDir(folder).result) and not is_winner(folder))


def is_winner(folder: Path) -> bool:
    """Whether a folder is the `winner/` of a sweep."""
    winner = WinnerDir(folder)
    return _is_file(winner.config) and _is_file(winner.result)


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep directory of ours."""
    return _is_file(SweepDir(folder).config) or _is_file(SweepDir(folder).summary)


def is_final_stage(folder: Path) -> bool:
    """Whether a folder is the `finalists/` of a sweep of ours."""
    return folder.name == FINALS and is_sweep(folder) and is_sweep(folder.absolute().parent)


def _is_file(path: Path | str) -> bool:
    # pathlib's raises in a folder that may not be entered
    return os.path.isfile(path)  # noqa: PTH113


def read(folder: Path) -> Run:
    """Read one run directory or `winner/`; whatever is wrong with it becomes its status."""
    return load([folder])[0]


def load(folders: Iterable[Path], known: Mapping[Path, Run] | None = None) -> list[Run]:
    """Read the runs in `folders`; `known` are those that need not be read again."""
    runs = [run if (run := (known or {}).get(folder)) is not None else _read(folder) for folder in folders]
    # Of all trials of a sweep the same.
    parents = [run.folder.parent for run in runs]
    directions = {parent: _direction(parent) for parent in set(parents) if is_sweep(parent)}
    studies = {parent: _study(parent) for parent in directions}
    return [
        replace(
            run,
            study=studies.get(parent),
            maximize=is_better_greater(run.objective or "") if (up := directions.get(parent)) is None else up,
        )
        for run, parent in zip(runs, parents, strict=True)
    ]


def _study(sweep: Path) -> str:
    """Return what to call a sweep; a final stage is called after its sweep."""
    return f"{sweep.absolute().parent.name}/{sweep.name}" if is_final_stage(sweep) else sweep.name


def _read(folder: Path) -> Run:
    run = RunDir(folder)
    config = WinnerDir(folder).config if is_winner(folder) and not _is_file(run.config) else run.config
    try:
        started = (config if config.is_file() else run.result).stat().st_mtime
        settings = read_settings(config, run.hydra)
        if run.result.is_file():
            return _ended(Run(folder, BROKEN, settings=settings, started=started), read_json(run.result))
        # `.lock` is there from the first moment of a run of ours; a trial of another app is as alive as its sweep.
        if run.lock.is_file():
            status, reason = _alive(run.lock)
        elif is_sweep(folder.parent):
            status, reason = _alive(SweepDir(folder.parent).lock)
        else:
            what = "no result.json: made by something else, or by a version before it"
            return Run(folder, FOREIGN, what, settings, started=started)
        rows = curve(folder)
        objective = _first(settings.get("objective"))
        return Run(folder, status, reason, settings, rows[-1] if rows else {}, objective, started=started)
    except (InputError, OSError) as error:
        return Run(folder, BROKEN, str(error))
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return Run(folder, BROKEN, f"holds what no run writes ({error})")


def _alive(lock: Path) -> tuple[str, str | None]:
    """Return the status of a run without a result, by the lock of the process that it was made by."""
    held = is_held(lock)
    if held is None and lock.exists():
        return UNFINISHED, "whether it still runs cannot be told"
    return RUNNING if held else UNFINISHED, None


def _ended(run: Run, result: dict[str, Any]) -> Run:
    """Return `run` with what its result.json says."""
    version, status = result.get("schema_version"), result.get("status")
    if version != SCHEMA_VERSION or status not in ENDED:
        what = f"result.json is not of a kind known here (schema_version {version!r}, status {status!r})"
        return replace(run, status=FOREIGN, reason=what)
    metrics = _numbers(result.get("metrics")) | _numbers({"parameters": result.get("parameters")})
    metrics |= {f"seconds/{phase}": seconds for phase, seconds in _numbers(result.get("seconds")).items()}
    objectives = result.get("objectives") or [result.get("objective")]
    named = {}
    for number, objective in enumerate(entry for entry in objectives if isinstance(entry, dict)):
        if objective.get("name") is None and objective.get("value") is None:
            continue  # its process died before it could say
        # Apps of other kinds return a number without a name.
        name = objective.get("name") or ("objective" if len(objectives) == 1 else f"objective {number + 1}")
        named[str(name)] = objective.get("value")
    metrics |= _numbers(named)
    error = result.get("error")
    reason = result.get("reason")
    if isinstance(error, dict) and error.get("message"):
        reason = f"{reason or error.get('type')}: {str(error['message']).splitlines()[0]}"
    known = (
        "metrics", "seconds", "parameters", "objective", "objectives", "status", "reason", "started", "schema_version",
    )  # fmt: skip
    facts = {key: value for key, value in result.items() if key not in known}
    first = next(iter(named), None) or _first(run.settings.get("objective"))
    reason = None if reason is None else str(reason)
    started = _moment(result.get("started"))
    return replace(
        run,
        status=status,
        reason=reason,
        metrics=metrics,
        objective=first,
        facts=facts,
        # Those of before have no such line, and a file that was copied has a date of its own.
        started=run.started if started is None else started,
    )


def _moment(text: Any) -> float | None:
    """Return a time in ISO 8601 as seconds since 1970; None if it is none. Without a zone it is of this place."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def curve(folder: Path) -> list[dict[str, float]]:
    """Return the rows of metrics.csv, one an evaluation; a row that was cut short is left out.

    Raises:
        InputError: the file is not readable.
    """
    path = RunDir(folder).metrics
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    read = [{name: number for name, text in row.items() if (number := _number(text)) is not None} for row in rows]
    width = max(map(len, read), default=0)
    return [row for row in read if len(row) == width and row]


def read_settings(config: Path, hydra: Path) -> dict[str, Any]:
    """Return a composed config as one would type it: dotted keys, and the option chosen for each group.

    Raises:
        InputError: a file of it is no YAML, or it holds too many values.
    """
    if not config.is_file():
        return {}
    composed = _yaml(config)
    choices = _choices(hydra) if hydra.is_file() else {}
    try:
        return choices | _flattened(composed)
    except (OverflowError, RecursionError):
        raise InputError(f"{config}: too many keys (it holds more than {MOST_VALUES:,} values)") from None


def _flattened(composed: dict[str, Any]) -> dict[str, Any]:
    """Return a config with dotted keys.

    Raises:
        OverflowError: it holds too many values.
    """
    flat: dict[str, Any] = {}
    counted = itertools.count()

    def add(key: str, value: Any) -> None:
        if not isinstance(value, dict):
            flat[key] = plain(value)
        elif next(counted) > MOST_VALUES:
            raise OverflowError
        else:
            for name, item in value.items():
                add(f"{key}.{name}", item)

    def plain(value: Any) -> Any:
        if next(counted) > MOST_VALUES:
            raise OverflowError
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {str(name): plain(item) for name, item in value.items()}
        return "nan" if isinstance(value, float) and math.isnan(value) else value

    for key, value in composed.items():
        add(str(key), value)
    return flat


def is_silent(key: str) -> bool:
    """Whether a setting changes nothing that a run learns."""
    return SILENT.fullmatch(key) is not None


def target_options(key: str) -> list[str]:
    """Return the groups whose option says what the `_target_` under this key is; none if it is another key."""
    group, dot, name = key.rpartition(".")
    # The config group `a/b` is the key `a.b`.
    return list(dict.fromkeys([group, group.replace(".", "/")])) if dot and name == "_target_" else []


def _choices(hydra: Path) -> dict[str, Any]:
    """Return the app's groups with the option chosen, from Hydra's own settings."""
    text = hydra.read_text(encoding="utf-8", errors="replace")
    # A few lines of two hundred: parsing all of them would be most of the time that reading a run takes.
    block = re.search(r"^    choices:\n((?:      .*\n)+)", text, re.MULTILINE)
    if block is None:
        found = _yaml(hydra).get("hydra", {})
        for key in ("runtime", "choices"):
            found = found.get(key, {}) if isinstance(found, dict) else {}
    else:
        found = _yaml(hydra, block[1])
    return {str(group): option for group, option in found.items() if option and not str(group).startswith("hydra/")}


def _yaml(path: Path, text: str | None = None) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.load(path.read_text(encoding="utf-8") if text is None else text, _loader())
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read ({reason})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no config (it holds no keys)")
    return found


@cache
def _loader() -> Any:
    """Return a safe YAML loader that also knows what an app with paths and tuples has in its config.yaml."""
    import yaml

    # As text, lists and keys: nothing that a file names is imported, let alone called.
    def plain(loader: Any, name: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if not isinstance(node, yaml.SequenceNode):
            return loader.construct_scalar(node) or name.partition(":")[2]
        parts = loader.construct_sequence(node, deep=True)
        kind = name.rpartition(".")[2]
        if not kind.endswith("Path"):
            return parts
        return str((PureWindowsPath if "Windows" in kind else PurePosixPath)(*map(str, parts)))

    # The one in C is ten times faster, where it was built.
    loader = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    loader.add_multi_constructor("tag:yaml.org,2002:python/", plain)  # type: ignore[attr-defined]
    return loader


def _numbers(values: Any) -> dict[str, float]:
    """Return those entries of `values` that are finite numbers."""
    entries = values.items() if isinstance(values, dict) else ()
    return {str(name): number for name, value in entries if (number := _number(value)) is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


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


def is_of_validation(name: str) -> bool:
    """Whether a metric is measured on the validation pictures."""
    return name.startswith("val/")


def is_better_greater(name: str) -> bool:
    """Whether a metric of this name is better if it is greater: accuracy is, loss and seconds are not."""
    return LESS_IS_BETTER.search(name) is None


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
