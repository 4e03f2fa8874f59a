"""The slots over time."""

import pytest

from tests.report.sweeps import read, usual

pytest.importorskip("plotly")

from inksweep.report.plots import slots


def test_narrow_bars_are_not_covered_by_their_rims(tmp_path, monkeypatch):
    found = read(usual(tmp_path).root)
    assert slots.slots(found).figure.data[0].marker.line.width == 1
    monkeypatch.setattr(slots, "MOST_LINES", 3)
    assert slots.slots(found).figure.data[0].marker.line.width == 0
