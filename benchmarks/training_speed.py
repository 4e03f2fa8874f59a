"""Images a second of the training loops, as a share of what this machine's matrix product reaches.

`make bench`, or `python benchmarks/training_speed.py [--rounds 20]`. Nothing else should be running: a second busy
process makes two-thread torch up to ten times slower. A shared machine changes its pace within seconds, so every short
stretch of a loop stands between two stretches of matrix products (2048 x 2048, float32), is compared with their mean,
and the medians over all rounds are printed.

The loop measured is the real one (`training.train` over `data.loader`, optimizer step, schedule and all), on the real
training split. Work is counted in two ways: what forward and backward pass really do (torch's FlopCounterMode: no
input gradient of the first layer), and three times the forward pass, as model FLOPs utilisation is usually given
(arXiv 2204.02311, appendix B).
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

from inksweep.digits.config import parse
from inksweep.digits.data import dataset
from inksweep.digits.training import device
from inksweep.digits.training.build import build_learner
from inksweep.digits.training.loop import Plan, Progress, Unwatched, train

CONF = Path(__file__).resolve().parent.parent / "conf"
LOOPS = {
    "MLP 784-256-10, batch 128": ["model=mlp", "model.hidden=[256]", "data.batch_size=128"],
    "default CNN": ["model=cnn"],
}


@dataclass
class Loop:
    """A training loop ready to be run for some steps."""

    name: str
    run: Callable[[int], float]  # steps -> seconds a step
    batch_size: int
    # Floating-point operations an image: really done, and three times the forward pass.
    done: float
    nominal: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each stretch")
    parser.add_argument("overrides", nargs="*", help="for example data.root=/elsewhere")
    typed = parser.parse_args()

    threads = device.set_threads(None)
    loops = [prepare(name, [*overrides, *typed.overrides]) for name, overrides in LOOPS.items()]
    steps = {loop.name: max(10, int(typed.seconds / loop.run(30))) for loop in loops}  # warms up, too
    gemms: list[float] = []
    rates: dict[str, list[float]] = {loop.name: [] for loop in loops}
    speeds: dict[str, list[float]] = {loop.name: [] for loop in loops}
    for _ in range(typed.rounds):
        for loop in loops:
            before = gemm()
            rate = loop.batch_size / loop.run(steps[loop.name])
            beside = (before + gemm()) / 2
            gemms.append(beside)
            rates[loop.name].append(rate)
            speeds[loop.name].append(rate / beside)

    peak = statistics.median(gemms)
    print(f"{threads} threads, torch {torch.__version__}; matrix product {peak / 1e9:.0f} GFLOP/s")
    print(f"{'':28s}{'images/s':>10s}{'MFLOP done':>12s}{'share':>7s}{'3 x forward':>13s}{'share':>7s}   middle half")
    for loop in loops:
        low, middle, high = statistics.quantiles(speeds[loop.name], n=4)
        print(
            f"{loop.name:28s}{statistics.median(rates[loop.name]):10,.0f}"
            f"{loop.done / 1e6:12.2f}{middle * loop.done:7.0%}{loop.nominal / 1e6:13.2f}{middle * loop.nominal:7.0%}"
            f"   {low * loop.nominal:.0%} to {high * loop.nominal:.0%}"
        )


def prepare(name: str, overrides: list[str]) -> Loop:
    """Build the loop that `train.py` would run with `overrides`."""
    parse.register()
    with initialize_config_dir(str(CONF)):
        conf = parse.parse(compose("config", overrides))
    place = device.pick("cpu")
    device.make_repeatable(place, conf.seed)
    learner = build_learner(conf, place)
    digits = dataset.load(conf.data).train
    images, labels = digits[torch.arange(conf.data.batch_size)]
    with FlopCounterMode(display=False) as both:
        learner.learn((images, labels), epoch=0.0)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        learner.model(learner.to_input(images, learner.generator))

    def run(steps: int) -> float:
        """Train one epoch of so many steps."""
        part = digits.subset(slice(0, steps * conf.data.batch_size))
        order = dataset.IndexBatches(len(part), conf.data.batch_size, conf.seed)
        learner.step = 0
        plan = Plan(epochs=1, steps_per_epoch=len(order), evaluate_every_epochs=1)
        progress = Progress()
        zero = {"loss": 0.0, "accuracy": 0.0}
        batches = learner.feed(part, order)
        train(learner, plan, batches, lambda model: zero, progress, Unwatched(), lambda row: None)
        return progress.last("seconds") / len(order)

    batch_size = conf.data.batch_size
    return Loop(name, run, batch_size, both.get_total_flops() / batch_size, 3 * forward.get_total_flops() / batch_size)


def gemm(size: int = 2048, repeats: int = 3) -> float:
    """Return the rate of float32 matrix products of `size` x `size`, in operations a second."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    started = time.perf_counter()
    for _ in range(repeats):
        torch.mm(left, right)
    return repeats * 2 * size**3 / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
