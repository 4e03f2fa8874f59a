"""A job and the sweep that watches it, in one process: what is written, and what is said."""

import json

import optuna
import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from inksweep import trial
from inksweep.errors import Diverged
from inksweep.sweep.job import watcher
from inksweep.sweep.job.task import TrialTask
from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.study.database import DatabaseAway
from inksweep.sweep.study.notes import FINAL, METRICS, STOP, STOPPED, TOTAL
from inksweep.sweep.study.storage import Address, open_storage, open_study


class Job:
    """A trial of a journal in a folder, and the task that it runs."""

    def __init__(self, folder, monkeypatch, directions=("maximize",), **sweeper):
        self.study = open_study(Address("night", None, folder, 60), list(directions))
        self.trial = self.study.ask()
        self.run_dir = folder / "0"
        (self.run_dir / ".hydra").mkdir(parents=True)
        (self.run_dir / ".hydra/config.yaml").touch()  # as Hydra writes it
        pruner = {"_target_": "optuna.pruners.NopPruner"}
        conf = OmegaConf.structured(InksweepSweeperConf)
        given = {"direction": list(directions), "study_name": "night"}
        hydra = {
            "job": {"num": 0, "config_name": "config"},
            "searchpath": [],
            "overrides": {"hydra": [], "task": ["x=1"]},
            "runtime": {"cwd": str(folder), "output_dir": str(self.run_dir)},
            "sweep": {"dir": "."},
            "sweeper": OmegaConf.merge(conf, {"sampler": {"_target_": "x"}, "pruner": pruner, **given, **sweeper}),
        }
        monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: OmegaConf.create(hydra)))
        watcher._opened.clear()

    def run(self, task):
        return TrialTask(task)(OmegaConf.create())

    @property
    def frozen(self):
        return self.study.trials[0]

    @property
    def result(self):
        return json.loads((self.run_dir / "result.json").read_text())


@pytest.fixture
def job(tmp_path, monkeypatch):
    return Job(tmp_path, monkeypatch)


def test_reports_reach_the_study(job):
    def task(cfg):
        for step in (1, 2):
            trial.report(step, step / 10, total=5)
            assert trial.should_stop() is None
        return 0.2

    assert job.run(task) == 0.2
    assert job.frozen.intermediate_values == {1: 0.1, 2: 0.2}
    assert job.frozen.user_attrs == {TOTAL: 5}
    assert (job.result["status"], job.result["objective"]["value"]) == ("completed", 0.2)


def test_a_job_is_told_to_stop_and_says_that_it_was(job):
    def task(cfg):
        trial.report(1, 0.5)
        job.trial.set_user_attr(STOP, "interrupted")
        assert trial.should_stop() == "interrupted"
        raise optuna.TrialPruned  # the usual way to end; the reason stays

    job.run(task)
    assert job.frozen.user_attrs[STOPPED] == "interrupted"
    assert job.result["status"] == "stopped"


@pytest.fixture
def every_look(monkeypatch):
    """Let each call of `called_off` look."""
    monkeypatch.setattr(watcher, "LOOK_EVERY_S", 0.0)


def test_a_job_is_called_off_between_two_reports(job, every_look):
    def task(cfg):
        assert trial.called_off() is None
        trial.report(1, 0.5)
        assert trial.should_stop() is trial.called_off() is None
        job.trial.set_user_attr(STOP, "target")
        assert trial.called_off() == trial.should_stop() == "target"

    job.run(task)
    assert job.frozen.user_attrs[STOPPED] == "target"
    assert job.result["status"] == "stopped"


def test_nobody_is_asked_between_two_looks(job, monkeypatch):
    def task(cfg):
        job.trial.set_user_attr(STOP, "target")
        monkeypatch.setattr(watcher, "open_storage", None)
        assert trial.called_off() is None  # half a second after its start at the earliest

    job.run(task)
    assert STOPPED not in job.frozen.user_attrs


def test_between_two_reports_no_pruner_is_asked(job, every_look, monkeypatch):
    asked = []
    monkeypatch.setattr(watcher.pruners, "build", lambda *_: optuna.pruners.ThresholdPruner(lower=0.9))
    monkeypatch.setattr(optuna.pruners.ThresholdPruner, "prune", lambda self, study, trial: bool(asked.append(1)))

    def task(cfg):
        trial.report(1, 0.5)
        assert [trial.called_off() for _ in range(3)] == [None] * 3
        assert asked == []
        trial.should_stop()
        assert asked == [1]

    job.run(task)


@pytest.mark.parametrize("reason", ["given up", "trial_timeout", "interrupted"])
def test_what_else_calls_a_job_off(tmp_path, monkeypatch, every_look, reason):
    job = Job(tmp_path, monkeypatch, trial_timeout_s=1e-6 if reason == "trial_timeout" else None)
    if reason == "interrupted":
        monkeypatch.setattr(watcher, "stop_here", reason)

    def task(cfg):
        if reason == "given up":
            job.study.tell(job.trial, state=optuna.trial.TrialState.FAIL)
        assert trial.called_off() == reason

    job.run(task)


def test_between_two_reports_a_database_that_is_away_is_asked_once_and_not_waited_for(
    tmp_path, monkeypatch, every_look, caplog
):
    job = Job(tmp_path, monkeypatch)
    asked, storage = [], open_storage(Address("night", None, tmp_path, 60))
    get_trial = storage.get_trial

    def away(trial_id):
        asked.append(trial_id)
        raise DatabaseAway("the database: did not answer")

    def task(cfg):
        assert trial.should_stop() is None
        monkeypatch.setattr(storage, "get_trial", away)
        assert [trial.called_off() for _ in range(3)] == [None] * 3
        assert len(asked) == 1
        monkeypatch.setattr(storage, "get_trial", get_trial)
        job.trial.set_user_attr(STOP, "target")
        assert trial.called_off() is None
        trial.report(1, 0.5)
        assert trial.should_stop() == "target"

    monkeypatch.setattr(watcher, "open_storage", lambda *_: storage)
    job.run(task)
    assert caplog.text == ""


@pytest.mark.parametrize(("raised", "reason"), [(optuna.TrialPruned(), "pruned"), (Diverged("nan"), "diverged")])
def test_a_job_may_end_by_itself(job, raised, reason):
    def task(cfg):
        raise raised

    job.run(task)
    assert job.frozen.user_attrs[STOPPED] == reason
    assert (job.result["status"], job.result["reason"]) == ("pruned", reason)


def test_a_trial_that_was_given_up_is_left_alone(job):
    def task(cfg):
        job.study.tell(job.trial, state=optuna.trial.TrialState.FAIL)
        trial.report(1, 0.5)
        assert trial.should_stop() == "given up"

    job.run(task)
    assert job.frozen.intermediate_values == {}


def test_what_a_job_measured_is_kept_in_the_study(job):
    def task(cfg):
        (job.run_dir / "result.json").write_text('{"metrics": {"test/accuracy": 0.9, "name": "x"}}')
        return 0.5

    job.run(task)
    assert job.frozen.user_attrs[METRICS] == {"test/accuracy": 0.9}
    assert (job.result["status"], job.result["objective"]["value"]) == ("completed", 0.5)
    assert job.result["metrics"] == {"test/accuracy": 0.9}
    assert job.result["remark"] == "the app's result.json: metrics.name='x': no number"
    assert job.result["command"].endswith(" x=1")


def test_a_job_takes_only_so_long(tmp_path, monkeypatch):
    job = Job(tmp_path, monkeypatch, trial_timeout_s=1e-6)
    job.run(lambda cfg: (trial.report(1, 0.5), trial.should_stop()))
    assert job.frozen.user_attrs[STOPPED] == "trial_timeout"
    assert job.result["status"] == "failed"


@pytest.mark.parametrize(("is_final", "verdict"), [(False, "pruned"), (True, None)])
def test_the_pruner_has_no_say_in_a_final_stage(tmp_path, monkeypatch, is_final, verdict):
    job = Job(tmp_path, monkeypatch)
    monkeypatch.setattr(watcher.pruners, "build", lambda *_: optuna.pruners.ThresholdPruner(lower=0.9))
    if is_final:
        job.study.set_user_attr(FINAL, True)

    def task(cfg):
        trial.report(1, 0.5)
        assert trial.should_stop() == verdict
        return 0.5

    job.run(task)
    assert job.frozen.user_attrs.get(STOPPED) == verdict


def test_with_several_objectives_nothing_is_reported_to_the_sampler(tmp_path, monkeypatch):
    # It could not tell them apart, and would fail at the next trial.
    job = Job(tmp_path, monkeypatch, directions=("maximize", "minimize"))
    job.run(lambda cfg: (trial.report(1, 0.5), trial.should_stop()))
    assert job.frozen.intermediate_values == {}


def test_sys_exit_is_a_failure_like_others(job):
    with pytest.raises(RuntimeError, match=r"the job called sys\.exit\(3\)"):
        job.run(lambda cfg: (_ for _ in ()).throw(SystemExit(3)))
    assert job.result["status"] == "failed"


def test_a_database_that_stays_away_ends_no_trial(tmp_path, monkeypatch, caplog):
    job = Job(tmp_path, monkeypatch)
    away = [True]
    calls = []

    def opened(address, wait_s=0.0):
        calls.append(wait_s)
        if away[0]:
            raise DatabaseAway("the database: did not answer")
        return open_storage(address, wait_s)

    monkeypatch.setattr(watcher, "open_storage", opened)

    def task(cfg):
        trial.report(1, 0.1)
        assert trial.should_stop() is None
        away[0] = False
        trial.report(2, 0.2)
        assert trial.should_stop() is None
        return 0.2

    assert job.run(task) == 0.2
    # It is waited for once, said once, and asked again.
    assert calls == [180.0, 0.0, 0.0]
    assert caplog.text.count("did not answer; the trial goes on without") == 1
    assert job.frozen.intermediate_values == {2: 0.2}
    assert job.result["status"] == "completed"
