"""Kill a sweep again and again, start it again each time, and check that nothing was lost.

`python benchmarks/chaos.py [--kills 30] [--worker-kills 10] [--n-trials 140] [--seed 1]`: a sweep of small real
trainings in two slots. Its whole process group is ended with SIGKILL at random moments: while it starts, between trials
and in the middle of them. Before some of the restarts half a line is added to the journal, or its last line is cut in
half, as after a power cut. Now and then only a worker is killed, and the sweep has to go on by itself.

After each kill all trials are read with Optuna's own reader, and compared with what was read before: a trial that has
finished may never change again, neither in the study nor in its folder, and a number may never be given twice. At the
end exactly `n_trials` trials have finished, none is running, and each that was lost was repeated once with the same
parameters. Prints what was checked; exit code 1 if anything does not hold.

`--app FOLDER` takes the sweep of `FOLDER/app.py` instead, which keeps it in `FOLDER/night`, and logs a line with
" training images, " for each job. Linux only: processes are found in /proc.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

ROOT = Path(__file__).resolve().parent.parent
# In the environment of every process of the sweep.
MARK = "INKSWEEP_CHAOS"
# Some 0.5 s each, on the digits that the tests have.
TRAINING = [
    "hydra/sweeper=optuna",
    "hydra/sweeper/space=none",
    "hydra.sweeper.target=null",
    "hydra.launcher.threads=1",
    "hydra.launcher.preload=[inksweep.digits.run]",
    "trainer.threads=1",
    "trainer.epochs=12",
    "data.checksums=null",
    "data.npm=null",
    "data.train_images=400",
    "data.test_images=150",
    "data.val_size=100",
    "data.batch_size=50",
    "optimizer=adamw",
    "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    "model.hidden=choice([16],[32],[64],[128,64])",
]
# What a job logs once when it begins.
BEGUN = " training images, "
# No process may be alive so long after a kill.
GONE_WITHIN_S = 5.0


@dataclass
class Sweep:
    """A sweep that is started with one command, from `home`, and lies in `folder`."""

    command: list[str]
    home: Path
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def journal(self) -> Path:
        """The file of its study."""
        return self.folder / "study.journal"

    def start(self) -> "subprocess.Popen[bytes]":
        """Begin it, or go on with it."""
        with (self.folder.parent / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.home,
                env={**os.environ, MARK: str(self.folder)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.process

    def processes(self) -> dict[int, int]:
        """Return the living processes of the sweep, each with its parent's id."""
        found = {}
        mark = f"{MARK}={self.folder}".encode()
        for entry in Path("/proc").iterdir():
            with suppress(OSError):  # it has ended, or is none of ours
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                    if state not in "ZX":
                        found[int(entry.name)] = int(parent)
        return found

    def workers(self) -> list[int]:
        """Return the processes that have been forked from the sweep's fork server."""
        return [pid for pid, parent in self.processes().items() if _name(parent) == "fork-server"]

    def trials(self) -> list[FrozenTrial]:
        """Read a copy of the journal as any tool of Optuna would, without a hand of ours; ValueError: it cannot."""
        if not self.journal.exists() or self.journal.stat().st_size == 0:
            return []
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(self.journal, folder)
            storage = JournalStorage(JournalFileBackend(copy))
            return [trial for study in storage.get_all_studies() for trial in storage.get_all_trials(study._study_id)]


@dataclass
class Checks:
    """What must hold, how often that was looked at, and where it did not."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[str, str]] = field(default_factory=list)

    def expect(self, what: str, holds: bool, found: object = "") -> None:
        """Take note of whether something holds, and of what was found."""
        self.counts[what] += 1
        if not holds:
            self.violations.append((what, str(found)))
            print(f"VIOLATED: {what}: {found}", flush=True)


@dataclass
class Memory:
    """All that has been seen of the sweep's trials."""

    finished: dict[int, tuple[FrozenTrial, bytes | None]] = field(default_factory=dict)
    begun: dict[int, object] = field(default_factory=dict)

    def compare(self, sweep: Sweep, checks: Checks) -> list[FrozenTrial]:
        """Compare the sweep with what was seen before, and keep in mind what is new."""
        try:
            trials = sweep.trials()
        except Exception as error:
            checks.expect("the journal is readable", False, repr(error))
            return []
        checks.expect("the journal is readable", True)
        now = {trial.number: trial for trial in trials}
        for number, (before, result) in self.finished.items():
            checks.expect("a finished trial stays in the study as it is", now.get(number) == before, before)
            same = result is None or _result(sweep, number) == result
            checks.expect("a finished trial's result.json stays as it is", same, number)
        for number, started in self.begun.items():
            here = now.get(number)
            checks.expect("a number stays one trial's", here is not None and here.datetime_start == started, number)
        for trial in trials:
            if trial.datetime_start is not None:
                self.begun.setdefault(trial.number, trial.datetime_start)
            if trial.state.is_finished() and trial.number not in self.finished:
                # One whose worker was killed may still lack it; its folder is of no interest any more.
                result = _result(sweep, trial.number) if _counts(trial) else None
                missing = result is None and trial.state is not TrialState.FAIL
                if _counts(trial):
                    checks.expect("a finished trial has a result.json", not missing, trial.number)
                self.finished[trial.number] = trial, result
        return trials


def main() -> int:
    typed = arguments()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        sweep = prepared(typed, Path(folder))
        try:
            checks, done = chaos(sweep, typed)
        finally:
            for pid in sweep.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if checks.violations:
            print(f"\nthe last lines of its output\n{tail(sweep)}")
    print(f"\n{'done':60s}{'times':>8s}")
    for what, times in done.items():
        print(f"{what:60s}{times:8d}")
    wrong = Counter(what for what, _ in checks.violations)
    print(f"\n{'checked':60s}{'times':>8s}{'violated':>10s}")
    for what, times in checks.counts.items():
        print(f"{what:60s}{times:8d}{wrong[what]:10d}")
    return 1 if checks.violations else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="of the sweep's process group")
    parser.add_argument("--worker-kills", type=int, default=10)
    parser.add_argument("--n-trials", type=int, default=140)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--app", type=Path, help="folder of another app")
    parser.add_argument("overrides", nargs="*", help="for example hydra.launcher.preload=[]")
    return parser.parse_args()


def prepared(typed: argparse.Namespace, folder: Path) -> Sweep:
    """Return the sweep that is to be killed."""
    limits = [
        "hydra.sweeper.n_jobs=2",
        f"hydra.sweeper.n_trials={typed.n_trials}",
        "hydra.sweeper.max_failures=1000",
        "hydra.sweeper.retry=1000",
    ]
    if typed.app is not None:
        home = typed.app.resolve()
        return Sweep([sys.executable, "app.py", "-m", *limits, *typed.overrides], home, home / "night")
    shutil.copytree(ROOT / "tests/tiny_mnist/MNIST", folder / "data/MNIST")
    places = [f"data.root={folder / 'data'}", f"hydra.sweep.dir={folder / 'night'}", "hydra.sweeper.study_name=night"]
    command = [sys.executable, "train.py", "-m", *TRAINING, *places, *limits, *typed.overrides]
    return Sweep(command, ROOT, folder / "night")


def chaos(sweep: Sweep, typed: argparse.Namespace) -> tuple[Checks, Counter[str]]:
    """Kill the sweep as often as asked, then let it end.

    Returns:
        What was checked, and what was done.
    """
    dice, checks, memory, done = random.Random(typed.seed), Checks(), Memory(), Counter[str]()
    with_worker_kill = Counter(dice.choices(range(typed.kills + 1), k=typed.worker_kills))
    slowest = 0.0
    for kill in range(typed.kills):
        known = _lines(sweep)
        process = sweep.start()
        # So many trials may finish in this start that the last one still has some to do.
        spare = max(0, typed.n_trials - 8 - sum(_counts(trial) for trial, _ in memory.finished.values()))
        phase, wanted = dice.random(), min(spare, round(dice.uniform(0, 2 * spare / (typed.kills - kill))))
        if (phase < 0.3 or not spare) and not with_worker_kill[kill]:
            delay = dice.uniform(0, 4 if spare else 2)  # before its first trial, most likely
            moment = f"{delay:.2f} s after its start"
        else:
            delay = dice.uniform(0, 1)
            begun = len(memory.begun)
            wait_until(process, lambda begun=begun: _folders(sweep) > begun)
            kill_workers(sweep, with_worker_kill[kill], dice, checks, done)
            enough = wanted + _told(sweep)
            wait_until(process, lambda enough=enough: _told(sweep) >= enough)
            moment = f"{delay:.2f} s after {wanted} more trials"
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=delay)
        ended = process.poll()
        checks.expect("the sweep runs until it is killed, or is done", ended in (None, 0), f"exit code {ended}")
        done["the sweep was killed"] += ended is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        slowest = max(slowest, seconds_until_gone(sweep, checks))
        # Lines that an earlier start has read are on the disk: a power cut takes only what has come since.
        harm = dice.choice(["", "", "half a line more", "half a line less" if len(_lines(sweep)) > len(known) else ""])
        if harm:
            tear(sweep.journal, more=harm.endswith("more"))
            done[f"its journal was left with {harm}"] += 1
        states = Counter(trial.state.name.lower() for trial in memory.compare(sweep, checks))
        print(f"kill {kill + 1} (seed {typed.seed}): {moment} {harm and f'+ {harm} '}-> {dict(states)}", flush=True)

    process = sweep.start()
    wait_until(process, lambda: _folders(sweep) > len(memory.begun))
    kill_workers(sweep, with_worker_kill[typed.kills], dice, checks, done)
    checks.expect("the last start ends well", process.wait(timeout=300) == 0, f"exit code {process.returncode}")
    slowest = max(slowest, seconds_until_gone(sweep, checks))
    trials = memory.compare(sweep, checks)
    check_the_end(trials, typed.n_trials, sweep, checks)
    checks.expect("a start with nothing to do ends well", sweep.start().wait(timeout=120) == 0)
    again = memory.compare(sweep, checks)
    checks.expect("a start with nothing to do does nothing", again == trials, len(again) - len(trials))
    lost, replaced = _marked(trials, "lost"), _marked(trials, "retried")
    done |= {"trials in all": len(trials), "of them lost with the sweep": len(lost)}
    done |= {"of them lost with their worker": len(replaced)}
    print(f"after a kill, all processes were gone within {slowest:.2f} s")
    return checks, done


def check_the_end(trials: list[FrozenTrial], n_trials: int, sweep: Sweep, checks: Checks) -> None:
    """Check what must hold of a sweep that is done."""
    counted = [trial for trial in trials if _counts(trial) and trial.state.is_finished()]
    checks.expect("exactly n_trials trials have finished", len(counted) == n_trials, len(counted))
    running = [trial.number for trial in trials if trial.state is TrialState.RUNNING]
    checks.expect("none is left running", not running, running)
    waiting = [trial.number for trial in trials if trial.state is TrialState.WAITING]
    checks.expect("none is left waiting", not waiting, waiting)
    failed = [trial.number for trial in counted if trial.state is TrialState.FAIL]
    checks.expect("none has failed", not failed, failed)
    checks.expect("numbers are 0, 1, 2, ...", [trial.number for trial in trials] == list(range(len(trials))))
    for trial in [*_marked(trials, "lost"), *_marked(trials, "retried")]:
        repeats = [other for other in trials if other.user_attrs.get("inksweep:repeats") == trial.number]
        checks.expect("each lost trial is repeated once", len(repeats) == 1, (trial.number, len(repeats)))
        asked = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        same = all(asked.items() <= other.params.items() for other in repeats)
        checks.expect("with the same parameters", same, (trial.number, asked))
    for trial in counted:
        own = sweep.folder / str(trial.number) / ".hydra/overrides.yaml"
        said = yaml.safe_load(own.read_text()) if own.exists() else []
        ours = all(f"{key}=" in " ".join(said) for key in trial.params)
        log = "".join(path.read_text() for path in own.parent.parent.glob("*.log") if path.name != "output.log")
        checks.expect("its folder is of its parameters, and of one job", ours and log.count(BEGUN) == 1, trial.number)
    checks.expect("the winner is saved", (sweep.folder / "winner/README.md").is_file())


def kill_workers(sweep: Sweep, times: int, dice: random.Random, checks: Checks, done: Counter[str]) -> None:
    """Kill one worker or more, one after the other; the sweep has to go on."""
    assert sweep.process is not None
    for _ in range(times):
        time.sleep(dice.uniform(0, 1.5))
        wait_until(sweep.process, lambda: bool(sweep.workers()))
        for worker in sweep.workers()[:1] if dice.random() < 0.5 else sweep.workers()[-1:]:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                done["a worker was killed"] += 1
        time.sleep(0.5)
        checks.expect("the sweep survives its worker", sweep.process.poll() in (None, 0), sweep.process.poll())


def tear(journal: Path, more: bool) -> None:
    """Leave a torn line at the end of the journal: half a line `more`, or the last one cut in half."""
    content = journal.read_bytes() if journal.exists() else b""
    last = content[content.rstrip(b"\n").rfind(b"\n") + 1 :]
    half = last[: len(last) // 2]
    journal.parent.mkdir(exist_ok=True)
    journal.write_bytes(content + half if more else content.removesuffix(last) + half)


def seconds_until_gone(sweep: Sweep, checks: Checks) -> float:
    """Wait until no process of the sweep is alive."""
    started = time.monotonic()
    while left := sweep.processes():
        if time.monotonic() - started > GONE_WITHIN_S:
            break
        time.sleep(0.01)
    checks.expect(f"no process is left {GONE_WITHIN_S:g} s after the sweep", not left, left)
    return time.monotonic() - started


def wait_until(process: "subprocess.Popen[bytes]", condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for `condition`, or for the end of the process."""
    deadline = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def tail(sweep: Sweep) -> str:
    """Return the end of what the sweep has printed."""
    lines = (sweep.folder.parent / "output.log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-30:])


def _folders(sweep: Sweep) -> int:
    """Return how many trials have a folder."""
    return sum(entry.name.isdigit() for entry in sweep.folder.iterdir()) if sweep.folder.is_dir() else 0


def _told(sweep: Sweep) -> int:
    """Return how many trials have been told, counted in the journal as it is."""
    return sum(line.startswith(b'{"op_code":6,') and b'"state":0' not in line for line in _lines(sweep))


def _lines(sweep: Sweep) -> list[bytes]:
    """Return the whole lines of the journal."""
    return sweep.journal.read_bytes().split(b"\n")[:-1] if sweep.journal.exists() else []


def _result(sweep: Sweep, number: int) -> bytes | None:
    path = sweep.folder / str(number) / "result.json"
    return path.read_bytes() if path.exists() else None


def _counts(trial: FrozenTrial) -> bool:
    return not {"inksweep:lost", "inksweep:retried"} & set(trial.user_attrs)


def _marked(trials: list[FrozenTrial], mark: str) -> list[FrozenTrial]:
    return [trial for trial in trials if f"inksweep:{mark}" in trial.user_attrs]


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


if __name__ == "__main__":
    sys.exit(main())
