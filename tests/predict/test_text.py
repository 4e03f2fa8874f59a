"""text.py: a reading as one line, for a pipe and on a terminal."""

from inksweep.predict import text
from tests.reading.test_reader import drawn, read


def test_a_line_for_a_pipe() -> None:
    assert text.line(read(drawn("101", "0"), name="page.png", min_confidence=0)).startswith("page.png: 101 / 0 (")
    assert text.line(read(drawn(" "), name="a b.png")) == "a b.png: no ink"
    assert text.line(read(drawn("1"), name="a\nb.png", min_confidence=0)).startswith("a\\nb.png: 1 (")


def test_rows_stand_in_columns_and_say_what_an_unsure_digit_may_be() -> None:
    readings = [
        read(drawn("10"), name="a.png", min_confidence=0),
        read(drawn("1"), name="longer.png", min_confidence=1),
        read(drawn(" "), name="b.png"),
    ]
    width = text.width_of([reading.name for reading in readings])
    rows = [text.row(reading, width) for reading in readings]
    sure = f"{readings[0].confidence:4.0%}"
    unsure = f"{readings[1].confidence:4.0%}"
    assert rows == [
        f"a.png       {sure}  10",
        f"longer.png  {unsure}  ?   ? may be 1 (96%) or 8 (4%)",
        "b.png          -  no ink",
    ]


def test_one_long_name_does_not_move_the_columns() -> None:
    assert text.width_of(["a.png", "x" * 200]) == 5
    assert text.width_of(["x" * 200]) == 0
