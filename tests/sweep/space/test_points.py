"""A point of a search space: does it fit, and how a study stores it; asked by queueing it."""

import optuna
import pytest
import yaml

from inksweep.errors import InputError
from inksweep.sweep.space.declare import declare
from inksweep.sweep.study.first_points import begin, enqueue
from inksweep.sweep.study.notes import ORIGIN
from tests.sweep.spaces import CNN, space


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def study():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))


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


# The points of the space's own file


BRANCHES = {"model": {"mlp": {"width": "range(1,9)", "lr": "interval(0,1)"}, "cnn": {"lr": "interval(0,1)"}}}
FILE = [{"model": "mlp", "width": 4, "lr": 0.5}, {"model": "cnn", "lr": 0.25}]


def queued(study):
    return [trial.system_attrs["fixed_params"] for trial in study.trials]


def test_a_space_begins_with_the_points_of_its_file(study):
    assert begin(study, declare({"model": "choice(mlp,cnn)"}, BRANCHES), FILE) == 2
    assert queued(study) == FILE
    assert study.trials[0].user_attrs == {ORIGIN: "first_points"}
    assert begin(study, declare({"model": "choice(mlp,cnn)"}, BRANCHES), FILE) == 0


def test_points_of_a_branch_that_the_command_line_excludes_are_passed_over(study):
    assert begin(study, declare({"model": "choice(mlp,cnn)"}, BRANCHES, ["model=cnn"]), FILE) == 1
    assert queued(study) == [{"lr": 0.25}]


def test_a_value_of_the_command_line_takes_the_place_of_a_points(study):
    assert begin(study, declare({"model": "choice(mlp,cnn)"}, BRANCHES, ["lr=0.75", "width=range(6,9)"]), FILE) == 2
    assert queued(study) == [{"model": "mlp"}, {"model": "cnn"}]
    assert suggested(study, declare({"model": "choice(mlp,cnn)"}, BRANCHES, ["lr=0.75", "width=8"]))["model"] == "mlp"


@pytest.mark.parametrize("wrong", ["x", 5, [5], [{}], [{"model": "mlp", "+model": "cnn"}]])
def test_a_file_whose_points_are_none_is_refused(study, wrong):
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.first_points(\[0\])?[.=]"):
        begin(study, declare({"model": "choice(mlp,cnn)"}, BRANCHES), wrong)
    assert study.trials == []
