"""What the engine itself costs: time a trial, idle slots beside the stock sweeper's barrier, memory of a worker.

    python benchmarks/engine.py [overhead|idle|memory ...]

Run nothing else meanwhile.
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

ROOT = Path(__file__).resolve().parent.parent

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


def overhead() -> None:
    """Time from one trial's start to the next one's, one slot, an empty task, our default sampler and space."""
    folder = app(EMPTY)
    run(folder, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1020", "hydra.sweeper.target=null",
        "hydra.sweeper.study_name=many", "hydra.sweeper.reuse_results=false")  # fmt: skip
    starts = starts_of(trials(folder / "multirun" / "many" / "study.journal"))
    for centre, spread in ((10, 5), (100, 10), (1000, 15)):
        gaps = [1000 * (starts[n + 1] - starts[n]) for n in range(centre - spread, centre + spread)]
        quarters = statistics.quantiles(gaps, n=4)
        low, middle, high = (round(quarter) for quarter in quarters)
        print(f"overhead at trial {centre}: {middle} ms a trial (middle half {low} to {high})")
    words = ["hydra/launcher=basic", "hydra.sweeper.n_trials=20", "hydra.sweeper.study_name=basic"]
    run(folder, "hydra/sweeper=optuna", *words, "hydra.sweeper.target=null")
    gaps = gaps_of(starts_of(trials(folder / "multirun" / "basic" / "study.journal")))
    print(f"  Hydra's basic launcher under our sweeper: {1000 * statistics.median(gaps[5:]):.0f} ms")


def idle() -> None:
    """Share of slot time in which no trial ran its task, from the first one's begin until the last one has begun."""
    for slots in (2, 4):
        points = ",".join(f"{{x: {x}}}" for x in range(60))
        words = ["x=range(0,60)", "hydra.sweeper.n_trials=60", f"hydra.sweeper.n_jobs={slots}", "hydra.sweep.dir=sweep"]
        folder = app(UNEVEN)
        run(folder, "hydra/sweeper=inksweep", *words, f"hydra.sweeper.enqueue=[{points}]", "hydra/sweeper/pruner=none")
        ours = idle_share(folder, slots)
        folder = app(UNEVEN)
        stocks = [
            "hydra/sweeper/sampler=grid",
            "hydra.sweeper.study_name=stock",
            "hydra.sweeper.storage=sqlite:///s.db",
        ]
        run(folder, "hydra/sweeper=optuna", *words, *stocks, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={slots}")
        stock = idle_share(folder, slots)
        print(f"idle slots, {slots} slots: {ours:.1%}; the stock sweeper with joblib: {stock:.1%}", flush=True)


def memory() -> None:
    """Memory that only a worker has (not shared), after real trainings, beside a process that has imported torch."""
    folder = Path(tempfile.mkdtemp(prefix="inksweep-bench-"))
    words = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=9", "hydra.sweeper.n_jobs=3", "hydra.sweeper.target=null"]
    words += ["hydra/sweeper/pruner=none", f"hydra.sweep.dir={folder}/sweep", "model=mlp", "trainer.epochs=40"]
    words += [f"data.root={os.environ.get('INKSWEEP_DATA', ROOT / 'data')}"]
    sweep = subprocess.Popen([sys.executable, "train.py", "-m", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    bare = [subprocess.Popen([sys.executable, "-c", "import torch, time; time.sleep(600)"]) for _ in range(2)]
    try:
        wait_for(lambda: len(list(folder.glob("sweep/*/metrics.csv"))) >= 3)
        workers = [pid for pid in descendants(sweep.pid) if private(pid) and "slot" in name_of(pid)]
        own = [private(pid) for pid in workers]
        torch = [private(process.pid) for process in bare]
        print(f"memory of its own: a worker that trains {', '.join(f'{m:.0f}' for m in own)} MB; ", end="")
        print(f"a bare `import torch` {torch[-1]:.0f} MB: {statistics.median(own) / torch[-1]:.2f} times")
    finally:
        for process in (sweep, *bare):
            process.kill()
            process.wait()


def app(code: str) -> Path:
    """Write an app into a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="inksweep-bench-"))
    (folder / "app.py").write_text(code)
    return folder


def run(folder: Path, *words: str) -> None:
    """Run a sweep to its end."""
    done = subprocess.run([sys.executable, "app.py", "-m", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def trials(journal: Path) -> list[optuna.trial.FrozenTrial]:
    """Read a study."""
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return storage.get_all_trials(storage.get_all_studies()[0]._study_id)


def starts_of(found: list[optuna.trial.FrozenTrial]) -> list[float]:
    """Return when each trial began."""
    return [trial.datetime_start.timestamp() for trial in found]


def gaps_of(moments: list[float]) -> list[float]:
    """Return the time between each and the next."""
    return [after - before for before, after in itertools.pairwise(moments)]


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
        {"overhead": overhead, "idle": idle, "memory": memory}[word]()
