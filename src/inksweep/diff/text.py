"""Two runs side by side on a terminal."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from rich import box
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from inksweep.diff import blocks, difference
from inksweep.diff.difference import Diff, Disagreements, Metric
from inksweep.errors import Unavailable
from inksweep.runs.metrics import is_of_validation
from inksweep.runs.reader import Run, visible
from inksweep.significance import Paired

# Told apart by the colour-blind too.
STYLES = {"A": "cyan", "B": "yellow"}
HEADING, QUIET = "bold", "dim"
# Curves drawn, and rows listed at least.
CURVES = ("val/accuracy", "val/loss", "train/loss")
LISTED = 10
# Below it, a difference is called significant.
LEVEL = 0.05


def show(diff: Diff, console: Console, images: int) -> None:
    """Print everything, and up to `images` pictures where the terminal has colours."""
    parts = (_header(diff), _settings(diff), _metrics(diff), _tests(diff), _curves(diff, console))
    for part in parts:
        for line in part:
            console.print(line, soft_wrap=isinstance(line, Text) and line.no_wrap is True)
        console.print()
    for line in _disagreements(diff, console, images):
        console.print(line)


def _table(*headings: str, right: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(Text(heading, STYLES.get(heading, "")), justify="right" if heading in right else "left")
    return table


def _add(table: Table, *cells: str | Text) -> None:
    # As Text: a folder or a list such as [16,32] is no markup.
    table.add_row(*(cell if isinstance(cell, Text) else Text(visible(cell)) for cell in cells))


def _line(text: str, style: str = "") -> Text:
    return Text(visible(text), style)


def _header(diff: Diff) -> Iterator[RenderableType]:
    table = _table("", "A", "B")
    facts: list[tuple[str, Callable[[Run], str]]] = [
        ("run", lambda run: run.name),
        ("status", lambda run: run.status),
        ("started", _when),
        ("took", lambda run: duration(run.metrics.get("seconds/total"))),
    ]
    for name, of in facts:
        _add(table, Text(name, QUIET), of(diff.a), of(diff.b))
    yield table
    for note in diff.notes:
        # Not folded: it may name a file.
        yield Text(visible(f"note: {note}"), "yellow", no_wrap=True)


def _when(run: Run) -> str:
    if not math.isfinite(run.started):
        return "-"
    return datetime.fromtimestamp(run.started).astimezone().strftime("%Y-%m-%d %H:%M")


def duration(seconds: float | None) -> str:
    """Return a time as one says it."""
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _settings(diff: Diff) -> Iterator[RenderableType]:
    yield _line("Settings that differ", HEADING)
    if not diff.a.settings or not diff.b.settings:
        which = " and ".join(who for who, run in (("A", diff.a), ("B", diff.b)) if not run.settings)
        yield _line(f"the settings of {which} are not known")
        return
    if not diff.settings:
        yield _line("none")
        return
    table = _table("", "A", "B")
    for key, (a, b) in diff.settings.items():
        texts = [typed(a), typed(b)]
        if texts[0] == texts[1]:
            texts = [repr(a), repr(b)]
        _add(table, key, *texts)
    yield table


def typed(value: Any) -> str:
    """Return a setting about as one types it; floats in short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    return str(value)


def _metrics(diff: Diff) -> Iterator[RenderableType]:
    yield _line("Metrics", HEADING)
    if not diff.metrics:
        yield _line("neither has any")
        return
    table = _table("", "A", "B", "B - A", "better", right=("A", "B", "B - A"))
    for metric in diff.metrics:
        better = Text(metric.better or "", STYLES.get(metric.better or "", ""))
        _add(table, metric.name, number(metric.name, metric.a), number(metric.name, metric.b), change(metric), better)
    yield table


def _is_share(name: str) -> bool:
    return "accuracy" in name


def number(name: str, value: float | None) -> str:
    """Return a metric: a share as percent, whole numbers whole, seconds with their unit."""
    if value is None:
        return "-"
    if _is_share(name):
        return f"{100 * value:.2f}%"
    if name.startswith("seconds"):
        return f"{value:,.3g} s" if value < 100 else f"{value:,.1f} s"
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"


def change(metric: Metric) -> str:
    """Return what B has more than A, with its sign: of shares, in points."""
    by = metric.difference
    if not by:
        return "" if by is None else "0"
    if _is_share(metric.name):
        return f"{points(by)} points"
    if metric.name.startswith("seconds"):
        return f"{by:+,.3g} s" if abs(by) < 100 else f"{by:+,.1f} s"
    return f"{by:+,.0f}" if abs(by) < 1e15 and by == round(by) else f"{by:+.3g}"


def points(share: float) -> str:
    """Return a difference of shares in points, with its sign; zero has none."""
    text = f"{100 * share:+.2f}"
    return text[1:] if float(text) == 0 else text


def _tests(diff: Diff) -> Iterator[RenderableType]:
    yield _line("Significance of the difference in accuracy: McNemar's exact test", HEADING)
    tests = {split: test for split, test in diff.tests.items() if isinstance(test, Paired)}
    if tests:
        headings = ("n", "both\nright", "only\nA", "only\nB", "both\nwrong", "points\nB - A", "95%\ninterval", "p")
        table = _table("", *headings, right=headings)
        for split, paired in tests.items():
            low, high = paired.interval
            counts = (paired.pictures, paired.both_right, paired.only_a, paired.only_b, paired.both_wrong)
            gap = (points(paired.difference), f"{points(low)} to {points(high)}", p_value(paired.p))
            _add(table, split, *(f"{count:,}" for count in counts), *gap)
        yield table
    reasons: dict[str, list[str]] = {}
    for split, test in diff.tests.items():
        reasons.setdefault(verdict(test) if isinstance(test, Paired) else f"no test: {test}", []).append(split)
    for reason, splits in reasons.items():
        yield _line(f"{' and '.join(splits)}: {reason}")
    if tests:
        yield _line("About these two models, not their settings: another seed gives other models.", QUIET)


def p_value(p: float) -> str:
    """Return a p-value: two digits that say something."""
    if p < 1e-300:
        return "< 1e-300"
    return f"{p:.2g}" if p < 0.995 else "1"


def verdict(test: Paired) -> str:
    """Return in words what the test says."""
    differing = test.only_a + test.only_b
    if not differing:
        return "no difference: there is no picture that only one of them gets right"
    if not test.difference:
        return "no difference: only A is right as often as only B"
    share = "less than 0.01" if test.p < 1e-4 else f"{100 * test.p:.2g}" if test.p < 0.995 else "100"
    better = f"{'B' if test.difference > 0 else 'A'} is significantly better"
    words = better if test.p < LEVEL else "no significant difference"
    return f"{words}; chance alone gives such a gap in {share}% of cases"


def _curves(diff: Diff, console: Console) -> Iterator[RenderableType]:
    epochs = [row["epoch"] for rows in diff.curves for row in rows]
    if not epochs:
        yield _line("Curves", HEADING)
        yield _line("neither has any evaluation (metrics.csv)")
        return
    across = (min(epochs), max(epochs))
    yield _line(
        f"Curves from epoch {round(across[0], 1):g} to {round(across[1], 1):g}, losses on a logarithmic scale", HEADING
    )
    width = max(8, min(48, console.width - 58))
    bars = blocks.PLAIN_BARS if console.options.ascii_only else blocks.BARS
    table = _table("", " ", "curve", "first", "best", "at epoch", "last", right=("first", "best", "at epoch", "last"))
    for name in CURVES:
        drawn = [[(row["epoch"], row[name]) for row in rows if name in row] for rows in diff.curves]
        up = _range([y for points in drawn for _, y in points], name)
        for who, line in zip("AB", drawn, strict=True):
            label = name if who == "A" else ""
            if not line:
                _add(table, label, Text(who, STYLES[who]), Text("none", QUIET))
                continue
            best = (min if "loss" in name else max)(line, key=lambda point: point[1])
            curve = blocks.sparkline([(x, _scaled(y, name)) for x, y in line], width, across, up, bars)
            numbers = (
                number(name, line[0][1]),
                number(name, best[1]),
                f"{round(best[0], 1):g}",
                number(name, line[-1][1]),
            )
            _add(table, label, Text(who, STYLES[who]), Text(curve, STYLES[who]), *numbers)
    yield table
    yield from _no_verdict("val/", diff)


def _no_verdict(split: str, diff: Diff) -> Iterator[RenderableType]:
    """Say who has seen the pictures of a split before, `val/` or another."""
    who = diff.trained_on_validation
    if who and is_of_validation(split):
        yield _line(f"no verdict by validation: {who} trained on these pictures (data.train_on_all)", QUIET)


def _scaled(value: float, name: str) -> float:
    # A loss falls by orders of magnitude; it may be 0.
    return math.log(max(value, 1e-12)) if "loss" in name else value


def _range(values: Sequence[float], name: str) -> tuple[float, float]:
    scaled = [_scaled(value, name) for value in values]
    return (min(scaled), max(scaled)) if scaled else (0.0, 1.0)


def _disagreements(diff: Diff, console: Console, images: int) -> Iterator[RenderableType]:
    answers = diff.disagreements
    if isinstance(answers, str):
        yield _line(f"Pictures on which they disagree, {diff.split} split", HEADING)
        yield _line(f"not known: {answers}")
        return
    a, b, neither = answers.counts()
    title = f"Pictures on which they disagree, {diff.split} split: {len(answers.rows):,} of {len(answers.a):,}"
    yield _line(title, HEADING)
    if not len(answers.rows):
        yield _line("none: they give the same answer to each")
        return
    yield _line(f"A is right in {a:,}, B in {b:,}, neither in {neither:,}; first those where both are surest")
    yield from _no_verdict(f"{diff.split}/", diff)
    rows = answers.rows[: max(LISTED, images)].tolist()
    table = _table("row", "true", "A", " ", "B", "  ", "right", right=("row", " ", "  "))
    for row in rows:
        right = answers.right(row)
        cells = [(answers.name(int(of.predicted[row])), f"{of.confidence[row]:.1%}") for of in (answers.a, answers.b)]
        who = Text(right or "neither", STYLES.get(right or "", QUIET))
        _add(table, str(row), answers.name(int(answers.a.labels[row])), *cells[0], *cells[1], who)
    yield table
    if len(answers.rows) > len(rows):
        every = len(answers.rows)
        more = f"and {every - len(rows):,} more: --images {every} lists and draws all, --format json lists them"
        yield _line(more, QUIET)
    yield from _pictures(diff, answers, rows[:images], console)


def _pictures(diff: Diff, answers: Disagreements, rows: Sequence[int], console: Console) -> Iterator[RenderableType]:
    """Yield the pictures of some rows, side by side; nothing where they cannot be seen."""
    if not rows or not has_greys(console):
        return
    try:
        images = difference.images(diff, rows)
    except Unavailable as reason:
        yield _line(f"no pictures: {reason}", QUIET)
        return
    width = images.shape[2]
    if width > console.width:
        yield _line(f"no pictures: they are {width} columns wide, the terminal is {console.width}", QUIET)
        return
    yield Text()
    cells = [Group(*_caption(answers, row, width), *blocks.picture(image), Text()) for row, image in
             zip(rows, np.asarray(images), strict=True)]  # fmt: skip
    yield Columns(cells, width=width, padding=(0, 2))


def _caption(answers: Disagreements, row: int, width: int) -> Iterator[Text]:
    a, b = (answers.name(int(of.predicted[row])) for of in (answers.a, answers.b))
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{row}: {answers.name(int(answers.a.labels[row]))}   ", HEADING)
    line.append(f"A {a}   ", STYLES["A"])
    line.append(f"B {b}", STYLES["B"])
    line.truncate(width)
    yield line


def has_greys(console: Console) -> bool:
    """Whether pictures can be seen: a terminal with 256 colours or more, and block characters."""
    colours = console.color_system in ("256", "truecolor") and not console.no_color
    return console.is_terminal and colours and not console.options.ascii_only
