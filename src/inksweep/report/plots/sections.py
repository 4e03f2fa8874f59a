"""The plots of the page, in their order."""

from inksweep.report.facts.facts import Facts
from inksweep.report.plots.drawing import Section, guarded
from inksweep.report.plots.history import curves, histories, pareto
from inksweep.report.plots.settings import importances, settings_sections
from inksweep.report.plots.slots import slots


def sections(facts: Facts) -> list[Section]:
    """Draw everything; what cannot be drawn says why."""
    several = len(facts.objectives) > 1
    found = [Section("history", "How the search went", "", histories(facts))]
    if several:
        found.append(Section("pareto", "Pareto front", "", [guarded("pareto", pareto, facts)]))
    found.append(Section("curves", "Learning curves", "", [guarded("curves", curves, facts)]))
    found.append(Section("importances", "What mattered", "", importances(facts)))
    found += settings_sections(facts)
    found.append(Section("slots", "Slots over time", "", [guarded("slots", slots, facts)]))
    return found
