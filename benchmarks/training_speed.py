"""Images a second of the training loops, as a share of what this machine's matrix multiplication can do.

`make bench`, or `python benchmarks/training_speed.py [--rounds 5] [--seconds 3]`. Nothing else should be running: a
second busy process makes two-thread torch up to ten times slower. Each round measures the peak, then every loop beside
it, so that a slow minute of the machine slows both; medians over the rounds are printed.

The loop measured is the real one (`training.train` over `data.loader`, optimizer step, schedule and all), on the real
training split. Work is counted by torch's FlopCounterMode: the multiplications and additions of the matrix products
and convolutions that forward and backward pass really do (no input gradient of the first layer), nothing else.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch.utils.flop_counter import FlopCounterMode

from inksweep import config, data, device
from inksweep.parts import build_learner
from inksweep.training import Plan, Progress, Unwatched, train

CONF = Path(__file__).resolve().parent.parent / "conf"
LOOPS = {
    "MLP 784-256-10, batch 128": ["model=mlp", "data.batch_size=128"],
    "default CNN": ["model=cnn"],
}


@dataclass
class Loop:
    """A training loop ready to be run for some steps."""

    name: str
    run: Callable[[int], float]  # steps -> seconds a step
    batch_size: int
    operations_per_image: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    arguments.add_argument("overrides", nargs="*", help="e.g. data.root=/elsewhere")
    typed = arguments.parse_args()

    threads = device.set_threads(None)
    loops = [prepare(name, [*overrides, *typed.overrides]) for name, overrides in LOOPS.items()]
    steps = {loop.name: min(400, max(20, int(typed.seconds / loop.run(30)))) for loop in loops}  # warms up, too
    peaks, rates, shares = [], {loop.name: [] for loop in loops}, {loop.name: [] for loop in loops}
    for _ in range(typed.rounds):
        for loop in loops:
            before = gemm_peak()
            rate = loop.batch_size / loop.run(steps[loop.name])
            peak = max(before, gemm_peak())
            peaks.append(peak)
            rates[loop.name].append(rate)
            shares[loop.name].append(rate * loop.operations_per_image / peak)

    print(
        f"{threads} threads, torch {torch.__version__}, matrix product peak {statistics.median(peaks) / 1e9:.0f} GFLOP/s"
    )
    for loop in loops:
        rate, share = statistics.median(rates[loop.name]), statistics.median(shares[loop.name])
        spread = f"{min(shares[loop.name]):.0%} to {max(shares[loop.name]):.0%}"
        work = f"{loop.operations_per_image / 1e6:.2f} MFLOP an image"
        print(f"{loop.name:28s} {rate:9,.0f} images/s  {work}  {share:.0%} of the peak ({spread})")


def prepare(name: str, overrides: list[str]) -> Loop:
    """Build the loop that `train.py` would run with `overrides`."""
    config.register()
    with initialize_config_dir(str(CONF)):
        conf = config.parse(compose("config", overrides))
    place = device.pick("cpu")
    device.make_repeatable(place, conf.seed)
    learner = build_learner(conf, place)
    digits = data.load(conf.data).train
    images, labels = digits[torch.arange(conf.data.batch_size)]
    with FlopCounterMode(display=False) as counter:
        learner.learn(images, labels, epoch=0.0)

    def run(steps: int) -> float:
        """Train one epoch of so many steps."""
        part = digits.subset(slice(0, steps * conf.data.batch_size))
        order = data.IndexBatches(len(part), conf.data.batch_size, conf.seed)
        loader = data.loader(part, order)
        learner.step = 0
        plan = Plan(epochs=1, steps_per_epoch=len(order), evaluate_every_epochs=1)
        progress = Progress()
        zero = {"loss": 0.0, "accuracy": 0.0}
        train(learner, plan, lambda epoch, skip: loader, lambda model: zero, progress, Unwatched(), lambda row: None)
        return progress.last("seconds") / len(order)

    return Loop(name, run, conf.data.batch_size, counter.get_total_flops() / conf.data.batch_size)


def gemm_peak(size: int = 2048, repeats: int = 6) -> float:
    """Return the best rate of a float32 matrix product of `size`, in operations a second."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


if __name__ == "__main__":
    main()
