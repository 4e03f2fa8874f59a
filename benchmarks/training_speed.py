"""Images a second of the training loops, as a share of what this machine's matrix product reaches.

`make bench`, or `python -m benchmarks.training_speed [--rounds 20]`. Nothing else should be running: a second busy
process makes two-thread torch up to ten times slower. A shared machine changes its pace within seconds, so every short
stretch of a loop stands between two stretches of matrix products (2048 x 2048, float32), is compared with their mean,
and the medians over all rounds are printed.

The loop measured is the real one (`training.train` over `data.loader`, optimizer step, schedule and all), on the real
training split; inference is that of an evaluation (`evaluation.infer`) with the same networks. Work is counted in two
ways: what forward and backward pass really do (torch's FlopCounterMode: no input gradient of the first layer), and
three times the forward pass, as model FLOPs utilisation is usually given (arXiv 2204.02311, appendix B).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as conf/config.yaml has it; read when torch is imported

import torch
from hydra import compose, initialize_config_dir
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.commands import ROOT, Place
from benchmarks.table import Figure, Goal, Row
from inksweep.digits.config import parse
from inksweep.digits.data import dataset
from inksweep.digits.training import device, evaluation, threads
from inksweep.digits.training.build import build_learner
from inksweep.digits.training.loop import Plan, Progress, Unwatched, train

LOOPS = {
    "MLP 784-256-10, batch 128": [
        "model=mlp",
        "model.hidden=[256]",
        "model.norm=none",
        "optimizer=sgd",
        "data.batch_size=128",
    ],
    "default CNN": ["model=cnn"],
}


@dataclass
class Loop:
    """A loop ready to be run for some steps, and what was measured of it."""

    name: str
    run: Callable[[int], float]  # steps -> seconds a step
    batch_size: int
    # Floating-point operations an image: really done; and, of training, three times the forward pass.
    done: float
    nominal: float
    goal: float
    threads: int  # of a run of this network, and of the matrix products beside it
    rates: list[float] = field(default_factory=list)  # images/s
    gemms: list[float] = field(default_factory=list)  # operations/s of the matrix products beside it
    speeds: list[float] = field(default_factory=list)  # images/s for each of those

    def share(self, work: float) -> float:
        """The median share of the matrix product's rate, by the operations an image."""
        return statistics.median(self.speeds) * work


def rows(place: Place) -> Iterator[Row]:
    """Measure all loops; the share is of the operations really done."""
    rounds, seconds = (2, 0.1) if place.quick else (15, 0.5)
    for loop in measured(rounds, seconds, [f"data.root={place.data}"]):
        place.say(line(loop))
        peak = statistics.median(loop.gemms)
        yield Row(
            f"{loop.name}: {statistics.median(loop.rates):,.0f} images/s, threads: {loop.threads}",
            Figure(loop.share(loop.nominal) * peak / 1e9, "GFLOP/s"),
            "matrix product, as many threads",
            Figure(peak / 1e9, "GFLOP/s"),
            Goal(loop.goal),
            "Work of training counted as three times the forward pass (arXiv 2204.02311, appendix B).",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each stretch")
    parser.add_argument("overrides", nargs="*", help="for example data.root=/elsewhere")
    typed = parser.parse_args()

    print(f"torch {torch.__version__}")
    for loop in measured(typed.rounds, typed.seconds, typed.overrides):
        print(line(loop))


def measured(rounds: int, seconds: float, overrides: Sequence[str]) -> list[Loop]:
    """Run all loops in turn, each stretch between two stretches of matrix products."""
    loops = [loop for name, words in LOOPS.items() for loop in prepare(name, [*words, *overrides])]
    steps = {}
    for loop in loops:
        torch.set_num_threads(loop.threads)
        steps[loop.name] = max(10, int(seconds / loop.run(30)))  # warms up, too
    for _ in range(rounds):
        for loop in loops:
            torch.set_num_threads(loop.threads)
            before = gemm()
            rate = loop.batch_size / loop.run(steps[loop.name])
            beside = (before + gemm()) / 2
            loop.gemms.append(beside)
            loop.rates.append(rate)
            loop.speeds.append(rate / beside)
    return loops


def line(loop: Loop) -> str:
    """A loop in words."""
    return (
        f"{loop.name:38s}{statistics.median(loop.rates):10,.0f} images/s on {loop.threads} threads (matrix product "
        f"{statistics.median(loop.gemms) / 1e9:.0f} GFLOP/s); done {loop.done / 1e6:.2f} MFLOP, share "
        f"{loop.share(loop.done):.0%}; 3 x forward {loop.nominal / 1e6:.2f}, share {loop.share(loop.nominal):.0%}"
    )


def prepare(name: str, overrides: list[str]) -> list[Loop]:
    """Build the training that `train.py` would run with `overrides`, and its evaluation."""
    parse.register()
    with initialize_config_dir(str(ROOT / "conf")):
        conf = parse.parse(compose("config", overrides))
    place = device.pick("cpu")
    device.keep_freed_memory()  # as a run does
    device.make_repeatable(place, conf.seed)
    learner = build_learner(conf, place)
    splits = dataset.load(conf.data)
    digits = splits.train
    images, labels = digits[torch.arange(conf.data.batch_size)]
    with FlopCounterMode(display=False) as both:
        learner.learn((images, labels), epoch=0.0)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        learner.model(learner.to_input(images, learner.generator))

    def training(steps: int) -> float:
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

    def inference(steps: int) -> float:
        """Evaluate on so many batches."""
        pictures = splits.test.images[: steps * size] if steps * size <= 10_000 else splits.test.images
        to_input = partial(dataset.to_input, mean=conf.data.mean, std=conf.data.std)
        repeats = -(-steps * size // len(pictures))
        began = time.perf_counter()
        for _ in range(repeats):
            evaluation.infer(learner.model, pictures, to_input, size)
        return (time.perf_counter() - began) * size / (repeats * len(pictures))

    worth = threads.worthwhile(learner.model, conf.data.size, conf.data.batch_size)
    count = device.set_threads(conf.trainer.threads, worth)
    batch_size, size = conf.data.batch_size, conf.data.eval_batch_size
    once = forward.get_total_flops() / batch_size
    return [
        Loop(f"training, {name}", training, batch_size, both.get_total_flops() / batch_size, 3 * once, 0.6, count),
        Loop(f"inference, {name.partition(',')[0]}", inference, size, once, once, 0.7, count),
    ]


def gemm(size: int = 2048, repeats: int = 3) -> float:
    """Return the rate of float32 matrix products of `size` x `size`, in operations a second."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    started = time.perf_counter()
    for _ in range(repeats):
        torch.mm(left, right)
    return repeats * 2 * size**3 / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
