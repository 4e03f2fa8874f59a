"""Which folders are runs, sweeps, winners and final stages."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir, WinnerDir

# What makes a folder a run, as names in it.
OF_A_RUN = [str(path) for path in (RunDir(Path()).config, RunDir(Path()).result)]
WINNER = SweepDir(Path()).winner.root.name
FINALS = SweepDir(Path()).finals.root.name
# Folders that hold no runs.
SKIPPED = {WINNER, "figures", "tensorboard", "wandb", "mlruns"}


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
            if any(is_file(f"{entry.path}/{name}") for name in OF_A_RUN):
                yield inside, Path(entry.path)
            else:
                yield from walk(entry.path, inside)

    if folder.is_dir():
        yield from walk(str(folder.absolute()), os.path.realpath(folder).rstrip(os.sep))
        for run in _elsewhere(folder.absolute()):
            if is_run(run) and (real := os.path.realpath(run)) not in seen:
                yield real, run


def _elsewhere(sweep: Path) -> Iterator[Path]:
    """Yield the runs of a sweep's trials that ran in the folder of another start of it, by number."""
    signposts = SweepDir(sweep).signpost(0).parent
    if not signposts.is_dir():
        return
    for signpost in sorted(signposts.iterdir(), key=lambda path: _natural(path.name)):
        if signpost.name.isdecimal():
            run = SweepDir(sweep).trial(int(signpost.name)).root
            inside = os.path.normpath(run)
            if not Path(inside).is_relative_to(sweep):
                yield Path(inside)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts `2` before `10`."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", name)]


def is_run(folder: Path) -> bool:
    """Whether a folder is a run directory, as it stands: it has a config of Hydra's or a result."""
    return is_file(RunDir(folder).config) or (is_file(RunDir(folder).result) and not is_winner(folder))


def is_winner(folder: Path) -> bool:
    """Whether a folder is the `winner/` of a sweep."""
    winner = WinnerDir(folder)
    return is_file(winner.config) and is_file(winner.result)


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep directory of ours."""
    return is_file(SweepDir(folder).config) or is_file(SweepDir(folder).summary)


class Sweeps:
    """Which sweep a run is a trial of; looks at each folder once."""

    def __init__(self) -> None:
        self._is_sweep = cache(is_sweep)
        self._deep = cache(_signposts)

    def of(self, run: Path) -> Path | None:
        """Return the sweep directory; None: it is of no sweep. `hydra.sweep.subdir` may be several folders deep."""
        if self._is_sweep(run.parent):
            return run.parent
        sweep = next(filter(self._is_sweep, run.parent.parents), None)
        # Below a sweep may lie other runs, too, such as those of an app that sweeps in its own folder.
        return sweep if sweep is not None and run.relative_to(sweep).as_posix() in self._deep(sweep) else None


def _signposts(sweep: Path) -> frozenset[str]:
    """Return the folders of a sweep's trials that are not called by their number, relative to the sweep directory."""
    folder = SweepDir(sweep).signpost(0).parent
    try:
        return frozenset(file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.isdecimal())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def is_final_stage(folder: Path) -> bool:
    """Whether a folder is the `finalists/` of a sweep of ours."""
    return folder.name == FINALS and is_sweep(folder) and is_sweep(folder.absolute().parent)


def is_file(path: Path | str) -> bool:
    """Whether there is a file; not an error in a folder that may not be entered."""
    # pathlib's raises in a folder that may not be entered
    return os.path.isfile(path)  # noqa: PTH113
