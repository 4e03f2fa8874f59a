"""60 trials of 0.3 s that do nothing, two at a time: 9 s of trials, and what the sweeper adds.

python -m benchmarks --only empty_trials
"""

import statistics
import sys
from collections.abc import Iterator

from benchmarks.commands import PEERS, Place, folder
from benchmarks.table import Figure, Goal, Row

APP = [sys.executable, str(PEERS / "empty_app.py"), "-m", "x=interval(0,10)", "hydra.sweep.dir=sweep"]
TRIALS = 60


def rows(place: Place) -> Iterator[Row]:
    """Measure ours and plain Optuna in alternation, the stock sweeper between them."""
    trials, rounds = (4, 1) if place.quick else (TRIALS, 3)
    # No peer writes a report.
    report = "hydra.sweeper.report=false"
    words = [f"hydra.sweeper.n_trials={trials}", "hydra.sweeper.n_jobs=2", "hydra.sweeper.study_name=empty"]
    ours, stock, plain = [], [], []
    for number in range(rounds):
        with folder() as out:
            ours.append(place.command("ours", [*APP, "hydra/sweeper=inksweep", report, *words], cwd=out))
        with folder() as out:
            words_of = place.peer("optuna_empty.py", "--trials", trials // 2, "--seed")
            plain.append(place.command("Optuna, 2 processes", [*words_of, "1"], beside=[*words_of, "2"], cwd=out))
        if number < 2:
            with folder() as out:
                joblib = ["hydra/sweeper=optuna", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *words]
                stock.append(place.command("stock sweeper, joblib", [*APP, *joblib], cwd=out))
    what = f"{trials} empty trials of 0.3 s, 2 slots"
    mine = Figure(statistics.median(ours), "s")
    yield Row(what, mine, "Optuna, 2 processes", Figure(statistics.median(plain), "s"), Goal(1.0))
    yield Row(what, mine, "stock Optuna sweeper, joblib", Figure(statistics.median(stock), "s"))
