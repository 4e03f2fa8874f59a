"""`inksweep predict`: reads each picture, and says what it read as soon as it has."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from inksweep import streams
from inksweep.errors import InputError
from inksweep.files import replacing
from inksweep.opening import winner
from inksweep.predict import sources, text
from inksweep.predict.sources import Source
from inksweep.predict.wanted import Wanted
from inksweep.reading.reader import Reading
from inksweep.runs.reader import visible


def run(folder: Path, pictures: Sequence[str], wanted: Wanted) -> None:
    """Read pictures with a saved model, and print a line for each.

    Exits with code 1 if one of them could not be read; the others are.

    Args:
        folder: a WINNER: what `winner.find` takes.
        pictures: what `sources.find` takes.
        wanted: what is to be said.

    Raises:
        InputError: there is no model, or the explanation would replace a picture.
    """
    reader = winner.reader(folder, "inksweep predict")
    meant = sources.find(pictures)
    explained = _explained(wanted.explain, [source for source in meant if source.refused is None])
    width = text.width_of([source.name for source in meant]) if sys.stdout.isatty() else None
    failed = False
    for source in meant:
        try:
            reading = reader.read(
                source.content(), name=source.name, top=wanted.top, min_confidence=wanted.min_confidence
            )
        except InputError as error:
            print(f"error: {visible(str(error))}", file=sys.stderr, flush=True)
            failed = True
            continue
        if source in explained:
            _explain(reading, explained[source])
        print(_said(reading, wanted, width), flush=True)
        if streams.gone() and not explained:
            return
    if failed:
        sys.exit(1)


def _said(reading: Reading, wanted: Wanted, width: int | None) -> str:
    if wanted.as_json:
        return json.dumps(reading.as_json())
    return text.line(reading) if width is None else text.row(reading, width)


def _explained(out: Path | None, found: Sequence[Source]) -> dict[Source, Path]:
    """Return where each picture is explained: `out` for a single one, else `out` with the picture's name in it.

    Raises:
        InputError: one of them is a picture that is to be read.
    """
    if out is None:
        return {}
    taken: set[Path] = set()
    places = {}
    for source in found:
        place = out if len(found) == 1 else out.with_name(f"{out.stem}-{_stem(source)}.png")
        number = 2
        while place in taken:
            place = out.with_name(f"{out.stem}-{_stem(source)}-{number}.png")
            number += 1
        taken.add(place)
        places[source] = place
    read = {source.file.resolve() for source in found if source.file is not None}
    for place in taken:
        if place.resolve() in read:
            raise InputError(f"--explain {place}: is a picture that is to be read; name another file")
    return places


def _stem(source: Source) -> str:
    return "stdin" if source.file is None else source.file.stem


def _explain(reading: Reading, place: Path) -> None:
    """Draw all steps of a reading into a file, which is never half written."""
    from inksweep.reading import explain

    picture = explain.draw(reading)
    with replacing(place, "wb", durable=False) as file:
        picture.save(file, "PNG")
