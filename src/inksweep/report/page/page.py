"""The page: facts and plots into one HTML file that needs nothing else."""

import json
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from inksweep.files import replacing
from inksweep.report.facts.branches import shown
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import duration, quantity
from inksweep.report.facts.trials import Trial, measured
from inksweep.report.page import winner_section
from inksweep.report.page.tables import Cell, Head, Row, Table, listing, trial_cell
from inksweep.report.plots.drawing import Plot, Section, guarded
from inksweep.report.plots.history import together
from inksweep.report.plots.mistakes import confusion
from inksweep.report.plots.sections import sections

# Parameters that have a column of their own in the table of all trials.
MOST_COLUMNS = 12


def write(path: Path, many: Sequence[Facts], reload_s: float | None = None) -> None:
    """Write the report on one sweep or several; a reader sees the old page or this one.

    Args:
        path: where.
        many: the sweeps.
        reload_s: the page loads itself again after so many seconds; None: never.
    """
    text = render(many, path.absolute().parent, reload_s)
    with replacing(path, "wb", durable=False) as file:  # it can be made again
        file.write(text.encode("utf-8", errors="backslashreplace"))  # a folder's name may be no text


def render(many: Sequence[Facts], place: Path, reload_s: float | None = None) -> str:
    """Return the page; links are relative to the folder `place`."""
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("inksweep", "report/page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    files = resources.files("inksweep.report.page")
    script = (files / "page.js").read_text(encoding="utf-8").replace("RELOAD_S", json.dumps(reload_s or 0))
    title = many[0].name if len(many) == 1 else f"{len(many)} sweeps compared"
    several = len(many) > 1
    return environment.get_template("page.html.jinja").render(
        title=title,
        css=Markup((files / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        plotly=Markup(_quiet(get_plotlyjs())),
        reload_s=f"{reload_s:g}" if reload_s else "",
        sweeps=[_sweep(facts, f"s{number}-" if several else "", place) for number, facts in enumerate(many)],
        comparison=_comparison(many) if several else None,
        together=_shown(guarded("together", together, many)) if several else None,
        written=moment(datetime.now()),
        version=version("inksweep"),
    )


def _quiet(script: str) -> str:
    """Return plotly.js for use in a <script>: nothing in it may end that element."""
    return script.replace("</script", "<\\/script")


def embedded(figure: Any) -> Markup:
    """Return a figure as JSON for a <script>: nothing in it can end that element, or begin a comment."""
    text = figure.to_json()
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _shown(plot: Plot) -> dict[str, Any]:
    label = f"Plot: {plot.title or plot.key.strip('0123456789')}. {plot.note}".strip()
    return {
        "key": plot.key,
        "title": plot.title,
        "note": plot.note,
        "label": label,
        "figure": plot.figure,
        "why_not": plot.why_not,
        "height": plot.height,
        "least_width": plot.least_width,
        "json": "" if plot.figure is None else embedded(plot.figure),
    }


def _sweep(facts: Facts, prefix: str, place: Path) -> dict[str, Any]:
    """Return what the template says of one sweep."""
    return {
        "prefix": prefix,
        "name": facts.name,
        "status": facts.status,
        "sentence": facts.sentence,
        "times": _times(facts),
        "command": facts.command,
        "tiles": _tiles(facts),
        "states": [{"name": name, "count": count} for name, count in facts.counted.items()],
        "winner": winner_section.describe(facts, place),
        "confusion": _shown(guarded("confusion", confusion, facts)),
        "sections": _nested(sections(facts)),
        "slots": _slots(facts),
        "front": _front(facts, place),
        "failures": _failures(facts, place),
        "trials": _trials(facts, place),
        "settings": yaml.safe_dump(facts.settings, sort_keys=False, allow_unicode=True, width=100),
        "about": _about(facts),
    }


def _nested(found_sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Return sections as the template wants them: the parts of `Where good settings lie` within it."""
    found: list[dict[str, Any]] = []
    for section in found_sections:
        block = {"title": section.title, "note": section.note, "small": section.small,
                 "plots": [_shown(plot) for plot in section.plots]}  # fmt: skip
        is_detail = section.key.endswith(("-slices", "-contours"))
        if section.folded and not is_detail:
            found[-1]["parts"].append({"title": section.title, "folded": True, "blocks": [block]})
        elif is_detail and section.folded:
            found[-1]["parts"][-1]["blocks"].append(block)
        elif is_detail:
            found[-1]["parts"].append({"title": section.title, "folded": False, "blocks": [block]})
        else:
            found.append({**block, "key": section.key, "parts": [], "part": False})
    return found


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
    said = ", ".join(facts.unreadable)
    return f" Taken as unknown, as sweep.yaml says nothing that can be read: {said}." if said else ""


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


def _objective_cells(facts: Facts, trial: Trial) -> list[Cell]:
    ended_early = trial.state in ("pruned", "stopped") and len(facts.objectives) == 1
    values = trial.values or ((trial.last,) if ended_early else (None,) * len(facts.objectives))
    return [Cell(q.text(v), "" if v is None else v) for q, v in zip(facts.objectives, values, strict=True)]


def _slots(facts: Facts) -> Table | None:
    line = facts.timeline
    rows = []
    for slot in line.available:
        bars = sum(bar.slot == slot for bar in line.bars)
        idle = f"{duration(line.idle_s(slot))} ({line.idle(slot):.1%})"
        rows.append(Row([Cell(slot), Cell(f"{bars}"), Cell(duration(line.busy[slot])), Cell(idle)]))
    heads = [Head("machine, slot"), Head("trials", "number"), Head("busy", "number"), Head("idle", "number")]
    return Table("slots, busy and idle", heads, rows) if rows else None


def _front(facts: Facts, place: Path) -> Table | None:
    if len(facts.objectives) < 2 or not facts.front:
        return None
    heads = [Head("trial", "number"), *(Head(q.label, "number") for q in facts.objectives), Head("settings", "long")]
    rows = [Row([trial_cell(t, place), *_objective_cells(facts, t), Cell(_settings_of(t))]) for t in facts.front]
    return Table("trials on the Pareto front", heads, rows, sortable=True)


def _settings_of(trial: Trial) -> str:
    return " ".join(f"{name}={shown(value)}" for name, value in trial.params.items())


def _failures(facts: Facts, place: Path) -> Table | None:
    rows = []
    for trial in facts.trials:
        if trial.state not in ("failed", "lost", "diverged") and not trial.note:
            continue
        reason = trial.reason if trial.state != "complete" else ""
        why = "; ".join(filter(None, [reason, trial.note])) or "-"
        rows.append(Row([
            trial_cell(trial, place), Cell(trial.state, state=trial.state), Cell(why, details=trial.traceback),
            Cell(duration(trial.seconds) if trial.seconds is not None else "-"), Cell(_settings_of(trial)),
        ]))  # fmt: skip
    heads = [
        Head("trial", "number"),
        Head("became"),
        Head("why", "text"),
        Head("after", "number"),
        Head("settings", "long"),
    ]
    return Table("trials that failed, diverged, were lost or repeated", heads, rows) if rows else None


def _trials(facts: Facts, place: Path) -> Table | None:
    if not facts.trials:
        return None
    names = list(dict.fromkeys(name for trial in facts.trials for name in trial.params))[:MOST_COLUMNS]
    metrics = {name for trial in facts.trials for name in trial.metrics} - {q.name for q in facts.objectives}
    # The target's, and test accuracy, which people look for.
    extra = [facts.target.quantity.name] if facts.target is not None else []
    extra = [name for name in dict.fromkeys([*extra, "test/accuracy"]) if name in metrics]
    extras = [quantity(name, [t.metrics[name] for t in facts.trials if name in t.metrics]) for name in extra]
    heads = [
        Head("trial", "number"), Head("state"), *(Head(q.label, "number") for q in [*facts.objectives, *extras]),
        Head("time", "number"), *(Head(name, "number") for name in names),
    ]  # fmt: skip
    rows = []
    for trial in facts.trials:
        cells = [trial_cell(trial, place), Cell(trial.state, state=trial.state), *_objective_cells(facts, trial)]
        for q in extras:
            value = measured(trial, q.name)
            cells.append(Cell(q.text(value), "" if value is None else value))
        seconds = trial.seconds
        cells.append(Cell("-" if seconds is None else duration(seconds), "" if seconds is None else seconds))
        for name in names:
            value = trial.params.get(name)
            cells.append(Cell(shown(value) if name in trial.params else "-", "" if value is None else str(value)))
        is_best = facts.best is not None and trial.number == facts.best.number
        rows.append(Row(cells, "best" if is_best else "" if trial.state == "complete" else "pale"))
    return Table(
        "all trials, those ended early as they last reported; the heads of columns sort", heads, rows, sortable=True
    )


def _about(facts: Facts) -> Table:
    known = facts.winner.facts if facts.winner is not None else {}
    pairs = [("folder", str(facts.folder)), ("sampler", facts.sampler), ("pruner", facts.pruner)]
    pairs += [(str(name), str(number)) for name, number in (known.get("versions") or {}).items()]
    pairs += [(name, str(known[name])) for name in ("device", "threads", "seed", "git") if known.get(name) is not None]
    hosts = sorted({trial.host for trial in facts.trials if trial.host})
    return listing("versions and machine", [*pairs, ("machines", ", ".join(hosts) or "not recorded")])


def _comparison(many: Sequence[Facts]) -> Table:
    heads = [
        Head("sweep"), Head("status"), Head("best", "number"), Head("of"), Head("target", "text"),
        Head("trials", "number"), Head("pruned", "number"), Head("failed", "number"), Head("time at work", "number"),
        Head("all trials", "number"), Head("sampler"), Head("pruner"),
    ]  # fmt: skip
    rows = []
    for number, facts in enumerate(many):
        best = facts.best
        target = "none" if facts.target is None else str(facts.target)
        if facts.target is not None:
            target += ": reached" if facts.target.reached(facts.targeted) else ": not reached"
        rows.append(Row([
            Cell(facts.name, href=f"#s{number}-sweep"), Cell(facts.status),
            Cell(facts.objectives[0].text(best.values[0] if best else None), best.values[0] if best else ""),
            Cell(facts.objectives[0].label), Cell(target), Cell(f"{facts.finished:,}", facts.finished),
            Cell(str(facts.counted.get("pruned", 0))), Cell(str(facts.counted.get("failed", 0))),
            Cell(duration(facts.timeline.wall_s) if facts.timeline.bars else "-", facts.timeline.wall_s),
            Cell(duration(facts.trials_s), facts.trials_s), Cell(facts.sampler), Cell(facts.pruner),
        ]))  # fmt: skip
    return Table("the sweeps side by side", heads, rows, sortable=True)
