"""What all plots share: their look, the text under the mouse, and a study with the values as they are shown."""

import html
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import TrialState, create_trial

from inksweep.report.facts.branches import shown
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import duration
from inksweep.report.facts.trials import Trial
from inksweep.report.plots.axis import outside, span
from inksweep.report.plots.looks import FONT, GRID, INK
from inksweep.report.plots.parts import Plot

# Trials for each of which a line of its own is drawn; that are drawn as points in many plots; through which a surface
# is drawn, which grows with their square.
MOST_LINES = 300
MOST_POINTS = 500
MOST_IN_CONTOUR = 100
# Of more points in a plot, only number, state and objectives stand under the mouse.
MOST_TEXTS = 2000
# Of a curve with more points, some are left out.
MOST_IN_CURVE = 100


def guarded(key: str, draw: Callable[..., Plot], *arguments: Any) -> Plot:
    """Draw; a plot that raises becomes a sentence and never stops the page."""
    try:
        return draw(*arguments)
    except Exception as error:
        return Plot(key, "", "", why_not=f"This plot could not be drawn ({type(error).__name__}: {error}).")


def best_of(facts: Facts, trials: Iterable[Trial], most: int) -> list[Trial]:
    """Return the best of complete trials by the first objective, the best one first."""
    sign = -1 if facts.maximize[0] else 1
    return sorted(trials, key=lambda trial: sign * trial.values[0])[:most]


def left_out(most: int, trials: Sequence[Trial]) -> str:
    """Return the note for a plot that draws only the best `most` of `trials`."""
    return f"The best {most:,} of {len(trials):,} trials. " if len(trials) > most else ""


def hover(facts: Facts, trial: Trial, texts: int = 0) -> str:
    """Return the text under the mouse for a trial; a short one in a plot with very many `texts`."""
    lines = [f"<b>trial {trial.number}</b>, {trial.state}"]
    lines += [f"{q.label} {q.text(value)}" for q, value in zip(facts.objectives, trial.values, strict=False)]
    if texts > MOST_TEXTS:
        return "<br>".join(lines)
    if trial.reason and trial.reason != trial.state:
        lines.append(escape(trial.reason.splitlines()[0][:100]))
    if trial.seconds is not None:
        lines.append(duration(trial.seconds))
    lines += [f"{escape(name)} = {escape(shown(value))}" for name, value in trial.params.items()]
    return "<br>".join(lines)


def said_in_short(texts: int) -> str:
    """Return the note for a plot whose texts under the mouse are short."""
    return "The settings of so many trials stand in the table only. " if texts > MOST_TEXTS else ""


def escape(text: str) -> str:
    """Return text that plotly shows as it stands: it reads some tags."""
    return html.escape(str(text), quote=False)


def shown_study(facts: Facts, trials: Iterable[Trial]) -> Study:
    """Return a study in memory with `trials` as they are to be shown: in units, choices and names as text.

    The others stay as failed ones, so that all keep their number.
    """
    wanted = {trial.number for trial in trials if trial.state == "complete" and trial.counts}
    directions = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in facts.maximize]
    study = optuna.create_study(directions=directions, study_name=facts.name)
    built = []
    for frozen in facts.study.get_trials(deepcopy=False):
        if frozen.number not in wanted:
            built.append(create_trial(state=TrialState.FAIL))
            continue
        scales = [quantity.scale for quantity in facts.objectives]
        distributions = {escape(name): _shown(kind) for name, kind in frozen.distributions.items()}
        built.append(
            create_trial(
                values=[value * scale for value, scale in zip(frozen.values, scales, strict=True)],
                params={
                    escape(name): escape(str(value)) if isinstance(frozen.distributions[name], CategoricalDistribution)
                    else value
                    for name, value in frozen.params.items()
                },
                distributions=distributions,
            )
        )  # fmt: skip
    study.add_trials(built)
    return study


def _shown(kind: BaseDistribution) -> BaseDistribution:
    if not isinstance(kind, CategoricalDistribution):
        return kind
    # As text: choices that are numbers would be placed as on an axis of numbers.
    return CategoricalDistribution(list(dict.fromkeys(escape(str(choice)) for choice in kind.choices)))


def style(figure: go.Figure, x: str, y: str, *, escaped: bool = False) -> None:
    """Give a figure the look of the page."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": "#b8bfc8",
        "ticks": "outside",
        "tickcolor": "#b8bfc8",
        "automargin": True,
        "title": {"standoff": 10},
    }
    figure.update_layout(
        template="none",
        title=None,
        width=None,
        height=None,
        autosize=True,
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin={"l": 70, "r": 20, "t": 10, "b": 55},
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom", "title": {"text": ""}},
        hoverlabel={"bgcolor": "white", "bordercolor": "#888", "font": {"family": FONT, "size": 12}, "align": "left"},
        hovermode="closest",
    )
    clean = (lambda text: text) if escaped else escape
    figure.update_xaxes(**axis, title_text=clean(x))
    figure.update_yaxes(**axis, title_text=clean(y))
    for scale in (figure.layout.xaxis, figure.layout.yaxis):
        if scale.type == "log":
            _use_powers(figure, scale)


def _use_powers(figure: go.Figure, scale: Any) -> None:
    """Label powers of ten only, where there are some: the digits between them crowd."""
    letter = "x" if scale is figure.layout.xaxis else "y"
    values = [value for trace in figure.data for value in getattr(trace, letter) or () if value]
    if values and max(values) / min(values) > 30:
        scale.update(dtick=1)


def _values(figure: go.Figure, mode: str = "") -> Iterator[float]:
    """Yield what is drawn on the usual axis, in traces of a mode."""
    for trace in figure.data:
        if (
            trace.type == "scatter"
            and trace.yaxis in (None, "y")
            and trace.y is not None
            and mode in (trace.mode or "")
        ):
            yield from (value for value in trace.y if value is not None and math.isfinite(value))


def limit_axis(figure: go.Figure, maximize: bool) -> str:
    """Let the axis show where good trials differ, if bad ones would squash them; return the note on it."""
    ends = span(list(_values(figure)), maximize)
    if ends is None:
        return ""
    figure.update_yaxes(range=ends, selector={"overlaying": None})
    hidden, where = outside(list(_values(figure, "markers")), ends), "below" if maximize else "above"
    return (
        f"{hidden} {'point lies' if hidden == 1 else 'points lie'} {where} the axis; double-click the plot to see all. "
        if hidden
        else ""
    )


def too_few(facts: Facts, what: str, least: int = 4) -> str:
    """Return why there are not enough complete trials to do `what`, which takes `least` of them."""
    complete = sum(trial.state == "complete" for trial in facts.trials)
    count = {0: "No trial is", 1: "Only one trial is"}.get(complete, f"Only {complete} trials are")
    if complete >= least:
        return f"The complete trials do not differ enough to {what}."
    return f"{count} complete, too few to {what}: that takes {least}."
