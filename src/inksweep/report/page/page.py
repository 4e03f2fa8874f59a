"""The page: facts and plots into one HTML file that needs nothing else."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from inksweep.files import replacing
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import duration, quantity
from inksweep.report.plots import compared
from inksweep.report.plots.parts import Plot
from inksweep.report.plots.sections import sections


def write(path: Path, many: Sequence[Facts], reload_s: float | None = None) -> None:
    """Write the report on one sweep or several; a reader sees the old page or this one.

    Args:
        path: where.
        many: the sweeps.
        reload_s: the page loads itself again after so many seconds; None: never.
    """
    text = render(many, path.absolute().parent, reload_s)
    with replacing(path, "wb", durable=False) as file:  # not worth an fsync: it can be written again
        file.write(text.encode("utf-8", errors="backslashreplace"))  # a folder's name may hold bytes that are no UTF-8


def render(many: Sequence[Facts], folder: Path, reload_s: float | None = None) -> str:
    """Return the page as it is to lie in `folder`, to which its links are relative."""
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("inksweep", "report/page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        href=lambda path: _href(path, folder),
        relative=lambda path: os.path.relpath(path, folder),
        embedded=embedded,
        label=_label,
    )
    files = resources.files("inksweep.report.page")
    script = (files / "page.js").read_text(encoding="utf-8").replace("RELOAD_S", json.dumps(reload_s or 0))
    several = len(many) > 1
    return environment.get_template("page.html.jinja").render(
        title=f"{len(many)} sweeps compared" if several else many[0].name,
        css=Markup((files / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        plotly=Markup(_quiet(get_plotlyjs())),
        reload_s=f"{reload_s:g}" if reload_s else "",
        sweeps=[_sweep(facts, f"s{number}-" if several else "") for number, facts in enumerate(many)],
        compared=compared.section(many) if several else None,
        written=moment(datetime.now()),
        version=version("inksweep"),
    )


def _href(path: Path, folder: Path) -> str:
    """Return the address of a file or folder for a page that lies in `folder`."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix())) + ("/" if path.is_dir() else "")


def _quiet(script: str) -> str:
    """Return plotly.js for use in a <script>: nothing in it may end that element."""
    return script.replace("</script", "<\\/script")


def embedded(figure: Any) -> Markup:
    """Return a figure as JSON for a <script>: nothing in it can end that element, or begin a comment."""
    text = figure.to_json()
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _label(plot: Plot) -> str:
    """Return the description of a plot for screen readers."""
    return f"Plot: {plot.title or plot.key.strip('0123456789')}. {plot.note}".strip()


def _sweep(facts: Facts, prefix: str) -> dict[str, Any]:
    """Return what the template says of one sweep; `prefix` makes its keys unique in the page."""
    return {
        "prefix": prefix,
        "name": facts.name,
        "status": facts.status,
        "sentence": facts.sentence,
        "times": _times(facts),
        "command": facts.command,
        "tiles": _tiles(facts),
        "states": facts.counted,
        "sections": sections(facts),
    }


def moment(when: datetime | None) -> str:
    """Return a time as it is here, with its zone."""
    return "-" if when is None else f"{when.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _times(facts: Facts) -> str:
    if facts.started is None:
        return f"No trial has begun.{_unreadable(facts)}"
    starts, wall = len(facts.timeline.periods), facts.timeline.wall_s
    pauses = f", in {starts} starts; the pauses between them do not count" if starts > 1 else ""
    at_work = f" It was at work for {duration(wall)}{pauses}." if facts.timeline.bars else ""
    return f"Began {moment(facts.started)}.{at_work}{_unreadable(facts)}"


def _unreadable(facts: Facts) -> str:
    settings = ", ".join(facts.unreadable)
    return f" Taken as unknown, as sweep.yaml says nothing that can be read: {settings}." if settings else ""


def _tile(name: str, value: str, more: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "more": more}


def _tiles(facts: Facts) -> list[dict[str, str]]:
    tiles, best, target = [], facts.best, facts.target
    winner, final = facts.winner, None if facts.winner is None else facts.winner.final
    for index, objective in enumerate(facts.objectives):
        number = None if best is None else best.values[index]
        more = "no trial is complete" if best is None else f"trial {best.number}{' of the search' if final else ''}"
        tiles.append(_tile(f"{'best ' if index == 0 else ''}{objective.label}", objective.text(number), more))
    names = {objective.name for objective in facts.objectives}
    if winner is not None and final is not None:
        if "test/accuracy" in winner.measured:
            value = winner.measured["test/accuracy"]
            shown_metric = quantity("test/accuracy", [value])
            tiles.append(_tile("test accuracy of the winner", shown_metric.text(value), "ranked nothing"))
    elif best is not None and "test/accuracy" in best.metrics and "test/accuracy" not in names:
        shown_metric = quantity("test/accuracy", [best.metrics["test/accuracy"]])
        tiles.append(_tile("its test accuracy", shown_metric.text(best.metrics["test/accuracy"]), "ranked nothing"))
    if target is not None:
        sign = ">" if target.maximize else "<"
        more = target.quantity.label + (", reached" if target.reached(facts.targeted) else ", not reached")
        tiles.append(_tile("target", f"{sign} {target.quantity.text(target.value)}", more))
    of = f"of {facts.n_trials:,}" if facts.n_trials else ""
    tiles.append(_tile("trials done", f"{facts.finished:,}", of))
    more = f"{duration(facts.trials_s)} of all trials together" if facts.trials_s else ""
    tiles.append(_tile("time at work", duration(facts.timeline.wall_s) if facts.timeline.bars else "-", more))
    if facts.timeline.bars:
        count = len(facts.timeline.available)
        tiles.append(_tile("slots idle", f"{facts.timeline.idle_share:.1%}", f"{count} slot{'s' * (count > 1)}"))
    return tiles
