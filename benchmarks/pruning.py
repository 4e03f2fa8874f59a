"""What pruning saves: the default space with and without it, the same sampler seeds, epochs trained and best result.

    python benchmarks/pruning.py --seeds 1 2 3 [override ...]

Overrides apply to both, for example data.train_limit=5500 trainer.epochs=3 for a look within minutes.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--pruners", nargs="+", default=["none", "median"])
    parser.add_argument("overrides", nargs="*")
    typed = parser.parse_args()
    totals: dict[str, list[tuple[float, float, float]]] = {pruner: [] for pruner in typed.pruners}
    for seed in typed.seeds:
        for pruner in typed.pruners:
            epochs, best, seconds, states = sweep(seed, pruner, typed)
            totals[pruner].append((epochs, best, seconds))
            print(
                f"seed {seed}, {pruner}: {epochs:.1f} epochs, best val/accuracy {best:.4f}, {seconds:.0f} s, {states}"
            )
    for pruner, rows in totals.items():
        epochs, best, seconds = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{pruner}: median {epochs:.1f} epochs, best {best:.4f}, {seconds:.0f} s")


def sweep(seed: int, pruner: str, typed: argparse.Namespace) -> tuple[float, float, float, str]:
    """Run one; return the epochs of all its trials, the best validation accuracy, seconds, trials by state."""
    folder = Path(tempfile.mkdtemp(prefix="inksweep-bench-")) / "sweep"
    words = [f"hydra/sweeper/pruner={pruner}", f"hydra.sweeper.sampler.seed={seed}", "hydra.sweeper.target=null"]
    words += [
        f"hydra.sweeper.n_trials={typed.trials}",
        f"hydra.sweeper.n_jobs={typed.slots}",
        f"hydra.sweep.dir={folder}",
    ]
    started = time.monotonic()
    command = [sys.executable, "train.py", "-m", "hydra/sweeper=optuna", *words, *typed.overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    seconds = time.monotonic() - started
    epochs = 0.0
    for metrics in folder.glob("*/metrics.csv"):
        rows = list(csv.DictReader(metrics.open()))
        epochs += float(rows[-1]["epoch"]) if rows else 0.0
    summary = json.loads((folder / "summary.json").read_text())
    states = ", ".join(f"{count} {state}" for state, count in summary["trials"].items() if count)
    return epochs, summary["incumbent"]["value"], seconds, states


if __name__ == "__main__":
    main()
