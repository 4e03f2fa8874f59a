"""A value typed for a parameter of a branch: what of it reaches the trials of other branches, and what is said."""

import logging

import pytest
from omegaconf import OmegaConf

from inksweep.errors import InputError
from inksweep.sweep import session
from inksweep.sweep.settings import InksweepSweeperConf
from inksweep.sweep.space.declare import declare
from inksweep.sweep.space.elsewhere import settle
from inksweep.sweep.start import Start

PARAMS = {"model": "choice(mlp,cnn,linear)", "augment": "choice(none,strong)"}
WHEN = {
    "model": {"mlp": {"model.hidden": "choice([64],[128])"}, "cnn": {"model.depth": "range(1,5)"}},
    "augment": {"strong": {"epochs": 10, "augment.angle": "interval(0,9)"}},
}


def compose(words):
    """Refuse the keys that the chosen model does not have, as Hydra would."""
    has = {"mlp": {"hidden", "dropout"}, "cnn": {"depth", "dropout"}, "linear": set()}
    given = dict(word.split("=", 1) for word in words)
    for key in given:
        group, _, name = key.partition(".")
        if group == "model" and name and name not in has[given["model"]]:
            raise InputError(f"{key}: Key '{name}' not in '{given['model']}'")


def settled(*words, params=PARAMS):
    space = declare(params, WHEN, words)
    settle(space, compose)
    return space


def test_a_value_that_every_trial_can_have_counts_in_every_trial(caplog):
    # The space sets it in one branch only; who types it means all trials, as in a single run.
    space = settled("epochs=1")
    assert all("epochs=1" in job for job in space.examples())
    assert "augment.angle" in space.branches["augment"]["strong"]
    assert not caplog.records


def test_a_value_that_other_branches_cannot_have_stays_in_its_own_and_that_is_said(caplog):
    caplog.set_level(logging.INFO)
    space = settled("model.hidden=[64]")
    assert {("model=mlp" in job, "model.hidden=[64]" in job) for job in space.examples()} == {
        (True, True),
        (False, False),
    }
    assert [record.getMessage() for record in caplog.records] == [
        "model.hidden=[64] counts only while model=mlp: other trials have no such key"
    ]


def test_a_value_of_a_branch_that_is_never_taken_is_refused_with_the_branch():
    with pytest.raises(InputError, match=r"^model\.hidden: Key .*; model\.hidden=\[64\] counts only while model=mlp$"):
        settled("model.hidden=[64]", "model=cnn")
    # Where the trials can have it, nothing is wrong.
    space = declare({"model": "cnn", "augment": "none"}, {"augment": {"none": {"x": 1}}}, ["x=2"])
    settle(space, compose)
    assert "x=2" in space.examples()[0]


def test_what_is_wrong_otherwise_is_left_to_be_said_there():
    # No job composes at all: neither settled nor refused here.
    space = declare(PARAMS, WHEN, ["epochs=1", "model.nonsense=2"])
    settle(space, compose)
    assert "epochs" in space.branches["augment"]["strong"]


def test_a_search_that_clashes_with_the_space_of_the_app_names_it():
    conf = InksweepSweeperConf(params={**PARAMS, "model.hidden": "choice([1],[2])"}, when=WHEN)
    for chosen, hint in (
        ("default", "; hydra/sweeper/space=default is part of the search: hydra/sweeper/space=none"),
        ("none", ""),
    ):
        config = OmegaConf.create({"hydra": {"runtime": {"choices": {"hydra/sweeper/space": chosen}}}})
        start = Start(config, conf, [], launcher=None, launcher_for=None, compose=compose, is_serial=True)
        with pytest.raises(InputError) as raised:
            session._space(start)
        said = "hydra.sweeper.params.model.hidden: hydra.sweeper.when.model.mlp.model.hidden gives this parameter too"
        assert str(raised.value).startswith(said + hint)
        assert hint or str(raised.value) == said
