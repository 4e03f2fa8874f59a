"""What a trial may do in a slot: all that the script does by itself; and what it leaves ends with it."""

import json
import os
import signal
import sys

import psutil
import pytest

from inksweep.sweep.slots.processes import Forked
from tests.sweep import apps
from tests.sweep.apps import wait_for

# A script like many: classes and a resolver of its own, something done when it is imported, something set before main.
CODE = """
import concurrent.futures, json, multiprocessing, os, pickle, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

with open(Path(__file__).with_name("imported.txt"), "a") as file:
    file.write(__name__ + "\\n")
OmegaConf.register_resolver("twice", lambda value: 2 * value)
state = {}

@dataclass
class Point:
    x: float

class Late(Exception):
    pass

def move(point):
    assert type(point) is Point, "another Point"
    return Point(point.x + 1)

def moved(start_method):
    with multiprocessing.get_context(start_method).Pool(1) as pool:
        return pool.map(move, [Point(1)])[0].x

def can_end_a_child():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join(20)
    return child.exitcode

def task(cfg):
    def local(value):
        return value + 1
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        in_thread = list(threads.map(local, [1]))
    seen = {
        "pool": {method: moved(method) for method in cfg.methods},
        "executor": [point.x for point in concurrent.futures.ProcessPoolExecutor(1).map(move, [Point(1)])],
        "thread": in_thread,
        "same class": type(pickle.loads(pickle.dumps(Point(1)))) is Point,
        "ended": can_end_a_child(),
        "state": dict(state),
        "resolved": [OmegaConf.create({"a": "${twice:1}"}).a, cfg.late],
        "script": [__file__, sys.argv[0], sys.stdin.read()],
    }
    pid = subprocess.Popen(["sleep", "600"], start_new_session=True).pid if cfg.leave else None
    out = Path(HydraConfig.get().runtime.output_dir)
    (out / "seen.json").write_text(json.dumps({**seen, "pid": os.getpid(), "left": pid}))
    if cfg.fail:
        raise Late("too late")
    if cfg.wait:
        time.sleep(600)
    return cfg.x

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    return task(cfg)

if __name__ == "__main__":
    state["set"] = "before main"
    OmegaConf.register_resolver("late", lambda: "registered late")
    main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
x: 0.0
late: ${late:}
methods: [fork]
leave: false
fail: false
wait: false
hydra:
  sweep: {dir: night}
  sweeper: {n_trials: 2, n_jobs: 1, report: false, params: {x: "interval(0,1)"}}
"""


@pytest.fixture
def app(tmp_path):
    return apps.write(tmp_path / "app", CODE, CONFIG)


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def seen(app, number=0):
    return json.loads((app.sweep / str(number) / "seen.json").read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_forked_trial_does_what_the_script_does(app, monkeypatch):
    # Batch systems give each job a folder of its own, too long for the address of a socket in it.
    long = app.root / ("job" * 30)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    done = app.run()
    assert done.returncode == 0, done.stderr
    trial = seen(app)
    assert trial["pool"] == {"fork": 2}
    assert trial["executor"] == [2]
    assert trial["thread"] == [2]
    assert trial["same class"]
    assert trial["ended"] == -signal.SIGTERM
    assert trial["state"] == {"set": "before main"}
    assert trial["resolved"] == [2, "registered late"]
    assert trial["script"] == [str(app.root / "app.py"), "app.py", ""]
    # One worker, as nothing was left that would have to end with it, and the script has run once.
    assert seen(app, 1)["pid"] == trial["pid"]
    assert (app.root / "imported.txt").read_text().split() == ["__main__"]


def test_a_trial_may_spawn(app):
    done = app.run("methods=[spawn,forkserver]", "hydra.sweeper.n_trials=1")
    assert done.returncode == 0, done.stderr
    assert seen(app)["pool"] == {"spawn": 2, "forkserver": 2}


def test_a_spawned_worker_has_the_script_once(app):
    # What stands under the guard is for the process that is started.
    top, guard, bottom = CODE.partition('if __name__ == "__main__":\n')
    always = "".join(f"{line.strip()}\n" for line in bottom.splitlines() if "main()" not in line)
    (app.root / "app.py").write_text(f"{top}{always}{guard}    main()\n")
    done = app.run("hydra.launcher.start_method=spawn", "hydra.sweeper.n_trials=1")
    assert done.returncode == 0, done.stderr
    trial = seen(app)
    assert trial["same class"]
    assert trial["pool"] == {"fork": 2}
    assert trial["executor"] == [2]
    assert trial["resolved"] == [2, "registered late"]
    assert trial["ended"] == -signal.SIGTERM


def test_so_does_one_in_the_process_of_the_sweep(app):
    done = app.run("hydra/launcher=basic", "hydra.sweeper.n_trials=1")
    assert done.returncode == 0, done.stderr
    assert seen(app)["ended"] == -signal.SIGTERM
    assert seen(app)["pool"] == {"fork": 2}


def test_a_class_of_the_script_comes_back_as_what_it_is(app):
    done = app.run("fail=true", "hydra.sweeper.max_failures=0")
    assert done.returncode == 1
    assert "\nLate: too late" in done.stderr
    assert "as text" not in done.stderr


UNGUARDED = CODE.replace('if __name__ == "__main__":\n    state', "if True:\n    state")


def test_a_script_without_the_guard_is_swept(app):
    (app.root / "app.py").write_text(UNGUARDED)
    done = app.run("hydra.sweeper.n_trials=1")
    assert done.returncode == 0, done.stderr
    assert (app.root / "imported.txt").read_text().split() == ["__main__"]


def test_a_script_without_the_guard_that_is_imported_again_is_told_what_it_lacks(app):
    (app.root / "app.py").write_text(UNGUARDED)
    done = app.run("hydra.launcher.start_method=spawn")
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if "__main__" in line)
    assert f"{app.root / 'app.py'}: calls its main also when it is imported" in line
    assert 'if __name__ == "__main__":' in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_what_a_trial_leaves_running_ends_with_it(app, method):
    with app.started("leave=true", f"hydra.launcher.start_method={method}", "late=x") as sweep:
        wait_for(lambda: (app.sweep / "1/seen.json").exists())
        assert not runs(seen(app)["left"])
        assert sweep.wait(60) == 0
    assert seen(app)["pid"] != seen(app, 1)["pid"]
    assert not runs(seen(app, 1)["left"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give orphans to their first process")
@pytest.mark.parametrize("killed", ["sweep", "worker", "fork server"])
def test_what_a_trial_has_started_ends_with_whoever_is_killed(app, killed):
    with app.started("leave=true", "wait=true", "hydra.sweeper.retry=0", "hydra.sweeper.max_failures=2") as sweep:
        wait_for(lambda: (app.sweep / "0/seen.json").exists() and seen(app)["left"])
        worker = psutil.Process(seen(app)["pid"])
        assert worker.name() == "slot-0"
        assert worker.parent().name() == "fork-server"
        victim = {"sweep": sweep.pid, "worker": worker.pid, "fork server": worker.ppid()}[killed]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: not runs(worker.pid), 10)
        if killed != "fork server":  # a session of its own is out of reach without it
            wait_for(lambda: not runs(seen(app)["left"]), 10)
            return
        os.kill(seen(app)["left"], signal.SIGKILL)
        # The sweep has another one, and goes on.
        wait_for(lambda: (app.sweep / "1/seen.json").exists() and seen(app, 1)["left"])
        assert "the process that it was forked from has ended" in app.result(0)["reason"]


def test_a_fork_that_cannot_be_is_said_and_spawned_instead(app):
    pytest.importorskip("torch")
    heavy = "import torch\ntorch.set_num_threads(2)\nif __name__ == '__main__': torch.randn(1000000).sin().sum()\n"
    (app.root / "app.py").write_text(heavy + CODE)
    arguments = ["hydra.launcher.threads=2", "hydra.sweeper.n_trials=1", "late=x", "methods=[]"]
    done = app.run(*arguments)
    assert done.returncode == 0, done.stderr
    said = "the script has computed with several threads before it called its main"
    assert f"workers import the script again, as they cannot be forked: {said}" in done.stdout + done.stderr
    done = app.run(*arguments, "hydra.launcher.start_method=fork", "hydra.sweeper.n_trials=2")
    assert done.returncode == 1
    assert f"hydra.launcher.start_method=fork: {said}; spawn or auto does it" in done.stderr


# A sweep whose settings are refused after its workers' process has begun: what that imports takes long.
REFUSED = ["hydra.sweeper.enqueue=[{y: 1}]", "hydra.launcher.preload=[slow]"]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_start_that_is_refused_leaves_neither_file_nor_process(app):
    (app.root / "slow.py").write_text("import time, pathlib\npathlib.Path('begun').touch()\ntime.sleep(600)\n")
    before = {path.name for path in app.root.iterdir()}
    done = app.run(*REFUSED, timeout=60)
    assert done.returncode == 1
    assert "hydra.sweeper.enqueue" in done.stderr
    assert {path.name for path in app.root.iterdir()} - before <= {"begun", "imported.txt", "__pycache__"}
    assert not list(app.processes())


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_what_workers_need_is_imported_while_the_sweep_imports_optuna(app):
    (app.root / "first.py").write_text("import sys\nprint('optuna' in sys.modules, flush=True)\n")
    done = app.run("hydra.launcher.preload=[first]", "hydra.sweeper.n_trials=1", "late=x")
    assert done.returncode == 0, done.stderr
    # What the engine itself needs in a worker comes after what takes longest, the app's.
    assert done.stdout.splitlines()[0] == "False"


LIMITED = """
    def fork():
        if fork_server.NAME in Path("/proc/self/comm").read_text():
            raise BlockingIOError(11, "too many")
        return os.fork()
    fork_server.fork = fork
    main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_worker_that_cannot_be_forked_says_so(app):
    # More processes than the user may have: a limit that does not hold for root, so it is put in by hand.
    code = CODE.replace("import hydra\n", "import hydra\nfrom inksweep.sweep.job import fork_server\n")
    (app.root / "app.py").write_text(code.replace("    main()\n", LIMITED))
    done = app.run("hydra.sweeper.n_trials=1")
    assert done.returncode == 1
    line = "3 workers died at once while they were starting: a worker could not be forked ([Errno 11] too many)"
    assert line in done.stderr


@pytest.fixture
def forked(tmp_path, monkeypatch, can_be_forked):
    """A process that commands are forked from, without anything to sweep, and a module `run_it` that runs its word."""
    (tmp_path / "run_it.py").write_text("import os, subprocess, sys, time\nexec(sys.argv[1])\n")
    monkeypatch.syspath_prepend(tmp_path)
    if sys.platform != "linux":
        pytest.skip("workers are forked on Linux only")
    processes = Forked(None, [], {"OMP_NUM_THREADS": "1"})
    yield processes
    processes.close()


def test_a_command_is_run_as_python_would_in_a_process_that_has_all_imported(forked, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    code = "print(os.environ['OMP_NUM_THREADS'], 'inksweep.sweep.job.runner' in sys.modules, __name__)"
    assert forked.run(["run_it", code], 60) == (0, "7 True __main__\n")
    assert forked.run(["inksweep", "--version"], 60)[0] == 0
    code, printed = forked.run(["inksweep", "compare", "nowhere"], 60)
    assert (code, printed.count("\n")) == (2, 1)
    assert "nowhere" in printed


@pytest.mark.parametrize(("ends", "code"), [("os.kill(os.getpid(), 9)", -9), ("sys.exit(3)", 3), ("sys.exit('no')", 1)])
def test_how_a_command_ended_is_its_code(forked, ends, code):
    assert forked.run(["run_it", ends], 60)[0] == code


def test_a_command_that_takes_too_long_is_ended_with_what_it_has_started(forked, tmp_path):
    left = tmp_path / "pid"
    code = f"open({str(left)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid)); time.sleep(600)"
    with pytest.raises(TimeoutError):
        forked.run(["run_it", code], 2)
    wait_for(lambda: not runs(int(left.read_text())), 10)


def test_without_the_process_to_fork_from_that_is_said(forked):
    os.kill(forked._pid, signal.SIGKILL)
    with pytest.raises(ConnectionError):
        forked.run(["inksweep", "--version"], 60)
