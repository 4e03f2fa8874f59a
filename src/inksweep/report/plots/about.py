"""With which settings, versions and machines a sweep ran."""

import yaml

from inksweep.report.facts.facts import Facts
from inksweep.report.plots.parts import Folded, Section, Source, Table, listing


def section(facts: Facts) -> Section:
    """Return the section about the sweep."""
    settings = yaml.safe_dump(facts.settings, sort_keys=False, allow_unicode=True, width=100)
    parts = [
        Folded("Settings (sweep.yaml)", [Source(settings)], is_printed=False),
        Folded("Versions and machine", [_versions(facts)], is_printed=False),
    ]
    return Section("about", "About this sweep", parts, listed_as=None)


def _versions(facts: Facts) -> Table:
    result = facts.winner.facts if facts.winner is not None else {}
    pairs = [("folder", str(facts.folder)), ("sampler", facts.sampler), ("pruner", facts.pruner)]
    pairs += [(str(name), str(number)) for name, number in (result.get("versions") or {}).items()]
    named = {name: result.get(name) for name in ("device", "threads", "seed", "git")}
    pairs += [(name, str(value)) for name, value in named.items() if value is not None]
    hosts = sorted({trial.host for trial in facts.trials if trial.host})
    return listing("versions and machine", [*pairs, ("machines", ", ".join(hosts) or "not recorded")])
