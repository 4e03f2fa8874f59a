"""Which configuration wins: the mean of its seeds, the pictures where means are equal, the search's order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stages
from omegaconf import OmegaConf
from stages import finals, leave, search, train

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir
from inksweep.significance import Paired, bootstrap_mean
from inksweep.sweep import choice
from inksweep.sweep.declaration import declare
from inksweep.sweep.finals import Configurations, Training, described, replaced
from inksweep.sweep.settings import WinnerConf

TEST = [True]


def right(n: int, of: int = 10) -> tuple[list[bool], list[bool]]:
    """Answers of which the first `n` are right."""
    return [index < n for index in range(of)], TEST


def numbers(candidates: list[choice.Candidate]) -> list[int]:
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
    said = choice.selection(decided, study, sweep, WinnerConf(), None)
    assert [(one["trial"], one["rank"]) for one in said["candidates"]] == [(2, 1), (1, 2)]
    correct = [np.array(right(n)[0]) for n in (8, 9)]
    assert said["candidates"][0]["interval"] == list(bootstrap_mean(correct))
    assert said["candidates"][0]["p"] is None
    # Of two as sure answers the lower class, here the wrong one, stands for both: 8 right against 5.
    assert said["candidates"][1]["p"] == Paired(5, 3, 0, 2).p


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
    second = choice.selection(decided, study, sweep, WinnerConf(), None)["candidates"][1]
    assert second["p"] is None
    assert ("cannot be read" in caplog.text) == (damage == "broken")


def test_a_configuration_that_failed_on_a_seed_comes_last_and_is_tried_again_by_the_next_start(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9), right(8)])
    final = finals(sweep, study, WinnerConf(top_k=2, seeds=2))
    trained = train(final, lambda t: None if t == Training(0, 3) else right(9 - t.trial))
    assert len(trained) == 4
    assert numbers(final.candidates()) == [1, 0]
    assert final.failed() == [Training(0, 3)]
    assert [candidate.lost for candidate in final.candidates()] == [0, 1]
    again = finals(sweep, study, WinnerConf(top_k=2, seeds=2))
    again.study = final.study
    again._first = len(final.study.trials)
    final.study.sampler = stages.FinalsSampler(again)
    assert train(again, lambda t: right(9 - t.trial)) == [Training(0, 3)]
    assert numbers(again.candidates()) == [0, 1]


def test_trainings_of_another_search_do_not_count(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    final = finals(sweep, study, WinnerConf(seeds=1))
    train(final, lambda _: right(9))
    assert (final.missing(), final.has_others()) == ([], False)
    final.digest = "another"
    assert (final.missing(), final.has_others()) == ([Training(0, 2)], True)


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
    assert [trial.number for trial in choice.best_of(study, 3)] == [0, 1]


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
    said = choice.selection(decided, study, sweep, WinnerConf(full_data=True), None)
    assert (said["rule"], said["trial"], said["candidates"], said["full_data"]) == ("search", 1, [], True)
    assert (said["model"], said["calibrate_on"], said["members"]) == ({"path": "finalists/1", "seed": 3}, "1", [])


def test_a_final_stage_says_how_much_it_is() -> None:
    assert described(WinnerConf(top_k=3, seeds=5)) == "the best 3 of the search on 5 new seeds each, 15 trainings"
    on_all = "the chosen configuration on all data, 2 more"
    assert described(WinnerConf(full_data=True, ensemble=2)) == on_all
    assert described(WinnerConf(seeds=2, full_data=True, ensemble=2)).endswith(f"2 trainings, then {on_all}")


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


def test_the_seed_to_count_from_is_that_of_the_trial(tmp_path: Path) -> None:
    sweep, study = search(tmp_path, [right(9)])
    path = sweep.trial(0).overrides
    path.parent.mkdir()
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(["x=0", "seed=40"])))
    final = finals(sweep, study, WinnerConf(seeds=1))
    assert final.missing() == [Training(0, 41)]
