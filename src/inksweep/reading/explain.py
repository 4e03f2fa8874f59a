"""A reading as one picture of all its steps: the picture, its ground and ink, the boxes, what the network saw of each.

Drawn with Pillow alone, so that it works where nothing else draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inksweep.reading.reader import UNSURE, Digit, Reading
from inksweep.runs.reader import visible

T = TypeVar("T")

WIDTH, MARGIN, GAP = 1240, 32, 20
HEAD, TITLE, SUBHEAD = 116, 26, 40
# Steps stand three in a row, digits seven.
PANELS, PANEL_HEIGHT = 3, 260
PANEL = (WIDTH - 2 * MARGIN - (PANELS - 1) * GAP) // PANELS
# Of more digits, as a page of noise may have, the first are drawn.
MOST = 140
# What the network saw is enlarged to SEEN pixels, with three bars below.
CARDS, SEEN, BARS, BAR = 7, 140, 3, 22
CARD = (WIDTH - 2 * MARGIN - (CARDS - 1) * GAP) // CARDS
CARD_ROW = 34 + SEEN + 8 + BARS * BAR + GAP
# As in reports; blue and vermilion are told apart by the colour-blind too.
INK, FAINT, LINE, BACK = "#1b1f24", "#565e68", "#d9dee4", "#ffffff"
SURE, DOUBTFUL = "#0072B2", "#D55E00"


@dataclass(frozen=True)
class Panel:
    """One step: its title, and what the picture had become."""

    title: str
    pixels: NDArray[Any]
    # x, y, width, height, each from 0 to 1; with what is written beside it, and its colour.
    boxes: tuple[tuple[tuple[float, float, float, float], str, str], ...] = ()


def draw(reading: Reading) -> Image.Image:
    """Return all steps of a reading as one picture."""
    panels = _rows([(panel, _fitted(_image(panel.pixels))) for panel in _panels(reading)], PANELS)
    heights = [TITLE + GAP + max(image.height for _, image in row) for row in panels]
    cards = _rows([*enumerate(reading.digits[:MOST], start=1)], CARDS)
    below = HEAD + sum(heights)
    sheet = Image.new("RGB", (WIDTH, below + (SUBHEAD + len(cards) * CARD_ROW if cards else 0)), BACK)
    pen = ImageDraw.Draw(sheet)
    _draw_head(pen, reading)
    for number, row in enumerate(panels):
        for column, (panel, image) in enumerate(row):
            _draw_panel(sheet, panel, image, (MARGIN + column * (PANEL + GAP), HEAD + sum(heights[:number])))
    if cards:
        size = len(reading.digits[0].pixels)
        rest = f"; the first {MOST} of {len(reading.digits):,}" if len(reading.digits) > MOST else ""
        pen.text((MARGIN, below + 4), f"what the network sees, {size} x {size}, and answers{rest}", FAINT, _font(17))
    for number, some in enumerate(cards):
        for column, (which, digit) in enumerate(some):
            corner = (MARGIN + column * (CARD + GAP), below + SUBHEAD + number * CARD_ROW)
            _draw_card(sheet, digit, which, corner)
    return sheet


def _rows(things: list[T], length: int) -> list[list[T]]:
    return [things[start : start + length] for start in range(0, len(things), length)]


def _panels(reading: Reading) -> Iterator[Panel]:
    yield Panel("picture", reading.picture.grey)
    for name, pixels in reading.ink.stages.items():
        yield Panel(name, pixels)
    if reading.digits:
        (width, height), boxes = reading.picture.size, []
        for number, digit in enumerate(reading.digits, start=1):
            x, y, wide, high = digit.box
            place = (x / width, y / height, wide / width, high / height)
            boxes.append((place, str(number), _colour(digit)))
        yield Panel("digits", reading.picture.grey, tuple(boxes))


def _draw_head(pen: ImageDraw.ImageDraw, reading: Reading) -> None:
    width = WIDTH - 2 * MARGIN
    pen.text((MARGIN, 24), _fitting(pen, visible(reading.name), _font(17), width), FAINT, _font(17))
    if not reading.digits:
        pen.text((MARGIN, 50), str(reading.note), DOUBTFUL, _font(38))
        return
    unsure = sum(digit.name == UNSURE for digit in reading.digits)
    sure = f"{reading.confidence:.0%} sure" + (f", {unsure} of {len(reading.digits)} not named" if unsure else "")
    room = width - pen.textlength(sure, _font(22)) - GAP
    text = _fitting(pen, " / ".join(map(visible, reading.texts)), _font(38), room)
    pen.text((MARGIN, 50), text, INK, _font(38))
    pen.text((MARGIN + pen.textlength(text, _font(38)) + GAP, 66), sure, FAINT, _font(22))


def _draw_panel(sheet: Image.Image, panel: Panel, image: Image.Image, corner: tuple[int, int]) -> None:
    pen, (left, top) = ImageDraw.Draw(sheet), corner
    pen.text(corner, panel.title, FAINT, _font(17))
    top += TITLE
    sheet.paste(image, (left, top))
    pen.rectangle((left - 1, top - 1, left + image.width, top + image.height), outline=LINE)
    for (x, y, width, height), number, colour in panel.boxes:
        first = left + x * image.width, top + y * image.height
        last = left + (x + width) * image.width, top + (y + height) * image.height
        pen.rectangle((first[0] - 2, first[1] - 2, last[0] + 1, last[1] + 1), outline=colour, width=2)
        place = first[0], max(top, first[1] - 20)
        pen.text(place, number, colour, _font(16), stroke_width=3, stroke_fill=BACK)


def _draw_card(sheet: Image.Image, digit: Digit, number: int, corner: tuple[int, int]) -> None:
    pen, (left, top) = ImageDraw.Draw(sheet), corner
    pen.text((left, top + 8), str(number), FAINT, _font(14))
    font = _font(26 if len(digit.name) == 1 else 16)
    pen.text(
        (left + 22, top + 20), _fitting(pen, visible(digit.name), font, CARD - 66), _colour(digit), font, anchor="ls"
    )
    pen.text((left + CARD, top + 5), f"{digit.confidence:.0%}", _colour(digit), _font(17), anchor="ra")
    top += 34
    sheet.paste(_image(digit.pixels).resize((SEEN, SEEN), Image.Resampling.NEAREST), (left, top))
    top += SEEN + 8
    # Names of one letter leave more room for the bars.
    room = 22 if all(len(answer) == 1 for answer, _ in digit.answers) else 76
    for index, (answer, probability) in enumerate(digit.answers[:BARS]):
        y, start, length = top + index * BAR, left + room, round(probability * (CARD - room - 48))
        pen.text((left, y), _fitting(pen, visible(answer), _font(14), room - 6), INK, _font(14))
        if length:
            pen.rectangle((start, y + 2, start + length, y + 14), fill=FAINT if index else _colour(digit))
        pen.text((left + CARD, y), f"{probability:.0%}", FAINT, _font(14), anchor="ra")


def _colour(digit: Digit) -> str:
    return DOUBTFUL if digit.name == UNSURE else SURE


def _image(pixels: NDArray[Any]) -> Image.Image:
    """Return pixels as a picture: truth values, numbers from 0 to 1, or uint8."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(np.nan_to_num(pixels.astype(np.float32)), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def _fitted(image: Image.Image) -> Image.Image:
    """Return a picture as large as a panel allows; a small one shows its pixels."""
    factor = min(PANEL / image.width, PANEL_HEIGHT / image.height)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.NEAREST if factor > 2 else Image.Resampling.LANCZOS)


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _fitting(pen: ImageDraw.ImageDraw, text: str, font: Any, width: float) -> str:
    """Return a text with its middle cut out until it fits."""
    shorter, keep = text, len(text)
    while keep > 2 and pen.textlength(shorter, font) > width:
        keep -= 1
        shorter = f"{text[: keep // 2]}...{text[len(text) - (keep - keep // 2) :]}"
    return shorter
