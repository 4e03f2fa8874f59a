"""Points that are tried first: queued once; the best of a study; and those of another sweep."""

import logging
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.space.declare import declare
from inksweep.sweep.study.first_points import best_trials, enqueue, warm_start
from inksweep.sweep.study.journal import KernelLock, open_journal
from inksweep.sweep.study.notes import ENDED_WITH_SWEEP, ORIGIN, QUEUED_TWICE, REASON, SURPLUS
from inksweep.sweep.study.repair import repair
from inksweep.sweep.study.storage import Address, open_study
from inksweep.sweep.study.trials import counts
from tests.sweep.spaces import CNN, space
from tests.sweep.study.small import settings_only


def best_points(study, k):
    return [trial.params for trial in best_trials(study, k)]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def study():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))


def suggested(study, space):
    trial = study.ask()
    space.overrides(trial)
    return trial.params


# Once


def ran(study, one, state, value=None):
    trial = study.ask()
    one.overrides(trial)
    study.tell(trial, value, state)


def test_a_point_whose_trial_ended_because_the_search_did_is_queued_again(study):
    # A cheaper point beside it has reached the target; with a harder one the search goes on.
    assert enqueue(study, space(), [CNN]) == 1
    trial = study.ask()
    space().overrides(trial)
    trial.set_user_attr(REASON, ENDED_WITH_SWEEP)
    study.tell(trial, None, TrialState.PRUNED)
    assert enqueue(study, space(), [CNN]) == 1
    assert enqueue(study, space(), [CNN]) == 0


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, "running", "waiting"])
def test_a_rerun_does_not_queue_a_point_again(tmp_path, state):
    # Full, partial and conditional points, through a file, whatever became of them.
    known = [CNN, {"lr": 0.01}, {"model": "mlp", "model.hidden": [64]}, {"optimizer.nesterov": False}]

    def start():
        storage = open_journal(tmp_path / "study.journal")
        return optuna.create_study(study_name="night", storage=storage, load_if_exists=True)

    first = start()
    assert enqueue(first, space(), known) == 4
    for _ in range(0 if state == "waiting" else 4):
        if state == "running":
            space().overrides(first.ask())
        else:
            ran(first, space(), state, 0.5 if state is TrialState.COMPLETE else None)
    second = start()
    assert enqueue(second, space(), known) == 0
    assert enqueue(second, space(), [*known, {"lr": 0.02}]) == 1
    assert len(second.trials) == 5


def test_a_point_is_new_once_however_it_is_written(study):
    assert enqueue(study, space(), [{"lr": 0.01}, {"lr": "1e-2"}, {"epochs": 3}, {"epochs": 3.0}]) == 2


def test_close_is_not_equal(study):
    # Optuna's own check takes these for one.
    seeds = declare({"seed": "range(0,9999999)", "flag": "choice(1,2)"}, {})
    assert enqueue(study, seeds, [{"seed": 1234567}, {"seed": 1234568}]) == 2


def test_what_the_sampler_found_itself_is_not_tried_again(study):
    one = declare({"lr": "interval(0,1)"}, {})
    ran(study, one, TrialState.COMPLETE, 0.5)
    assert enqueue(study, one, [study.trials[0].params]) == 0


def test_a_partial_point_that_ran_is_known_in_full_too(study):
    enqueue(study, space(), [{"lr": 0.01}])
    ran(study, space(), TrialState.COMPLETE, 0.5)
    assert enqueue(study, space(), [study.trials[0].params]) == 0


def test_a_point_that_came_one_too_many_was_not_tried(study):
    enqueue(study, space(), [{"lr": 0.01}])
    trial = study.ask()
    trial.set_user_attr(SURPLUS, True)
    study.tell(trial, state=TrialState.FAIL)
    assert enqueue(study, space(), [{"lr": 0.01}]) == 1


def test_what_two_processes_queue_at_the_same_moment_is_tried_once(tmp_path, monkeypatch):
    points = [CNN, {"lr": 0.01}]
    address = Address("night", f"sqlite:///{tmp_path}/study.db", tmp_path, heartbeat_s=60)
    one, two = (open_study(address, ["maximize"]) for _ in range(2))
    queue = one.enqueue_trial

    def late(*args, **kwargs):
        # The one has looked what the study has; now comes the other.
        monkeypatch.setattr(one, "enqueue_trial", queue)
        assert enqueue(two, space(), points) == 2
        queue(*args, **kwargs)

    monkeypatch.setattr(one, "enqueue_trial", late)
    assert enqueue(one, space(), points) == 2
    waiting = [trial.number for trial in one.trials if trial.state is TrialState.WAITING]
    taken_out = [trial for trial in one.trials if QUEUED_TWICE in trial.user_attrs]
    assert (waiting, [trial.number for trial in taken_out]) == ([0, 1], [2, 3])
    # They neither count nor are they repeated.
    assert not any(counts(trial) for trial in taken_out)
    assert repair(one, []) == []
    assert enqueue(one, space(), points) == 0
    assert len(one.trials) == 4


def test_a_grid_cannot_complete_a_point(other):
    grid = declare({"a": "choice(1,2)", "b": "choice(1,2)", "c": "3"}, {})
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(grid.grid()))
    with pytest.raises(
        InputError, match=r"^hydra\.sweeper\.enqueue\[1\]: hydra\.sweeper\.sampler=grid .*; give b too$"
    ):
        enqueue(study, grid, [{"a": 1, "b": 2, "c": 3}, {"a": 1}])
    assert enqueue(study, grid, [{"a": 1, "b": 2, "c": 3}]) == 1
    assert suggested(study, grid) == {"a": 1, "b": 2}
    # Nor one of another sweep.
    run_all(journal_study(other), declare({"a": "choice(1,2)"}, {}), {"a": 1})
    assert warm_start(study, grid, other.root, 1) == 0


# The best of a study


def told(study, values, **params):
    distributions = {name: optuna.distributions.FloatDistribution(0, 100) for name in params}
    state = TrialState.FAIL if values is None else TrialState.COMPLETE
    values = [values] if isinstance(values, float) else values
    trial = optuna.trial.create_trial(state=state, values=values, params=params, distributions=distributions)
    study.add_trial(trial)


@pytest.mark.parametrize(("direction", "best"), [("maximize", [3.0, 2.0]), ("minimize", [1.0, 2.0])])
def test_the_best_of_one_objective(direction, best):
    other = optuna.create_study(direction=direction)
    for x in (2.0, 3.0, 1.0, 3.0, 1.0):
        told(other, x, x=x)
    told(other, None, x=9.0)
    assert best_points(other, 2) == [{"x": x} for x in best]
    assert len(best_points(other, 9)) == 3
    assert best_points(other, 0) == []


def test_of_equals_the_earlier_is_better():
    other = optuna.create_study()
    for x in (5.0, 4.0, 6.0):
        told(other, 1.0, x=x)
    assert best_points(other, 2) == [{"x": 5.0}, {"x": 4.0}]


def test_of_several_objectives_the_front_comes_first():
    other = optuna.create_study(directions=["maximize", "minimize"])
    # Fronts: {a, b, c}, {d, e}, {f}
    values = {"a": (9, 9), "f": (1, 9), "b": (5, 5), "d": (8, 9), "c": (1, 1), "e": (4, 5)}
    for x, (name, pair) in enumerate(values.items()):
        told(other, pair, **{"x": float(x), name: 0.0})

    def names(k):
        return ["".join(point.keys() - {"x"}) for point in best_points(other, k)]

    assert set(names(3)) == {"a", "b", "c"}
    assert set(names(5)) - set(names(3)) == {"d", "e"}
    assert names(6)[-1] == "f"
    # Two of three: the ends.
    assert set(names(2)) == {"a", "c"}
    assert names(1) == ["b"]


# Another sweep


@pytest.fixture
def other(tmp_path):
    sweep = SweepDir(tmp_path / "evening")
    sweep.root.mkdir()
    return sweep


def journal_study(sweep, name="evening"):
    return optuna.create_study(study_name=name, storage=open_journal(sweep.journal), direction="maximize")


def run_all(study, one, *known):
    enqueue(study, one, known)
    for value in range(len(known)):
        ran(study, one, TrialState.COMPLETE, float(value))


def queued(study):
    return [trial.system_attrs["fixed_params"] for trial in study.get_trials(states=[TrialState.WAITING])]


def test_the_best_of_another_sweep_are_tried_first(study, other, caplog):
    run_all(
        journal_study(other), space(), {**CNN, "lr": 0.001}, {**CNN, "model.channels": [16, 32]}, CNN | {"lr": 0.02}
    )
    settings_only(other.root, None, None)
    with caplog.at_level(logging.INFO):
        assert warm_start(study, space(), other.root, 2) == 2
    assert "2 of its best 2 points can be used, 2 are new" in caplog.text
    assert [point["lr"] for point in queued(study)] == [0.02, 0.01]
    assert queued(study)[1]["model.channels"] == "[16,32]"
    assert study.trials[0].user_attrs == {ORIGIN: "warm_start"}
    assert suggested(study, space())["lr"] == 0.02


def test_the_other_sweep_may_be_below_a_home_folder(study, other, monkeypatch):
    run_all(journal_study(other), space(), CNN)
    monkeypatch.setenv("HOME", str(other.root.parent))
    assert warm_start(study, space(), Path("~", other.root.name), 1) == 1


def test_what_does_not_fit_here_is_left_out(study, other, caplog):
    wide = declare({"lr": "interval(0,9)", "model": "choice(cnn,vit)", "old": "1,2"}, {"model": {"vit": {"d": "1,2"}}})
    lines = {"lr": 0.01, "old": 1}
    run_all(
        journal_study(other),
        wide,
        {**lines, "model": "cnn"},
        {**lines, "model": "vit", "d": 2},
        {"lr": 5, "model": "vit"},
    )
    narrow = declare(
        {"+lr": "interval(0,1)", "model": "choice(mlp,cnn)"},
        {"model": {"cnn": {"old": "1,2"}, "mlp": {"d": "1,2"}}},
    )
    with caplog.at_level(logging.INFO):
        assert warm_start(study, narrow, other.root, 3) == 2
    assert "2 of its best 3 points can be used" in caplog.text
    assert queued(study) == [{"+lr": 0.01}, {"+lr": 0.01, "model": "cnn", "old": 1}]


def test_what_the_other_sweep_fixed_is_part_of_its_points(study, other):
    one = space("model=cnn", "trainer.epochs=2")
    run_all(journal_study(other), one, {"lr": 0.01, "model.channels": [16]})
    overrides = other.trial(0).overrides
    overrides.parent.mkdir(parents=True)
    overrides.write_text(yaml.safe_dump(["model=cnn", "trainer.epochs=2", "~seed", "lr=0.05"]))
    warm_start(study, space(), other.root, 1)
    assert (queued(study)[0]["model"], queued(study)[0]["model.channels"]) == ("cnn", "[16]")
    assert queued(study)[0]["lr"] == 0.01


def test_a_rerun_does_not_look_again(study, other):
    running = journal_study(other)
    run_all(running, space(), CNN)
    assert warm_start(study, space(), other.root, 1) == 1
    run_all(running, space(), {"lr": 0.05}, {"lr": 0.06})
    assert warm_start(study, space(), other.root, 1) == 0
    # Another number of points was not asked for before.
    assert warm_start(study, space(), other.root, 2) == 1
    assert queued(study)[1]["lr"] == 0.06


def test_a_sweep_without_a_complete_trial_is_looked_at_again(study, other):
    running = journal_study(other)
    assert warm_start(study, space(), other.root, 3) == 0
    run_all(running, space(), CNN)
    assert warm_start(study, space(), other.root, 3) == 1


def test_the_other_sweep_is_only_read_and_may_be_writing(study, other):
    run_all(journal_study(other), space(), CNN)
    with other.journal.open("ab") as file:
        file.write(b'{"op_code": 4, "stu')
    before = {path: path.read_bytes() for path in other.root.iterdir()}
    lock = KernelLock(other.journal)
    lock.acquire()
    try:
        assert warm_start(study, space(), other.root, 1) == 1
    finally:
        lock.release()
    assert {path: path.read_bytes() for path in other.root.iterdir()} == before


def test_a_folder_may_have_been_renamed(study, other):
    run_all(journal_study(other, "born-otherwise"), space(), CNN)
    assert warm_start(study, space(), other.root, 1) == 1


def test_the_other_study_may_be_in_a_database(study, other):
    url = f"sqlite:///{other.root}/all.db"
    optuna.create_study(study_name="more", storage=url)
    run_all(optuna.create_study(study_name="evening", storage=url), space(), CNN)
    settings_only(other.root, url, "evening")
    assert warm_start(study, space(), other.root, 1) == 1


def test_a_password_that_was_not_kept(study, other):
    settings_only(other.root, "postgresql://me:***@host/db", "evening")
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.warm_start=.*was not kept \(postgresql") as caught:
        warm_start(study, space(), other.root, 1)
    assert "use this database as hydra.sweeper.storage" in str(caught.value)
    # This sweep's own database is another one.
    with pytest.raises(InputError, match=r"was not kept"):
        warm_start(study, space(), other.root, 1, "postgresql://me:secret@host/else")
    # The same one: its password is known. There is no such driver or host here, and the message keeps the secret.
    settings_only(other.root, "nosuch://me:***@host/db", "evening")
    with pytest.raises(InputError, match=r"cannot be read") as caught:
        warm_start(study, space(), other.root, 1, "nosuch://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_nobody_elses_database_gets_tables(study, other):
    settings_only(other.root, f"sqlite:///{other.root}/empty.db", "evening")
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.warm_start=.*: its study cannot be read"):
        warm_start(study, space(), other.root, 1)
    file = other.root / "empty.db"
    assert not file.exists()
    file.touch()
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.warm_start=.*: its study cannot be read"):
        warm_start(study, space(), other.root, 1)
    assert file.stat().st_size == 0


def test_a_directory_without_a_study_is_named(study, other, tmp_path):
    for directory in (other.root, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=rf"^hydra\.sweeper\.warm_start={directory}: its .*no sweep directory"):
            warm_start(study, space(), directory, 1)
    other.journal.write_bytes(b"")
    with pytest.raises(
        InputError, match=r"^hydra\.sweeper\.warm_start=.*: the study evening is not in it \(there are: none"
    ):
        warm_start(study, space(), other.root, 1)


def test_a_database_without_this_study_is_named(study, other):
    url = f"sqlite:///{other.root}/all.db"
    for name in ("a", "b"):
        optuna.create_study(study_name=name, storage=url)
    settings_only(other.root, url, "evening")
    with pytest.raises(InputError, match=r"the study evening is not in it \(there are: a, b\)"):
        warm_start(study, space(), other.root, 1)


@pytest.mark.parametrize("damage", [b"not json\n", b"[1]\n", b'{"op_code": 4}\n', b"\xff\n"])
def test_a_broken_journal_is_named(study, other, damage):
    run_all(journal_study(other), space(), CNN)
    other.journal.write_bytes(damage + other.journal.read_bytes())
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.warm_start=.*: its study cannot be read"):
        warm_start(study, space(), other.root, 1)


def test_broken_settings_are_named(study, other):
    run_all(journal_study(other), space(), CNN)
    other.config.write_text("sweeper: [")
    with pytest.raises(InputError, match=r"sweep\.yaml: cannot be read"):
        warm_start(study, space(), other.root, 1)
