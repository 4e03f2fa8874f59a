"""Where good settings lie: parameters all at once, one by one and two by two; of a space with branches, of each."""

from collections.abc import Sequence
from itertools import combinations

from inksweep.report.facts.branches import Branch, branches, shown, varied
from inksweep.report.facts.facts import Facts
from inksweep.report.plots.contours import contour
from inksweep.report.plots.drawing import (
    MOST_IN_CONTOUR,
    MOST_POINTS,
    best_of,
    escape,
    guarded,
    left_out,
    shown_study,
    too_few,
)
from inksweep.report.plots.importances import importances_of
from inksweep.report.plots.parallel import parallel_coordinates
from inksweep.report.plots.parts import Folded, Headed, Part, Plot, Plots, Section, Text
from inksweep.report.plots.slices import slice_of

KEY, TITLE = "settings", "Where good settings lie"
# Of these parameters, every two are drawn against each other.
MOST_IMPORTANT = 3


def section(facts: Facts) -> Section:
    """Return the section: all trials by the parameters that all have, then branch by branch."""
    complete = [trial for trial in facts.trials if trial.state == "complete"]
    every = branches(complete)
    if not varied(complete) and not any(branch.varied for branch in every):
        why = too_few(facts, "compare settings", 2) if len(complete) < 2 else "No parameter took more than one value."
        return Section(KEY, TITLE, [Plots([Plot(KEY, "", "", why_not=why)])])
    objective = "" if len(facts.objectives) == 1 else f" {facts.objectives[0].label}"
    note = f"Each line is a complete trial. Brighter is better{objective}."
    if len(every) == 1:
        return Section(KEY, TITLE, [Text([note]), *_of_branch(facts, every[0], KEY)])
    note += f" The space has {len(every)} branches: first what all of them share, then each by itself."
    everything = Branch("", complete, varied(complete))
    parts: list[Part] = [Text([note]), *_of_branch(facts, everything, KEY)]
    for number, branch in enumerate(every):
        parts.append(Folded(_title(facts, branch), _of_branch(facts, branch, f"branch{number}")))
    return Section(KEY, TITLE, parts)


def parallel_of_all(facts: Facts) -> Plot | None:
    """Draw all complete trials through the parameters that all have; None if there is nothing to compare."""
    complete = [trial for trial in facts.trials if trial.state == "complete"]
    everything = Branch("", complete, varied(complete))
    if len(complete) < 2 or not everything.varied:
        return None
    return parallel_coordinates(facts, everything, _ordered(facts, everything), f"{KEY}-parallel")


def _ordered(facts: Facts, branch: Branch) -> list[str]:
    """Return the parameters of a branch that vary, the most important ones first."""
    weights = importances_of(facts, 0, branch.trials)
    return sorted(branch.varied, key=lambda name: -weights.get(escape(name), 0.0))


def _title(facts: Facts, branch: Branch) -> str:
    count, best = len(branch.trials), facts.best
    title = f"Branch {branch.name} ({count} complete {'trial' if count == 1 else 'trials'})"
    is_best = best is not None and any(trial.number == best.number for trial in branch.trials)
    return f"{title}, that of the {facts.best_name}" if is_best else title


def _of_branch(facts: Facts, branch: Branch, key: str) -> list[Part]:
    """Return what is drawn of the trials of a branch; `key` begins the keys of its plots."""
    if len(branch.trials) < 2 or not branch.varied:
        return [Plots([Plot(key, "", "", why_not=_too_few_of(branch))])]
    ordered = _ordered(facts, branch)
    parallel = guarded(f"{key}-parallel", parallel_coordinates, facts, branch, ordered, f"{key}-parallel")
    later = f"One parameter at a time. A brighter point is a later trial. {left_out(MOST_POINTS, branch.trials)}"
    slices = Plots(_slices(facts, branch, ordered, key), small=True)
    parts: list[Part] = [Plots([parallel]), Headed("Parameter by parameter", [Text([later.strip()]), slices])]
    if contours := _contours(facts, branch, ordered, key):
        about = (
            "The most important parameters, two at a time. Brighter is better; between the points it is a guess. "
            f"{left_out(MOST_IN_CONTOUR, branch.trials)}"
        ).strip()
        parts.append(Headed("Two parameters together", [Text([about]), Plots(contours, small=True)]))
    return parts


def _slices(facts: Facts, branch: Branch, names: Sequence[str], key: str) -> list[Plot]:
    study = shown_study(facts, best_of(facts, branch.trials, MOST_POINTS))
    keys = {f"{key}-slice{number}": name for number, name in enumerate(names)}
    return [guarded(own, slice_of, facts, study, name, own) for own, name in keys.items()]


def _contours(facts: Facts, branch: Branch, names: Sequence[str], key: str) -> list[Plot]:
    trials = best_of(facts, branch.trials, MOST_IN_CONTOUR)
    surfaces = [name for name in names if len({shown(trial.params[name]) for trial in trials}) > 2]
    pairs = list(combinations(surfaces[:MOST_IMPORTANT], 2))
    study = shown_study(facts, trials if pairs else [])
    keys = {f"{key}-contour{number}": pair for number, pair in enumerate(pairs)}
    return [guarded(own, contour, facts, trials, study, pair, own) for own, pair in keys.items()]


def _too_few_of(branch: Branch) -> str:
    if len(branch.trials) < 2:
        return "Only one trial of this branch is complete, too few to compare settings."
    return "No parameter that these trials share took more than one value."
