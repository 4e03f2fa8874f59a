"""The same trials under other sweepers: same space, budget and training function, two at a time.

    python -m benchmarks --only searches

Ray Tune with ASHA and Optuna in two processes: seconds from the command until a trial first reports 99.0% validation
accuracy; a search ends there. The stock sweeper with joblib: the whole of a search of the same points, drawn at random
with the same seed.
"""

import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.commands import PEERS, NotReached, Place, Skipped, folder, seconds_of
from benchmarks.table import Figure, Goal, Row

TRIALS = 20
STOCK_TRIALS = 10
SEEDS = (1, 2, 3)
SPACE = [
    "lr=tag(log,interval(1e-3,1e-1))",
    "width=choice(8,16,32)",
    "batch=choice(64,128,256)",
    "dropout=interval(0.0,0.5)",
]
OPTUNA, RAY = "Optuna, 2 processes", "Ray Tune, ASHA"
APP = str(PEERS / "hydra_search.py")


def rows(place: Place) -> Iterator[Row]:
    """Measure all of them in turn, seed by seed; without Ray, the others."""
    seeds = SEEDS[:1] if place.quick else SEEDS
    times: dict[str, list[float]] = {"ours": [], OPTUNA: [], RAY: []}
    missing: Skipped | None = None
    try:
        place.need("ray", "pandas", "pyarrow")
    except Skipped as error:
        missing = error
        del times[RAY]
    failed: list[str] = []
    for seed in seeds:
        for name, seconds in times.items():
            try:
                seconds.append(until_wanted(place, name, seed))
                place.say(f"{name}, seed {seed}: 99.0% after {seconds[-1]:.1f} s")
            except NotReached as error:
                seconds.append(error.seconds)
                failed.append(f"{name} with seed {seed}")
                place.say(f"{name}, seed {seed}: {error}")
    note = f"{TRIALS} trials at most."
    if failed:
        note += f" Without one of 99.0%, so that the whole search is counted: {', '.join(failed)}."
    ours = Figure(statistics.median(times.pop("ours")), "s")
    best = min(times, key=lambda name: statistics.median(times[name]))
    for name, seconds in times.items():
        goal = Goal(1.5) if name == best else None  # the better of the two
        theirs = Figure(statistics.median(seconds), "s")
        yield Row(f"search until 99.0% validation accuracy, {len(seeds)} seeds", ours, name, theirs, goal, note)

    trials = 2 if place.quick else STOCK_TRIALS
    yield Row(
        f"a whole search of {trials} trials, the same points",
        Figure(whole(place, trials, "inksweep", "hydra/sweeper/pruner=asha"), "s"),
        "stock Optuna sweeper, joblib",
        Figure(whole(place, trials, "optuna", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), "s"),
        Goal(2.5),
    )
    if missing is not None:
        raise missing


def until_wanted(place: Place, name: str, seed: int) -> float:
    """Run a search until a trial has 99.0%; return the seconds."""
    with folder() as out:
        reached = out / "reached.txt"
        environment(place, reached)
        if name == "ours":
            words = ours(seed, "hydra/sweeper/pruner=asha", f"hydra.sweeper.n_trials={TRIALS}")
            return seconds_of(words, cwd=out, until=reached.exists)
        if name == RAY:
            words = place.peer("ray_search.py", "--seed", seed, "--trials", TRIALS)
            return seconds_of(words, cwd=out, until=reached.exists)
        words = place.peer("optuna_search.py", "--trials", TRIALS // 2, "--seed")
        return seconds_of([*words, str(seed)], cwd=out, beside=[*words, str(seed + 100)], until=reached.exists)


def whole(place: Place, trials: int, sweeper: str, *words: str) -> float:
    """Run a search to its end; return the seconds."""
    with folder() as out:
        environment(place, out / "reached.txt")
        asked = ["hydra/sweeper/sampler=random", f"hydra.sweeper.n_trials={trials}", *words]
        return place.command(f"{trials} trials, {sweeper}", ours(1, *asked, sweeper=sweeper), cwd=out)


def ours(seed: int, *words: str, sweeper: str = "inksweep") -> list[str]:
    """Return the command of the search as a Hydra app."""
    settings = [f"hydra/sweeper={sweeper}", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_jobs=2"]
    settings += [f"hydra.sweeper.sampler.seed={seed}", "hydra.sweep.dir=sweep", "hydra.sweeper.study_name=search"]
    preload = ["hydra.launcher.preload=[torch,torch._dynamo]"] if sweeper == "inksweep" else []
    return [sys.executable, APP, "-m", *settings, *preload, *SPACE, *words]


def environment(place: Place, reached: Path) -> None:
    """Tell trainings, in whatever process, where the data lie and where to note what they reach."""
    os.environ |= {"BENCH_DATA": str(place.data), "BENCH_REACHED": str(reached)}
    if place.quick:
        os.environ |= {"BENCH_LIMIT": "2000", "BENCH_WANTED": "0.2"}
