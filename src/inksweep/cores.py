"""The processor cores that this process may use. Imports nothing heavy: the engine and the training both need it."""

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc/self")


def usable_cores() -> int:
    """Return the number of processor cores that this process may use, at least 1.

    That is the number it may be scheduled on, or less where a quota of processor time is set, as containers have one
    (`docker --cpus`, limits in Kubernetes): a quota of 1.5 cores is 2, as threads beyond it would wait for each other.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, quotas())]))


def threads_per_process() -> int:
    """Return the number of threads that a process of its own computes with: OMP_NUM_THREADS, or all usable cores."""
    # A list, such as `4,2`, is of nested parallel regions; the first is that of the outermost.
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdecimal() and int(first) else usable_cores()


def quotas(proc: Path = PROC) -> list[float]:
    """Return the limits of processor time that are set for this process, in cores; its group's, and those above it.

    Args:
        proc: the folder with this process's `cgroup` and `mountinfo`; where there is none, no limit is known.
    """
    limits = []
    for group in control_groups("cpu", proc):
        with suppress(OSError, ValueError, ZeroDivisionError):  # this group has no limit
            limits.append(_quota(group))
    return [limit for limit in limits if limit > 0]


def control_groups(controller: str, proc: Path = PROC) -> Iterator[Path]:
    """Yield the folders of this process's control groups that may set a limit, and of those above them.

    Args:
        controller: of what: `cpu` or `memory`.
        proc: see `quotas`.
    """
    try:
        groups, mounts = (proc / "cgroup").read_text(), (proc / "mountinfo").read_text()
    except (OSError, UnicodeDecodeError):
        return
    for folder, top in _group_folders(groups, mounts, controller):
        for group in [folder, *folder.parents]:
            yield group
            if group == top:
                break


def _group_folders(groups: str, mounts: str, controller: str) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of this process's groups that may limit something, each with where its tree is mounted."""
    paths: dict[str, Path] = {}  # of the group, by what the tree of groups controls; the tree of version 2 has no name
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            paths[controller if controllers else ""] = Path(path)
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        tree = {"cgroup2": "", "cgroup": controller}.get(kind)
        if tree is None or tree not in paths or (tree and controller not in options.split(",")):
            continue
        root, top = (Path(_unescaped(word)) for word in before.split(" ")[3:5])
        group = paths[tree]
        # A container may be shown its own group only, or the whole path of a group whose folder is mounted at the top.
        inside = group.relative_to(root) if group.is_relative_to(root) else Path()
        folder = top / inside
        yield (folder if ".." not in inside.parts and folder.is_dir() else top), top


def _quota(group: Path) -> float:
    """Return the limit of one group in cores; OSError or ValueError if it has none."""
    if (limit := group / "cpu.max").is_file():
        quota, period = limit.read_text().split()  # "max 100000": no limit
        return int(quota) / int(period)
    return int((group / "cpu.cfs_quota_us").read_text()) / int((group / "cpu.cfs_period_us").read_text())  # -1: none


def _unescaped(word: str) -> str:
    """Return a path out of mountinfo, where a space is \\040."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code.group(1), 8)), word)
