"""Any usual picture comes out as grey levels, upright; what cannot be opened is one line that names it."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inksweep.errors import InputError
from inksweep.reading.picture import open_picture


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn() -> Image.Image:
    """White, 60 x 40, with a black corner at the top left."""
    image = Image.new("L", (60, 40), 255)
    image.paste(0, (0, 0, 12, 8))
    return image


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_kinds_of_files(kind: str, mode: str) -> None:
    picture = open_picture(saved(drawn().convert(mode), kind), "x")
    assert picture.grey.dtype == np.float32
    assert (picture.grey.shape, picture.size, picture.scale) == ((40, 60), (60, 40), 1.0)
    assert picture.grey[:6, :10].max() < 0.1
    assert picture.grey[12:].min() > 0.9


@pytest.mark.parametrize(
    ("begins", "says"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (b'<?xml version="1.0"?><svg>', "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "x: "),
        (saved(drawn(), "PNG")[:50], "damaged"),
    ],
)
def test_what_is_no_picture_is_one_line(begins: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        open_picture(begins, "x")
    assert str(caught.value).startswith("x: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_one_line_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, says in [(tmp_path, "folder"), (tmp_path / "none.png", "no such"), (tmp_path / "pipe", "pipe")]:
        with pytest.raises(InputError, match=says):
            open_picture(place, place.name)
