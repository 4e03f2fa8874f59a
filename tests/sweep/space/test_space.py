"""The search space: grammar, branches, what the command line does to it."""

import time

import optuna
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from inksweep.errors import InputError
from inksweep.sweep.space.declare import declare
from inksweep.sweep.space.grammar import as_override, parse
from inksweep.sweep.space.written import written
from tests.conftest import CONF

WHEN = {"model": {"cnn": {"model.depth": "range(1,6)"}, "mlp": {"model.hidden": "choice([64],[128,64])"}}}
PARAMS = {"model": "choice(cnn,mlp)"}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def ask(space, **parameters):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.enqueue_trial({key.replace("__", "."): value for key, value in parameters.items()})
    return space.overrides(study.ask())


def keys(overrides):
    return [override.partition("=")[0] for override in overrides]


VALUES = [
    *(1, -3, 0, 0.1, 1e-05, 1e300, -2.5, True, False, None, "plain", "1", "1.5", "true", "null", "nan", "inf", ""),
    *("a,b", "a b", " a ", "it's", 'say "hi"', "a'b\"c", "[1,2]", "[", "]", "{a:1}", "a=b", "a:b", "x(y)", "choice(a)"),
    *(
        "back\\slash",
        "ends\\",
        "\\'",
        "${x}",
        "tab\there",
        "ünïcode",
        "#",
        "~a",
        "+a",
        "-",
        "a/b",
        "1_000",
        "range(1,3)",
    ),
    *([], [64], [128, 64], [[1], [2, 3]], ["a,b", "1", None, True], {"a": 1, "b": ["x y"]}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_whatever_is_written_reads_back_as_the_same_value(value):
    # A value survives the way over an override.
    read = OverridesParser.create().parse_override(f"key={written(value)}")
    assert not read.is_sweep_override()
    assert (type(read.value()), read.value()) == (type(value), value)


CHOICES = "choice('a,b', c, d e, [1,'2'], {a: 1}, 1, '1', 1.5, true, 'true', 'it\\'s', '[1]')"
MEANT = ["a,b", "c", "d e", [1, "2"], {"a": 1}, 1, "1", 1.5, True, "true", "it's", "[1]"]


@pytest.mark.parametrize("index", range(len(MEANT)))
def test_each_choice_reaches_the_job_as_it_was_meant(index):
    # Through the study, which stores plain values only, and back into an override.
    _, leaf = parse(f"key={CHOICES}", "here")
    assert isinstance(leaf, CategoricalDistribution)
    read = OverridesParser.create().parse_override(as_override("key", leaf.choices[index]))
    assert (type(read.value()), read.value()) == (type(MEANT[index]), MEANT[index])


def test_quotes_in_a_plain_list_of_values_mean_what_they_mean_elsewhere():
    # `a,b` without `choice()` keeps its quotes while it is parsed; `'1'` is a string, not the number.
    _, leaf = parse("key='y z','1',1,'a,b'", "here")
    assert [as_override("key", choice) for choice in leaf.choices] == ["key=y z", "key='1'", "key=1", "key='a,b'"]


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("range(1,6)", IntDistribution(1, 5)),
        ("interval(0,0.5)", FloatDistribution(0.0, 0.5)),
        ("tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("int(interval(1,9))", IntDistribution(1, 9)),
        ("null,0.1", CategoricalDistribution(["null", 0.1])),
        ("[64],[128,64]", CategoricalDistribution(["[64]", "[128,64]"])),
    ],
)
def test_a_distribution_is_what_the_stock_grammar_says(text, distribution):
    assert parse(f"key={text}", "here") == ("key", distribution)


@pytest.mark.parametrize("text", ["choice(", "interval(3,1)", "tag(log,interval(0,1))", "range(5,1)"])
def test_what_cannot_be_searched_is_named(text):
    # The message says where it stands.
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.params\.lr="):
        declare({"lr": text}, None)


def test_only_the_taken_branch_reaches_the_job():
    space = declare(PARAMS, WHEN)
    assert keys(ask(space, model="cnn")) == ["model", "model.depth"]
    assert keys(ask(space, model="mlp")) == ["model", "model.hidden"]


def test_a_list_reaches_the_job_as_written():
    assert "model.hidden=[128,64]" in ask(declare(PARAMS, WHEN), model="mlp", model__hidden="[128,64]")


def test_branches_chain():
    # A parameter inside a branch may have branches itself; a plain value is set in its branch only.
    when = {
        "optimizer": {"sgd": {"nesterov": "choice(true,false)"}, "adam": {"eps": 1e-8}},
        "nesterov": {True: {"momentum": "interval(0.5,0.9)"}, False: {"momentum": None}},
    }
    space = declare({"optimizer": "choice(sgd,adam)"}, when)
    assert keys(ask(space, optimizer="sgd", nesterov=True)) == ["optimizer", "nesterov", "momentum"]
    assert ask(space, optimizer="sgd", nesterov=False)[-1] == "momentum=null"
    assert ask(space, optimizer="adam") == ["optimizer=adam", "eps=1e-08"]


def test_whole_numbers_can_be_conditions():
    space = declare({"depth": "range(1,4)"}, {"depth": {2: {"width": "range(1,3)"}}})
    assert keys(ask(space, depth=2)) == ["depth", "width"]
    assert keys(ask(space, depth=3)) == ["depth"]


@pytest.mark.parametrize("fixed", ["model=mlp", "model='mlp'", "++model=mlp"])
def test_a_value_on_the_command_line_leaves_the_search_and_selects_its_branch(fixed):
    study = optuna.create_study()
    trial = study.ask()
    overrides = declare(PARAMS, WHEN, [fixed]).overrides(trial)
    assert overrides[-1] == fixed
    assert list(trial.params) == ["model.hidden"]


def test_a_distribution_on_the_command_line_takes_the_place_of_the_configured_one():
    # Also inside a branch: it still counts there only.
    space = declare(PARAMS, WHEN, ["model.depth=range(7,9)"])
    assert ask(space, model="cnn")[-1] in ("model.depth=7", "model.depth=8")
    assert keys(ask(space, model="mlp")) == ["model", "model.hidden"]


def test_a_value_for_a_branch_that_is_never_taken_still_reaches_the_job():
    # Hydra then says what is wrong with it; silence would not.
    assert "model.depth=3" in ask(declare(PARAMS, WHEN, ["model=mlp", "model.depth=3"]))


@pytest.mark.parametrize("deletion", ["~model.depth", "~model.depth=3"])
def test_a_deletion_reaches_the_job_and_ends_the_search_of_its_key(deletion):
    assert ask(declare(PARAMS, WHEN, [deletion]), model="cnn") == ["model=cnn", deletion]


def test_other_arguments_reach_the_job_as_typed():
    assert ask(declare(None, None, ["+a.b='x, y'", "c=[1, 2]"])) == ["+a.b='x, y'", "c=[1, 2]"]


@pytest.mark.parametrize(
    ("params", "when", "message"),
    [
        (PARAMS, {"modle": {"cnn": {"a": 1}}}, r"hydra\.sweeper\.when\.modle: .*did you mean 'model'"),
        (PARAMS, {"model": {"rnn": {"a": 1}}}, r"hydra\.sweeper\.when\.model\.rnn: model is never rnn"),
        (
            {**PARAMS, "model.depth": "1,2"},
            WHEN,
            r"params\.model\.depth: hydra\.sweeper\.when\.model\.cnn\.model\.depth gives",
        ),
        (
            {"a": "x,y", "b": "x,y"},
            {"a": {"x": {"c": "1,2"}}, "b": {"y": {"c": "1,2"}}},
            r"when\.b\.y\.c: hydra\.sweeper\.when\.a\.x\.c gives",
        ),
        ({"a": "interval(0,1)"}, {"a": {"0.5": {"b": 1}}}, r"when\.a\.0\.5: a is never 0\.5"),
        (
            {"a": "x,y"},
            {"a": {"x": {"b": "1,2"}, "y": {"b": "1,2,3"}}},
            r"b: is .* in one branch of the search space and .* in another",
        ),
        (
            {"a": "x,y"},
            {"a": {"x": {"b": "interval(0,1)"}, "y": {"b": "range(0,3)"}}},
            r"b: is .* in one branch of the search space and .* in another",
        ),
        ({"opt": {"lr": "interval(0,1)"}}, {}, r"params\.opt\.lr=interval\(0,1\): .*; write opt\.lr: interval\(0,1\)"),
        (PARAMS, {"model": "cnn"}, r"when\.model=cnn: must be a mapping"),
        (PARAMS, {"model": {"cnn": "deep"}}, r"when\.model\.cnn=deep: must be a mapping"),
        (PARAMS, {"model": {"cnn": {"a": "choice("}}}, r"when\.model\.cnn\.a=choice\(: cannot be searched"),
    ],
)
def test_contradictions_are_refused_by_name(params, when, message):
    with pytest.raises(InputError, match=message):
        declare(params, when)


def test_the_same_parameter_may_stand_in_branches_that_exclude_each_other():
    when = {"optimizer": {"sgd": {"lr": "interval(0.1,1)"}, "adam": {"lr": "interval(0.001,0.01)"}}}
    space = declare({"optimizer": "choice(sgd,adam)"}, when)
    assert float(ask(space, optimizer="adam")[-1].partition("=")[2]) <= 0.01


def test_examples_take_every_branch_and_no_more_jobs_than_needed():
    examples = declare({**PARAMS, "b": "x,y"}, {**WHEN, "b": {"y": {"c": 1}}}).examples()
    assert {key for job in examples for key in keys(job)} == {"model", "model.depth", "model.hidden", "b", "c"}
    assert len(examples) <= 3


def test_many_conditions_cost_no_more_than_each_by_itself():
    # 3**30 combinations: none of this may go through them.
    params = {f"part{i}": "choice(none,square,round)" for i in range(30)}
    when = {f"part{i}": {kind: {f"size{i}": "interval(0,1)"} for kind in ("square", "round")} for i in range(30)}
    started = time.process_time()
    space = declare(params, when, ["part7=square", "size8=0.5"])
    assert len(space.examples()) == 3
    with pytest.raises(InputError, match=r"when\.part9\.round\.size8: hydra\.sweeper\.when\.part8\.\w+\.size8 gives"):
        declare(params, {**when, "part9": {"round": {"size8": "interval(0,1)"}}})
    assert time.process_time() - started < 2  # measured: 0.1


def test_blocks_with_the_same_parameter_meet_only_where_both_can_be_taken():
    # A chain: b only while a=x, c only while b=1. Both branches of c and a share d.
    params, chain = {"a": "x,y"}, {"a": {"x": {"b": "1,2"}, "y": {"d": "1,2"}}, "b": {1: {"c": "1,2"}}}
    assert declare(params, {**chain, "c": {1: {"d": "1,2"}}})
    with pytest.raises(InputError, match=r"when\.c\.1\.e: hydra\.sweeper\.when\.a\.x\.e gives"):
        declare(params, {**chain, "a": {"x": {"e": "1,2", "b": "1,2"}}, "c": {1: {"e": "1,2"}}})
    # Of a fixed parameter only one branch can be taken.
    assert declare({"a": "x"}, {"a": {"x": {"b": "1,2"}}, "b": {1: {"c": 1}}})
    # A branch that nobody can enter, because its parameter stands in it alone, meets nothing.
    assert declare({"a": "x,y", "d": "1,2"}, {"a": {"x": {"c": "1,2"}}, "q": {1: {"q": "1,2", "d": "1,2"}}})


def test_our_own_space_composes_in_every_branch():
    # Each name in conf/hydra/sweeper/space/default.yaml is a key of the config that its branch selects.
    from hydra import compose, initialize_config_dir

    from inksweep.digits.config.parse import parse as parse_config
    from inksweep.digits.config.parse import register

    written_down = yaml.safe_load((CONF / "hydra/sweeper/space/default.yaml").read_text())
    register()
    with initialize_config_dir(str(CONF)):
        for job in declare(written_down["params"], written_down["when"]).examples():
            assert parse_config(compose("config", job))


def test_a_grid_knows_its_points_and_no_conditions():
    assert declare({"a": "1,2", "b": "range(1,4)", "c": 5}, None).grid() == {"a": [1, 2], "b": [1, 2, 3]}
    with pytest.raises(InputError, match="knows no conditions"):
        declare(PARAMS, WHEN).grid()
    with pytest.raises(InputError, match=r"^lr: "):
        declare({"lr": "interval(0,1)"}, None).grid()


def test_a_python_extension_suggests_more_and_may_not_touch_what_is_fixed():
    def extend(trial):
        assert trial.user_attrs == {"fixed": "7"}
        trial.suggest_categorical("+text", ["a,b"])

    assert ask(declare({"x": "range(1,2)"}, None, ["fixed=7"], extend)) == ["x=1", "+text='a,b'", "fixed=7"]
    with pytest.raises(InputError, match="suggests fixed, which is fixed to 7"):
        ask(declare(None, None, ["fixed=7"], lambda trial: trial.suggest_int("fixed", 1, 2)))
