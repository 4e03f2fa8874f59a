"""A dry run: what a sweep would search, its first points, and how long it would take. Nothing of it stays."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import optuna

from inksweep.sweep import samplers
from inksweep.sweep.job.job import Job
from inksweep.sweep.progress.wording import parameters
from inksweep.sweep.slots import hydra_launchers
from inksweep.sweep.slots.pool import Pool
from inksweep.sweep.space.branches import Block
from inksweep.sweep.space.grammar import Fixed
from inksweep.sweep.space.space import Space
from inksweep.sweep.start import Start
from inksweep.sweep.study import first_points, storage
from inksweep.sweep.study.fingerprint import distribution_text
from inksweep.sweep.study.notes import TOTAL
from inksweep.sweep.study.storage import moved, open_study
from inksweep.sweep.winner import finals

# Points that are shown; of these so many are begun, to see how long they take.
SHOWN, MEASURED = 5, 3
# A job that has not reported within this time is given up.
PATIENCE_S = 60.0


def run(start: Start, space: Space) -> None:
    """Print the space, the first points and an estimate of the time."""
    config, conf = start.config, start.conf
    print("search space:")
    for line in described(space):
        print(f"  {line}")
    if conf.winner.runs_again:
        print(f"final stage: {finals.described(conf.winner, conf.n_trials)}")
    with tempfile.TemporaryDirectory(prefix="inksweep-") as folder:
        elsewhere = moved(config, Path(folder), {"storage": None})
        study = open_study(storage.address(elsewhere.hydra), conf.directions)
        study.sampler = samplers.build(config.hydra.sweeper.sampler, space, 0)
        first_points.enqueue(study, space, conf.enqueue)
        if conf.warm_start is not None:
            first_points.warm_start(study, space, Path(conf.warm_start), conf.warm_start_best, conf.storage)
        first_points.begin(study, space, conf.first_points)
        asked = [study.ask() for _ in range(min(SHOWN, conf.n_trials))]
        jobs = [Job(trial.number, space.overrides(trial)) for trial in asked]
        print("first points:")
        for trial in study.get_trials(deepcopy=False)[: len(jobs)]:
            print(f"  {trial.number}: {parameters(trial)}")
        pool = hydra_launchers.pool(start.launcher_for(elsewhere), start.slots)
        if pool is None:
            print("time: not measured (hydra/launcher=slots can)")
            return
        try:
            seconds = [taken for taken in _begun(jobs, pool, study) if taken is not None]
        finally:
            pool.close()
    if not seconds:
        print(f"time: no estimate; no trial reported within {PATIENCE_S:g} s (inksweep.trial.report) or ended")
        return
    mean = sum(seconds) / len(seconds)
    total = mean * conf.n_trials / start.slots
    print(f"time: about {_rounded(mean)} a trial, {_rounded(total)} for {conf.n_trials} trials in {start.slots} slots")
    print(f"  measured on the beginning of {len(seconds)} of these points; pruning and stop rules make it shorter")


def described(space: Space) -> Iterator[str]:
    """Yield the space in lines, a parameter each, branches below the value that opens them."""

    def block_lines(block: Block, indent: str) -> Iterator[str]:
        for key, leaf in block.items():
            yield f"{indent}{key} = {leaf.text if isinstance(leaf, Fixed) else distribution_text(leaf)}"

    yield from block_lines(space.block, "")
    for condition, blocks in space.branches.items():
        for value, block in blocks.items():
            yield f"when {condition} = {value}:"
            yield from block_lines(block, "  ")


def _begun(jobs: list[Job], pool: Pool, study: optuna.Study) -> Iterator[float | None]:
    """Begin the first of `jobs`; yield for each how long it would take in seconds, None where it did not report."""
    waiting = list(jobs[:MEASURED])
    first_report: dict[int, tuple[int, float]] = {}
    running: set[int] = set()
    while waiting or running:
        while waiting and pool.free:
            running.add(waiting[0].number)
            pool.start(waiting.pop(0))
        done = pool.wait(0.02)
        if done is not None:
            if done.number in running:  # it ended before it could be measured
                running.remove(done.number)
                if done.error is not None:
                    raise done.error
                yield done.seconds
            continue
        for number in list(running):
            trial, seconds = study.get_trials(deepcopy=False)[number], pool.seconds(number)
            if seconds is None:
                continue
            if trial.last_step is not None and number not in first_report:
                first_report[number] = (trial.last_step, seconds)
            step, then = first_report.get(number, (0, 0.0))
            total, last = trial.user_attrs.get(TOTAL), trial.last_step
            if number in first_report and total is not None and last is not None and last > step:
                running.remove(number)
                pool.end(number)
                yield then + (seconds - then) / (last - step) * max(0, total - step)
            elif seconds > PATIENCE_S:
                running.remove(number)
                pool.end(number)
                yield None


def _rounded(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
