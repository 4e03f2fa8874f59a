"""The test split ranks nothing: shown by what is chosen, and by who reads what was measured on it."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.stopping import Target
from inksweep.sweep.study.first_points import best_trials
from inksweep.sweep.study.trials import front, incumbent
from inksweep.sweep.winner import choice, selection
from tests.sweep.stages import finals, search, train

SOURCE = Path(__file__).resolve().parent.parent / "src" / "inksweep"

MODULE = "<module>"
# Every function that names a metric of the test split, or builds such a name, how often, and why it may.
READERS = {
    "digits/card/facts.py": ("says what the chosen model measured, after the choice", {"_optimism": 1}),
    "digits/card/measure.py": ("measures the chosen model, after the choice", {"measure": 1}),
    "digits/card/story.py": (
        "says what the stop rule saw, and which metrics are of test",
        {"chosen": 1, "looks_at_test": 2},
    ),
    "digits/evaluate.py": ("`inksweep evaluate` prints what one model measures", {"run": 1}),
    "compare/comparison.py": ("shows a column; a path", {MODULE: 1, "_unreadable": 1}),
    "compare/ranking.py": ("refuses to judge by it", {"judged": 1}),
    "diff/notes.py": ("checks that stored answers fit the recorded metrics", {"of_another_model": 1}),
    "diff/text.py": ("a heading of a split", {"_disagreements": 1}),
    "runs/predictions.py": ("names of arrays in a file", {"save": 1, "load": 1}),
    "report/plots/winner.py": (
        "shows the winner's number; says that it ranked nothing",
        {MODULE: 1, "_of_search": 1},
    ),
    "report/page/page.py": ("shows the best's number, and says that it ranked nothing", {"_tiles": 8}),
    "report/plots/trials.py": ("a column of the table of all trials", {"_table": 1}),
    "report/facts/quantity.py": ("unit of a loss", {MODULE: 1}),
    "digits/run.py": ("measures the weights that were kept, once the training is over", {"Training.keep": 1}),
    "sweep/settings.py": ("checks that the stop rule's value is a fraction", {"TargetConf.__post_init__": 1}),
    "sweep/winner/plain_card.py": ("says in the card that they ranked nothing", {"card": 1}),
    "compare/rows.py": ("a path", {"labelled": 1}),
    "runs/index.py": ("a path", {"fingerprint": 1}),
    "runs/find.py": ("a path", {"_below.walk": 1}),
    "runs/reader.py": ("a path", {"_study": 1}),
    "digits/data/raw.py": ("names of files", {"_spelt": 2}),
    "digits/tracker/tensorboard.py": ("a name of a run", {"TensorBoard._opened": 1}),
}


# By what is chosen.


def everything_chosen(root: Path, test_metrics: np.ndarray, conf: WinnerConf) -> dict[str, Any]:
    """Return all that a search and its final stage decide, with these test metrics beside the same validation ones."""
    validation = np.random.default_rng(0).random((8, 50)) < np.linspace(0.5, 0.9, 8)[:, None]
    seeds = np.random.default_rng(1).random((8, 10, 50)) < np.linspace(0.5, 0.9, 8)[:, None, None]

    def test(share: float) -> list[bool]:
        return [index < round(share * 100) for index in range(100)]

    sweep, study = search(root, [(list(val), test(share)) for val, share in zip(validation, test_metrics, strict=True)])
    final = finals(sweep, study, conf)
    # Equal means, too: then the pictures decide.
    trained = train(
        final,
        lambda t: (list(np.sort(seeds[t.trial // 2 * 2, t.seed]) if t.trial < 6 else seeds[t.trial, t.seed]),
                   test(test_metrics[t.trial])),
    )  # fmt: skip
    decided, of_search = final.choice(), choice.of_search(study, conf, sweep)
    best = incumbent(study)
    assert decided is not None
    assert of_search is not None
    assert best is not None
    said = selection.describe(decided, study, sweep, conf, None).content()
    for candidate in said["candidates"]:
        for run in candidate["runs"]:
            del run["metrics"]
    return {
        "incumbent": best.number,
        "front": [trial.number for trial in front(study)],
        "incumbents": [trial.number for trial in selection.incumbents(study)],
        "warm start": [trial.number for trial in best_trials(study, 5)],
        "trained": trained,
        "search": (of_search.model.path, [run.path for run in of_search.members]),
        "selection": said,
    }


@pytest.mark.parametrize(
    "keys",
    [
        {"top_k": 5, "seeds": 3, "ensemble": 2},
        {"top_k": 5, "seeds": 3, "ensemble": 2, "full_data": True},
        {"seeds": 0, "ensemble": 3, "full_data": True},
    ],
)
def test_other_test_metrics_choose_the_same(tmp_path: Path, keys: dict[str, Any]) -> None:
    conf = WinnerConf(**keys)
    agreeing = everything_chosen(tmp_path / "agreeing", np.linspace(0.1, 0.9, 8), conf)
    inverted = everything_chosen(tmp_path / "inverted", np.linspace(0.9, 0.1, 8), conf)
    random = everything_chosen(tmp_path / "random", np.random.default_rng(2).random(8), conf)
    assert agreeing == inverted == random


def test_the_stop_rule_is_the_one_that_reads_them(tmp_path: Path) -> None:
    # So the test above would see it if others did: these numbers reach what reads them.
    sweep, study = search(tmp_path, [([True, False], [True] * 3), ([True, True], [False] * 3)])
    decided = choice.of_search(study, WinnerConf(), sweep)
    assert decided is not None
    rules = [
        selection.describe(decided, study, sweep, WinnerConf(), Target("test/accuracy", value)).stop_rule
        for value in (-0.1, 0.5)
    ]
    assert [rule.reached for rule in rules] == [True, False]
    assert [rule.looks for rule in rules] == [2, 2]


# By who reads them.


def metric_names(tree: ast.AST, place: str = MODULE) -> Iterator[tuple[str, str]]:
    """Yield the function that names a metric of the test split, or may do so, and the name.

    That is `"test/..."`, `f"{split}/{name}"` and `"test" + ...`.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("test/"):
            yield place, node.value
        elif isinstance(node, ast.JoinedStr) and len(node.values) > 1:
            first, second = node.values[:2]
            # Text with a space in it is a sentence.
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            follows = isinstance(second, ast.Constant) and str(second.value).startswith("/")
            if isinstance(first, ast.FormattedValue) and follows and " " not in text:
                yield place, ast.unparse(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant) and node.left.value == "test":
            yield place, ast.unparse(node)
        inside = place
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = node.name if place == MODULE else f"{place}.{node.name}"
        yield from metric_names(node, inside)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('x = "test/accuracy"', True),
        ('x = metrics[f"{split}/{name}"]', True),
        ('x = f"{split}/accuracy"', True),
        ('x = "test" + suffix', True),
        ('x = "val/accuracy"', False),
        ('"""Reads test/accuracy."""', False),
    ],
)
def test_a_name_is_found_however_it_is_built(code: str, found: bool) -> None:
    assert bool(list(metric_names(ast.parse(code)))) == found


def test_only_those_read_them_that_choose_nothing() -> None:
    found: dict[str, dict[str, int]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        places = Counter(place for place, _ in metric_names(ast.parse(path.read_text(encoding="utf-8"))))
        if places:
            found[path.relative_to(SOURCE).as_posix()] = dict(places)
    # A further place, also in a file that has some, needs a reason here.
    assert found == {name: places for name, (_, places) in READERS.items()}


def test_the_sweep_does_not_open_the_answers_to_test_pictures() -> None:
    for path in sorted((SOURCE / "sweep").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Constant) and node.value == "test"), path
            assert not (isinstance(node, ast.Attribute) and node.attr == "test"), path
