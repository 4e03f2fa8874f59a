"""examples/any_hydra_app: the commands of its README as they stand, and what the README says of them."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import yaml
from hydra import compose, initialize_config_dir
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

pytestmark = pytest.mark.full

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "any_hydra_app"
# A command that the README gains or loses, or that moves, shows here.
INSTALL, SINGLE, GRID, SEARCH, NIGHT, TARGET, WIDE, COMPARE, REPORT = (
    shlex.split(line, comments=True)
    for line in re.findall(r"```bash\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)[0].splitlines()
)
assert INSTALL == ["pip", "install", "inksweep[report]"]
STEPS = yaml.safe_load((EXAMPLE / "conf" / "config.yaml").read_text())["steps"]


@pytest.fixture
def app(tmp_path):
    return shutil.copytree(EXAMPLE, tmp_path / "app", ignore=shutil.ignore_patterns("multirun", "outputs"))


def start(app, command):
    assert command[:2] == ["python", "app.py"]
    with (app / "stdout.txt").open("w") as out, (app / "stderr.txt").open("w") as err:
        return subprocess.Popen([sys.executable, *command[1:]], cwd=app, stdout=out, stderr=err)


def run(app, command):
    process = start(app, command)
    try:
        code = process.wait(timeout=300)
    finally:
        process.kill()
    assert code == 0, (app / "stderr.txt").read_text()
    return (app / "stdout.txt").read_text()


def words(app, command):
    """What a command of `inksweep` prints."""
    assert command[0] == "inksweep"
    typed = [sys.executable, "-m", *command]
    return subprocess.run(typed, cwd=app, capture_output=True, text=True, check=True, timeout=300).stdout


def summary(sweep):
    return json.loads((sweep / "summary.json").read_text())


def the_sweep(app):
    """The only sweep directory."""
    (sweep,) = (app / "multirun").iterdir()
    return sweep


def trials(sweep):
    storage = JournalStorage(JournalFileBackend(str(sweep / "study.journal")))
    return optuna.load_study(study_name=sweep.name, storage=storage).trials


def test_without_a_sweep_it_is_a_plain_hydra_app(app):
    assert "height -1.4812 at x=0.43" in run(app, SINGLE)
    assert not (app / "multirun").exists()
    (overrides,) = (app / "outputs").glob("*/*/.hydra/overrides.yaml")
    assert yaml.safe_load(overrides.read_text()) == ["x=1"]


def test_hydras_own_grid_runs_in_slots(app):
    run(app, GRID)
    found = [yaml.safe_load(path.read_text()) for path in (app / "multirun").glob("*/*/*/.hydra/overrides.yaml")]
    assert sorted(found) == [["x=1"], ["x=2"]]
    assert len(list((app / "multirun").glob("*/*/[01]/output.log"))) == 2


def test_a_space_on_the_command_line(app):
    run(app, SEARCH)
    sweep = the_sweep(app)
    assert summary(sweep)["trials"]["complete"] + summary(sweep)["trials"]["pruned"] == 6
    # Folder and study share the name made of the time.
    assert summary(sweep)["study"] == sweep.name
    assert all(-5 <= trial.params["x"] <= 5 for trial in trials(sweep))
    assert {tuple(trial.params) for trial in trials(sweep)} == {("x",)}


def test_killed_and_typed_again_it_goes_on(app):
    sweep = app / "multirun" / "night"
    process = start(app, NIGHT)
    try:
        deadline = time.monotonic() + 60
        # Trial 4 has begun; it runs for 25 steps, for nothing is pruned before five are complete.
        while not (sweep / "4").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None, (app / "stderr.txt").read_text()
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = [trial for trial in trials(sweep) if trial.state.is_finished()]
    # One a slot, or one less if a slot was between two trials.
    lost = [trial for trial in trials(sweep) if trial.state is TrialState.RUNNING]
    assert lost
    untouched = {trial.number: stamps(sweep / str(trial.number)) for trial in done}
    assert len(untouched) >= 3

    output = run(app, NIGHT)
    after = trials(sweep)
    assert [after[trial.number] for trial in done] == done
    assert {number: stamps(sweep / str(number)) for number in untouched} == untouched
    for trial in lost:
        assert f"trial {trial.number} was lost with its process" in output
        assert after[trial.number].state is TrialState.FAIL
        assert [other.params for other in after].count(trial.params) == 2
    counts = summary(sweep)["trials"]
    assert counts["complete"] + counts["pruned"] == 20
    assert (counts["fail"], counts["lost"], len(after)) == (0, len(lost), 20 + len(lost))

    # Pruned: they reported, and ended before their last step.
    pruned = [trial for trial in after if trial.state is TrialState.PRUNED]
    assert pruned
    assert all(0 < len(trial.intermediate_values) < STEPS for trial in pruned)
    complete = [trial for trial in after if trial.state is TrialState.COMPLETE]
    assert {len(trial.intermediate_values) for trial in complete} == {STEPS}
    # The condition of the space.
    assert {trial.params["method"] for trial in complete} == {"plain", "momentum"}
    assert all(("momentum" in trial.params) == (trial.params["method"] == "momentum") for trial in after)

    # Where the README says that the winner is, and what it says of it.
    best = min(complete, key=lambda trial: trial.value)
    config = yaml.safe_load((sweep / "winner" / "config.yaml").read_text())
    assert {key: config[key] for key in best.params} == best.params
    again = re.search(r"^python app\.py .*$", (sweep / "winner" / "README.md").read_text(), re.MULTILINE)
    assert again is not None
    assert set(shlex.split(again[0])[2:]) == {f"{key}={value}" for key, value in best.params.items()}
    # What the README's last commands show.
    table = words(app, COMPARE)
    assert re.search(rf"^★ {best.number} +completed ", table, re.MULTILINE), table
    assert f"runs: {len(complete)} completed" in table
    page = sweep / "report.html"
    assert str(page.relative_to(app)) in words(app, REPORT)
    assert f"trial {best.number}" in page.read_text().lower()


def stamps(folder):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_a_target_ends_it(app):
    run(app, TARGET)
    told = summary(the_sweep(app))
    assert told["stop_reason"] == "target"
    assert told["incumbent"]["value"] < -1.4
    assert sum(told["trials"].values()) < 20


def test_two_slots(app):
    run(app, WIDE)
    found = trials(the_sweep(app))
    assert len(found) == 10
    assert {trial.state for trial in found} <= {TrialState.COMPLETE, TrialState.PRUNED}
    # Each slot took its share, and some trials ran at the same time.
    assert {trial.user_attrs["inksweep:owner"]["slot"] for trial in found} == {0, 1}
    assert any(a.datetime_start < b.datetime_start < a.datetime_complete for a in found for b in found if a is not b)


PRIMARY = "defaults: [_self_, override hydra/sweeper: inksweep{group}]\n{hydra}"


@pytest.mark.parametrize(
    ("group", "hydra", "overrides", "directory"),
    [
        ("", "", ["hydra.sweeper.study_name=night"], "multirun/night"),
        # The app's own directory wins, wherever it says so.
        ("", "hydra: {sweep: {dir: mine}}", ["hydra.sweeper.study_name=night"], "mine"),
        (", override hydra/output: own", "", ["hydra.sweeper.study_name=night"], "own"),
        ("", "", ["hydra.sweep.dir=typed"], "typed"),
        ("", "", ["hydra/output=own"], "own"),
        # Another sweeper's is Hydra's.
        ("", "", ["hydra/sweeper=basic", "hydra/output=default"], r"multirun/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d"),
        ("", "", [], r"multirun/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}"),
    ],
)
def test_where_a_sweep_goes(tmp_path, group, hydra, overrides, directory):
    (tmp_path / "config.yaml").write_text(PRIMARY.format(group=group, hydra=hydra))
    (tmp_path / "hydra" / "output").mkdir(parents=True)
    own = "# @package hydra\nrun: {dir: out}\nsweep: {dir: own, subdir: '${hydra.job.num}'}\n"
    (tmp_path / "hydra" / "output" / "own.yaml").write_text(own)
    with initialize_config_dir(str(tmp_path)):
        config = compose("config", overrides, return_hydra_config=True)
    assert re.fullmatch(directory, config.hydra.sweep.dir)
    assert config.hydra.run.dir.startswith("out")
