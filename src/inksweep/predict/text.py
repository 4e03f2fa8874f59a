"""A reading as a line: for a pipe always the same, on a terminal in columns and with what unsure digits may be."""

from inksweep.reading.reader import UNSURE, Digit, Reading
from inksweep.runs.reader import visible

# Longer names do not move the columns of the others.
NAME_WIDTH = 72


def line(reading: Reading) -> str:
    """Return `photo.png: 42 (97%)`; the lines of a picture have ` / ` between them, one without ink says so."""
    said = f"{_text(reading)} ({reading.confidence:.0%})" if reading.digits else str(reading.note)
    return f"{visible(reading.name)}: {said}"


def row(reading: Reading, width: int) -> str:
    """Return it in columns: the name, how sure, the text, and what each unsure digit may be.

    Args:
        width: of the column of names.
    """
    name = f"{visible(reading.name):<{width}}"
    if not reading.digits:
        return f"{name}     -  {reading.note}"
    maybe = [_maybe(digit) for digit in reading.digits if digit.name == UNSURE]
    hints = f"   {UNSURE} may be {'; '.join(maybe)}" if maybe else ""
    return f"{name}  {reading.confidence:4.0%}  {_text(reading)}{hints}"


def width_of(names: list[str]) -> int:
    """Return how wide the column of these names is."""
    return max((len(visible(name)) for name in names if len(visible(name)) <= NAME_WIDTH), default=0)


def _text(reading: Reading) -> str:
    return " / ".join(map(visible, reading.texts))


def _maybe(digit: Digit) -> str:
    return " or ".join(f"{visible(name)} ({probability:.0%})" for name, probability in digit.others[:2])
