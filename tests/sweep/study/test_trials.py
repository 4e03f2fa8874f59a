"""The study on disk: its journal, and what a dead process leaves."""

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep import samplers
from inksweep.sweep.space.declare import declare
from inksweep.sweep.study.fingerprint import check_space
from inksweep.sweep.study.notes import ATTEMPT, LOST, RETRIED, SURPLUS
from inksweep.sweep.study.repair import repair
from inksweep.sweep.study.storage import Address, open_study
from inksweep.sweep.study.trials import counts, incumbent


@pytest.fixture
def sweep(tmp_path):
    return SweepDir(tmp_path)


def address(sweep, url=None):
    return Address("night", url, sweep.root, heartbeat_s=60)


def reopen(sweep, direction="maximize"):
    return open_study(address(sweep), [direction])


def running(study):
    return [trial for trial in study.trials if trial.state is TrialState.RUNNING]


def tell(study, value=None, state=TrialState.COMPLETE, x=0.5):
    study.enqueue_trial({"x": x})
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    study.tell(trial, value, state)


def test_a_study_is_found_again(sweep):
    tell(reopen(sweep), 0.25)
    assert [trial.value for trial in reopen(sweep).trials] == [0.25]


def test_the_direction_is_settled_at_the_beginning(sweep):
    reopen(sweep, "maximize")
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.direction=minimize: study night has direction maximize"):
        reopen(sweep, "minimize")


def test_a_torn_last_line_is_cut_off(sweep):
    tell(reopen(sweep), 0.25)
    whole = sweep.journal.read_bytes()
    sweep.journal.write_bytes(whole + b'{"op_code": 4, "stu')
    study = reopen(sweep)
    tell(study, 0.75)
    assert [trial.value for trial in reopen(sweep).trials] == [0.25, 0.75]


@pytest.mark.parametrize("damage", [b"not json\n", b"[1]\n", b"\0\0\0\0\n"])
def test_a_broken_journal_is_named(sweep, damage):
    tell(reopen(sweep), 0.25)
    first, rest = sweep.journal.read_bytes().split(b"\n", 1)
    sweep.journal.write_bytes(first + b"\n" + damage + rest)
    with pytest.raises(InputError, match=r"study\.journal: line 2 is no entry"):
        reopen(sweep)


@pytest.mark.parametrize("entry", [b'{"op_code":4}\n', b'{"op_code":99,"worker_id":"w"}\n'])
def test_entries_that_are_no_study_are_refused(sweep, entry):
    # JSON, but nothing that Optuna wrote.
    tell(reopen(sweep), 0.25)
    sweep.journal.write_bytes(sweep.journal.read_bytes() + entry)
    with pytest.raises(InputError, match=r"study\.journal: entries do not fit together"):
        reopen(sweep)


def test_a_database_that_cannot_be_opened_is_named_without_its_password(sweep):
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.storage=nosuch://me:\*\*\*@host/db: ") as caught:
        open_study(address(sweep, "nosuch://me:secret@host/db"), ["maximize"])
    assert "secret" not in str(caught.value)


def test_a_database_holds_a_study_too(sweep):
    url = f"sqlite:///{sweep.root}/study.db"
    tell(open_study(address(sweep, url), ["minimize"]), 0.25)
    assert [trial.value for trial in open_study(address(sweep, url), ["minimize"]).trials] == [0.25]


def test_a_lost_trial_is_failed_and_repeated_with_its_parameters_under_a_new_number(sweep):
    study = reopen(sweep)
    tell(study, 0.25)
    lost = study.ask()
    x = lost.suggest_float("x", 0, 1)

    study = reopen(sweep)
    assert repair(study, running(study)) == [1]
    again = study.ask()
    assert (again.number, again.suggest_float("x", 0, 1)) == (2, x)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "RUNNING"]
    # It does not count.
    assert [trial.number for trial in study.trials if trial.state.is_finished() and counts(trial)] == [0]


def test_a_repetition_that_is_lost_before_it_is_suggested_anything_keeps_its_parameters(sweep):
    study = reopen(sweep)
    x = study.ask().suggest_float("x", 0, 1)
    repair(study, running(study))
    study.ask()
    repair(study, running(study))
    again = study.ask()
    assert (again.number, again.suggest_float("x", 0, 1)) == (2, x)


def test_a_repair_that_was_itself_cut_short_repeats_a_trial_once(sweep, monkeypatch):
    study = reopen(sweep)
    study.ask().suggest_float("x", 0, 1)
    with monkeypatch.context() as crash:
        crash.setattr(study, "enqueue_trial", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            repair(study, running(study))
    assert [trial.state.name for trial in study.trials] == ["FAIL"]
    assert repair(study, running(study)) == []
    assert repair(study, running(study)) == []
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]


@pytest.mark.parametrize(("mark", "attempt"), [(RETRIED, 1), (LOST, None)])
def test_what_was_given_up_but_not_queued_is_queued_by_the_next_start(sweep, mark, attempt):
    # Its process died between the two.
    study = reopen(sweep)
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    trial.set_user_attr(mark, True)
    study.tell(trial, state=TrialState.FAIL)
    repair(study, [])
    repair(study, [])
    (again,) = [trial for trial in study.trials if trial.state is TrialState.WAITING]
    assert again.system_attrs["fixed_params"] == {"x": x}
    assert again.user_attrs.get(ATTEMPT) == attempt


@pytest.mark.parametrize("queued", [True, False])
def test_one_trial_too_many_is_queued_only_if_its_point_was_asked_for(sweep, queued):
    study = reopen(sweep)
    if queued:
        study.enqueue_trial({"x": 0.5})
    trial = study.ask()
    trial.set_user_attr(SURPLUS, True)
    study.tell(trial, state=TrialState.FAIL)
    repair(study, [])
    assert len(study.trials) == (2 if queued else 1)


@pytest.mark.parametrize(("direction", "number"), [("maximize", 2), ("minimize", 1)])
def test_the_incumbent_is_the_best_complete_trial_and_the_first_of_equals(sweep, direction, number):
    study = reopen(sweep, direction)
    tell(study, None, TrialState.FAIL)
    for value in (0.1, 0.9, 0.1, 0.9):
        tell(study, value)
    assert incumbent(study).number == number


def test_there_is_no_incumbent_before_a_trial_is_complete(sweep):
    study = reopen(sweep)
    tell(study, None, TrialState.PRUNED)
    assert incumbent(study) is None


@pytest.mark.parametrize("changed", ["0,1", "range(0,2)"])
def test_a_parameter_stays_what_it_was_when_the_study_began(sweep, changed):
    study = reopen(sweep)
    tell(study, 0.5)
    with pytest.raises(InputError, match=r"^x: is not the parameter that study night began with"):
        check_space(study, declare({"x": changed}, None))


def test_a_range_may_change_and_a_parameter_may_be_fixed_later(sweep):
    study = reopen(sweep)
    tell(study, 0.5)
    check_space(study, declare({"x": "interval(0.5,2)"}, None))
    check_space(study, declare(None, None, ["x=7"]))


def first_point(existing, target="optuna.samplers.RandomSampler"):
    conf = OmegaConf.create({"_target_": target, "seed": 1})
    study = optuna.create_study(sampler=samplers.build(conf, declare(None, None), existing))
    return study.ask().suggest_float("x", 0, 1)


def test_a_sampler_repeats_itself_from_the_same_state_and_goes_on_from_another():
    # The same seed on resume would suggest the same points again.
    assert first_point(0) == first_point(0)
    assert first_point(0) != first_point(3)


def test_a_grid_is_the_same_grid_on_resume():
    conf = OmegaConf.create({"_target_": "optuna.samplers.GridSampler", "_partial_": True, "seed": 1})
    space = declare({"a": "1,2,3,4,5"}, None)
    assert samplers.build(conf, space, 0)._all_grids == samplers.build(conf, space, 3)._all_grids
    assert samplers.grid_size(samplers.build(conf, space, 0)) == 5


def test_a_sampler_that_is_none_is_refused():
    conf = OmegaConf.create({"_target_": "optuna.samplers.intersection_search_space", "study": None})
    with pytest.raises(Exception, match=r"hydra\.sweeper\.sampler|intersection_search_space"):
        samplers.build(conf, declare(None, None), 0)
