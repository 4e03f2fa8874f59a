"""What a tracker gets of a run, its name, settings and metrics, and the name under which the tracker keeps it."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from inksweep.digits.config.schema import Config
from inksweep.errors import without_password
from inksweep.files import write_json
from inksweep.paths import RunDir
from inksweep.runs.result import Result

Row = Mapping[str, float]
Value = bool | int | float | str | None

# The settings that a tracker gets: those of these groups; of the data only those that its option does not settle, and
# those that were typed. Never one that changes no result.
LOGGED = ("data", "model", "optimizer", "scheduler", "augment", "trainer", "objective", "seed")
OF_DATA = ("data.batch_size", "data.train_limit")
NOT_LOGGED = (
    "data.source",
    "data.root",
    "data.npm",
    "data.checksums",
    "data.title",
    "data.about",
    "data.handwritten_digits",
    "data.eval_batch_size",
    "trainer.device",
    "trainer.threads",
    "trainer.channels_last",
    "trainer.compile",
    "trainer.keep_checkpoint",
    "trainer.resume",
)


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker gets of a run before it begins."""

    # The run directory, absolute.
    folder: Path
    # Where the command was typed.
    home: Path
    # The number of a trial; of a single run date and time.
    name: str
    # The study or grid that a trial belongs to; None: a single run.
    study: str | None
    # Flat, under the names that one types.
    settings: Mapping[str, Value]
    # The command that does the same again, and the commit it was typed at.
    command: str
    commit: str | None
    # Whether it goes on with what is in `folder`.
    resumed: bool

    @property
    def has_forerunners(self) -> bool:
        """Whether the tracker has worked for another trial of this sweep."""
        return self.study is not None and any(self.folder.parent.glob(f"*/{RunDir(self.folder).tracker.name}"))


def describe(conf: Config, hydra: Any, out: RunDir, result: Result) -> TrackedRun:
    """Return what a tracker gets of a run.

    Args:
        conf: its settings.
        hydra: Hydra's own settings for it; of a resumed run those of its first start.
        out: its directory.
        result: what is known of it so far.
    """
    folder, is_trial = out.root.resolve(), str(hydra.mode).rpartition(".")[2] == "MULTIRUN"
    study = OmegaConf.select(hydra, "sweeper.study_name") or dated(folder.parent)
    return TrackedRun(
        folder,
        Path(hydra.runtime.cwd),
        str(hydra.job.num) if is_trial else dated(folder),
        study if is_trial else None,
        settings(conf, hydra.runtime.choices, hydra.overrides.task),
        result.command or "",
        (result.git or {}).get("sha"),
        conf.trainer.resume is not None,
    )


def settings(conf: Config, choices: Mapping[str, str | None], typed: Sequence[str]) -> dict[str, Value]:
    """Return the settings that say something about a result, flat, under the names in which they are typed.

    Args:
        conf: all settings.
        choices: group -> option.
        typed: the overrides, such as `model.hidden.0=64`.
    """
    tree: Any = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(conf), enum_to_str=True))
    groups = (*LOGGED, "experiment")
    chosen = {group: name for group, name in choices.items() if group in groups and name not in (None, "default")}
    values = {key: value for key, value in _leaves(tree) if _says(key)}
    for override in typed:
        key = override.lstrip("+~").partition("=")[0]
        if key.partition(".")[0] in LOGGED and "." in key and key not in NOT_LOGGED:
            values |= _leaves(OmegaConf.select(tree, key), key)
    return {**chosen, **{key: as_typed(value) if isinstance(value, list) else value for key, value in values.items()}}


def dated(folder: Path) -> str:
    """Return the name of a folder, with that of the one above it if that is a date."""
    above = folder.parent.name
    return f"{above}_{folder.name}" if re.fullmatch(r"\d{4}-\d\d-\d\d", above) else folder.name


def _says(key: str) -> bool:
    """Return whether a setting says something about a result, also where nobody typed it."""
    top = key.partition(".")[0]
    if top not in LOGGED or key in NOT_LOGGED or key.endswith("._target_"):
        return False
    return top != "data" or key in OF_DATA


def _leaves(node: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of all that is no mapping."""
    if OmegaConf.is_list(node):
        node = OmegaConf.to_container(node)
    if not OmegaConf.is_dict(node):
        yield above, node
        return
    for key, value in node.items():
        yield from _leaves(value, f"{above}.{key}" if above else str(key))


def as_typed(value: Any) -> str:
    """Return a value as one types it: `null`, `true`, `[256,128]`."""
    if isinstance(value, list):
        return f"[{','.join(as_typed(item) for item in value)}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def metrics(row: Row) -> dict[str, float]:
    """Return the metrics of a row; `samples` is the step."""
    return {name: value for name, value in row.items() if name != "samples"}


def final(result: Result) -> dict[str, float]:
    """Return what a run comes to: the metrics of the saved weights, or the last ones, and what it took."""
    content = result.content()
    numbers = {f"final/{name}": value for name, value in content["metrics"].items()}
    numbers["parameters"] = content["parameters"]
    numbers |= {f"seconds/{phase}": content["seconds"].get(phase) for phase in ("train", "total")}
    return {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}


def remember(run: TrackedRun, tool: str, name: str) -> None:
    """Keep the name that a tool has given a run."""
    write_json(RunDir(run.folder).tracker, {tool: name})


def remembered(run: TrackedRun, tool: str) -> str | None:
    """Return the name that the tool gave the run which this one goes on with."""
    if not run.resumed:
        return None
    try:
        return str(json.loads(RunDir(run.folder).tracker.read_text(encoding="utf-8"))[tool])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error: the lines after it are hints about the library."""
    lines = str(error).strip().splitlines()
    return without_password(lines[0].strip())[:200] if lines else type(error).__name__
