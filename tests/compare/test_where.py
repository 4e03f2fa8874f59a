"""where.py: each rule of the grammar, beside its neighbours that are not in it."""

from typing import Any

import pytest

from inksweep.compare import where
from inksweep.compare.rows import ABSENT
from inksweep.errors import InputError

RUN: dict[str, Any] = {
    "model": "cnn",
    "val/accuracy": 0.991,
    "seed": 1,
    "model.hidden": [256, 128],
    "patience": None,
    "nesterov": True,
    "started": "2026-11-22T17:39:00+00:00",
    "study": "2026",
    "objective 2": 7.0,
    "data.source._target_": "torchvision.datasets.MNIST",
}


def holds(text: str) -> bool:
    return where.parse(text).holds(lambda key: RUN.get(key, ABSENT))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Words and quoted strings.
        ("model=cnn", True),
        ("model == cnn", True),
        ("model='cnn'", True),
        ('model="mlp"', False),
        ("model!=cnn", False),
        ("data.source._target_=torchvision.datasets.MNIST", True),
        ('"objective 2" = 7', True),
        # Numbers are compared as numbers, a percentage is a hundredth.
        ("val/accuracy=0.9910", True),
        ("val/accuracy>0.99", True),
        ("val/accuracy>99.1%", False),
        ("val/accuracy>=99.1%", True),
        ("seed<=1", True),
        ("seed<1", False),
        ("seed=1.0", True),
        ("seed=-1", False),
        ("seed<1e3", True),
        # A word is no number, and a number that is written in a word is that word.
        ("seed<cnn", False),
        ("seed=cnn", False),
        ("study=2026", True),
        ("study=2026.0", False),
        # Dates are words that sort.
        ("started>2026-11-22", True),
        ("started>2026-11-23", False),
        ("started<'2026-11-22T18:00'", True),
        # Constants are themselves, true is not 1.
        ("patience=null", True),
        ("patience!=null", False),
        ("patience=0", False),
        ("seed=null", False),
        ("nesterov=true", True),
        ("nesterov=True", True),
        ("nesterov=1", False),
        ("seed=true", False),
        ("nesterov<2", False),
        # Lists, entry by entry.
        ("model.hidden=[256,128]", True),
        ("model.hidden = [ 256, 128 ]", True),
        ("model.hidden=[256]", False),
        ("model.hidden=[]", False),
        ("model.hidden!=[128,256]", True),
        ("model.hidden=256", False),
        ("model=[cnn]", False),
        ("model<[d]", False),
        # Without the key only != holds.
        ("lr=1", False),
        ("lr!=1", True),
        ("lr<1", False),
        ("lr>=1", False),
        ("lr=null", True),
        ("lr!=null", False),
        ("not lr=1", True),
        # a word is not more than a number; a date, which begins with one, may be
        ("model>3", False),
        ("model<3", False),
    ],
)
def test_a_comparison(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # and before or, not before both; parentheses before all.
        ("seed=1 or seed=2 and seed=3", True),
        ("(seed=1 or seed=2) and seed=3", False),
        ("not seed=2 and seed=1", True),
        ("not (seed=2 or seed=1)", False),
        ("not not seed=1", True),
        ("seed=1 AND NOT model=mlp", True),
        ("((((((((((((seed=1))))))))))))", True),
        # A word of the grammar may be a value, or the beginning of a key.
        ("model=not or seed=1", True),
        ("note=1 or android!=2", True),
    ],
)
def test_comparisons_are_joined(text: str, expected: bool) -> None:
    assert holds(text) is expected


def test_a_condition_knows_its_keys() -> None:
    assert where.parse("a=1 and (not b.c>2 or a/d=x)").keys == ("a", "b.c", "a/d")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "at its end"),
        ("model", "from 'model' on"),
        ("model=", "at its end"),
        ("val/loss < ", "at its end"),
        ("model = = cnn", "from '= cnn' on"),
        ("model=cnn adn seed=1", "from 'adn seed=1' on"),
        ("model=cnn and", "at its end"),
        ("(model=cnn", "at its end"),
        ("model=cnn)", "from ')' on"),
        ("model.hidden=[1,2", "at its end"),
        ("model~cnn", "from 'model~cnn' on"),
        ("=3", "from '=3' on"),
    ],
)
def test_a_mistake_is_one_line_that_shows_where(text: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        where.parse(text)
    assert f"--where {text!r}: cannot be read {place}" in str(caught.value)
    assert "\n" not in str(caught.value)
