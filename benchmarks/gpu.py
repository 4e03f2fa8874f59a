"""What a GPU makes of training: images a second, whole commands, and a search of 20 trials, each beside its goal.

`python benchmarks/gpu.py` on a machine with a CUDA device; elsewhere it says that there is none. It runs `train.py` of
this checkout as one would type it, so `data/` must hold MNIST. `--only steps` measures what takes a minute.

- steps: images a second between two evaluations, of a training that is recorded already; with a graph and without.
- commands: from the command to its end, beside `import torch` with a first tensor on the device; both alternate.
- search: the 20 trials of `hydra/sweeper/space=lht_mnist`, without pruning; once with each number of slots.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from inksweep.digits.config import parse
from inksweep.digits.data import dataset
from inksweep.digits.training import device
from inksweep.digits.training.build import build_learner
from inksweep.digits.training.graph import GraphLearner
from inksweep.digits.training.loop import Plan, Progress, Unwatched, train

REPOSITORY = Path(__file__).resolve().parent.parent
NETWORKS = {"mlp": ["model=mlp"], "cnn": ["model=cnn"], "accurate": ["experiment=accurate"]}
# On an H100.
GOALS = {"mlp": 1_500_000, "cnn": 400_000, "accurate": 250_000}
SECONDS = {"accurate, 20 epochs of training": 6.0, "search": 60.0}
SHARE_OF_IMPORT = 2.0
FIRST_TENSOR = "import torch; torch.zeros(1).cuda(); torch.cuda.synchronize()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["steps", "commands", "search"], help="by default all three")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, nargs="*", default=[1, 2, 4], help="of the search, one after the other")
    typed = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no CUDA device here: nothing is measured")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {os.cpu_count()} processors")
    parts: dict[str, Callable[[], None]] = {
        "steps": lambda: steps(typed.rounds),
        "commands": lambda: commands(typed.rounds),
        "search": lambda: search(typed.slots),
    }
    for name in [typed.only] if typed.only else parts:
        parts[name]()


def steps(rounds: int) -> None:
    """Print images a second of each network, with a graph and without."""
    for name, overrides in NETWORKS.items():
        for words in ([], ["trainer.precision=bfloat16"], ["trainer.precision=float32"], ["trainer.cuda_graph=false"]):
            rates, is_replayed = images_per_second([*overrides, *words], rounds)
            shown = f"{name:9s} {' '.join(words) or 'default':27s} {'replayed' if is_replayed else 'plain':9s}"
            print(f"{shown} {statistics.median(rates):12,.0f} images/s" + ("" if words else f", goal {GOALS[name]:,}"))


def images_per_second(overrides: list[str], rounds: int) -> tuple[list[float], bool]:
    """Return the rate of each of some stretches of two epochs, and whether its steps were replayed."""
    parse.register()
    with initialize_config_dir(str(REPOSITORY / "conf")):
        conf = parse.parse(compose("config", overrides))
    cuda = torch.device("cuda")
    device.make_repeatable(cuda, conf.seed)
    learner = build_learner(conf, cuda)
    digits = dataset.load(conf.data).train.to(cuda)
    order = dataset.IndexBatches(len(digits), conf.data.batch_size, conf.seed, cuda)
    batches, progress = learner.feed(digits, order), Progress()
    zero = {"loss": 0.0, "accuracy": 0.0}
    # The first evaluation's stretch holds the recording, and is left out.
    plan = Plan(2 * (rounds + 1), len(order), 2)
    train(learner, plan, batches, lambda model: zero, progress, Unwatched(), lambda row: None)
    is_replayed = isinstance(learner, GraphLearner) and learner.is_replayed
    return [row["images_per_second"] for row in progress.rows[1:]], is_replayed


def commands(rounds: int) -> None:
    """Print the seconds of whole commands beside an import of torch with a first tensor on the device."""
    runs = {"train.py": [], "train.py model=cnn": ["model=cnn"], "train.py experiment=accurate": NETWORKS["accurate"]}
    took: dict[str, list[float]] = {name: [] for name in ("import torch", *runs)}
    training: dict[str, list[float]] = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            took["import torch"].append(seconds(["-c", FIRST_TENSOR]))
            for name, overrides in runs.items():
                out = Path(folder) / f"{number}-{len(overrides)}-{name[9:].replace('=', '_')}"
                took[name].append(seconds(["train.py", *overrides, f"hydra.run.dir={out}"]))
                training[name].append(json.loads((out / "result.json").read_text())["seconds"]["train"])
    bare = statistics.median(took["import torch"])
    print(f"import torch, and a first tensor: {bare:.1f} s")
    for name in runs:
        whole, inside = statistics.median(took[name]), statistics.median(training[name])
        goal = f", goal {SHARE_OF_IMPORT:.0f}" if name == "train.py" else ""
        print(f"{name}: {whole:.1f} s, {whole / bare:.1f} times the import{goal}; {inside:.1f} s of it training")
    print(f"(goal of 20 epochs of accurate: {SECONDS['accurate, 20 epochs of training']:.0f} s of training)")


def search(slots: list[int]) -> None:
    """Print the seconds of the 20 trials of lht_mnist, with each number of slots on the one card."""
    with tempfile.TemporaryDirectory() as folder:
        for count in slots:
            words = ["hydra/sweeper/space=lht_mnist", "hydra/sweeper/sampler=tpe", "hydra/sweeper/pruner=none"]
            words += ["hydra.sweeper.sampler.seed=1234", "hydra.sweeper.n_trials=20", "hydra.sweeper.target=null"]
            words += [f"hydra.sweeper.n_jobs={count}", f"hydra.sweep.dir={folder}/{count}"]
            took = seconds(["train.py", "-m", "hydra/sweeper=optuna", *words])
            print(f"lht_mnist, 20 trials, {count} slots: {took:.1f} s, goal {SECONDS['search']:.0f}")


def seconds(words: list[str]) -> float:
    """Run Python with these words in the checkout; return how long it took."""
    started = time.perf_counter()
    ended = subprocess.run([sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"python {' '.join(words)} failed:\n{ended.stderr[-2000:]}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
