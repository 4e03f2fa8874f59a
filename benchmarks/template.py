"""The MNIST search of lightning-hydra-template: 20 trials of 10 epochs, its networks and its space.

    python -m benchmarks --only template

Ours is `space=lht_mnist`. The template trains its trials one after the other; two epochs of its training are run and
the whole is extrapolated. Its start, imports and all, is counted once.
"""

import json
from collections.abc import Iterator

from benchmarks.commands import Place, folder, json_lines, train
from benchmarks.table import Figure, Goal, Row
from inksweep.cores import usable_cores

TRIALS, EPOCHS = 20, 10
PRUNER = "median"


def rows(place: Place) -> Iterator[Row]:
    """Measure our search without and with pruning, and two epochs of the template before each."""
    theirs, epoch, reached = template(place)
    for pruner, goal, said in (("none", 30, "no pruning"), (PRUNER, 60, f"pruner={PRUNER}")):
        seconds, best = search(place, pruner)
        yield Row(
            f"the template's search, {TRIALS} trials x {EPOCHS} epochs, {said}",
            Figure(seconds, "s"),
            "lightning-hydra-template",
            Figure(theirs, "s", extrapolated=True),
            Goal(goal),
            f"Best validation accuracy of ours, {said}: {best:.2%}. The template's default settings are at "
            f"{reached:.2%} after two epochs ({epoch:.0f} s each); {TRIALS * EPOCHS} epochs are counted.",
        )


def search(place: Place, pruner: str) -> tuple[float, float]:
    """Run our search; return its seconds and the best validation accuracy."""
    small = ["data.train_limit=2000", "trainer.epochs=1"] if place.quick else []
    trials = 3 if place.quick else TRIALS
    with folder() as out:
        words = ["-m", "hydra/sweeper=optuna", "hydra/sweeper/space=lht_mnist", "hydra/sweeper/sampler=tpe"]
        words += ["hydra.sweeper.sampler.seed=1234", "hydra.sweeper.target=null", f"hydra/sweeper/pruner={pruner}"]
        words += [f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={usable_cores()}"]
        words += [f"hydra.sweep.dir={out / 'sweep'}", *small]
        seconds = place.command(f"our search, pruner={pruner}", train(place, *words), cwd=out)
        summary = json.loads((out / "sweep" / "summary.json").read_text())
    return seconds, summary["incumbent"]["value"]


def template(place: Place) -> tuple[float, float, float]:
    """Run two epochs of the template.

    Returns:
        The seconds of its whole search, extrapolated, and of an epoch; validation accuracy after the second.
    """
    place.need("lightning")
    with folder() as out:
        limit = 2000 if place.quick else 55000
        words = place.peer("lightning_mnist.py", "--data", place.data, "--epochs", 2, "--limit", limit)
        whole = place.command("lightning-hydra-template, two epochs", words, cwd=out)
        epochs = json_lines(out / "output.txt")
    training = sum(epoch["seconds"] for epoch in epochs)
    epoch = training / len(epochs)
    return (whole - training) + TRIALS * EPOCHS * epoch, epoch, epochs[-1]["val/accuracy"]
