"""SWEEP SIDE. How many slots a sweep has that is not told how many: as many as make sense on this machine.

One thread a slot is the rule where there is a choice: a training of small networks is no faster on two threads than on
one, and two of them on one each are not in each other's way. docs/speed.md has the measurements.
"""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from inksweep.cores import PROC, control_groups, usable_cores
from inksweep.sweep.slots.pool import visible_devices

# A sampler that learns has at least so many rounds: 20 trials in 4 slots are asked for in five rounds.
ROUNDS = 5
# Optuna's samplers that learn nothing from trials: they need no rounds.
NEVER_LEARN = ("GridSampler", "RandomSampler", "BruteForceSampler", "QMCSampler")
# What a worker of a small training needs: torch alone takes half of it, though slots that are forked share most.
BYTES_A_SLOT = 2**30
# Trainings of small networks mostly wait for launches, and leave a GPU idle meanwhile: so many share one.
A_DEVICE = 4


def how_many(launcher: Any, sampler: str, n_trials: int) -> tuple[int, str]:
    """Return how many slots of the launcher `slots` a sweep has by default, and what limits them.

    Args:
        launcher: `hydra.launcher`, the keys of SlotsLauncherConf.
        sampler: `hydra.sweeper.sampler._target_`.
        n_trials: of the study.
    """
    threads = launcher.threads or 1
    devices = visible_devices() if launcher.devices is None else list(launcher.devices)
    limits = [
        (usable_cores() // threads, "one a core" if threads == 1 else f"of {threads} threads each, as the cores allow"),
        (n_trials, "one a trial"),
    ]
    if sampler.rpartition(".")[2] not in NEVER_LEARN:
        limits.append((math.ceil(n_trials / ROUNDS), "a fifth of hydra.sweeper.n_trials, so that the sampler learns"))
    if devices:
        limits.append((A_DEVICE * len(devices), f"{A_DEVICE} a GPU"))
    if min(limits)[0] > 1:  # otherwise memory need not be looked at
        limits.append((memory() // BYTES_A_SLOT, "as the memory that is free allows"))
    number, why = min(limits, key=lambda limit: limit[0])
    return max(1, number), why


def memory(proc: Path = PROC) -> int:
    """Return the bytes of memory that are left to this process: of the machine, and of its control groups.

    Args:
        proc: see `inksweep.cores.quotas`.
    """
    from psutil import virtual_memory

    left = [int(virtual_memory().available)]
    for group in control_groups("memory", proc):
        with suppress(OSError, ValueError, KeyError):  # this group has no limit: `max`, or no such file
            left.append(_left(group))
    return max(0, min(left))


def _left(group: Path) -> int:
    """Return what a group has left; pages of files that the kernel would drop at need count as free."""
    is_v2 = (group / "memory.max").is_file()
    limit, used, droppable = (
        ("memory.max", "memory.current", "inactive_file")
        if is_v2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int((group / limit).read_text()) - int((group / used).read_text()) + int(facts[droppable])
