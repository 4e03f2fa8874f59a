"""Whole commands, with an app of a few lines that imports no torch and is not inksweep."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hydra_plugins.hydra_optuna_sweeper.config import Direction, OptunaSweeperConf

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.runs.find import find
from inksweep.sweep.settings import InksweepSweeperConf, TargetConf

APP = """
import json, sys, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from inksweep import trial
from inksweep.errors import Diverged, InputError, one_line_errors

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    out = Path(HydraConfig.get().runtime.output_dir)
    with open("ran.txt", "a") as file:
        print(out.name, cfg.x, file=file)
    if cfg.kind == "diverges":
        raise Diverged("the loss is not a number")
    if cfg.kind == "wrong":
        raise InputError("kind=wrong: must be something else")
    time.sleep(cfg.sleep)
    trial.report(1, cfg.x)
    if trial.should_stop():
        return None
    value = 1 - (cfg.x - 3) ** 2 / 100
    (out / "result.json").write_text(json.dumps({"metrics": {"test/accuracy": value}}))
    return value

if __name__ == "__main__":
    with one_line_errors():
        main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
x: 1.0
kind: plain
sleep: 0
hydra:
  sweep: {dir: night}
  sweeper: {direction: maximize, n_trials: 3, params: {x: "interval(0,10)"}, sampler: {seed: 1}}
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text(CONFIG)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def run(app, *arguments):
    command = [sys.executable, "app.py", "-m", *arguments]
    return subprocess.run(command, cwd=app, capture_output=True, text=True, timeout=300)


def ran(app):
    """Return (folder, x) of every job, in order."""
    return [tuple(line.split()) for line in (app / "ran.txt").read_text().splitlines()]


def summary(app):
    return json.loads((app / "night/summary.json").read_text())


def test_a_sweep_ends_with_its_files_and_a_rerun_does_only_what_is_missing(app):
    first = run(app)
    assert first.returncode == 0, first.stderr
    assert [number for number, _ in ran(app)] == ["0", "1", "2"]
    assert (app / "night/winner/config.yaml").is_file()
    results = yaml.safe_load((app / "night/optimization_results.yaml").read_text())
    assert results == {
        "name": "optuna",
        "best_params": summary(app)["incumbent"]["params"],
        "best_value": summary(app)["incumbent"]["value"],
    }
    assert yaml.safe_load((app / "night/sweep.yaml").read_text())["command"] == "python app.py -m"

    before = (app / "night/0/result.json").stat().st_mtime_ns
    assert run(app, "hydra.sweeper.n_trials=5").returncode == 0
    assert [number for number, _ in ran(app)] == ["0", "1", "2", "3", "4"]
    # The sampler goes on: the same seed does not suggest the same points again.
    assert len({x for _, x in ran(app)}) == 5
    assert (app / "night/0/result.json").stat().st_mtime_ns == before

    # Nothing is left to do: the points to try would use up trials that there are none of.
    known = summary(app)["incumbent"]["params"]["x"]
    finished = run(app, "hydra.sweeper.n_trials=5", f"hydra.sweeper.enqueue=[{{x: {known}}}, {{x: 9}}, {{x: 9}}]")
    assert len(ran(app)) == 5
    assert "hydra.sweeper.enqueue: 1 of 3 points are new, the study has the others" in finished.stdout
    assert "5 of 5 trials are done; a higher hydra.sweeper.n_trials goes on" in finished.stdout
    assert "all 5 trials are done" in finished.stdout
    assert "winner: trial" in finished.stdout


def test_a_space_that_is_exhausted_says_how_many_trials_were_not_trained(app):
    few = ["hydra.sweeper.params={x: 'choice(1,2)'}", "hydra.sweeper.n_trials=9", "hydra.sweeper.n_jobs=1"]
    done = run(app, *few, "hydra.sweeper.target=null")
    assert done.returncode == 0, done.stderr
    assert len(ran(app)) == 2
    assert "7 of its 9 trials were not trained: their points were known already" in done.stdout
    assert "hydra.sweeper.reuse_results=false" in done.stdout


def test_a_grid_says_how_many_points_it_has(app):
    grid = ["hydra/sweeper/sampler=grid", "hydra.sweeper.params={x: 'choice(1,2)'}"]
    done = run(app, *grid, "hydra.sweeper.target=null")
    assert done.returncode == 0, done.stderr
    assert "hydra.sweeper.n_trials=3: the grid has 2 points" in done.stdout
    assert "all 2 trials are done" in done.stdout


def test_the_target_ends_a_sweep(app):
    done = run(app, "hydra.sweeper.target={metric: test/accuracy, value: 0.5}")
    assert done.returncode == 0, done.stderr
    assert len(ran(app)) == 1
    assert summary(app)["stop_reason"] == "target"
    said = done.stdout.splitlines()
    (line,) = [line for line in said if "the target is reached" in line]
    assert re.search(r"reached: test/accuracy 0\.\d+ > 0\.5 \(trial 0, the first point of the search\)$", line)
    # Nothing better is known of this app. The command does go on, to the end.
    go_on = said[-1].partition("go on without a target, up to hydra.sweeper.n_trials: ")[2]
    assert go_on == "python app.py -m hydra.sweeper.target=null"
    assert subprocess.run([sys.executable, *shlex.split(go_on)[1:]], cwd=app, timeout=300).returncode == 0
    assert len(ran(app)) == 3


def test_kill_loses_one_trial_which_is_repeated_with_its_parameters(app):
    command = [sys.executable, "app.py", "-m"]
    # The third trial never ends: it is killed in its middle.
    (app / "app.py").write_text(APP.replace("time.sleep(cfg.sleep)", "time.sleep(60 if out.name == '2' else 0)"))
    sweep = subprocess.Popen(command, cwd=app, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(lambda: (app / "ran.txt").exists() and len(ran(app)) == 3)
        # Meanwhile nobody else may run it.
        second = run(app)
        assert (second.returncode, "another process is running this sweep" in second.stderr) == (2, True)
    finally:
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.wait()
    torn = (app / "night/study.journal").open("ab")
    torn.write(b'{"op_code": 6, "wor')
    torn.close()

    done = run(app)
    assert done.returncode == 0, done.stderr
    assert [number for number, _ in ran(app)] == ["0", "1", "2", "3"]
    assert ran(app)[3][1] == ran(app)[2][1]
    assert summary(app)["trials"] == {"complete": 3, "pruned": 0, "fail": 0, "running": 0, "waiting": 0, "lost": 1}


@pytest.mark.parametrize(
    ("number", "code", "launcher"),
    [(signal.SIGINT, 130, "slots"), (signal.SIGINT, 130, "basic"), (signal.SIGTERM, 143, "slots")],
)
def test_ctrl_c_and_a_schedulers_end_save_the_winner(app, number, code, launcher):
    # The second trial ends at its report, and would otherwise not.
    endless = "while out.name == '1' and not trial.should_stop(): time.sleep(0.05)"
    (app / "app.py").write_text(APP.replace("time.sleep(cfg.sleep)", endless))
    command = [sys.executable, "app.py", "-m", f"hydra/launcher={launcher}"]
    sweep = subprocess.Popen(command, cwd=app, stdout=subprocess.DEVNULL)
    wait_for(lambda: (app / "ran.txt").exists() and len(ran(app)) == 2)
    sweep.send_signal(number)
    assert sweep.wait(timeout=300) == code
    assert summary(app)["stop_reason"] == "interrupted"
    assert "Trial 0" in (app / "night/winner/README.md").read_text()


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_diverged_training_is_pruned_and_no_failure(app):
    done = run(app, "kind=diverges")
    assert done.returncode == 0, done.stderr
    assert summary(app)["trials"]["pruned"] == 3
    assert "no trial is complete, so there is no winner" in done.stdout


@pytest.mark.parametrize(
    ("argument", "line", "trials"),
    [
        # Found while the first configs are composed: nothing has been written.
        ("missing.key=1", "error: missing", None),
        ("hydra.sweeper.when={x: {a: {y: 1}}}", "error: hydra.sweeper.when.x.a: x is never a", None),
        ("hydra.sweep.subdir=../mine", "error: hydra.sweep.subdir=../mine_0: must be a folder in", None),
        (f"hydra.sweep.subdir={'long' * 70}", "error: hydra.sweep.subdir=longlong", None),
        (
            "hydra/sweeper/pruner=percentile hydra.sweeper.pruner.percentile=200",
            "error: hydra.sweeper.pruner=optuna",
            None,
        ),
        ("hydra.sweeper.enqueue=[{y: 1}]", "error: hydra.sweeper.enqueue[0]", None),
        ("hydra.sweeper.on_mismatch=ignore", "error: hydra.sweeper.on_mismatch", None),
        ("hydra.launcher.threads=0", "error: hydra.launcher.threads=0: must be", None),
        # Found by the job: one trial, not three.
        ("kind=wrong", "error: kind=wrong: must be something else", 1),
        ("hydra.sweeper.target={metric: val/accuracy, value: 0.5}", "error: hydra.sweeper.target.metric=val/", 1),
    ],
)
def test_a_users_error_is_one_line(app, argument, line, trials):
    done = run(app, *(argument.split() if "=" in argument.split()[-1] else [argument]))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert (len(ran(app)) if (app / "ran.txt").exists() else None) == trials
    assert (app / "night").exists() == (trials is not None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_trials", 0),
        ("n_jobs", 0),
        ("n_jobs", -1),
        ("max_failure_rate", 1.5),
        ("max_failures", -1),
        ("retry", -1),
        ("timeout_s", 0),
        ("trial_timeout_s", -1.0),
        ("patience_trials", 0),
        ("heartbeat_s", 0),
        ("warm_start_best", 0),
        ("direction", "up"),
        ("direction", ["maximize", "up"]),
        ("direction", []),
        ("storage", "study.db"),
        ("study_name", "a/../b"),
        ("study_name", "/a"),
        ("study_name", ".."),
        ("study_name", ""),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(InputError, match=rf"^hydra\.sweeper\.{key}=.*: must be"):
        InksweepSweeperConf(**{key: value})


def test_several_jobs_with_a_launcher_of_one_run_one_after_the_other(app):
    # A file of the stock sweeper, whose n_jobs is the size of a batch, says nothing else.
    done = run(app, "hydra/launcher=basic", "hydra.sweeper.n_jobs=3", "hydra.sweeper.n_trials=2")
    assert done.returncode == 0, done.stderr
    assert "hydra.sweeper.n_jobs=3: counts as 1 with hydra/launcher=basic, which runs one job at a time" in done.stdout
    assert [number for number, _ in ran(app)] == ["0", "1"]


def test_another_search_under_the_same_name_is_refused_unless_wanted(app):
    assert run(app).returncode == 0
    refused = run(app, "sleep=0.01", "hydra.sweeper.n_trials=4")
    assert refused.returncode == 2
    assert "began as another search" in refused.stderr
    assert "sleep" in refused.stderr
    assert len(ran(app)) == 3
    assert run(app, "sleep=0.01", "hydra.sweeper.n_trials=4", "hydra.sweeper.on_mismatch=continue").returncode == 0
    assert len(ran(app)) == 4


def test_points_are_tried_first_and_those_of_another_sweep_too(app):
    assert run(app, "hydra.sweeper.enqueue=[{x: 3.0}]").returncode == 0
    assert ran(app)[0] == ("0", "3.0")
    words = ["hydra.sweep.dir=day", "hydra.sweeper.warm_start=night", "hydra.sweeper.warm_start_best=1"]
    assert run(app, *words).returncode == 0
    assert ran(app)[3] == ("0", "3.0")


@pytest.mark.parametrize(
    ("subdir", "folders"),
    [
        ("trial_${hydra.job.num}", {"trial_0", "trial_1"}),
        ("by/${hydra.job.override_dirname}", {"by/kind=other,x=1.0_0", "by/kind=other,x=3.0_1"}),
        ("same", {"same_0", "same_1"}),
        ("of_${hydra:job.num}", {"of_0", "of_1"}),
    ],
)
def test_the_folders_of_trials_may_have_other_names(app, subdir, folders):
    # The number is added where it is missing; whoever looks for a trial finds it.
    launcher, has_stage = "basic" if subdir == "same" else "slots", subdir.startswith("trial")
    words = ["kind=other", f"hydra.sweep.subdir={subdir}", f"hydra/launcher={launcher}", "hydra.sweeper.n_trials=2"]
    words += ["+seed=1", "hydra.sweeper.winner.seeds=1"] if has_stage else []
    done = run(app, *words, "hydra.sweeper.enqueue=[{x: 1.0},{x: 3.0}]")
    assert done.returncode == 0, done.stderr
    sweep = SweepDir(app / "night")
    assert {sweep.trial(number).root for number in (0, 1)} == {app / "night" / folder for folder in folders}
    assert set(find([app / "night"])) == {app / "night" / folder for folder in folders}
    assert not (app / "night/0").exists()
    assert all(sweep.trial(number).output.is_file() == (launcher == "slots") for number in (0, 1))
    # The winner is that trial, or that of the final stage, whose folders are called the same way.
    chosen = json.loads((app / "night/winner/selection.json").read_text())["model"]["path"]
    assert app / "night" / chosen == (app / "night/finalists/trial_0" if has_stage else sweep.trial(1).root)
    # A rerun goes on behind them.
    assert run(app, *words, "hydra.sweeper.n_trials=3").returncode == 0
    assert len(ran(app)) == 3 + has_stage
    assert sweep.trial(2).result.is_file()


def test_a_dry_run_shows_space_points_and_time_and_writes_nothing(app):
    before = sorted(app.rglob("*"))
    done = run(app, "hydra.sweeper.dry_run=true", "hydra.sweeper.enqueue=[{x: 3.0}]", "sleep=0.1")
    assert done.returncode == 0, done.stderr
    assert "  x = " in done.stdout
    assert "0: x=3" in done.stdout
    assert "time: about " in done.stdout
    (app / "ran.txt").unlink()  # the app's own
    assert sorted(app.rglob("*")) == before


@pytest.mark.parametrize("value", [90, 1.0, -0.1, float("nan")])
def test_a_target_on_an_accuracy_is_a_fraction(value):
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.target\.value="):
        TargetConf("test/accuracy", value)


def test_a_target_on_another_metric_may_be_any_number():
    assert TargetConf("score", 90).value == 90


@pytest.mark.parametrize("direction", [Direction.maximize, "maximize", ["maximize"]])
def test_a_direction_may_have_any_of_the_stock_forms(direction):
    assert InksweepSweeperConf(direction=direction).directions == ["maximize"]


def test_a_study_may_be_called_as_a_folder_in_folders():
    assert InksweepSweeperConf(study_name="mnist/night").study_name == "mnist/night"


def test_no_direction_is_that_of_the_stock_sweeper_and_capitals_are_as_good():
    assert InksweepSweeperConf(direction=None).directions == ["minimize"]
    assert InksweepSweeperConf(direction=["MAXIMIZE", "minimize"]).directions == ["maximize", "minimize"]


def test_several_directions_are_kept_in_their_order():
    assert InksweepSweeperConf(direction=[Direction.maximize, "minimize"]).directions == ["maximize", "minimize"]


def test_every_stock_key_is_kept():
    assert set(vars(OptunaSweeperConf())) <= set(vars(InksweepSweeperConf()))


def test_the_plugin_imports_neither_torch_nor_optuna():
    # Every start of every Hydra app of the environment imports it, `--help` included.
    code = "import sys, inksweep.sweep.plugin; print({'torch', 'optuna', 'numpy', 'filelock'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_our_own_sweeper_is_found_by_its_name_and_can_be_set():
    # conf/hydra/sweeper/optuna.yaml stands in front of the stock entry; shown, not run.
    root = Path(__file__).parents[2]
    words = ["hydra/sweeper=optuna", "hydra.sweeper.study_name=night", "hydra.sweeper.target.value=0.995"]
    command = [sys.executable, "train.py", *words, "--cfg", "hydra"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    hydra = yaml.safe_load(done.stdout)["hydra"]
    target = {"metric": "test/accuracy", "value": 0.995, "direction": None, "next": 0.995}
    assert hydra["sweeper"]["target"] == target
    assert hydra["sweeper"]["study_name"] == "night"
    assert "${hydra.sweeper.study_name}" in hydra["sweep"]["dir"]
    assert hydra["sweeper"]["sampler"]["group"] is True
    assert hydra["sweeper"]["direction"] == "${inksweep.direction:}"


def test_a_card_that_fails_costs_no_report_and_the_report_comes_last(app):
    patched = """
from inksweep.sweep import afterwards

def write_card(sweep, run):
    print("the card is made")
    raise RuntimeError("no card")

afterwards.write_card, afterwards.write = write_card, lambda sweep, address: print("the report is written")
"""
    (app / "app.py").write_text(patched + APP)
    done = run(app, "hydra.sweeper.n_trials=1", "hydra.sweeper.report=true")
    assert done.returncode != 0
    assert "no card" in done.stderr
    assert done.stdout.index("the card is made") < done.stdout.index("the report is written")
