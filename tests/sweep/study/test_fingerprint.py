"""What a study is a search of: canonical text, and a refusal that shows what changed."""

import json
import logging
from enum import Enum
from pathlib import Path

import optuna
import pytest
import yaml
from omegaconf import OmegaConf

from inksweep.errors import InputError, explain
from inksweep.sweep.space.declare import declare
from inksweep.sweep.study.fingerprint import check, describe, differences
from inksweep.sweep.study.journal import open_journal
from tests.conftest import REPOSITORY

PARAMS = {"model": "choice(cnn,mlp)", "lr": "tag(log,interval(1e-4,1e-1))"}
WHEN = {"model": {"cnn": {"model.depth": "range(1,6)"}, "mlp": {"model.hidden": "choice([64],[128,64])"}}}
BASE = {"trainer": {"epochs": 5, "out": "${hydra:run.dir}"}, "seed": None}


def definition(params=PARAMS, when=WHEN, arguments=(), base=BASE, directions=("maximize",)):
    return describe(declare(params, when, arguments), directions, base)


def begun(name="night", **changes):
    study = optuna.create_study(study_name=name)
    check(study, definition(**changes), "error")
    return study


def test_a_search_in_words():
    described = definition(arguments=["+trainer.x=1", "~seed"])
    assert described == {
        "direction": "maximize",
        "space.lr": "float 0.0001 to 0.1 log",
        "space.model": "choice(cnn, mlp)",
        "space.trainer.x": "1",
        "space.when.model.cnn.model.depth": "int 1 to 5",
        "space.when.model.mlp.model.hidden": "choice([64], [128,64])",
        "space.~seed": "~seed",
        "base.seed": "null",
        "base.trainer.epochs": "5",
        "base.trainer.out": '"${hydra:run.dir}"',
    }
    assert json.loads(json.dumps(described)) == described


def test_several_objectives():
    described = definition(directions=["maximize", "minimize"])
    assert described["direction"] == "maximize, minimize"


def test_the_function_that_extends_a_space_is_part_of_the_search():
    space = declare({}, {})
    before = describe(space, ["minimize"], {}, "app.one")
    assert differences(before, describe(space, ["minimize"], {}, "app.two")) == [
        "space.custom_search_space: app.one -> app.two"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("range(1,5)", "int(interval(1,4))"),
        ("range(1,5)", "int(interval(1, 4.0))"),
        ("range(1,6,step=2)", "range(1,7,2)"),
        ("interval(0,1)", "interval(0.0,1e0)"),
        ("tag(log,interval(1e-4,1))", "tag(log, interval(0.0001,1.0))"),
        ("int(tag(log,interval(1,64)))", "int(tag(log, interval(1,64.0)))"),
        ("choice(a,'b c',[1,2])", "choice('a',b c,[1, 2])"),
        ("choice(1,2)", "1,2"),
        ("0.10", "1e-1"),
        (5, "5"),
    ],
)
def test_the_same_written_differently_is_the_same(one, other):
    assert definition({"x": one}, {}) == definition({"x": other}, {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("range(1,5)", "range(1,6)"),
        ("range(1,5)", "interval(1,4)"),
        ("range(1,8,2)", "range(1,8,3)"),
        ("interval(1,4)", "tag(log,interval(1,4))"),
        ("range(0,1,0.25)", "interval(0,0.75)"),
        ("choice(a,b)", "choice(b,a)"),  # Optuna tells them apart
        ("choice(1,2)", "choice('1','2')"),
        ("choice(true,x)", "choice('true',x)"),
        ("5", "'5'"),
        ("5", "choice(5)"),
    ],
)
def test_what_means_something_else_is_not_the_same(one, other):
    assert definition({"x": one}, {}) != definition({"x": other}, {})


def test_the_order_of_keys_does_not_matter():
    def turned(node):
        return {key: turned(node[key]) for key in reversed(node)} if isinstance(node, dict) else node

    two = {"model": WHEN["model"], "lr": {"0.1": {"a": "1", "b": "2"}}}
    params = {**PARAMS, "lr": "0.1"}
    assert definition(params, two) == definition(turned(params), turned(two), base=turned(BASE))
    assert list(definition(params, two)) == list(definition(turned(params), turned(two), base=turned(BASE)))


def test_a_parameter_that_the_study_would_know_under_another_name_is_another():
    assert differences(definition({"x": "1,2"}, {}), definition({"+x": "1,2"}, {})) == [
        "space.x: choice(1, 2) -> choice(1, 2) (as +x)"
    ]
    # A value reaches the job either way.
    assert definition({"+x": "1"}, {}) == definition({"++x": "1"}, {})


def test_a_value_that_every_trial_sets_does_not_count_in_the_base():
    # One that a branch sets does: the other branch takes the base's.
    base = {"lr": 0.1, "model": {"depth": 3, "dropout": 0.0}}
    described = definition(base=base)
    assert "base.lr" not in described
    assert described["base.model.depth"] == "3"
    assert described["base.model.dropout"] == "0.0"


def test_a_base_of_all_sorts():
    class Colour(Enum):
        red = 1

    base = {"c": Colour.red, "p": Path("a/b"), "l": [1, "1", {"z": None}], "e": {}, "n": float("nan"), 3: "three"}
    described = definition({}, {}, base=base)
    assert {key: text for key, text in described.items() if key.startswith("base")} == {
        "base.3": '"three"',
        "base.c": '"red"',
        "base.e": "{}",
        "base.l": '[1, "1", {"z": null}]',
        "base.n": "NaN",
        "base.p": '"a/b"',
    }


def test_a_base_from_hydra_is_taken_unresolved():
    config = OmegaConf.create({"a": "${b}", "b": "${oc.env:NO_SUCH_VARIABLE}", "c": "???"})
    described = definition({}, {}, base=OmegaConf.to_container(config, resolve=False))
    assert (described["base.a"], described["base.c"]) == ('"${b}"', '"???"')


def test_differences_name_both_sides():
    assert differences({"a": "1", "b": "2", "gone": "x"}, {"b": "3", "a": "1", "new": "y"}) == [
        "b: 2 -> 3",
        "new: (not there) -> y",
        "gone: x -> (not there)",
    ]
    assert differences({"a": "1", "b": "2"}, {"b": "2", "a": "1"}) == []


def test_a_study_goes_on_with_the_same_search(tmp_path):
    # Through a file, as on a rerun.
    path = tmp_path / "study.journal"
    check(optuna.create_study(study_name="night", storage=open_journal(path)), definition(), "error")
    written = path.read_bytes()
    check(optuna.load_study(study_name="night", storage=open_journal(path)), definition(), "error")
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"base": {**BASE, "seed": 7}}, "base.seed: null -> 7"),
        ({"directions": ["minimize"]}, "direction: maximize -> minimize"),
        ({"params": {**PARAMS, "wd": "1,2"}}, "space.wd: (not there) -> choice(1, 2)"),
        ({"arguments": ["model=mlp"]}, "space.model: choice(cnn, mlp) -> mlp"),
        ({"arguments": ["~seed"]}, "space.~seed: (not there) -> ~seed"),
    ],
)
def test_another_search_under_the_same_name_is_refused_in_one_line(changes, shown):
    study = begun()
    with pytest.raises(InputError) as caught:
        check(study, definition(**changes), "error")
    line = explain(caught.value)
    assert line == (
        f"hydra.sweeper.study_name=night: the study began as another search ({shown}); restore it, begin a new study "
        "(another hydra.sweeper.study_name) or go on all the same (hydra.sweeper.on_mismatch=continue)"
    )
    # Refused again and again, until something is done.
    with pytest.raises(InputError):
        check(study, definition(**changes), "error")


def test_of_many_differences_five_are_shown():
    study = begun(base={f"k{i}": 0 for i in range(9)})
    with pytest.raises(InputError, match=r"base\.k4: 0 -> 1; \.\.\. and 4 more\)") as caught:
        check(study, definition(base={f"k{i}": 1 for i in range(9)}), "error")
    assert "k5" not in str(caught.value)


def test_one_can_go_on_all_the_same(caplog):
    study = begun()
    changed = definition(base={**BASE, "seed": 7})
    with caplog.at_level(logging.WARNING):
        check(study, changed, "continue")
    assert "base.seed: null -> 7" in caplog.text
    check(study, changed, "error")
    with pytest.raises(InputError, match=r"base\.seed: 7 -> null"):
        check(study, definition(), "error")


def test_a_study_of_another_tool_is_taken_as_it_is(caplog):
    study = optuna.create_study(study_name="night")
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=1)
    caplog.clear()
    check(study, definition(), "error")
    assert caplog.text == ""
    with pytest.raises(InputError):
        check(study, definition(directions=["minimize"]), "error")


def test_what_is_unrelated_may_differ():
    study = begun()
    changed = definition(base={**BASE, "tracker": {"uri": "here"}, "figures": True})
    assert check(study, changed, "error", ["tracker", "figures"])
    # the key alone, not what begins like it; and also what was there before and is not any more
    with pytest.raises(InputError, match="trackers"):
        check(study, definition(base={**BASE, "trackers": 1}), "error", ["tracker", "figures"])
    assert check(study, definition(base={"seed": None}), "error", ["trainer"])


def test_one_key_of_a_group_may_be_unrelated():
    study = optuna.create_study(study_name="night")
    check(study, definition(base={**BASE, "data": {"title": "MNIST", "size": 28}}), "error")
    corrected = definition(base={**BASE, "data": {"title": "mnist", "size": 28}})
    assert check(study, corrected, "error", ["data.title"])
    with pytest.raises(InputError, match=r"data\.size"):
        check(study, definition(base={**BASE, "data": {"title": "MNIST", "size": 20}}), "error", ["data.title"])


def test_words_for_a_model_card_are_unrelated_to_a_search_of_digits():
    conf = yaml.safe_load((REPOSITORY / "conf" / "hydra" / "sweeper" / "optuna.yaml").read_text(encoding="utf-8"))
    assert {"data.title", "data.about", "data.handwritten_digits"} <= set(conf["unrelated"])
