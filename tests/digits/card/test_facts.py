"""card/facts.py and card/labels.py: numbers of small made-up splits, worked out by hand."""

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from inksweep.digits.card import facts, labels
from inksweep.digits.config.parse import compose
from inksweep.digits.data import dataset
from tests.conftest import CONF, REPOSITORY, compose_config


def test_accuracy_has_wilsons_interval() -> None:
    found = facts.counted(np.array([True] * 98 + [False] * 2))
    # Wilson 1927, written out.
    z, n, p = 1.959963984540054, 100, 0.98
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert found["interval"] == pytest.approx([middle - half, middle + half])
    assert {key: found[key] for key in ("n", "right", "errors", "accuracy")} == {
        "n": 100,
        "right": 98,
        "errors": 2,
        "accuracy": 0.98,
    }


def test_the_class_table_is_that_of_counting() -> None:
    # A row a given class, a column an answer.
    confusion = np.array([[2, 1, 1, 0], [0, 2, 0, 0], [0, 2, 1, 0], [0, 0, 0, 0]])
    zero, one, two, none = facts.per_class(confusion, ["a", "b", "c", "d"])
    assert zero == {
        "name": "a",
        "n": 4,
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 * 1.0 * 0.5 / 1.5),
        "taken_for": {"name": "b", "count": 1},
    }
    assert (one["precision"], one["recall"], one["taken_for"]) == (2 / 5, 1.0, None)
    assert two["taken_for"] == {"name": "b", "count": 2}
    # A class that nobody gave and nobody answered has no numbers, and is no reason to fail.
    assert (none["precision"], none["recall"], none["f1"]) == (None, None, None)


def test_the_known_label_errors_are_fifteen_ten_of_them_with_a_majority() -> None:
    assert len(labels.MAJORITY) == 15
    with_majority = {row: majority for row, majority in labels.MAJORITY.items() if majority is not None}
    assert with_majority == {947: 9, 1621: 6, 1901: 4, 2462: 0, 2597: 3, 3558: 0, 5937: 3, 6651: 6, 6783: 6, 9729: 6}
    assert set(labels.MAJORITY) - set(with_majority) == {2130, 2654, 3520, 8527, 9679}


@pytest.mark.parametrize(
    ("name", "title", "digits"),
    [
        ("mnist", "MNIST", True),
        ("qmnist", "QMNIST", True),
        ("emnist_digits", "EMNIST Digits", True),
        ("usps", "USPS", True),
        ("kmnist", "KMNIST", False),
        ("fashion_mnist", "Fashion-MNIST", False),
    ],
)
def test_a_data_set_brings_its_own_words(name: str, title: str, digits: bool) -> None:
    conf = compose_config([f"data={name}"]).data
    described = facts.describe_data(conf)
    assert (described["title"], described["handwritten_digits"]) == (title, digits)
    # Of those that are no digits nothing is said but their size.
    assert (described["about"] is not None) is digits


def test_a_file_that_builds_on_what_is_shared_claims_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "data" / "mine.yaml").write_text(
        "defaults: [base/data_set@_here_, _self_]\n"
        "name: mine\nsource: {_target_: mine.Bags}\nclasses: [bag, shirt]\n"
        "train_images: 60000\ntest_images: 10000\nmean: 0.5\nstd: 0.5\n"
    )
    monkeypatch.chdir(tmp_path)
    described = facts.describe_data(compose(["data=mine"]).data)
    assert (described["title"], described["about"], described["handwritten_digits"]) == ("mine", None, False)


def test_a_data_set_without_words_goes_by_its_name() -> None:
    conf = compose_config(["data.name=mine", "data.title=null", "data.about=null"]).data
    assert facts.describe_data(conf)["title"] == "mine"


@pytest.mark.parametrize(
    ("data", "images", "known"), [("mnist", 10_000, True), ("mnist", 150, False), ("usps", 10_000, False)]
)
def test_only_the_whole_test_split_of_mnist_has_them(data: str, images: int, known: bool) -> None:
    assert labels.are_known(data, images) is known


def test_corrected_labels_replace_ten_and_leave_out_five() -> None:
    given = np.full(10_000, 7)
    better, counted = labels.corrected(given)
    assert counted.sum() == 9995
    assert {int(row): int(better[row]) for row in np.flatnonzero(better != given)} == {
        row: majority for row, majority in labels.MAJORITY.items() if majority is not None
    }
    assert (given == 7).all()
    # Who answers 7 throughout is wrong about the ten, and not asked about the five.
    found = facts.counted((given == better)[counted])
    assert (found["n"], found["errors"]) == (9995, 10)


@pytest.mark.full
def test_the_list_is_in_the_order_of_the_test_split() -> None:
    conf = compose_config([f"data.root={os.environ.get('INKSWEEP_DATA', REPOSITORY / 'data')}"])
    given = dataset.load(conf.data).test.labels
    assert [int(given[row]) for row in labels.MAJORITY] == [8, 0, 9, 4, 2, 5, 6, 6, 5, 5, 0, 1, 4, 6, 5]
    assert all(int(given[row]) != majority for row, majority in labels.MAJORITY.items())
