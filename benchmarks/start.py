"""How soon the first results are there: a search to its winner, and what a single run takes besides its training.

    python -m benchmarks --only start

Each is a multiple of a bare `import torch` in the same minute; in the table that is a ratio below 1: at most 2.5 times
is at least 0.4x.
"""

import statistics
from collections.abc import Iterator

from benchmarks import first_minute
from benchmarks.commands import Ended, Place
from benchmarks.table import Figure, Goal, Row


def rows(place: Place) -> Iterator[Row]:
    """Measure a search, a single run and `import torch` in turn."""
    words = [f"data.root={place.data}"]
    imports, winners, cards, alone = [], [], [], []
    for number in range(1 if place.quick else 5):
        imports.append(first_minute.import_torch())
        try:
            timed = first_minute.sweep(words)
        except SystemExit as error:  # with what the sweep printed
            raise Ended(str(error)) from error
        winners.append(timed["winner"])
        cards.append(timed["card"] - timed["winner"])
        alone.append(first_minute.single_run(words)["all but training"])
        place.say(
            f"{number + 1}: import torch {imports[-1]:.2f} s, winner {winners[-1]:.2f} s, its card {cards[-1]:.2f} s "
            f"later, python train.py without its training {alone[-1]:.2f} s"
        )
    bare = Figure(statistics.median(imports), "s")
    what = "from `python train.py -m hydra/sweeper=optuna` to a saved winner above 90%"
    yield Row(what, Figure(statistics.median(winners), "s"), "bare `import torch`", bare, Goal(0.4))
    later = Figure(statistics.median(cards), "s")
    yield Row("from there to its card", later, goal=Goal(2, of="ours", at_least=False))
    what = "`python train.py`, without the seconds of its training"
    yield Row(what, Figure(statistics.median(alone), "s"), "bare `import torch`", bare, Goal(0.667))
