"""Which configuration wins: the mean of its seeds, the pictures where means are equal, the search's order."""

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import optuna
import pytest
from omegaconf import DictConfig, OmegaConf

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir
from inksweep.runs.selection import Model, StopRule
from inksweep.significance import Paired, bootstrap_difference, bootstrap_mean
from inksweep.sweep import stopping
from inksweep.sweep.settings import InksweepSweeperConf, WinnerConf
from inksweep.sweep.space.declare import declare
from inksweep.sweep.start import Start
from inksweep.sweep.stopping import Target
from inksweep.sweep.study import trials
from inksweep.sweep.study.notes import STOP_RULES
from inksweep.sweep.winner import choice, final_stage, full_data, selection
from inksweep.sweep.winner.configurations import Configurations, Training, replaced
from inksweep.sweep.winner.finals import described
from tests.sweep import stages
from tests.sweep.stages import finals, leave, search, train

TEST = [True]


def right(n: int, of: int = 10) -> tuple[list[bool], list[bool]]:
    """Answers of which the first `n` are right."""
    return [index < n for index in range(of)], TEST


def numbers(candidates: list[choice.TrainedAgain]) -> list[int]:
    return [candidate.trial.number for candidate in candidates]


def test_the_mean_decides_not_the_lucky_run(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(6), right(9), right(8)])
    final = finals(sweep, study, WinnerConf(top_k=2, seeds=2))
    trained = train(final, lambda training: right({1: 5, 2: 8}[training.trial] + training.seed % 2))
    assert trained == [Training(1, 2), Training(1, 3), Training(2, 2), Training(2, 3)]
    assert numbers(final.candidates()) == [2, 1]
    decided = final.choice()
    assert decided is not None
    assert (decided.model.path, decided.model.seed) == ("finalists/3", 3)
    said = selection.describe(decided, study, sweep, WinnerConf(), None)
    assert [(one.trial, one.rank) for one in said.candidates] == [(2, 1), (1, 2)]
    correct = [np.array(right(n)[0]) for n in (8, 9)]
    assert said.candidates[0].interval == bootstrap_mean(correct)
    assert said.candidates[0].p is None
    # Of two as sure answers the lower class, here the wrong one, stands for both: 8 right against 5.
    assert said.candidates[1].p == Paired(5, 3, 0, 2).p
    assert said.candidates[0].difference is None
    others = [np.array(right(n)[0]) for n in (5, 6)]
    difference = said.candidates[1].difference
    assert difference.mean == pytest.approx(-0.3)
    assert difference.interval == bootstrap_difference(correct, others)


def test_of_equal_means_who_is_right_more_often_where_one_is_wrong_goes_first(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9), right(9), right(9)])
    final = finals(sweep, study, WinnerConf(top_k=3, seeds=3))

    def answers(training: Training) -> tuple[list[bool], list[bool]]:
        # All have the same accuracy on every seed. Trial 0 is wrong on the same picture each time, and so is its
        # majority; trial 1 on another one each time, so that its majority is right on all.
        wrong = {0: 9, 1: training.seed, 2: 8}[training.trial]
        return [index != wrong for index in range(10)], TEST

    train(final, answers)
    assert len({candidate.mean for candidate in final.candidates()}) == 1
    # And 0 before 2, as in the search.
    assert numbers(final.candidates()) == [1, 0, 2]


@pytest.mark.parametrize("damage", ["gone", "broken", "other pictures"])
def test_without_comparable_answers_the_order_of_the_search_decides(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    sweep, study = search(tmp_path, [right(9), right(9)])
    final = finals(sweep, study, WinnerConf(top_k=2, seeds=3))
    train(final, lambda t: ([index != (9 if t.trial == 0 else t.seed) for index in range(10)], TEST))
    assert numbers(final.candidates()) == [1, 0]
    for run in final.ran().values():
        folder = RunDir(sweep.root / run.path)
        if damage == "gone":
            folder.predictions.unlink()
        elif damage == "broken":
            folder.predictions.write_bytes(b"no zip")
        elif run.path == "finalists/0":
            folder.predictions.unlink()
            folder.result.unlink()
            folder.root.rmdir()
            leave(folder, [True] * 9 + [False], TEST, labels=5)
    assert numbers(final.candidates()) == [0, 1]
    decided = final.choice()
    assert decided is not None
    second = selection.describe(decided, study, sweep, WinnerConf(), None).candidates[1]
    assert (second.p, second.difference) == (None, None)
    assert ("cannot be read" in caplog.text) == (damage == "broken")


def test_a_configuration_that_diverged_on_a_seed_comes_last(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9), right(8), right(7)])
    final = finals(sweep, study, WinnerConf(top_k=3, seeds=2))
    # It is the best otherwise; one that diverged on all seeds comes after it.
    told = {Training(0, 3): "diverged", Training(1, 2): "diverged", Training(1, 3): "diverged"}
    trained = train(final, lambda t: told.get(t) or right(9 - t.trial))
    assert len(trained) == 6
    assert numbers(final.candidates()) == [2, 0, 1]
    assert final.failed() == []
    assert (final.total, final.done) == (6, 6)
    decided = final.choice()
    assert decided is not None
    said = selection.describe(decided, study, sweep, WinnerConf(), None).candidates
    assert [(one.trial, one.lost, one.diverged) for one in said] == [(2, 0, 0), (0, 1, 1)]


def test_a_training_that_failed_says_nothing_of_its_configuration_and_is_tried_again(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9), right(8)])
    final = finals(sweep, study, WinnerConf(top_k=2, seeds=2))
    trained = train(final, lambda t: None if t == Training(0, 3) else right(9 - t.trial))
    assert len(trained) == 4
    # The mean of its other seed is the best.
    assert numbers(final.candidates()) == [0, 1]
    assert final.failed() == [Training(0, 3)]
    assert (final.total, final.done) == (4, 3)
    assert [(candidate.lost, candidate.diverged) for candidate in final.candidates()] == [(1, 0), (0, 0)]
    again = finals(sweep, study, WinnerConf(top_k=2, seeds=2))
    again.study = final.study
    again._first = len(final.study.trials)
    final.study.sampler = stages.FinalsSampler(again)
    assert train(again, lambda t: right(7)) == [Training(0, 3)]
    # Seven and nine of ten are, in the mean, no better than eight; the majority neither.
    assert [candidate.lost for candidate in again.candidates()] == [0, 0]
    assert [candidate.mean for candidate in again.candidates()] == pytest.approx([0.8, 0.8])


def test_trainings_of_another_search_do_not_count(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    final = finals(sweep, study, WinnerConf(seeds=1))
    train(final, lambda _: right(9))
    assert (final.missing(), final.has_others()) == ([], False)
    final.digest = "another"
    assert (final.missing(), final.has_others()) == ([Training(0, 2)], True)


def test_trainings_of_another_study_of_that_name_do_not_count(tmp_path: Path) -> None:
    # It was begun anew: its trials have the old numbers, and other parameters.
    sweep, old = search(tmp_path / "old", [right(9), right(8)])
    final = finals(sweep, old, WinnerConf(top_k=2, seeds=1))
    train(final, lambda _: right(9))
    anew = optuna.create_study(direction="maximize", study_name="night")
    for x in (0, 5):
        anew.enqueue_trial({"x": x})
        stages.told(anew, anew.ask({"x": stages.IntDistribution(0, 99)}), {"val/accuracy": 0.9})
    again = finals(sweep, anew, WinnerConf(top_k=2, seeds=1))
    again.study = final.study
    # Trial 0 is the same point of the same search as before, trial 1 is not.
    assert (again.missing(), again.has_others()) == ([Training(1, 2)], True)
    assert numbers(again.candidates()) == [0, 1]
    assert [len(candidate.runs) for candidate in again.candidates()] == [1, 0]


def test_what_is_wanted_no_more_is_not_trained(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9), right(8)])
    final = finals(sweep, study, WinnerConf(seeds=1))
    for trial in (1, 0):
        final.study.enqueue_trial(Training(trial, 2).parameters)
    final.missing()
    final.retire()
    assert train(final, lambda _: right(9)) == [Training(0, 2)]
    # That it was not wanted once is no failure of it.
    assert Training(1, 2) not in final._settled()


def test_a_point_that_was_tried_twice_is_one_configuration(tmp_path: Path) -> None:
    _, study = search(tmp_path, [right(9), right(8)])
    study.enqueue_trial({"x": 0})
    stages.told(study, study.ask({"x": stages.IntDistribution(0, 99)}), {"val/accuracy": 0.9})
    assert [trial.number for trial in trials.best_of(study, 3)] == [0, 1]


def test_an_ensemble_is_of_the_searchs_best_or_of_the_chosen_ones_best_seeds(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(6), right(9), right(8)])
    joined = choice.of_search(study, WinnerConf(ensemble=2), sweep)
    assert joined is not None
    assert ([run.path for run in joined.members], joined.model.path) == (["1", "2"], "1")
    # There may be fewer.
    few = choice.of_search(study, WinnerConf(ensemble=9), sweep)
    assert few is not None
    assert len(few.members) == 3
    final = finals(sweep, study, WinnerConf(seeds=3, ensemble=2))
    train(final, lambda training: right({2: 7, 3: 9, 4: 8}[training.seed]))
    decided = final.choice()
    assert decided is not None
    assert [(run.path, run.seed) for run in decided.members] == [("finalists/1", 3), ("finalists/2", 4)]
    assert decided.model == decided.members[0]


def test_full_data_without_seeds_trains_the_searchs_best_and_calibrates_on_it(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(6), right(9)])
    final = finals(sweep, study, WinnerConf(full_data=True, ensemble=2))
    # A training on all data that failed is done without.
    train(final, lambda training: None if training.seed == 2 else right(10))
    decided = final.choice()
    assert decided is not None
    said = selection.describe(decided, study, sweep, WinnerConf(full_data=True), None)
    assert (said.rule, said.trial, said.candidates, said.full_data) == ("search", 1, [], True)
    assert (said.model, said.calibrate_on, said.members) == (Model("finalists/1", 3), "1", [])


def test_an_ensemble_on_all_data_is_calibrated_on_as_many_of_the_best_seeds(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    final = finals(sweep, study, WinnerConf(seeds=3, full_data=True, ensemble=2))
    train(final, lambda t: right(10 if t.full else {2: 7, 3: 9, 4: 8}[t.seed]))
    decided = final.choice()
    assert decided is not None
    assert [run.path for run in decided.members] == ["finalists/3", "finalists/4"]
    assert decided.calibrate_on == ["finalists/1", "finalists/2"]
    # With one seed there is but one, and one model needs one.
    for conf, path in (
        (WinnerConf(seeds=1, full_data=True, ensemble=2), "finalists/0"),
        (WinnerConf(seeds=3, full_data=True), "finalists/1"),
    ):
        final.conf = conf
        final.missing()
        decided = final.choice()
        assert decided is not None
        assert decided.calibrate_on == path


@pytest.mark.parametrize(
    ("trainer", "replaced_by"),
    [
        ("{keep: best, patience: 3}", {"trainer.keep": "last", "trainer.patience": None}),
        ("{keep: ema, patience: null}", {"trainer.keep": "last"}),
        ("{keep: last, patience: null}", {}),
        ("{epochs: 3}", {}),
    ],
)
@pytest.mark.parametrize("is_here", [True, False])
def test_what_the_length_of_training_was_found_with_is_told(
    tmp_path: Path, trainer: str, replaced_by: dict[str, Any], *, is_here: bool
) -> None:
    sweep, study = search(tmp_path, [right(9)])
    final = finals(sweep, study, WinnerConf(full_data=True))
    if is_here:
        sweep.trial(0).config.parent.mkdir()
        sweep.trial(0).config.write_text(f"trainer: {trainer}\n")
    else:
        final.configurations.config = OmegaConf.create(f"seed: 1\nx: 0\ntrainer: {trainer}\n")
    train(final, lambda _: right(10))
    decided = final.choice()
    assert decided is not None
    said = selection.describe(decided, study, sweep, WinnerConf(full_data=True), None)
    assert said.retrained_with == replaced_by


def test_without_full_data_nothing_was_trained_with_other_settings(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    decided = choice.of_search(study, WinnerConf(), sweep)
    assert decided is not None
    assert selection.describe(decided, study, sweep, WinnerConf(), None).retrained_with == {}


def test_stop_rules_are_remembered(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [([True, False], [True] * 3), ([True, True], [True, True, False])])
    decided = choice.of_search(study, WinnerConf(), sweep)
    assert decided is not None

    def said(target: Target | None = None) -> StopRule | None:
        return selection.describe(decided, study, sweep, WinnerConf(), target).stop_rule

    assert said() is None
    seen = Target("test/accuracy", 0.5), Target("test/accuracy", 0.9)
    for rule in (*seen, seen[1]):
        stopping.remember_stop_rule(study, rule)
    assert len(study.user_attrs[STOP_RULES]) == 2
    # Also when this start has none, or one that looks at what the search ranks by anyway.
    told = StopRule("test/accuracy", 0.9, looks=2, reached=False)
    assert said() == told
    for target in (Target(None, 0.7), Target("val/accuracy", 0.7)):
        assert said(target) == told
        stopping.remember_stop_rule(study, target)
    assert said() == told
    # The one that was given last, though it had been there.
    stopping.remember_stop_rule(study, seen[0])
    assert said() == StopRule("test/accuracy", 0.5, looks=2, reached=True)
    assert len(study.user_attrs[STOP_RULES]) == 4


def test_of_rules_on_the_objective_alone_the_last_is_told(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(8)])
    decided = choice.of_search(study, WinnerConf(), sweep)
    assert decided is not None
    for value in (0.7, 0.9):
        stopping.remember_stop_rule(study, Target("val/accuracy", value))
    rule = selection.describe(decided, study, sweep, WinnerConf(), None).stop_rule
    assert rule == StopRule("val/accuracy", 0.9, looks=1, reached=False)


def test_a_final_stage_says_how_much_it_is() -> None:
    again = "the best 3 of the search on 5 new seeds each, at most 15 trainings"
    assert described(WinnerConf(top_k=3, seeds=5), 20) == again
    assert described(WinnerConf(top_k=3, seeds=5), 2) == again.replace("3", "2").replace("15", "10")
    on_all = "the chosen configuration on all data, 2 more"
    assert described(WinnerConf(full_data=True, ensemble=2), 20) == on_all
    assert described(WinnerConf(seeds=2, full_data=True, ensemble=2), 20).endswith(f"2 trainings, then {on_all}")


def test_if_no_training_is_complete_nothing_is_decided(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    final = finals(sweep, study, WinnerConf(seeds=2, full_data=True))
    assert len(train(final, lambda _: None)) == 2
    assert final.choice() is None


@pytest.mark.parametrize(
    ("space", "config", "message"),
    [
        ({"seed": "choice(1,2)"}, {"seed": 1}, "seed_key=seed: is searched"),
        ({"seed": 1.5}, {}, "seed_key=seed: seed=1.5 is no whole number"),
        ({}, {"seed": None}, "seed_key=seed: seed=None is no whole number"),
        ({}, {"seed": 2**53}, "is no whole number from 0"),
        ({}, {"sede": 1}, "has no such key; did you mean 'sede'"),
        ({}, {"hydra": {"seed": 1}}, "has no such key"),
    ],
)
def test_a_seed_that_cannot_be_counted_from_is_named(
    tmp_path: Path, space: dict[str, Any], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.winner\.seed_key=seed: ") as caught:
        Configurations(SweepDir(tmp_path), declare(space, None), OmegaConf.create(config), "seed")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "job"),
    [
        (["x=1", "seed=3"], ["x=1", "seed=5"]),
        (["+seed=3", "x=1"], ["x=1", "+seed=5"]),
        (["~y", "x=1"], ["~y", "x=1", "seed=5"]),
    ],
)
def test_a_job_has_its_own_seed_and_the_trials_other_overrides(overrides: list[str], job: list[str]) -> None:
    assert replaced(overrides, ["seed=5"]) == job


def test_a_key_that_was_taken_away_and_added_again_is_set():
    # Without the words that are replaced the key is there: `+` would be refused.
    assert replaced(["~seed", "+seed=3", "x=1"], ["seed=5"]) == ["x=1", "++seed=5"]


def test_what_changes_no_result_is_as_this_start_says(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    path = sweep.trial(0).overrides
    path.parent.mkdir()
    told = ["x=0", "data.root=/gone", "tracker.name=a", "tracker=mlflow", "trainer.epochs=3", "+database=old"]
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(told)))
    typed = ["x=range(0,100)", "data.root=/here", "trainer.epochs=9", "~tracker.name"]
    config = OmegaConf.create({"seed": 1})
    found = Configurations(sweep, declare({}, None, typed), config, "seed", ["data.root", "tracker", "data"]).overrides(
        study.trials[0]
    )
    # Of the search is what it was told then; `database` is not below `data`, and `tracker` was not typed now.
    assert found == ["x=0", "tracker=mlflow", "trainer.epochs=3", "+database=old", "data.root=/here", "~tracker.name"]


def composed(overrides: list[str]) -> DictConfig:
    """Compose a job of an app that has groups: model=large also trains on all."""
    config = OmegaConf.create({"data": {"train_on_all": "model=large" in overrides}})
    return OmegaConf.merge(config, OmegaConf.from_dotlist([word.lstrip("+") for word in overrides]))  # type: ignore[return-value]


FIXED = {"data.train_on_all": "true"}
SEARCHED = {"data.train_on_all": "choice(false,true)"}


@pytest.mark.parametrize(
    ("space", "when", "typed", "config", "refused"),
    [
        (FIXED, {}, [], False, True),
        (SEARCHED, {}, [], False, True),
        ({}, {}, ["data.train_on_all=true"], False, True),
        ({}, {}, ["++data.train_on_all=true"], False, True),
        ({}, {}, ["data.train_on_all=false,true"], False, True),
        ({}, {}, [], True, True),
        ({"x": "choice(1,2)"}, {"x": {"2": FIXED}}, [], False, True),
        ({"x": "choice(1,2)"}, {"x": {"2": SEARCHED}}, [], False, True),
        # By way of a group, in a branch.
        ({"x": "choice(1,2)"}, {"x": {"2": {"model": "large"}}}, [], False, True),
        ({}, {}, ["data.train_on_all=false"], True, False),
        ({"x": "choice(1,2)"}, {"x": {"2": {"model": "small"}}}, [], False, False),
    ],
)
def test_a_search_that_may_train_on_the_validation_pictures_is_refused(
    space: dict[str, str], when: dict[str, Any], typed: list[str], *, config: bool, refused: bool
) -> None:
    declared, base = declare(space, when, typed), OmegaConf.create({"data": {"train_on_all": config}})
    if not refused:
        full_data.check_ranking(declared, base, composed)
        return
    with pytest.raises(InputError, match=r"^data\.train_on_all=true: .*hydra\.sweeper\.winner\.full_data=true trains"):
        full_data.check_ranking(declared, base, composed)


@pytest.mark.parametrize(
    "config", ["data: mnist", "x: 1", "data: [1, 2]", "data: {train_on_all: 'yes'}", "data: ???", "data: '${nobody:}'"]
)
def test_an_app_without_such_a_key_is_searched(config: str) -> None:
    base = OmegaConf.create(config)
    assert isinstance(base, DictConfig)
    full_data.check_ranking(declare({"x": "choice(1,2)"}, None), base, lambda _: base)


def test_the_settings_on_all_data_are_tried_in_every_branch(tmp_path: Path) -> None:
    space = declare({"model": "choice(mlp,cnn)"}, {"model": {"cnn": {"width": "range(1,3)"}}})
    conf = InksweepSweeperConf(sampler=None, winner=WinnerConf(full_data=True))
    composed: list[list[str]] = []

    def compose(overrides: list[str]) -> DictConfig:
        composed.append(overrides)
        if "model=cnn" in overrides:
            raise InputError("width=1: must be more")
        return OmegaConf.create()

    def no_launcher(config: DictConfig) -> NoReturn:
        raise AssertionError(config)

    start = Start(OmegaConf.create({"seed": 1}), conf, [], no_launcher, no_launcher, compose, is_serial=False)
    with pytest.raises(InputError, match=r"winner\.full_data=true: the app cannot train so \(width=1"):
        final_stage.prepare(start, SweepDir(tmp_path), space)
    assert all("data.train_on_all=true" in overrides for overrides in composed)


def test_the_seed_to_count_from_is_that_of_the_trial(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    path = sweep.trial(0).overrides
    path.parent.mkdir()
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(["x=0", "seed=40"])))
    final = finals(sweep, study, WinnerConf(seeds=1))
    assert final.missing() == [Training(0, 41)]
