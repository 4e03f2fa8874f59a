"""Plots of the space that was searched: which parameters mattered, and where good settings lie."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna import visualization
from optuna.study import Study
from optuna.trial import FrozenTrial
from plotly.colors import sample_colorscale

from inksweep.report.facts.branches import Branch, branches, shown, varied
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.trials import Trial
from inksweep.report.plots.drawing import (
    MOST_IN_CONTOUR,
    MOST_LINES,
    MOST_POINTS,
    Plot,
    Section,
    best_of,
    escape,
    guarded,
    hover,
    left_out,
    shown_study,
    style,
    too_few,
)
from inksweep.report.plots.looks import INK, LOOKS, SCALE

# Of these parameters, every two are drawn against each other.
MOST_IMPORTANT = 3
ENOUGH_FOR_CONTOUR = 5
# With fewer complete trials, importances say more of chance than of the parameters.
LEAST_TO_WEIGH = 20


def importances(facts: Facts) -> list[Plot]:
    """Return how much each parameter explains of each objective."""
    return [guarded(f"importances{index}", importance, facts, index) for index in range(len(facts.objectives))]


def importance(facts: Facts, index: int) -> Plot:
    """Draw how much each parameter explains of objective `index`."""
    quantity = facts.objectives[index]
    key, title = f"importances{index}", quantity.label if len(facts.objectives) > 1 else ""
    weights = importances_worth_showing(facts, index)
    if not weights:
        return Plot(key, title, "", why_not=too_few(facts, "say which parameters mattered", LEAST_TO_WEIGH))
    with _without_advice():
        figure = visualization.plot_param_importances(
            shown_study(facts, facts.trials), target=_lower_is_better(facts, index), target_name=quantity.label
        )
    figure.update_traces(
        marker_color=LOOKS["complete"].colour,
        texttemplate="%{x:.1%}",
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        cliponaxis=False,
    )
    style(figure, "importance", "")
    figure.update_layout(showlegend=False, margin={"l": 10, "r": 60, "t": 10, "b": 50})
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(title_text="", automargin=True)
    note = (
        "How much each parameter tells good trials from the rest (PED-ANOVA). A parameter that only a part of the "
        "space has counts there. A hint, no more: other trials would give other numbers."
    )
    return Plot(key, title, note, figure, height=110 + 34 * len(weights))


def importances_worth_showing(facts: Facts, index: int) -> dict[str, float]:
    """Return the importance of each parameter for objective `index`; nothing if there are too few trials."""
    complete = sum(trial.state == "complete" for trial in facts.trials)
    return importances_of(facts, index) if complete >= LEAST_TO_WEIGH else {}


def importances_of(facts: Facts, index: int, trials: Sequence[Trial] | None = None) -> dict[str, float]:
    """Return the importance of each parameter for objective `index`; nothing if that cannot be said."""
    chosen = [trial for trial in (facts.trials if trials is None else trials) if trial.state == "complete"]
    if len(chosen) < 4 or len({trial.values[index] for trial in chosen}) < 2:
        return {}
    study = shown_study(facts, chosen)
    try:
        with _without_advice():
            return optuna.importance.get_param_importances(study, target=_lower_is_better(facts, index))
    except (ValueError, RuntimeError):  # no parameter that all have, or that varies
        return {}


def _lower_is_better(facts: Facts, index: int) -> Callable[[FrozenTrial], float]:
    """Return objective `index` as PED-ANOVA wants it: it looks at what makes its target low."""
    sign = -1 if facts.maximize[index] else 1
    return lambda trial: sign * trial.values[index]


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep to itself that a target is taken to be better if it is lower: it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def settings_sections(facts: Facts) -> list[Section]:
    """Draw where good settings lie: of all trials by the parameters that all have, then branch by branch."""
    title, complete = "Where good settings lie", [trial for trial in facts.trials if trial.state == "complete"]
    found = branches(complete)
    if not varied(complete) and not any(branch.varied for branch in found):
        why = too_few(facts, "compare settings", 2) if len(complete) < 2 else "No parameter took more than one value."
        return [Section("settings", title, "", [Plot("settings", "", "", why_not=why)])]
    colours = (
        "Brighter is better." if len(facts.objectives) == 1 else f"Brighter is better {facts.objectives[0].label}."
    )
    note = f"Each line is a complete trial. {colours}"
    if len(found) == 1:
        return _of_branch(facts, found[0], "settings", title, note, folded=False)
    everything = Branch("", complete, varied(complete))
    note += f" The space has {len(found)} branches: first what all of them share, then each by itself."
    parts = _of_branch(facts, everything, "settings", title, note, folded=False)
    best = facts.best
    for number, branch in enumerate(found):
        name = f"{branch.name} ({len(branch.trials)} complete {'trial' if len(branch.trials) == 1 else 'trials'})"
        is_best = best is not None and any(trial.number == best.number for trial in branch.trials)
        name += f", that of the {facts.best_name}" if is_best else ""
        parts += _of_branch(facts, branch, f"branch{number}", f"Branch {name}", "", folded=True)
    return parts


def _of_branch(facts: Facts, branch: Branch, key: str, title: str, note: str, folded: bool) -> list[Section]:
    if len(branch.trials) < 2 or not branch.varied:
        why = _too_few_of(branch)
        return [Section(key, title, note, [Plot(key, "", "", why_not=why)], folded=folded)]
    weights = importances_of(facts, 0, branch.trials)
    ordered = sorted(branch.varied, key=lambda name: -weights.get(escape(name), 0.0))
    parallel = guarded(f"{key}-parallel", parallel_coordinates, facts, branch, ordered, f"{key}-parallel")
    later = f"One parameter at a time. A brighter point is a later trial. {left_out(MOST_POINTS, branch.trials)}"
    found = [
        Section(key, title, note, [parallel], folded=folded),
        Section(f"{key}-slices", "Parameter by parameter", later.strip(), _slices(facts, branch, ordered, key),
                small=True, folded=folded),
    ]  # fmt: skip
    if contours := _contours(facts, branch, ordered, key):
        about = (
            "The most important parameters, two at a time. Brighter is better; between the points it is a guess. "
            f"{left_out(MOST_IN_CONTOUR, branch.trials)}"
        ).strip()
        found.append(Section(f"{key}-contours", "Two parameters together", about, contours, small=True, folded=folded))
    return found


def _slices(facts: Facts, branch: Branch, names: Sequence[str], key: str) -> list[Plot]:
    study = shown_study(facts, best_of(facts, branch.trials, MOST_POINTS))
    places = {f"{key}-slice{number}": name for number, name in enumerate(names)}
    return [guarded(place, slice_of, facts, study, name, place) for place, name in places.items()]


def _contours(facts: Facts, branch: Branch, names: Sequence[str], key: str) -> list[Plot]:
    trials = best_of(facts, branch.trials, MOST_IN_CONTOUR)
    surfaces = [name for name in names if len({shown(trial.params[name]) for trial in trials}) > 2]
    pairs = list(combinations(surfaces[:MOST_IMPORTANT], 2))
    study = shown_study(facts, trials if pairs else [])
    places = {f"{key}-contour{number}": pair for number, pair in enumerate(pairs)}
    return [guarded(place, contour, facts, trials, study, pair, place) for place, pair in places.items()]


def parallel_coordinates(facts: Facts, branch: Branch, names: Sequence[str], key: str) -> Plot:
    """Draw each complete trial as a line through the values of its parameters."""
    quantity, maximize = facts.objectives[0], facts.maximize[0]
    figure = visualization.plot_parallel_coordinate(
        shown_study(facts, best_of(facts, branch.trials, MOST_LINES)),
        params=[escape(name) for name in names],
        target=lambda trial: trial.values[0],
        target_name=quantity.axis,
    )
    *lines, bar = figure.data
    for line in lines:
        # It lies between 0 and 1 on the axis of the objective.
        share = min(1.0, max(0.0, line.y[0] if maximize else 1 - line.y[0]))
        line.update(line={"color": sample_colorscale(SCALE, [share])[0], "width": 2}, opacity=0.8)
    bar.marker.update(colorscale=SCALE, reversescale=not maximize)
    bar.marker.colorbar.update(title={"text": quantity.unit or quantity.label}, thickness=12, outlinewidth=0)
    style(figure, "", "")
    labels = [label.replace(" ", "<br>", 1) for label in figure.layout.xaxis.ticktext]
    figure.update_xaxes(ticktext=labels, ticks="", showline=False, range=[-0.4, len(labels) - 0.8], automargin=False)
    figure.layout.annotations = _apart(figure.layout.annotations)
    figure.update_annotations(bgcolor="rgba(255,255,255,0.8)", font={"size": 11, "color": INK})
    figure.update_layout(margin={"l": 10, "r": 20, "t": 15, "b": 60})
    note = left_out(MOST_LINES, branch.trials).strip()
    return Plot(key, "", note, figure, height=430, least_width=150 * (len(names) + 1))


def _apart(annotations: Sequence[Any]) -> list[Any]:
    """Return the labels of axes that do not lie on another; the ends of an axis first."""
    kept: list[Any] = []
    for label in sorted(annotations, key=lambda label: -abs(label.y - 0.5)):
        if all(label.x != other.x or abs(label.y - other.y) > 0.045 for other in kept):
            kept.append(label)
    return kept


def slice_of(facts: Facts, study: Study, name: str, key: str) -> Plot:
    """Draw the objective over one parameter, of the trials of a shown study."""
    quantity = facts.objectives[0]
    figure = visualization.plot_slice(
        study, params=[escape(name)], target=lambda trial: trial.values[0], target_name=quantity.label
    )
    numbers = figure.data[0].marker.color
    figure.update_traces(
        marker={"colorscale": SCALE, "showscale": False, "size": 8, "line": {"width": 0.5, "color": "#555"}},
        hovertext=[hover(facts, facts.trials[number]) for number in numbers],
        hoverinfo="text",
    )
    _unquote(figure)
    style(figure, name, quantity.axis)
    figure.update_layout(margin={"l": 60, "r": 15, "t": 10, "b": 50})
    return Plot(key, "", "", figure, height=270)


def _unquote(figure: go.Figure) -> None:
    """Show choices as they are typed: Optuna puts them in quotes."""
    labels = figure.layout.xaxis.categoryarray
    if labels is None:
        return
    plain = {label: label[1:-1] for label in labels}
    figure.update_xaxes(categoryarray=list(plain.values()))
    for trace in figure.data:
        trace.x = [plain.get(label, label) for label in trace.x]


def contour(facts: Facts, trials: Sequence[Trial], study: Study, pair: tuple[str, str], key: str) -> Plot:
    """Draw the objective over two parameters, of `trials`; `study` shows them."""
    quantity = facts.objectives[0]
    points = {tuple(shown(trial.params[name]) for name in pair) for trial in trials}
    if len(points) < ENOUGH_FOR_CONTOUR:
        few = f"only {len(points)} points; a surface through so few would mislead."
        return Plot(key, "", "", why_not=f"{pair[0]} and {pair[1]}: {few}")
    figure = visualization.plot_contour(
        study,
        params=[escape(name) for name in pair],
        target=lambda trial: trial.values[0],
        target_name=quantity.axis,
    )
    for trace in figure.data:
        if trace.type == "contour":
            bar = {"title": {"text": quantity.unit or quantity.label}, "thickness": 12, "outlinewidth": 0}
            trace.update(colorscale=SCALE, reversescale=not facts.maximize[0], colorbar=bar, line={"width": 0.5})
        else:
            trace.update(marker={"color": "white", "size": 7, "line": {"color": "black", "width": 1.2}})
    style(figure, figure.layout.xaxis.title.text or "", figure.layout.yaxis.title.text or "", escaped=True)
    figure.update_layout(margin={"l": 60, "r": 10, "t": 10, "b": 50}, showlegend=False)
    return Plot(key, "", "", figure, height=320)


def _too_few_of(branch: Branch) -> str:
    if len(branch.trials) < 2:
        return "Only one trial of this branch is complete, too few to compare settings."
    return "No parameter that these trials share took more than one value."
