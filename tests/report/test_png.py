"""`inksweep report --png`: each picture shows what the page shows."""

import math
import re

import numpy as np
import pytest

from tests.report.sweeps import make, read, usual

pytest.importorskip("plotly")

from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from inksweep.report import png
from inksweep.report.paint import paint
from inksweep.report.plots import curves, history, importances, pareto, settings, slots


@pytest.fixture(autouse=True)
def least(monkeypatch):
    """Weigh parameters in sweeps as small as those here."""
    monkeypatch.setattr(importances, "LEAST_TO_WEIGH", 4)


def test_pictures_are_drawn_without_a_browser(tmp_path):
    made = usual(tmp_path)
    made.answers(0, [0, 1, 2], [0, 1, 1])
    drawn = png.draw(read(tmp_path))
    names = {path.stem for path in drawn}
    assert {"history", "curves", "importances", "parallel", "slice", "slots"} <= names
    assert all(path.parent == tmp_path / "report" and path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_each_picture_says_what_it_is_of(tmp_path, monkeypatch):
    titles = {}

    def save(figure, path):
        titles[path.stem] = figure.legends[0].get_title().get_text() if figure.legends else figure.get_suptitle()

    monkeypatch.setattr(png.figures, "save", save)
    made = usual(tmp_path)
    made.answers(0, [0, 1, 2], [0, 1, 1])
    png.draw(read(tmp_path))
    assert len(titles) >= 6
    assert all(title.startswith("night: ") and len(title) > 12 for title in titles.values()), titles


def test_a_picture_that_cannot_be_drawn_is_a_warning_and_the_others_are_drawn(tmp_path, caplog):
    made = make(tmp_path)
    for number in range(10):
        made.trial((-1) ** number * 1.7e308, begin=10 * number, end=10 * number + 9)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "history.png").write_bytes(b"of an earlier moment")
    with caplog.at_level("WARNING"):
        drawn = png.draw(read(tmp_path))
    assert [path.stem for path in drawn] == ["slots"]
    (line,) = [record.getMessage() for record in caplog.records if record.name == png.__name__]
    assert re.search(r"history.png: could not be drawn \(\w+: .+\)$", line)
    assert not (tmp_path / "report" / "history.png").exists()


def painted(plot):
    axes = Figure().subplots()
    paint(axes, plot.figure)
    return axes


def points(xs, ys):
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True) if y is not None and not math.isnan(y)]


@pytest.mark.parametrize("draw", [lambda found: history.history(found, 0), curves.curves])
def test_marks_and_lines_lie_where_the_page_has_them_and_are_called_the_same(tmp_path, draw):
    plot = draw(read(usual(tmp_path).root))
    axes = painted(plot)
    traces = {trace.name: trace for trace in plot.figure.data if trace.x}
    lines = {line.get_label(): line for line in axes.lines}
    assert lines.keys() == traces.keys()
    for name, line in lines.items():
        assert points(*line.get_data()) == points(traces[name].x, traces[name].y)
        colour = traces[name].line.color if "lines" in traces[name].mode else traces[name].marker.color
        assert to_hex(line.get_color()) == colour.lower()
    assert axes.get_ylabel() == plot.figure.layout.yaxis.title.text == "validation accuracy (%)"


def test_points_beyond_the_limits_of_the_page_are_counted(tmp_path):
    made = make(tmp_path)
    made.trial(0.1)
    for number in range(12):
        made.trial(0.98 + number / 1000)
    plot = history.history(read(tmp_path), 0)
    axes = painted(plot)
    assert axes.get_ylim() == plot.figure.layout.yaxis.range
    assert [text.get_text() for text in axes.texts] == ["1 below"]


def test_bars_are_those_of_the_page(tmp_path):
    found = read(usual(tmp_path).root)
    plot = slots.slots(found)
    axes = painted(plot)
    wanted = [bar for trace in plot.figure.data for bar in zip(trace.base, trace.x, strict=True)]
    drawn = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert np.array(drawn) == pytest.approx(np.array(wanted))
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == [f"{slot}\nidle {found.timeline.idle(slot):.1%}" for slot in ("box, slot 0", "box, slot 1")]
    assert f"★{found.best.number}" in [text.get_text() for text in axes.texts]
    plot = importances.importance(found, 0)
    axes = painted(plot)
    assert [bar.get_width() for bar in axes.patches] == list(plot.figure.data[0].x)
    assert [text.get_text() for text in axes.texts] == [f"{share:.1%}" for share in plot.figure.data[0].x]


def test_a_line_through_all_parameters_is_that_of_the_page(tmp_path):
    plot = settings.parallel_of_all(read(usual(tmp_path).root))
    axes = painted(plot)
    lines = [points(*line.get_data()) for line in axes.lines]
    for trace in plot.figure.data[:-1]:
        assert points(trace.x, trace.y) in lines
    assert axes.get_xticklabels()[0].get_text() == "validation\naccuracy (%)"


def test_trials_on_the_front_have_their_numbers(tmp_path):
    made = make(tmp_path, ("maximize", "minimize"))
    for values in ((0.9, 10), (0.95, 20), (0.85, 30)):
        made.trial(values)
    axes = painted(pareto.pareto(read(tmp_path)))
    assert [text.get_text() for text in axes.texts] == ["0", "1"]
