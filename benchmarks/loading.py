"""What the DataLoader costs: the real training loop fed by it, beside the same loop over bare index tensors.

`make bench`, or `python benchmarks/loading.py`. The two alternate, each for a short stretch, in both orders; the
median of the ratios is printed. Below 1.03 is what the project asks for.
"""

import argparse
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

from hydra import compose, initialize_config_dir
from torch import Tensor

from inksweep.digits.config import parse
from inksweep.digits.data import dataset
from inksweep.digits.training import device
from inksweep.digits.training.build import build_learner

CONF = Path(__file__).resolve().parent.parent / "conf"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batches", type=int, default=200, help="of each stretch")
    parser.add_argument("overrides", nargs="*", help="for example data.batch_size=512")
    typed = parser.parse_args()

    parse.register()
    with initialize_config_dir(str(CONF)):
        conf = parse.parse(compose("config", typed.overrides))
    device.set_threads(None)
    learner = build_learner(conf, device.pick("cpu"))
    digits = dataset.load(conf.data).train
    digits = digits.subset(slice(0, typed.batches * conf.data.batch_size))
    order = dataset.IndexBatches(len(digits), conf.data.batch_size, conf.seed)
    loader = dataset.loader(digits, order)

    def bare() -> Iterable[tuple[Tensor, Tensor]]:
        for rows in order:
            yield digits.images.index_select(0, rows), digits.labels.index_select(0, rows)

    def stretch(batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        started = time.perf_counter()
        for batch in batches:
            learner.learn(batch, epoch=1.0)
        return (time.perf_counter() - started) / len(order)

    stretch(loader), stretch(bare())
    ratios, steps = [], []
    for number in range(typed.rounds):
        loaded_first = number % 2 == 0
        first = stretch(loader if loaded_first else bare())
        second = stretch(bare() if loaded_first else loader)
        loaded, plain = (first, second) if loaded_first else (second, first)
        ratios.append(loaded / plain)
        steps.append(plain)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"batch {conf.data.batch_size}: a step of a bare loop takes {statistics.median(steps) * 1e6:,.0f} us; "
        f"with DataLoader {middle:.3f} times that (middle half {low:.3f} to {high:.3f})"
    )


if __name__ == "__main__":
    main()
