"""Any usual picture comes out as grey levels, upright; what cannot be opened is one line that names it."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inksweep.errors import InputError
from inksweep.reading.picture import WORK, open_picture


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


def test_a_picture_is_turned_as_the_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the picture lies at its left side
    picture = open_picture(saved(drawn().rotate(90, expand=True), "JPEG", exif=exif, quality=95), "x")
    assert picture.size == (60, 40)
    assert picture.grey[:6, :10].max() < 0.1
    assert picture.grey[12:].min() > 0.9


def modes() -> dict[str, Image.Image]:
    """The drawing in modes besides grey and RGB."""
    ink = np.asarray(drawn()) == 0
    alpha = np.where(ink, 255, 0).astype(np.uint8)
    black, white = np.zeros_like(alpha), np.full_like(alpha, 255)
    return {
        "16 bit": Image.fromarray(np.where(ink, 300, 60_000).astype(np.uint16)),
        "1 bit": drawn().convert("1"),
        "palette": drawn().convert("P"),
        "transparent, black ink": Image.merge("LA", [Image.fromarray(black), Image.fromarray(alpha)]),
        "transparent white, black ink": Image.merge("RGBA", [drawn()] * 3 + [Image.fromarray(alpha)]),
        "yellow on white": Image.merge("RGB", [Image.fromarray(white), Image.fromarray(white), drawn()]),
    }


@pytest.mark.parametrize("kind", modes())
def test_depths_palettes_transparency_and_colours(kind: str) -> None:
    grey = open_picture(saved(modes()[kind], "PNG"), "x").grey
    assert grey[:6, :10].max() < 0.1
    assert grey[12:].min() > 0.9


def test_white_ink_on_nothing_lies_on_black() -> None:
    alpha = Image.fromarray(255 - np.asarray(drawn()))
    image = Image.merge("LA", [Image.new("L", alpha.size, 255), alpha])
    grey = open_picture(saved(image, "PNG"), "x").grey
    assert grey[:6, :10].min() > 0.9
    assert grey[12:].max() < 0.1


def test_cmyk_and_the_first_of_several() -> None:
    grey = open_picture(saved(drawn().convert("RGB").convert("CMYK"), "JPEG", quality=95), "x").grey
    assert grey[:6, :10].max() < 0.2
    moving = saved(drawn(), "GIF", save_all=True, append_images=[Image.new("L", (60, 40), 0)])
    assert open_picture(moving, "x").grey[12:].min() > 0.9


def test_a_large_picture_is_worked_on_smaller() -> None:
    picture = open_picture(saved(Image.new("L", (4000, 3000), 200), "PNG"), "x")
    assert picture.size == (4000, 3000)
    assert max(picture.grey.shape) <= WORK
    assert picture.scale == pytest.approx(4000 / picture.grey.shape[1])


@pytest.mark.parametrize("size", [(10_000, 6_000), (40_000, 40_000), (70_000, 1)])
def test_too_many_pixels_are_refused_before_they_are_decoded(
    size: tuple[int, int], recwarn: pytest.WarningsRecorder
) -> None:
    small = bytearray(saved(drawn(), "PNG"))
    small[16:24] = struct.pack(">II", *size)
    small[29:33] = struct.pack(">I", zlib.crc32(small[12:29]))
    with pytest.raises(InputError, match="pixels"):
        open_picture(bytes(small), "x")
    assert not recwarn.list


def test_damaged_files_are_pictures_or_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    kinds = [("PNG", "RGB"), ("JPEG", "RGB"), ("BMP", "L"), ("WEBP", "RGB"), ("TIFF", "RGB"), ("GIF", "P")]
    whole = [saved(drawn().convert(mode), kind) for kind, mode in kinds]
    rng = np.random.default_rng(0)
    lines: list[str] = []
    for number in range(150):
        data = bytearray(whole[number % len(whole)])
        for place in rng.integers(0, len(data), rng.integers(1, 9)):
            data[place] = rng.integers(256)
        if number % 5 == 0:
            del data[rng.integers(1, len(data)) :]
        try:
            grey = open_picture(bytes(data), "x").grey
        except InputError as error:
            lines.append(str(error))
        else:
            assert np.isfinite(grey).all()
            assert 0 <= grey.min() <= grey.max() <= 1
    assert lines
    assert all(line.startswith("x: ") and "\n" not in line for line in lines)
    assert capfd.readouterr() == ("", "")
