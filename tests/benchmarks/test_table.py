"""The table of `make bench`, from rows."""

import importlib.util

import pytest
from benchmarks.__main__ import FAMILIES, MARKS, measured, written_into
from benchmarks.commands import Ended, Place, Skipped
from benchmarks.table import Figure, Goal, Row, markdown

from tests.conftest import REPOSITORY


def line(row):
    return markdown([row]).splitlines()[2]


def test_of_times_the_ratio_is_theirs_by_ours():
    row = Row("a search", Figure(20, "s"), "peer", Figure(900, "s", extrapolated=True), Goal(40))
    assert line(row) == "| a search | 20 s | peer | ~900 s | 45.0x | ≥ 40x | yes |"


def test_of_rates_the_ratio_is_ours_by_theirs():
    row = Row("training", Figure(52.4, "GFLOP/s"), "product", Figure(115, "GFLOP/s"), Goal(0.6))
    assert line(row) == "| training | 52.4 GFLOP/s | product | 115 GFLOP/s | 0.46x | ≥ 0.6x | **no** |"


@pytest.mark.parametrize(("milliseconds", "met"), [(120, "yes"), (120.1, "**no**")])
def test_a_goal_may_limit_our_own_figure(milliseconds, met):
    row = Row("at trial 5,000", Figure(milliseconds, "ms"), goal=Goal(120, of="ours", at_least=False))
    assert line(row) == f"| at trial 5,000 | 120 ms |  |  |  | ≤ 120 ms | {met} |"


def test_accuracy_is_met_from_the_goal_on():
    assert line(Row("accuracy", Figure(99.0, "%"), goal=Goal(99, of="ours"))).endswith("| ≥ 99.00% | yes |")
    assert line(Row("accuracy", Figure(98.99, "%"), goal=Goal(99, of="ours"))).endswith("| ≥ 99.00% | **no** |")


def test_a_row_without_a_goal_says_nothing_of_one():
    assert line(Row("memory", Figure(50, "MB"), "torch", Figure(100, "MB"))).endswith("| 2.00x |  |  |")


def test_notes_stand_below_and_are_numbered_once():
    rows = [Row("a", Figure(1, "s"), note="First."), Row("b", Figure(1, "s"), note="Second."),
            Row("c", Figure(1, "s"), note="First.")]  # fmt: skip
    text = markdown(rows)
    assert [text.splitlines()[number].split(" |")[0] for number in (2, 3, 4)] == ["| a [1]", "| b [2]", "| c [1]"]
    assert text.endswith("\n\n1. First.\n2. Second.\n")


def test_figures_of_different_units_have_no_ratio():
    with pytest.raises(AssertionError, match="ms beside s"):
        line(Row("a", Figure(1, "s"), "peer", Figure(1, "ms")))


def test_a_family_that_lacks_a_package_or_fails_leaves_the_others_their_rows(monkeypatch, tmp_path):
    def given(name):
        def rows(place):
            if name == "benchmarks.searches":
                raise Skipped("needs ray: pip install ray")
            yield Row(name, Figure(1, "s"))
            if name == "benchmarks.engine":
                raise Ended("python app.py: ended with 1")

        return type("Family", (), {"rows": staticmethod(rows)})

    monkeypatch.setattr("benchmarks.__main__.importlib.import_module", given)
    said = []
    rows, left_out = measured(["searches", "engine", "loading"], Place(tmp_path, say=said.append))
    assert [row.what for row in rows] == ["benchmarks.engine", "benchmarks.loading"]
    assert left_out == ["searches: needs ray: pip install ray", "engine failed: Ended: python app.py: ended with 1"]
    assert any("took" in line for line in said)


def test_a_missing_package_is_named_with_what_installs_it(tmp_path):
    with pytest.raises(Skipped, match=r"^needs no_such_package: pip install no_such_package, or --peers PYTHON"):
        Place(tmp_path).need("sys", "no_such_package")


def test_each_family_is_a_file():
    for name in FAMILIES:
        assert importlib.util.find_spec(f"benchmarks.{name}") is not None, name


def test_a_new_table_takes_the_place_of_the_one_before():
    page = (REPOSITORY / "benchmarks" / "README.md").read_text(encoding="utf-8")
    once = written_into(page, "| new |\n")
    assert "\n\n| new |\n\n" in once
    assert page.partition(MARKS[0])[0] == once.partition(MARKS[0])[0]
    assert page.partition(MARKS[1])[2] == once.partition(MARKS[1])[2]
    assert written_into(once, "| new |\n") == once
    assert written_into("a page without marks", "| new |\n") == "| new |\n"
