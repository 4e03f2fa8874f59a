"""What each slot ran when, and how long it was idle."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import duration
from inksweep.report.facts.timeline import Bar
from inksweep.report.facts.trials import STATES, Trial
from inksweep.report.plots.drawing import MOST_LINES, guarded, hover, said_in_short, style
from inksweep.report.plots.looks import INK, LOOKS
from inksweep.report.plots.parts import Cell, Head, Part, Plot, Plots, Row, Section, Table


def section(facts: Facts) -> Section:
    """Return the section on the slots."""
    parts: list[Part] = [Plots([guarded("slots", slots, facts)])]
    if facts.timeline.available:
        parts.append(_table(facts))
    return Section("slots", "Slots over time", parts)


def slots(facts: Facts) -> Plot:
    """Draw what each slot ran when; pauses between two starts of the sweep are cut out."""
    line = facts.timeline
    if not line.bars:
        return Plot("slots", "", "", why_not="No trial says which slot it ran in, so there is no timeline.")
    per, unit = time_unit(line.wall_s)
    figure = go.Figure()
    names = {slot: f"{html.escape(slot)}<br>idle {line.idle(slot):.1%}" for slot in line.available}
    for state in LOOKS:
        bars = [bar for bar in line.bars if facts.trials[bar.number].state == state]
        if bars:
            figure.add_bar(**_bars(facts, state, bars, names, per))
    style(figure, f"time at work ({unit})", "")
    figure.update_layout(
        barmode="overlay", bargap=0.2, uniformtext={"mode": "hide", "minsize": 9}, margin={"l": 10, "r": 20, "t": 10}
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False, ticks="", categoryorder="array",
                        categoryarray=list(names.values()))  # fmt: skip
    figure.update_xaxes(rangemode="tozero", range=[0, line.wall_s / per * 1.005])
    for period in line.periods[1:]:
        figure.add_vline(x=period.at / per, line={"color": INK, "dash": "dash", "width": 1.2})
    return Plot("slots", "", _about_slots(facts), figure, height=170 + 58 * len(names))


def _bars(facts: Facts, state: str, bars: Sequence[Bar], names: Mapping[str, str], per: float) -> dict[str, Any]:
    """Return the bars of the trials in one state."""
    look, many = LOOKS[state], len(facts.timeline.bars)
    rim = {"color": "white", "width": 1 if many <= MOST_LINES else 0}  # a rim would cover bars that are narrower
    pattern = {"shape": look.pattern, "bgcolor": look.colour, "fgcolor": "white", "size": 8, "solidity": 0.2}
    return {
        "orientation": "h",
        "y": [names[bar.slot] for bar in bars],
        "base": [bar.at / per for bar in bars],
        "x": [bar.seconds / per for bar in bars],
        "name": STATES[state].partition(":")[0].partition(",")[0],
        "marker": {"color": look.colour, "line": rim, "pattern": pattern},
        "text": [("★ " if facts.trials[bar.number] is facts.best else "") + str(bar.number) for bar in bars],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": look.text},
        "hovertext": [_when(facts, facts.trials[bar.number], many) for bar in bars],
        "hoverinfo": "text",
        "width": 0.7,
    }


def _about_slots(facts: Facts) -> str:
    line = facts.timeline
    note = "A bar a trial, with its number where there is room. "
    note += f"Together the slots were idle {line.idle_share:.1%} of their time. "
    ends = zip(line.periods, line.periods[1:], strict=False)
    pauses = [duration((after.begin - before.end).total_seconds()) for before, after in ends]
    if pauses:
        times = ", ".join(pauses) if len(pauses) <= 5 else f"{len(pauses)} of them"
        note += (
            f"Pauses between two starts of the sweep ({times}) are cut out at the dashed lines and are not idle time. "
        )
    if any(not trial.end_is_known for trial in facts.trials):
        note += "A lost trial ends at its last sign of life. "
    return (note + said_in_short(len(line.bars))).strip()


def _when(facts: Facts, trial: Trial, texts: int) -> str:
    assert trial.started is not None
    end = f"{trial.ended:%H:%M:%S}" if trial.ended else "now"
    doubt = "" if trial.end_is_known else " (last sign of life)"
    return f"{trial.started:%Y-%m-%d %H:%M:%S} to {end}{doubt}<br>{hover(facts, trial, texts)}"


def time_unit(seconds: float) -> tuple[float, str]:
    """Return a unit in which so many seconds are read well: its length and name."""
    return (1.0, "s") if seconds < 180 else (60.0, "min") if seconds < 3 * 3600 else (3600.0, "h")


def _table(facts: Facts) -> Table:
    line = facts.timeline
    rows = []
    for slot in line.available:
        bars = sum(bar.slot == slot for bar in line.bars)
        idle = f"{duration(line.idle_s(slot))} ({line.idle(slot):.1%})"
        rows.append(Row([Cell(slot), Cell(f"{bars}"), Cell(duration(line.busy[slot])), Cell(idle)]))
    heads = [Head("machine, slot"), Head("trials", "number"), Head("busy", "number"), Head("idle", "number")]
    return Table("slots, busy and idle", heads, rows)
