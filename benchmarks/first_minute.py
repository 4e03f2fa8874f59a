"""How long from the command to a saved winner above 90% test accuracy, beside what `import torch` takes.

`python benchmarks/first_minute.py [--pairs 5] [--data data] [words for the sweep]`: in turn a bare `import torch` and
`python train.py -m hydra/sweeper=optuna`, with a folder of its own for each sweep. Before the first pair the data is
prepared and everything is read once from the disk. Prints what each pair took until the winner was saved, until its
card was written and until the prompt was back, the medians, and their ratios to `import torch`; exit code 1 if a sweep
did not end with a winner above the target. `--single` times single runs, `python train.py`, in the same way.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
# How often to look whether a file is there.
LOOK_S = 0.005
TARGET = 0.90


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to the first winner, as a multiple of `import torch`.")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--single", action="store_true", help="single runs: all but their training")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="folder of the data (data.root)")
    arguments, words = parser.parse_known_args()
    given = [f"data.root={arguments.data.resolve()}", *words]
    command = single_run if arguments.single else sweep
    import_torch(), command(given)  # data prepared, files read
    pairs = []
    for number in range(1, arguments.pairs + 1):
        pairs.append({"import torch": import_torch(), **command(given)})
        print(
            f"pair {number}: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in pairs[-1].items()), flush=True
        )
    print(f"\n{'median of ' + str(len(pairs)):24s}{'seconds':>9s}{'ratio':>8s}")
    for name in pairs[0]:
        seconds = median(pair[name] for pair in pairs)
        ratio = median(pair[name] / pair["import torch"] for pair in pairs)
        print(f"{name:24s}{seconds:9.2f}{ratio:8.2f}")


def import_torch() -> float:
    """Return how long a bare `python -c "import torch"` takes, in seconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - started


def single_run(words: list[str]) -> dict[str, float]:
    """Run `python train.py` in a folder of its own; return the seconds of its training, and of all the rest."""
    with tempfile.TemporaryDirectory(prefix="first-minute-") as folder:
        root = Path(folder) / "run"
        started = time.monotonic()
        command = [sys.executable, "train.py", f"hydra.run.dir={root}", *words]
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        ended = time.monotonic() - started
        training = json.loads((root / "result.json").read_text())["seconds"]["train"]
        return {"training": training, "all but training": ended - training, "ended": ended}


def sweep(words: list[str]) -> dict[str, float]:
    """Run a sweep in a folder of its own; return the seconds since the command was given.

    Raises:
        SystemExit: it failed, or its winner is not above the target.
    """
    with tempfile.TemporaryDirectory(prefix="first-minute-") as folder:
        root = Path(folder) / "sweep"
        command = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.study_name=first", f"hydra.sweep.dir={root}", *words]
        with (Path(folder) / "log.txt").open("w+") as log:
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "train.py", *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            seen: dict[str, float] = {}
            while process.poll() is None:
                _look(root, seen, started)
                time.sleep(LOOK_S)
            ended = time.monotonic() - started
            _look(root, seen, started)
            log.seek(0)
            if process.returncode != 0 or "winner" not in seen:
                raise SystemExit(f"the sweep failed:\n{log.read()}")
        accuracy = json.loads((root / "winner" / "result.json").read_text())["metrics"]["test/accuracy"]
        if accuracy <= TARGET:
            raise SystemExit(f"the winner has {accuracy:.2%} on the test split, not above {TARGET:.0%}")
        return {"winner": seen["winner"], "card": seen.get("card", ended), "ended": ended}


def _look(root: Path, seen: dict[str, float], started: float) -> None:
    """Note when the winner, and when its card with what was measured for it, is first there."""
    for name, file in (("winner", "selection.json"), ("card", "card.json")):
        if name not in seen and (root / "winner" / file).exists():
            seen[name] = time.monotonic() - started


if __name__ == "__main__":
    main()
