"""Points to try first: translated, checked, queued once; and those of another sweep."""

import json
import logging

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.space.declare import declare
from inksweep.sweep.study.first_points import best_trials, enqueue, warm_start
from inksweep.sweep.study.journal import KernelLock, open_journal
from inksweep.sweep.study.notes import ORIGIN, SURPLUS

PARAMS = {
    "model": "choice(cnn,mlp)",
    "lr": "tag(log,interval(1e-4,1e-1))",
    "epochs": "range(1,10,2)",
    "optimizer": "choice(adamw,sgd)",
    "optimizer.nesterov": "choice(true,false)",
}
WHEN = {
    "model": {
        "cnn": {"model.channels": "[16],[16,32],null"},
        "mlp": {"model.hidden": "choice([64],[128,64])", "+model.width": "choice(1.0,2.5)"},
    }
}
CNN = {"model": "cnn", "lr": 0.01, "epochs": 3, "optimizer": "sgd", "optimizer.nesterov": True}


def best_points(study, k):
    return [trial.params for trial in best_trials(study, k)]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def study():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))


def space(*arguments, params=PARAMS, when=WHEN, extend=None):
    return declare(params, when, arguments, extend)


def of_one(text):
    return declare({"x": text}, {})


def suggested(study, space):
    trial = study.ask()
    space.overrides(trial)
    return trial.params


def points(text):
    """As they stand in a YAML file."""
    return yaml.safe_load(text)


# Values


@pytest.mark.parametrize(
    ("distribution", "value", "taken"),
    [
        ("interval(0,2)", 1, 1.0),
        ("interval(0,2)", "5e-1", 0.5),
        ("interval(0,2)", 2, 2.0),
        ("range(0,1,0.1)", 0.30000000000000004, 0.3),
        ("range(1,5)", 3, 3),
        ("range(1,5)", 3.0, 3),
        ("range(1,5)", "3", 3),
        ("int(tag(log,interval(1,64)))", 64, 64),
        ("choice(1,2)", 2, 2),
        ("choice(1,2)", 2.0, 2),
        ("choice(1,2)", "2", 2),
        ("choice(0.5,1.5)", 1.5, 1.5),
        ("choice(1.0,2.0)", 2, 2.0),
        ("choice(true,false)", False, False),
        ("choice(true,false)", "false", False),
        ("a,null", None, "null"),
        ("a,null", "null", "null"),
        ("choice(a,'null')", "null", "'null'"),
        ("choice([64],[128,64])", [128, 64], "[128,64]"),
        ("choice([64],[128,64])", (128, 64), "[128,64]"),
        ("choice([64],[128,64])", "[128,64]", "[128,64]"),
        ("choice([64],[128,64])", "[128, 64]", "[128,64]"),
        ("choice({a:1},{b:[2]})", {"b": [2]}, "{b:[2]}"),
        ("choice('a,b',c)", "a,b", "'a,b'"),
        ("choice('1',x)", "1", "'1'"),
        ("choice('1',x)", 1, None),
        ("choice(1,x)", True, None),
        ("choice(true,x)", 1, None),
        ("interval(0,2)", True, None),
        ("interval(0,2)", float("nan"), None),
        ("interval(0,2)", float("inf"), None),
        ("interval(0,2)", 10**400, None),
        ("interval(0,2)", "1 or so", None),
        ("interval(0,2)", [1], None),
        ("interval(0,2)", None, None),
        ("range(0,1,0.1)", 0.35, None),
        ("range(0,1,0.1)", 10**400, None),
        ("range(1,5)", 5, None),
        ("range(1,5)", 2.5, None),
        ("range(1,9,2)", 2, None),
        ("choice([64],[128,64])", [64, 128], None),
        ("choice([64],[128,64])", 64, None),
        ("a,null", "none", None),
    ],
)
def test_a_value_is_what_the_trial_gets_or_refused(study, distribution, value, taken):
    # `taken` is None: refused.
    one = of_one(distribution)
    if taken is None:
        with pytest.raises(InputError, match=r"^hydra\.sweeper\.enqueue\[0\]\.x=.*: must be "):
            enqueue(study, one, [{"x": value}])
        assert study.trials == []
    else:
        assert enqueue(study, one, [{"x": value}]) == 1
        got = suggested(study, one)["x"]
        assert type(got) is type(taken)
        assert got == pytest.approx(taken) if isinstance(taken, float) else got == taken


def test_an_enqueued_trial_is_that_of_the_overrides(study):
    enqueue(study, space(), points("[{model: mlp, model.hidden: [128, 64], +model.width: 2.5, lr: 1.0e-3, epochs: 5}]"))
    told = space().overrides(study.ask())
    expected = {"model=mlp", "model.hidden=[128,64]", "+model.width=2.5", "lr=0.001", "epochs=5"}
    assert {o for o in told if not o.startswith("optimizer")} == expected


def test_its_origin_stands_on_a_trial(study):
    enqueue(study, space(), [CNN])
    assert study.trials[0].user_attrs == {ORIGIN: "enqueue"}


# Names


@pytest.mark.parametrize(
    "text",
    [
        "{model: mlp, +model.width: 1.0, optimizer.nesterov: true}",
        "{model: mlp, model.width: 1.0, optimizer: {nesterov: true}}",
        "{model: mlp, model.width: 1.0, +optimizer: {nesterov: true}}",
    ],
)
def test_names_may_be_dotted_or_nested_with_or_without_plus(study, text):
    enqueue(study, space(), points(f"[{text}]"))
    params = suggested(study, space())
    assert (params["+model.width"], params["optimizer.nesterov"]) == (1.0, True)


def test_a_group_and_a_key_below_it_are_two_parameters(study):
    enqueue(study, space(), points("[{optimizer: sgd, optimizer.nesterov: false}, {optimizer: {nesterov: true}}]"))
    one, two = suggested(study, space()), suggested(study, space())
    assert (one["optimizer"], one["optimizer.nesterov"], two["optimizer.nesterov"]) == ("sgd", False, True)


def test_a_mapping_that_is_a_choice_is_a_value(study):
    both = declare({"x": "choice({a:1},{a:2})", "x.b": "choice(1,2)"}, {})
    enqueue(study, both, [{"x": {"a": 2}}, {"x": {"b": 2}}])
    assert suggested(study, both)["x"] == "{a:2}"
    assert suggested(study, both)["x.b"] == 2


def test_numbers_may_be_names(study):
    enqueue(study, declare({"hidden.0": "choice(1,2)"}, {}), [{"hidden": {0: 2}}])
    assert study.trials[0].system_attrs["fixed_params"] == {"hidden.0": 2}


# Refusals


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        ((), "[{lr: 5}]", "[0].lr=5: must be a number from 0.0001 to 0.1"),
        ((), "[{lr: 0.01}, {epochs: 4}]", "[1].epochs=4: must be a whole number from 1 to 9 in steps of 2"),
        ((), "[{optimizer: adam}]", "[0].optimizer=adam: must be one of adamw, sgd"),
        ((), "[{optimzer: sgd}]", "[0].optimzer=sgd: is no parameter of the search space; did you mean 'optimizer'?"),
        ((), "[{optimizer: {zzzz: 1}}]", "[0].optimizer.zzzz=1: is no parameter of the search space"),
        ((), "[{zzzz: {}}]", "[0].zzzz={}: is no parameter of the search space; leave it out of the point"),
        (("optimizer=adamw",), "[{optimizer: sgd}]", "[0].optimizer=sgd: is fixed to adamw in this search"),
        (("~optimizer.nesterov",), "[{optimizer: {nesterov: true}}]", "is taken away by ~optimizer.nesterov"),
        (
            (),
            "[{model: mlp, model.channels: [16]}]",
            "[0].model.channels=[16]: counts only while model is cnn, and the point has model=mlp",
        ),
        (("model=mlp",), "[{model.channels: [16]}]", "counts only while model is cnn, and the point has model=mlp"),
        ((), "[{model.channels: [16]}]", "counts only while model is cnn, and the point has no model"),
        ((), "[{lr: 0.01, +lr: 0.02}]", "[0].+lr=0.02: the point gives lr twice"),
        ((), "[{optimizer: {nesterov: true}, optimizer.nesterov: true}]", "gives optimizer.nesterov twice"),
        ((), "[{}]", "[0]={}: must be a mapping of parameters to values"),
        ((), "[5]", "[0]=5: must be a mapping"),
        ((), "[[lr, 5]]", "[0]=[lr,5]: must be a mapping"),
        ((), "{lr: 0.01}", "must be a list of points"),
        ((), "lr", "=lr: must be a list of points"),
        ((), "5", "=5: must be a list of points"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_it(study, arguments, text, message):
    with pytest.raises(InputError) as caught:
        enqueue(study, space(*arguments), points(text))
    assert str(caught.value).startswith("hydra.sweeper.enqueue")
    assert message in str(caught.value)
    # Not even the points before it.
    assert study.trials == []


def test_the_place_of_an_error_can_be_another(study):
    with pytest.raises(InputError, match=r"^somewhere\[0\]\.lr=5: "):
        enqueue(study, space(), [{"lr": 5}], "somewhere")


@pytest.mark.parametrize("nothing", [None, []])
def test_no_points_are_no_points(study, nothing):
    assert enqueue(study, space(), nothing) == 0


# Fixed values and conditions


def test_a_fixed_value_may_be_repeated(study):
    fixed = space("model=cnn", "optimizer.nesterov=true", "hidden=[1, 2]")
    assert enqueue(study, fixed, [{"model": "cnn", "optimizer.nesterov": True, "hidden": [1, 2], "lr": 0.01}]) == 1
    assert study.trials[0].system_attrs["fixed_params"] == {"lr": 0.01}


def test_a_point_of_fixed_values_alone_asks_for_nothing(study):
    assert enqueue(study, space("model=cnn"), [{"model": "cnn"}]) == 0


def test_a_fixed_value_takes_its_branch(study):
    assert enqueue(study, space("model=cnn"), [{"model.channels": [16]}]) == 1
    assert suggested(study, space("model=cnn"))["model.channels"] == "[16]"


def test_a_parameter_with_one_value_takes_its_branch(study):
    single = declare({"model": "choice(cnn)"}, {"model": {"cnn": {"depth": "range(1,4)"}}})
    assert enqueue(study, single, [{"depth": 2}]) == 1


def test_conditions_may_be_chained(study):
    chain = declare({"a": "choice(1,2)"}, {"a": {"2": {"b": "choice(x,y)"}}, "b": {"y": {"c": "range(0,9)"}}})
    assert enqueue(study, chain, [{"c": 7, "b": "y", "a": 2}]) == 1
    assert suggested(study, chain) == {"a": 2, "b": "y", "c": 7}
    with pytest.raises(InputError, match=r"c=7: counts only while b is y, and the point has b=x$"):
        enqueue(study, chain, [{"a": 2, "b": "x", "c": 7}])
    with pytest.raises(InputError, match=r"c=7: counts only while b is y, and the point has no b$"):
        enqueue(study, chain, [{"a": 1, "c": 7}])


def test_one_name_in_two_branches_has_the_values_of_the_branch_taken(study):
    two = declare({"o": "choice(a,b)"}, {"o": {"a": {"lr": "interval(0,1)"}, "b": {"lr": "interval(1,2)"}}})
    assert enqueue(study, two, [{"o": "b", "lr": 1.5}]) == 1
    with pytest.raises(InputError, match=r"lr=1\.5: must be a number from 0\.0 to 1\.0"):
        enqueue(study, two, [{"o": "a", "lr": 1.5}])


def test_parameters_that_python_suggests_are_taken_on_trust(study):
    extended = space(extend=lambda trial: trial.suggest_categorical("deep.y", [1, "[2]"]))
    assert enqueue(study, extended, [{"lr": 0.01, "deep": {"y": [2]}}]) == 1
    assert suggested(study, extended)["deep.y"] == "[2]"
    with pytest.raises(InputError, match=r"lr=5"):
        enqueue(study, extended, [{"lr": 5}])


# Once


def ran(study, one, state, value=None):
    trial = study.ask()
    one.overrides(trial)
    study.tell(trial, value, state)


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


def settings(sweep, **sweeper):
    sweep.config.write_text(yaml.safe_dump({"command": "x", "sweeper": sweeper}))


def test_the_best_of_another_sweep_are_tried_first(study, other, caplog):
    run_all(
        journal_study(other), space(), {**CNN, "lr": 0.001}, {**CNN, "model.channels": [16, 32]}, CNN | {"lr": 0.02}
    )
    settings(other, storage=None, study_name=None)
    with caplog.at_level(logging.INFO):
        assert warm_start(study, space(), other.root, 2) == 2
    assert "2 of its best 2 points can be used, 2 are new" in caplog.text
    assert [point["lr"] for point in queued(study)] == [0.02, 0.01]
    assert queued(study)[1]["model.channels"] == "[16,32]"
    assert study.trials[0].user_attrs == {ORIGIN: "warm_start"}
    assert suggested(study, space())["lr"] == 0.02


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
    settings(other, storage=url, study_name="evening")
    assert warm_start(study, space(), other.root, 1) == 1
    # A sweep that was not named says in its summary what it was called.
    settings(other, storage=url, study_name=None)
    other.summary.write_text(json.dumps({"study": "evening"}))
    fresh = optuna.create_study()
    assert warm_start(fresh, space(), other.root, 1) == 1
    assert queued(fresh) == queued(study)


def test_a_password_that_was_not_kept(study, other):
    settings(other, storage="postgresql://me:***@host/db", study_name="evening")
    with pytest.raises(
        InputError, match=r"^hydra\.sweeper\.warm_start=.*evening: .*password was not kept \(postgresql"
    ):
        warm_start(study, space(), other.root, 1)
    # This sweep's own database is another one.
    with pytest.raises(InputError, match=r"password was not kept"):
        warm_start(study, space(), other.root, 1, "postgresql://me:secret@host/else")
    # The same one: its password is known. No such driver or host here, and nothing is told of it.
    settings(other, storage="nosuch://me:***@host/db", study_name="evening")
    with pytest.raises(InputError, match=r"cannot be read") as caught:
        warm_start(study, space(), other.root, 1, "nosuch://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_nobody_elses_database_gets_tables(study, other):
    settings(other, storage=f"sqlite:///{other.root}/empty.db", study_name="evening")
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.warm_start=.*: its study cannot be read"):
        warm_start(study, space(), other.root, 1)
    file = other.root / "empty.db"
    assert not file.exists() or file.stat().st_size == 0


def test_a_directory_without_a_study_is_named(study, other, tmp_path):
    for directory in (other.root, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=rf"^hydra\.sweeper\.warm_start={directory}: there is no study"):
            warm_start(study, space(), directory, 1)
    other.journal.write_bytes(b"")
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.warm_start=.*: its study \(without a name\) is not in"):
        warm_start(study, space(), other.root, 1)


def test_a_database_without_this_study_is_named(study, other):
    url = f"sqlite:///{other.root}/all.db"
    for name in ("a", "b"):
        optuna.create_study(study_name=name, storage=url)
    settings(other, storage=url, study_name="evening")
    with pytest.raises(InputError, match=r"its study \(evening\) is not in its storage"):
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
