"""What was asked for."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inksweep.errors import InputError


@dataclass(frozen=True)
class Wanted:
    """What is to be said of each picture."""

    # How many classes are named for a digit, its own among them.
    top: int
    # A digit less sure than this is `?`; None: what `Reader.read` does by itself.
    min_confidence: float | None = None
    # Where every step is drawn.
    explain: Path | None = None
    # An object a line, for programs.
    as_json: bool = False

    @classmethod
    def of(cls, top: str, min_confidence: str | None, explain: Path | None, *, as_json: bool) -> "Wanted":
        """Read what was typed; InputError names the option that cannot be used."""
        if not (top.isdecimal() and int(top) > 0):
            raise InputError(f"--top {top}: must be a whole number from 1")
        least = None
        if min_confidence is not None:
            with suppress(ValueError):
                least = float(min_confidence)
            if least is None or not 0 <= least <= 1:
                raise InputError(f"--min-confidence {min_confidence}: must be a number from 0 to 1")
        if explain is not None and explain.suffix.lower() != ".png":
            raise InputError(f"--explain {explain}: must be the name of a picture that ends with .png")
        return cls(int(top), least, explain, as_json)
