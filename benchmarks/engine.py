"""What the engine itself costs: time a trial, idle slots beside the stock sweeper's barrier, memory of a worker.

    python -m benchmarks.engine [overhead|idle|memory ...]

Run nothing else meanwhile.
"""

import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.commands import ROOT, Place, folder, seconds_of
from benchmarks.table import Figure, Goal, Row
from inksweep.sweep.study.journal import KernelLock

# Trials on either side of a number that are looked at.
AROUND = 15
# One slot's time, without what would end or shorten the sweep.
ALONE = ["hydra.sweeper.target=null", "hydra.sweeper.reuse_results=false", "hydra/sweeper/pruner=none",
         "hydra.sweeper.winner.card=false", "hydra.sweeper.report=false"]  # fmt: skip

# Our own config, so that composing it costs what it costs; a task that does nothing.
EMPTY = f"""
import hydra
from inksweep.digits.config import parse, schema

parse.register()

@hydra.main(config_path={str(ROOT / "conf")!r}, config_name="config", execution_whitelist=schema.TRUSTED)
def main(cfg):
    return cfg.model.dropout

if __name__ == "__main__":
    main()
"""
# One trial in five takes ten times as long.
UNEVEN = """
import time
import hydra
from hydra.core.config_store import ConfigStore

@hydra.main(config_path=None, config_name="config")
def main(cfg):
    began = time.time()
    time.sleep(cfg.short * (10 if cfg.x % 5 == 4 else 1))
    with open(hydra.utils.to_absolute_path("ran.txt"), "a") as file:
        print(began, time.time(), file=file)
    return float(cfg.x)

ConfigStore.instance().store(name="config", node={"x": 0, "short": 0.5})
if __name__ == "__main__":
    main()
"""


def rows(place: Place) -> Iterator[Row]:
    """Measure each in turn; quick: at trial 10 only, and without memory."""
    limits = {10: 50.0} if place.quick else {10: 50.0, 1000: 80.0, 5000: 120.0}
    for number, milliseconds in overhead(limits, place.say).items():
        yield Row(f"engine, one trial to the next, at trial {number:,}", Figure(milliseconds, "ms"),
                    goal=Goal(limits[number], of="ours", at_least=False))  # fmt: skip
    if place.quick:
        return
    ours, stock = idle(2)
    yield Row("idle share of 2 slots, one trial in five takes ten times as long", Figure(100 * ours, "% idle"),
              "stock Optuna sweeper, joblib", Figure(100 * stock, "% idle"))  # fmt: skip
    worker, bare = memory(place.data)
    yield Row("memory of each further worker, not shared", Figure(worker, "MB"), "bare `import torch`",
              Figure(bare, "MB"))  # fmt: skip


def overhead(numbers: Iterable[int], say: Callable[[str], None] = print) -> dict[int, float]:
    """Return milliseconds from one trial's start to the next one's around these numbers, at least 10.

    One slot, an empty task, our default sampler and space. The first 40 trials are run. To have thousands, the study is
    filled with trials of the same branches at other points, as if they had been run.
    """
    found = {}
    with folder() as out:
        (out / "app.py").write_text(EMPTY)
        journal = out / "multirun" / "many" / "study.journal"
        for number in sorted(numbers):
            if number > AROUND + 40:
                fill(journal, number - AROUND)
            words = [
                "hydra/sweeper=optuna",
                f"hydra.sweeper.n_trials={max(40, number + AROUND)}",
                "hydra.sweeper.n_jobs=1",
                *ALONE,
            ]
            run(out, *words, "hydra.sweeper.study_name=many")
            starts = starts_of(trials(journal))
            gaps = [1000 * (starts[n + 1] - starts[n]) for n in range(max(5, number - AROUND + 3), number + AROUND - 1)]
            low, middle, high = statistics.quantiles(gaps, n=4)
            found[number] = middle
            say(f"engine at trial {number}: {middle:.0f} ms a trial (middle half {low:.0f} to {high:.0f})")
    return found


def fill(journal: Path, count: int) -> None:
    """Add trials to a study until it has `count`: copies of those that were run, at points drawn anew."""
    chance = random.Random(count)
    study = study_of(journal)
    real = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None][:40]
    for number in range(len(study.get_trials(deepcopy=False)), count):
        like = chance.choice(real)
        point = {name: drawn(spread, chance) for name, spread in like.distributions.items()}
        moments = {"datetime_start": like.datetime_start, "datetime_complete": like.datetime_complete}
        copy = optuna.trial.FrozenTrial(
            number=number, trial_id=-1, state=like.state, value=chance.random(), params=point,
            distributions=like.distributions, user_attrs=like.user_attrs, system_attrs={},
            intermediate_values=like.intermediate_values, **moments,
        )  # fmt: skip
        study.add_trial(copy)


def drawn(spread: optuna.distributions.BaseDistribution, chance: random.Random) -> object:
    """Return a value of a distribution."""
    if isinstance(spread, optuna.distributions.CategoricalDistribution):
        return chance.choice(spread.choices)
    assert isinstance(spread, optuna.distributions.FloatDistribution | optuna.distributions.IntDistribution)
    if spread.log:
        value = math.exp(chance.uniform(math.log(spread.low), math.log(spread.high)))
    else:
        value = chance.uniform(spread.low, spread.high)
    whole = isinstance(spread, optuna.distributions.IntDistribution)
    return min(max(round(value) if whole else value, spread.low), spread.high)


def idle(slots: int) -> tuple[float, float]:
    """Return the share of slot time in which no trial ran its task, until the last one has begun: ours, the stock's."""
    points = ",".join(f"{{x: {x}}}" for x in range(60))
    words = ["x=range(0,60)", "hydra.sweeper.n_trials=60", f"hydra.sweeper.n_jobs={slots}", "hydra.sweep.dir=sweep"]
    ours = ["hydra/sweeper=inksweep", f"hydra.sweeper.enqueue=[{points}]", "hydra/sweeper/pruner=none"]
    stock = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweeper.study_name=stock"]
    stock += ["hydra.sweeper.storage=sqlite:///s.db", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={slots}"]
    shares = []
    for own in (ours, stock):
        with folder() as out:
            (out / "app.py").write_text(UNEVEN)
            run(out, *words, *own)
            shares.append(idle_share(out, slots))
    return shares[0], shares[1]


def memory(data: Path) -> tuple[float, float]:
    """Return the MB that only a worker has (not shared) while it trains, and those of a process with torch."""
    with folder() as out:
        words = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=9", "hydra.sweeper.n_jobs=3", *ALONE, "model=mlp"]
        words += [f"hydra.sweep.dir={out}/sweep", "hydra/sweeper/space=none", "optimizer.lr=interval(0.01,0.1)"]
        words += ["trainer.epochs=40", f"data.root={data}"]
        command = [sys.executable, "train.py", "-m", *words]
        sweep = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
        bare = [subprocess.Popen([sys.executable, "-c", "import torch, time; time.sleep(600)"]) for _ in range(2)]
        try:
            wait_for(lambda: len(list(out.glob("sweep/*/metrics.csv"))) >= 3)
            own = [private(pid) for pid in descendants(sweep.pid) if "slot" in name_of(pid)]
            torch = private(bare[-1].pid)
        finally:
            workers = descendants(sweep.pid)
            for process in (sweep, *bare):
                process.kill()
                process.wait()
            wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    return statistics.median([megabytes for megabytes in own if megabytes]), torch


def run(folder: Path, *words: str) -> None:
    """Run a sweep to its end."""
    seconds_of([sys.executable, "app.py", "-m", *words], cwd=folder)


def study_of(journal: Path) -> optuna.Study:
    """Open a study."""
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=KernelLock(journal)))
    [name] = [study.study_name for study in storage.get_all_studies()]
    return optuna.load_study(study_name=name, storage=storage)


def trials(journal: Path) -> list[optuna.trial.FrozenTrial]:
    """Read the trials of a study."""
    return study_of(journal).get_trials(deepcopy=False)


def starts_of(found: list[optuna.trial.FrozenTrial]) -> list[float]:
    """Return when each trial began."""
    return [trial.datetime_start.timestamp() for trial in found]


def idle_share(folder: Path, slots: int) -> float:
    """Return the part of the slots' time in which no task ran, until the last one began."""
    spans = [tuple(map(float, line.split())) for line in (folder / "ran.txt").read_text().splitlines()]
    first, last = min(began for began, _ in spans), max(began for began, _ in spans)
    busy = sum(min(ended, last) - began for began, ended in spans)
    return 1 - busy / (slots * (last - first))


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [below for child in map(int, children) for below in (child, *descendants(child))]


def name_of(pid: int) -> str:
    """Return `slot` for a process that leads a session of its own, as workers do."""
    return "slot" if os.getsid(pid) == pid else ""


def private(pid: int) -> float:
    """Return the memory that no other process shares, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def wait_for(condition: object, seconds: float = 120) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.2)


if __name__ == "__main__":
    for word in sys.argv[1:] or ["overhead", "idle", "memory"]:
        if word == "overhead":
            overhead((10, 100, 1000, 5000))
        elif word == "idle":
            for slots in (2, 4):
                print(
                    f"idle, {slots} slots: ours {{:.1%}}, the stock sweeper with joblib {{:.1%}}".format(*idle(slots))
                )
        else:
            data = Path(os.environ.get("INKSWEEP_DATA", ROOT / "data"))
            print("memory of its own: a worker {:.0f} MB, a bare `import torch` {:.0f} MB".format(*memory(data)))
