"""The confusion matrix of the winner."""

import pytest

from tests.report.sweeps import make, read

pytest.importorskip("plotly")

from inksweep.report.plots import mistakes


def test_the_confusion_matrix_has_a_row_for_each_true_class(tmp_path):
    made = make(tmp_path)
    made.trial(0.9)
    made.folder(0, {})
    made.answers(0, [0, 1, 2, 2], [0, 2, 2, 2])
    plot = mistakes.confusion(read(tmp_path))
    (cells,) = plot.figure.data
    assert plot.figure.layout.yaxis.title.text == "true class"
    assert [list(row) for row in cells.text] == [["1", "", ""], ["", "", "1"], ["", "", "2"]]
    assert cells.z[1][2] > cells.z[2][1] == 0
    assert cells.hovertext[1][2] == "1 answered as 2: 1"
