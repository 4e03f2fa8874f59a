"""What a script does by itself it does as a trial: the same script with each launcher, and the table of the docs.

The script stands in `script/`, a case a trial; docs/any_hydra_app.md has the answers as a table.
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.sweep import apps

SCRIPT = Path(__file__).parent / "script"
METHODS = ("fork", "forkserver", "spawn")
# A row of the table -> the cases of script/app.py that it stands for, or the other scripts by their answer.
ROWS = {
    "`pickle` of objects, classes and functions of the script": ["own_pickle"],
    "the script by itself reads what a trial has pickled": ["kept_pickle"],
    "`torch.save` of a whole model of the script's own class": ["own_model"],
    "structured configs of the script, as its own dataclasses": ["structured_config"],
    "nested functions and lambdas, in threads": ["nested_function"],
    "`multiprocessing.Pool`: fork, forkserver, spawn": [f"pool_{method}" for method in METHODS],
    "`multiprocessing.Process`: fork, forkserver, spawn": [f"process_{method}" for method in METHODS],
    "`concurrent.futures.ProcessPoolExecutor`": ["executor"],
    "`joblib.Parallel`": ["parallel"],
    "`DataLoader` with workers that persist: fork, forkserver, spawn": [f"loader_{method}" for method in METHODS],
    "ends a program or process that it has started": ["ended_program", "ended_process"],
    "what it starts has the usual signals": ["signals_of_children"],
    "a time limit by `SIGALRM`": ["time_limit"],
    "a resolver registered at the top of the script": ["resolver_of_the_module"],
    "a resolver registered behind the `__main__` guard": ["resolver_of_the_guard"],
    "a resolver registered in the task": ["resolver_of_the_task"],
    "a global that the script has changed before `main()`": ["state_of_the_script"],
    "the same in a module that the script imports": ["state_of_a_module"],
    "an environment variable that the script has set": ["environment"],
    "`sys.argv`, `__file__`, the folder, a module beside the script": ["where_it_is"],
    "the log of the job": ["written_log"],
    "what stands at the top of the script happens once": ["imported_once"],
    "a script without the `__main__` guard": ["no_guard"],
    "`python -m package.module`, with relative imports": ["as_a_module"],
    "a task that is a closure, a method or an object, with what cannot be pickled": ["closure", "method", "callable"],
    "a process that a trial leaves behind ends with the sweep": ["nothing_left"],
}
LAUNCHERS = {
    "basic": ["hydra/launcher=basic"],
    "slots": ["hydra.launcher.start_method=fork"],
    "slots, `spawn`": ["hydra.launcher.start_method=spawn"],
    "joblib": ["hydra/launcher=joblib"],
    "ray": ["hydra/launcher=ray"],
    "submitit": ["hydra/launcher=submitit_local"],
}
OTHER_SCRIPTS = {
    "no_guard": ["no_guard.py"],
    "as_a_module": ["-m", "package.module"],
    "closure": ["other_tasks.py", "closure"],
    "method": ["other_tasks.py", "method"],
    "callable": ["other_tasks.py", "callable"],
}
INSIDE = [
    case
    for cases in ROWS.values()
    for case in cases
    if case not in (*OTHER_SCRIPTS, "imported_once", "nothing_left", "kept_pickle")
]
SLOW = ("own_model", "loader", "parallel", "forkserver")


class Script:
    """A copy of the scripts in a folder of its own, run with one launcher."""

    def __init__(self, root, launcher):
        self.root, self.launcher = root, LAUNCHERS[launcher]
        shutil.copytree(SCRIPT, root, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *words, n_trials=1, limit=120):
        """Run a sweep; return its output."""
        n_jobs = 1 if "basic" in self.launcher[0] else 2
        sweeper = ["hydra/sweeper=inksweep", "hydra/sweeper/sampler=grid", f"hydra.sweeper.n_jobs={n_jobs}"]
        sweeper += [f"hydra.sweeper.n_trials={n_trials}", "hydra.sweeper.report=false", "hydra.sweeper.retry=0"]
        sweeper += ["hydra.sweeper.max_failure_rate=1.0", *self.launcher]
        # Into a file: a process that a trial has left behind would keep a pipe open.
        with (self.root / "output.txt").open("w+") as output:
            process = subprocess.Popen(
                [sys.executable, *words, "-m", *sweeper],
                cwd=self.root,
                env={**os.environ, apps.MARK: str(self.root)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(limit)
                self.left = [pid for pid in apps.App(self.root).processes() if b"left behind" in _command(pid)]
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            output.seek(0)
            return output.read()

    def answers(self, cases, limit=120):
        """Return what each case of app.py came to: True, or a text."""
        said = self.run("app.py", f"case=choice({','.join(cases)})", n_trials=len(cases), limit=limit)
        return {case: self._answer(case, said) for case in cases}

    def imported_once(self):
        (self.root / "imported.txt").unlink(missing_ok=True)
        self.run("app.py", "case=choice(environment,where_it_is)", n_trials=2)
        return (self.root / "imported.txt").read_text().count("\n") == 1

    def nothing_left(self):
        self.run("app.py", "case=choice(child_left_behind,environment)", n_trials=2)
        assert (self.root / "answers/child_left_behind.json").exists()
        for pid in self.left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not self.left

    def kept_pickle(self):
        self.run("app.py", "case=choice(own_pickle)")
        for path in self.root.glob("multirun/**/kept.pkl"):
            subprocess.run([sys.executable, "app.py", "read", path], cwd=self.root, capture_output=True, timeout=60)
        return self._answer("kept_pickle", "nothing was kept, or it cannot be read")

    def other(self, case):
        said = self.run(*OTHER_SCRIPTS[case], f"+root={self.root}", "+x=choice(1,2)", n_trials=2)
        return self._answer(case, said)

    def _answer(self, case, said):
        path = self.root / "answers" / f"{case}.json"
        return json.loads(path.read_text()) if path.exists() else f"no answer: {said[-300:]}"


def _command(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # ray leaves a token there
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    return lambda launcher: Script(tmp_path / "script", launcher)


def shown(answers):
    """Return the cell of the table for the answers to the cases of a row."""
    wrong = [case for case, answer in answers.items() if answer is not True]
    if not wrong:
        return "yes"
    return "no" if len(wrong) == len(answers) else f"not {', '.join(case.rpartition('_')[2] for case in wrong)}"


def table():
    """Return the table of the page: launcher -> row -> cell."""
    lines = (REPOSITORY / "docs/any_hydra_app.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| what a script does"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    head, _, *rest = rows
    return {launcher: {row[0]: row[column] for row in rest} for column, launcher in enumerate(head) if column}


def test_a_trial_does_what_the_script_does(script):
    made = script("slots")
    quick = [case for case in INSIDE if not case.startswith(SLOW) and not case.endswith(SLOW)]
    assert made.answers(quick) == dict.fromkeys(quick, True)
    assert made.imported_once()


def test_a_trial_in_the_sweeps_own_process_can_end_what_it_forks(script):
    # The sweep has handlers of signals there, which forked processes must not keep: a Pool would wait for ever.
    cases = ["pool_fork", "ended_process"]
    assert script("basic").answers(cases) == dict.fromkeys(cases, True)


def test_what_a_spawned_trial_has_pickled_is_the_scripts_own(script):
    assert script("slots, `spawn`").kept_pickle() is True


@pytest.mark.parametrize("case", ["no_guard", "as_a_module", "closure"])
def test_slots_run_scripts_of_any_form(script, case):
    assert script("slots").other(case) is True


def test_what_a_trial_leaves_behind_ends_with_the_sweep(script):
    assert script("slots").nothing_left()


def test_the_table_has_every_row_and_launcher():
    assert list(table()) == list(LAUNCHERS)
    assert all(list(column) == list(ROWS) for column in table().values())


@pytest.mark.full
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_the_table_of_the_docs_is_what_happens(script, launcher):
    name = LAUNCHERS[launcher][0].partition("=")[2].partition("_")[0]
    for package in (
        "torch",
        "joblib",
        *([f"hydra_plugins.hydra_{name}_launcher"] if name in ("joblib", "ray", "submitit") else []),
    ):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    made = script(launcher)
    answers = made.answers(INSIDE, limit=900)
    answers |= {case: getattr(made, case)() for case in ("imported_once", "nothing_left", "kept_pickle")}
    answers |= {case: made.other(case) for case in OTHER_SCRIPTS}
    seen = {row: shown({case: answers[case] for case in cases}) for row, cases in ROWS.items()}
    assert seen == table()[launcher], {case: answer for case, answer in answers.items() if answer is not True}
