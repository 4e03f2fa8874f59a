"""`inksweep compare` over thousands of runs: time and memory with and without its index, and time to start.

    python -m benchmarks.comparing [number of runs, default 2000]

The run folders are written here, with configs that Hydra composed; every figure is that of a process of its own.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from benchmarks.commands import ROOT, Ended, Place
from benchmarks.table import Figure, Row
from inksweep.digits.config import parse

PER_SWEEP = 200
KINDS = [f"model={model} optimizer={optimizer}".split() for model in ("mlp", "cnn") for optimizer in ("sgd", "adamw")]
STATUSES = ["completed"] * 12 + ["pruned"] * 6 + ["failed", "stopped"]


def composed() -> list[tuple[str, str]]:
    """Return config.yaml and hydra.yaml as a job of each kind writes them."""
    parse.register()
    texts = []
    with hydra.initialize_config_dir(str(ROOT / "conf")):
        for words in KINDS:
            settings = hydra.compose("config", words, return_hydra_config=True)
            HydraConfig.instance().set_config(settings)
            with open_dict(settings):
                whole = OmegaConf.masked_copy(settings, "hydra")
                del settings["hydra"]
            texts.append((OmegaConf.to_yaml(settings), OmegaConf.to_yaml(whole)))
    return texts


def write(folder: Path, number: int, kind: tuple[str, str], chance: random.Random) -> None:
    """Write one run directory."""
    settings, about = kind
    hidden = folder / ".hydra"
    hidden.mkdir(parents=True)
    words = [f"optimizer.lr={chance.uniform(1e-4, 1e-1)!r}", f"model.dropout={chance.uniform(0, 0.5)!r}"]
    for word in (*words, f"seed={number % 5}"):
        name, _, value = word.partition("=")
        key = name.rpartition(".")[2]
        before = next(line for line in settings.splitlines() if line.strip().startswith(f"{key}:"))
        settings = settings.replace(before, f"{before.partition(':')[0]}: {value}")
    (hidden / "config.yaml").write_text(settings)
    (hidden / "hydra.yaml").write_text(about)
    (hidden / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words))
    status = chance.choice(STATUSES)
    accuracy = chance.uniform(0.9, 0.995)
    metrics = {"val/loss": chance.uniform(0.02, 0.3), "val/accuracy": accuracy}
    if status == "completed":
        metrics |= {"test/loss": chance.uniform(0.02, 0.3), "test/accuracy": accuracy + 0.001}
    result = {
        "schema_version": 1,
        "status": status,
        "reason": None if status == "completed" else status,
        "objective": {"name": "val/accuracy", "value": accuracy},
        "metrics": metrics,
        "seconds": {"startup": 0.03, "data": 0.07, "evaluate": 0.6, "train": 20.5, "total": chance.uniform(5, 200)},
        "parameters": 237194,
        "seed": number % 5,
        "threads": 1,
        "device": "cpu (x86_64)",
        "command": f"python train.py {' '.join(words)}",
        "git": {"sha": "0" * 40, "dirty": False},
        "versions": dict.fromkeys(("python", "torch", "torchvision", "hydra-core", "optuna", "numpy"), "2.15.0"),
        "error": None,
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2))
    header = "epoch,step,samples,train/loss,val/loss,val/accuracy,lr,seconds,images_per_second\n"
    rows = (f"{n}.0,{214 * n},{54784 * n},0.3384,0.1603,0.95,0.0974,{n * 1.8},29857.69\n" for n in range(1, 11))
    (folder / "metrics.csv").write_text(header + "".join(rows))
    for name in ("train.log", "output.log", ".lock", "model.pt", "predictions.npz"):
        (folder / name).touch()


def make(folder: Path, count: int) -> None:
    chance = random.Random(0)
    kinds = composed()
    for number in range(count):
        sweep = folder / f"sweep{number // PER_SWEEP}"
        write(sweep / str(number % PER_SWEEP), number, chance.choice(kinds), chance)
        (sweep / "summary.json").write_text(json.dumps({"schema_version": 1, "direction": "maximize"}))


def measured(words: list[str], folder: Path, cache: Path) -> tuple[float, float, float]:
    """Return the seconds, those of the processor, and the MiB at most that `inksweep` with `words` takes."""
    began = time.perf_counter()
    with (folder / "out.txt").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", "from inksweep.cli import main; main()", *words],
            stdout=out, cwd=folder, env=os.environ | {"INKSWEEP_CACHE": str(cache)},
        )  # fmt: skip
        _, code, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if code:
        raise Ended(f"inksweep {' '.join(words)}: ended with {code}")
    busy = usage.ru_utime + usage.ru_stime
    return seconds, busy, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def rows(place: Place) -> Iterator[Row]:
    """Measure compare with its index, and starting it."""
    for title, seconds, _, _ in measured_all(20 if place.quick else 2000):
        place.say(f"{title}: {statistics.median(seconds):.2f} s")  # its memory would be that of this process at first
        if not title.startswith(" "):
            yield Row(f"compare: {title}", Figure(statistics.median(seconds), "s"))


def measured_all(count: int) -> Iterator[tuple[str, list[float], list[float], float]]:
    """Yield of each case its title, the seconds of each time, those of the processor, and the MiB at most."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name) / ".cache"
        make(folder / "multirun", count)

        def forget() -> None:
            for file in cache.glob("*"):
                file.unlink()

        cases: list[tuple[str, list[str], Callable[[], object] | None, int]] = [
            ("inksweep compare --help", ["compare", "--help"], None, 5),
            (f"{count:,} runs, no index", ["compare", "multirun"], forget, 3),
            (f"{count:,} runs, index", ["compare", "multirun"], None, 5),
            ("  --where, --top 10", ["compare", "multirun", "--where", "model=cnn", "--top", "10"], None, 5),
            ("  --group-by config", ["compare", "multirun", "--group-by", "config"], None, 5),
            ("  --format csv", ["compare", "multirun", "--format", "csv"], None, 5),
        ]
        for title, words, before, times in cases:
            figures = []
            for _ in range(times):
                if before:
                    before()
                figures.append(measured(words, folder, cache))
            seconds, busy, memory = zip(*figures, strict=True)
            yield title, list(seconds), list(busy), max(memory)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{'':28} {'median s':>9} {'worst s':>8} {'CPU s':>6} {'MiB':>6}")
    for title, seconds, busy, memory in measured_all(count):
        middle, cpu = statistics.median(seconds), statistics.median(busy)
        print(f"{title:28} {middle:9.2f} {max(seconds):8.2f} {cpu:6.2f} {memory:6.0f}", flush=True)


if __name__ == "__main__":
    main()
