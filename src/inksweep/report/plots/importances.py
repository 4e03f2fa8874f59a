"""How much each parameter explains of each objective."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna import visualization
from optuna.trial import FrozenTrial

from inksweep.report.facts.facts import Facts
from inksweep.report.facts.trials import Trial
from inksweep.report.plots.drawing import guarded, shown_study, style, too_few
from inksweep.report.plots.looks import LOOKS
from inksweep.report.plots.parts import Plot, Plots, Section

# With fewer complete trials, importances are mostly chance.
LEAST_TO_WEIGH = 20


def section(facts: Facts) -> Section:
    """Return the section with the importances for each objective."""
    plots = [guarded(f"importances{index}", importance, facts, index) for index in range(len(facts.objectives))]
    return Section("importances", "What mattered", [Plots(plots)])


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
        text=[f"{weight:.1%}" for weight in figure.data[0].x],
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
    """Return the importance of each parameter for objective `index`; nothing if the trials do not allow it."""
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
    """Silence the warning that PED-ANOVA takes a lower target to be better: `_lower_is_better` sees to that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
