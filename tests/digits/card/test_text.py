"""card/text.py: what the words say of the numbers."""

import copy
import re
from typing import Any

import pytest

from inksweep.digits.card import text
from inksweep.errors import InputError
from tests.runs import selections
from tests.runs.selections import CANDIDATE, trainings

PART = {"n": 10_000, "right": 9950, "errors": 50, "accuracy": 0.995, "interval": [0.99341, 0.99620]}
BINS = {"nll": 0.02, "ece": 0.004, "ece_equal_mass": 0.003}
CARD: dict[str, Any] = {
    "schema_version": 1,
    "kind": "winner",
    "name": "night",
    "folder": "multirun/night/winner",
    "selection": selections.SELECTION
    | {
        "trial": 7,
        "stop_rule": {"metric": "test/accuracy", "value": 0.99, "looks": 4, "reached": True},
        "searched": {"optimizer.lr": 0.00123456},
        "model": {"path": "7", "seed": 1},
    },
    "model": {"class": "CNN", "settings": {}, "members": None, "parameters": 29_066},
    "data": {
        "name": "mnist",
        "title": "MNIST",
        "about": "28 x 28 pixels, white on black",
        "handwritten_digits": True,
        "classes": list("0123456789"),
        "size": 28,
        "train": 55_000,
        "val": 5000,
        "test": 10_000,
        "split_seed": 0,
        "source": "torchvision.datasets.MNIST",
        "checksums": {"t10k-labels-idx1-ubyte": "27ae"},
    },
    "warped": {"split": "val", **PART, "n": 5000, "errors": 625, "accuracy": 0.875, "interval": [0.8656, 0.8839]},
    "accuracy": {"val": PART | {"n": 5000, "errors": 25}, "test": PART, "test_corrected": None},
    "label_errors": None,
    "optimism": {
        "stop_rule": {"looks": 4, "at_most": 0.00073, "orientation": {"0.9": 0.0031, "0.995": 0.00072}},
        "search": {"trials": 10, "at_most": 0.0015},
    },
    "classes": [
        {"name": "0", "n": 980, "precision": 1.0, "recall": 0.99, "f1": 0.995, "taken_for": {"name": "6", "count": 3}},
        {"name": "1", "n": 0, "precision": None, "recall": None, "f1": None, "taken_for": None},
    ],
    "mistakes": [{"row": 947, "given": "8", "answer": "9", "confidence": 0.99, "label_error": True}],
    "calibration": {
        "temperature": 1.25,
        "fitted": True,
        "fitted_on": None,
        "kept": False,
        "val": {"before": BINS, "after": BINS},
        "test": {"before": BINS, "after": BINS},
    },
    "training": {
        "commands": ["python train.py model=cnn trainer.threads=1"],
        "seconds": 150.0,
        "started": "2026-01-02 03:04 UTC",
        "seeds": [1],
        "threads": 1,
        "device": "cpu (x86_64)",
        "git": {"sha": "abc", "dirty": True},
        "versions": {"python": "3.11.7"},
    },
    "outside": {
        "empty": {"answer": "1", "confidence": 0.43},
        "noise": {"n": 1000, "mean_confidence": 0.9, "above_90": 812},
        "black_on_white": {"n": 1000, "right": 130},
    },
    "bytes": 120_000,
    "latency": {"torch": 0.5, "threads": 1, "repetitions": 300},
    "processor": "A processor",
    "exports": {},
}
CANDIDATES = [
    CANDIDATE
    | {
        "trial": 7,
        "searched_objective": 0.9950,
        "mean": 0.9941,
        "std": 0.0004,
        "interval": [0.9921, 0.9958],
        "runs": trainings(2, 3, 4),
    },
    CANDIDATE
    | {
        "trial": 2,
        "rank": 2,
        "searched_objective": 0.9948,
        "mean": 0.9939,
        "std": 0.0003,
        "p": 0.41,
        "runs": trainings(2, 3),
        "lost": 1,
    },
]


def written(**changes: Any) -> str:
    """The card with values changed: `selection__trial=3` is that of `selection`."""
    card = copy.deepcopy(CARD)
    for key, value in changes.items():
        part, _, name = key.rpartition("__")
        (card[part] if part else card)[name] = value
    return text.write(card)


def test_the_first_sentence_says_what_it_is_and_how_good() -> None:
    lines = written().splitlines()
    assert lines[0] == "# The winner of night"
    assert lines[2] == (
        "A CNN with 29,066 parameters that reads a handwritten digit: right on **99.50%** of the 10,000 test pictures "
        "of MNIST (95% interval 99.34% to 99.62%)."
    )


def test_the_classes_of_another_data_set_are_no_digits() -> None:
    data = {"name": "bags", "title": "Bags and shirts", "about": None, "handwritten_digits": False}
    said = written(data=CARD["data"] | data | {"classes": ["shirt", "bag"]}, warped=None)
    assert "tells 2 classes apart" in said
    assert "pictures of Bags and shirts" in said
    assert "It knows pictures like those of Bags and shirts: 28 x 28 pixels, background 0." in said
    assert not re.search(r"digit|hand|ink", said.replace("inksweep", ""))


def test_warped_digits_stand_below_those_that_they_were_made_of() -> None:
    def rows(**changes: Any) -> list[str]:
        return re.findall(r"^\| (?:validation|test)[^|]*(?= \|)", written(**changes), re.MULTILINE)

    said = written()
    assert "| validation, warped | **87.50%** | 86.56% to 88.39% | 625 | 5,000 |" in said
    assert "*Warped* are such digits as a reader of photos and drawings would frame them" in said
    assert rows()[:3] == ["| validation", "| validation, warped", "| test"]
    # Of a model that was trained on the validation pictures, those of the test split.
    of_test = rows(accuracy__val=None, warped=CARD["warped"] | {"split": "test"})
    assert sorted(of_test[:2]) == ["| test", "| test, warped"]
    assert "warped" not in written(warped=None).lower()


def test_a_card_of_handwritten_digits_says_how_a_photo_is_read() -> None:
    assert "\ninksweep predict 'multirun/my night/winner' photo.png\n" in written(folder="multirun/my night/winner")


def test_the_limits_say_what_the_pictures_look_like() -> None:
    said = written(data__title="USPS", data__about="from postcodes, filling their square")
    assert "It knows pictures like those of USPS: from postcodes, filling their square. For other hands, pens" in said


@pytest.mark.parametrize("interval", [None, [0.99, 0.995]])
def test_every_table_has_as_many_cells_in_each_row(interval: list[float] | None) -> None:
    candidates = [one | {"interval": interval} for one in CANDIDATES]
    rows = re.findall(r"^\|.*", written(selection__candidates=candidates, selection__rule="seeds"), re.MULTILINE)
    width = None
    for row, after in zip(rows, [*rows[1:], ""], strict=True):
        if after.startswith("| ---"):
            width = row.count("|")
        assert (row.count("|"), row[-1]) == (width, "|")


def test_what_looking_costs_is_said_with_its_number_and_for_orientation() -> None:
    said = written()
    assert "more than 99.00% test/accuracy. It was reached. For that it looked at the test split 4 times" in said
    assert "too high by at most 0.07 points on average" in said
    assert "at most 0.31 points at an accuracy of 90.0% and 0.07 points at an accuracy of 99.5%" in said
    assert "never saw this model" not in said
    assert "never saw this model" in written(selection__model={"path": "finalists/0"})


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (None, "Nothing: there was no stop rule"),
        ({"metric": "val/accuracy", "value": 0.9, "looks": 3}, "Nothing in it looked at the test split."),
        (
            {"metric": "test/accuracy", "value": 0.9, "looks": 1},
            "once, always at the best trial by validation. That ch",
        ),
        ({"metric": "test/loss", "value": 0.1, "looks": 3}, "What it saw may be slightly flattered by that."),
    ],
)
def test_a_stop_rule_costs_only_what_it_saw(rule: dict[str, Any] | None, line: str) -> None:
    said = written(selection__stop_rule=rule, optimism={"stop_rule": None, "search": None})
    assert line in said
    assert "points" not in said


def test_a_winner_that_a_final_stage_may_replace_says_so() -> None:
    assert "**It is not final**: the best were to be trained again" in written(selection__interim=True)
    assert "not final" not in written(selection__interim=False)
    assert "not final" not in written()  # saved before it was said


def test_the_best_of_one_trial_is_not_luck() -> None:
    assert "The best of 10 is partly luck" in written()
    assert "luck" not in written(optimism__search={"trials": 1, "at_most": 0.0})


def test_seeds_make_a_table_and_show_the_luck() -> None:
    said = written(selection__candidates=CANDIDATES, selection__rule="seeds")
    assert "The best 2 configurations were trained again on 3 fresh seeds each" in said
    assert "| trial 7, **chosen** | 99.50% | 99.41% ± 0.04 | 99.21% to 99.58% | - |" in said
    assert "| trial 2 | 99.48% | 99.39% ± 0.03 | - | 0.41 |" in said
    assert "the search saw 99.50%, the fresh seeds are on average 0.09 points worse: about that much was luck." in said
    assert "Of trial 2, 1 training did not complete." in said
    assert "partly luck" not in said


def test_a_difference_stands_beside_its_interval_and_p_is_not_taken_for_it() -> None:
    difference = {"mean": -0.0002, "interval": [-0.0011, 0.0006]}
    candidates = [CANDIDATES[0] | {"difference": None}, CANDIDATES[1] | {"difference": difference, "diverged": 1}]
    said = written(selection__candidates=candidates, selection__rule="seeds")
    assert "| 95% interval | difference to the first | p |" in said
    assert "| 99.21% to 99.58% | - | - |" in said
    assert "| -0.02 points (-0.11 to +0.06) | 0.41 |" in said
    assert "it knows the chance in these pictures only, not that between seeds" in said
    assert "Of trial 2, 1 training did not complete, since 1 diverged." in said
    assert "difference to the first" not in written(selection__candidates=CANDIDATES, selection__rule="seeds")


def test_a_selection_that_cannot_be_used_is_named() -> None:
    with pytest.raises(InputError, match=r"^selection: "):
        written(selection__schema_version=99)


def test_one_fresh_seed_is_no_plural() -> None:
    one = [CANDIDATES[0] | {"runs": trainings(2)}]
    said = written(selection__candidates=one, selection__rule="seeds")
    assert "trained again on 1 fresh seed." in said
    assert "| mean of 1 seed |" in said
    assert "±" not in said.partition("## How it was chosen")[2].partition("\n## ")[0]
    assert "the fresh seed is 0.09 points worse" in said


def test_a_training_on_all_data_says_what_was_replaced() -> None:
    said = written(selection__full_data=True)
    assert "with the same settings, on all 55,000 training pictures" in said
    assert "This is that model." in said
    assert "was not measured" not in said
    replaced = {"trainer.keep": "last", "trainer.patience": None}
    said = written(selection__full_data=True, selection__retrained_with=replaced)
    assert "with the same settings but for `trainer.keep=last`, `trainer.patience=null`, on all 55,000" in said
    assert "What a training of that length is worth was not measured on the validation split." in said
    said = written(selection__full_data=True, selection__members=["finalists/3", "finalists/4"])
    assert "trained again, on 2 seeds, with the same settings, on all" in said
    assert "This is that model." not in said


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        (["finalists/0"], "the answers of a run of the same configuration that had not seen them (`finalists/0`); the "
         "validation rows are its."),
        (["a", "b"], "the answers of 2 runs of the same configuration that had not seen them (`a`, `b`); the "
         "validation rows are theirs."),
    ],
)  # fmt: skip
def test_a_temperature_of_other_runs_names_them(runs: list[str], line: str) -> None:
    assert line in written(calibration__fitted_on=runs)
    assert "card before" not in written(calibration__fitted_on=runs)
    assert "are those of the card before." in written(calibration__fitted_on=runs, calibration__kept=True)


@pytest.mark.parametrize(
    ("seeds", "line"), [([1], "1 thread, seed 1 |"), ([2, 3], "1 thread, seeds 2, 3 |"), ([], "1 thread |")]
)
def test_the_seeds_are_those_of_all_trainings(seeds: list[int], line: str) -> None:
    assert line in written(training__seeds=seeds)


def test_one_command_is_no_plural() -> None:
    assert "This command gives the same weights again" in written()
    assert "These commands give the same weights again" in written(training__commands=["python a", "python b"])


def test_no_luck_is_claimed_where_the_seeds_are_better_also_of_a_loss() -> None:
    better = [CANDIDATES[0] | {"searched_objective": 0.9940}]
    said = written(selection__candidates=better, selection__rule="seeds")
    assert "are on average 0.01 points better: this one was not flattered" in said
    loss = {"name": "val/loss", "direction": "minimize"}
    lucky = [CANDIDATES[0] | {"searched_objective": 0.020, "mean": 0.025, "std": 0.001, "interval": None}]
    said = written(selection__candidates=lucky, selection__rule="seeds", selection__objective=loss)
    assert "ranked them by the least val/loss" in said
    assert "the search saw 0.02, the fresh seeds are on average 0.005 worse" in said


def test_corrected_labels_say_whom_they_leave_out() -> None:
    known = [
        {"row": 947, "given": "8", "corrected": "9", "answer": "9", "confidence": 0.99},
        {"row": 1621, "given": "0", "corrected": "6", "answer": "0", "confidence": 0.5},
        {"row": 2130, "given": "4", "corrected": None, "answer": "9", "confidence": 0.4},
    ]
    said = written(accuracy__test_corrected=PART | {"n": 9995}, label_errors=known)
    assert "the 2 on which a majority agreed have that label, and the other 1 are left out: n = 9,995" in said
    assert "Of those 2, this model answers 1 as the majority did." in said
    assert "| 947 | 8 | 9 | 9 | 99.0% | yes |" in said
    assert "| 1621 | 0 | 6 | 0 | 50.0% | no |" in said
    assert "| 2130 | 4 | no majority | 9 | 40.0% |  |" in said


def test_an_ensemble_names_its_members() -> None:
    members = {"selection__members": ["7", "finalists/1"], "model__members": [{}, {}]}
    assert "2 CNNs with 29,066 parameters in all that together read a handwritten digit" in written(**members)
    assert "It is an ensemble of 2: trial 7, `finalists/1`." in written(**members)
    assert "2 models with" in written(**members, **{"model__class": None})


@pytest.mark.parametrize(("temperature", "word"), [(1.25, "less"), (0.8, "more")])
def test_the_temperature_says_which_way_it_goes(temperature: float, word: str) -> None:
    assert f"makes the model {word} sure" in written(calibration__temperature=temperature)


def test_a_model_without_mistakes_is_no_reason_to_fail() -> None:
    said = written(mistakes=[], accuracy__test=PART | {"errors": 0})
    assert "It makes none on the test split." in said
    assert "mistakes.png" not in said


def test_what_is_not_known_is_said() -> None:
    training = CARD["training"] | {"git": None, "seconds": None, "started": None, "versions": None, "threads": None}
    said = written(training=training)
    assert "| git | not a repository |" in said
    assert "| took | not known |" in said
    assert "started |" not in said
    assert "trained in" not in said
