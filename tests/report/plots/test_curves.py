"""Learning curves."""

import pytest

from tests.report.sweeps import make, read

pytest.importorskip("plotly")

from inksweep.report.plots import curves, drawing


def test_a_long_curve_keeps_its_ends(tmp_path):
    made = make(tmp_path)
    made.trial(0.5, reports=[step / 1000 for step in range(1000)])
    plot = curves.curves(read(tmp_path))
    (line,) = plot.figure.data
    assert (len(line.x), line.x[0], line.x[-2]) == (drawing.MOST_IN_CURVE + 1, 1, 1000)
    assert "at most 100 points" in plot.note
