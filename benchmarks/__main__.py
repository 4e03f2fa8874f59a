"""One table: ours beside its peers, in the same run, alternating, medians. How to read it: benchmarks/README.md.

    make bench, or python -m benchmarks [--only NAME ...] [--quick] [--data FOLDER] [--peers PYTHON] [--output FILE]

Run nothing else meanwhile: a second busy process makes two-thread torch up to ten times slower.
"""

import argparse
import importlib
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.commands import ROOT, Place, Skipped
from benchmarks.table import Row, markdown

# Families of rows by name, in the order of the table; each is a file here with `rows(place)`.
FAMILIES = {
    "start": "how soon the first results are there, beside `import torch`",
    "accuracy": "99.0% on the test split, beside the PyTorch MNIST example",
    "template": "lightning-hydra-template's search",
    "searches": "the same trials under other sweepers",
    "empty_trials": "60 trials of 0.3 s",
    "engine": "the engine's own time, memory and idle slots",
    "training_speed": "training and inference beside the machine's matrix product",
    "loading": "the DataLoader beside a bare loop",
    "comparing": "`inksweep compare` over 2,000 runs",
}
# Between these stands the table in benchmarks/README.md.
MARKS = "<!-- table -->", "<!-- end of table -->"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="tiny inputs: does it run? Its figures say nothing")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("INKSWEEP_DATA", ROOT / "data")))
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the Python that peers run in")
    parser.add_argument(
        "--output", type=Path, help="write the table into this file, too: between its marks, if it has them"
    )
    typed = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what runs is ended, too
    place = Place(typed.data.resolve(), typed.quick, typed.peers, say)
    # In a process of its own: this one imports torch only for the families that need it here.
    subprocess.run([sys.executable, "-m", "benchmarks.fetch", str(place.data)], cwd=ROOT, check=True)
    rows, left_out = measured(list(typed.only), place)
    text = f"{about(place)}\n\n{markdown(rows)}" + "".join(f"\nLeft out: {line}\n" for line in left_out)
    print(text)
    if typed.output:
        before = typed.output.read_text(encoding="utf-8") if typed.output.exists() else ""
        typed.output.write_text(written_into(before, text), encoding="utf-8")
    sys.exit(1 if any("failed" in line for line in left_out) else 0)


def measured(names: list[str], place: Place) -> tuple[list[Row], list[str]]:
    """Return the rows of the families, and a line for each family or peer that was left out."""
    rows: list[Row] = []
    left_out: list[str] = []
    for name in names:
        began = time.monotonic()
        place.say(f"{name}: {FAMILIES[name]}")
        try:
            for row in importlib.import_module(f"benchmarks.{name}").rows(place):
                rows.append(row)
                place.say(markdown([row]).splitlines()[2])
        except Skipped as missing:
            left_out.append(f"{name}: {missing}")
        except Exception as error:  # whatever it is, the other rows are worth having
            left_out.append(f"{name} failed: {type(error).__name__}: {error}")
        place.say(f"{name}: took {time.monotonic() - began:.0f} s" + (f"; {left_out[-1]}" if left_out else ""))
    return rows, left_out


def written_into(page: str, text: str) -> str:
    """Return a page with its part between MARKS replaced by `text`; without marks, the text alone."""
    begin, end = MARKS
    if begin not in page or end not in page:
        return text
    return f"{page.partition(begin)[0]}{begin}\n\n{text}\n{end}{page.partition(end)[2]}"


def about(place: Place) -> str:
    """Return on what and when this was measured, in a line."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "optuna"))
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    quick = " A quick look at tiny inputs: the figures say nothing." if place.quick else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {git.stdout.strip() or 'unknown'}; {os.cpu_count()} cores of "
        f"{processor()}; Python {platform.python_version()}, {versions}.{quick}"
    )


def processor() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def say(line: str) -> None:
    """Print a line of progress with the time, on standard error."""
    print(f"[{datetime.now():%H:%M:%S}] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
