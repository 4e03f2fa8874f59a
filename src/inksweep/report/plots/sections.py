"""The sections of the page, in their order. A new one is a file beside this one and a line in this list."""

from collections.abc import Callable

from inksweep.report.facts.facts import Facts
from inksweep.report.plots import (
    about,
    curves,
    failures,
    history,
    importances,
    pareto,
    settings,
    slots,
    trials,
    winner,
)
from inksweep.report.plots.parts import Section

# Each returns its section; None: it has none for such a sweep.
SECTIONS: tuple[Callable[[Facts], Section | None], ...] = (
    winner.section,
    history.section,
    pareto.section,
    curves.section,
    importances.section,
    settings.section,
    slots.section,
    failures.section,
    trials.section,
    about.section,
)


def sections(facts: Facts) -> list[Section]:
    """Return the sections of a sweep; a plot that cannot be drawn says why."""
    return [section for make in SECTIONS if (section := make(facts)) is not None]
