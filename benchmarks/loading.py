"""What the DataLoader costs: the real training loop fed by it, beside the same loop over bare index tensors.

`python -m benchmarks --only loading`. The two alternate, each for a short stretch, in both orders; the
median of the ratios is printed. Below 1.03 is what the project asks for.
"""

import argparse
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence

from hydra import compose, initialize_config_dir
from torch import Tensor

from benchmarks.commands import ROOT, Place
from benchmarks.table import Figure, Goal, Row
from inksweep.digits.config import parse
from inksweep.digits.data import dataset
from inksweep.digits.training import device, threads
from inksweep.digits.training.build import build_learner


def rows(place: Place) -> Iterator[Row]:
    """Measure it with the default settings."""
    batch_size, plain, ratios = measured(4 if place.quick else 40, 200, [f"data.root={place.data}"])
    yield Row(
        f"a step of the default training, batch {batch_size}, with the DataLoader",
        Figure(1000 * plain * statistics.median(ratios), "ms"),
        "the same over bare index tensors",
        Figure(1000 * plain, "ms"),
        Goal(0.97),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batches", type=int, default=200, help="of each stretch")
    parser.add_argument("overrides", nargs="*", help="for example data.batch_size=512")
    typed = parser.parse_args()

    batch_size, plain, ratios = measured(typed.rounds, typed.batches, typed.overrides)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"batch {batch_size}: a step of a bare loop takes {plain * 1e6:,.0f} us; "
        f"with DataLoader {middle:.3f} times that (middle half {low:.3f} to {high:.3f})"
    )


def measured(rounds: int, batches: int, overrides: Sequence[str]) -> tuple[int, float, list[float]]:
    """Return the batch size, the median seconds of a step of the bare loop, and how many times that with the loader."""
    parse.register()
    with initialize_config_dir(str(ROOT / "conf")):
        conf = parse.parse(compose("config", list(overrides)))
    device.keep_freed_memory()  # as a run does
    learner = build_learner(conf, device.pick("cpu"))
    worth = threads.worthwhile(learner.model, conf.data.size, conf.data.batch_size)
    device.set_threads(conf.trainer.threads, worth)  # as a run has
    digits = dataset.load(conf.data).train
    digits = digits.subset(slice(0, batches * conf.data.batch_size))
    order = dataset.IndexBatches(len(digits), conf.data.batch_size, conf.seed)
    loader = dataset.Loader(digits, order)

    def bare() -> Iterable[tuple[Tensor, Tensor]]:
        for rows in order:
            yield digits.images.index_select(0, rows), digits.labels.index_select(0, rows)

    def stretch(stream: Iterable[tuple[Tensor, Tensor]]) -> float:
        started = time.perf_counter()
        for batch in stream:
            learner.learn(batch, epoch=1.0)
        return (time.perf_counter() - started) / len(order)

    stretch(loader), stretch(bare())
    ratios, steps = [], []
    for number in range(rounds):
        loaded_first = number % 2 == 0
        first = stretch(loader if loaded_first else bare())
        second = stretch(bare() if loaded_first else loader)
        loaded, plain = (first, second) if loaded_first else (second, first)
        ratios.append(loaded / plain)
        steps.append(plain)
    return conf.data.batch_size, statistics.median(steps), ratios


if __name__ == "__main__":
    main()
