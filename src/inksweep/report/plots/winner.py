"""The section on the winner: why it is the one, what it measured, and the final stage if there was one."""

from collections.abc import Callable, Iterator, Sequence

from inksweep.paths import SweepDir
from inksweep.report.facts.branches import shown
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import Quantity, quantity
from inksweep.report.facts.trials import Trial
from inksweep.report.facts.winner import Final, Winner
from inksweep.report.plots.drawing import guarded
from inksweep.report.plots.mistakes import confusion
from inksweep.report.plots.parts import (
    Cell,
    Columns,
    Command,
    Head,
    Headed,
    Link,
    Part,
    Plots,
    Row,
    Section,
    Table,
    Text,
    instead,
    listing,
    trial_cell,
)
from inksweep.runs.selection import Candidate, Interval

ACCURACY = "test/accuracy"
# Of those of a run, what is of interest here.
SECONDS = ("seconds/train", "seconds/total")
TEST_RANKED_NOTHING = (
    "Chosen by validation alone: the test split ranked nothing. A sweep with a target looks at the best trial's test "
    "metric to decide whether to stop, so that number is slightly optimistic."
)


def section(facts: Facts) -> Section:
    """Return the section on the winner."""
    winner = facts.winner
    if winner is None:
        return Section("winner", "Winner", [instead("No trial is complete, so there is no winner.")])
    final = winner.final
    settings = winner.trial.params if final is None else final.selection.searched
    about: list[Part] = [instead(winner.remark)] if winner.remark else []
    about += [
        Text([_of_search(facts, winner.trial) if final is None else _of_final(facts, final), *_where(facts, winner)]),
        Headed("Measured", [listing("what the winner measured", _measured(facts, winner), numbers=True)]),
        Headed(
            "Settings searched",
            [listing("settings of the winner", [(name, shown(value)) for name, value in settings.items()])],
        ),
    ]
    if winner.commands:
        commands = [Command(command, "the command that trains it again") for command in winner.commands]
        about.append(Headed("Train it again", commands))
    matrix = Headed("Confusion matrix of the winner", [Plots([guarded("confusion", confusion, facts)])])
    parts: list[Part] = [Columns([about, [matrix]])]
    if final is not None and final.selection.candidates:
        parts.append(_finals(facts, final))
    return Section("winner", "Winner", parts)


def _where(facts: Facts, winner: Winner) -> Iterator[str | Link]:
    """Yield where the winner's files lie."""
    saved = SweepDir(facts.folder).winner
    if winner.folder is not None:
        yield " Its folder: " if winner.final is None else " The winner's folder: "
        yield Link(winner.folder)
        yield "."
    if winner.final is None and saved.root.is_dir():
        yield " Saved for use: "
        yield Link(saved.root)
        yield "."
    if saved.card.is_file():
        yield " "
        yield Link(saved.card, "The model card")
        yield "."


def _measured(facts: Facts, winner: Winner) -> list[tuple[str, str]]:
    others: tuple[str, ...]
    if winner.final is None:
        values = zip(facts.objectives, winner.trial.values, strict=True)
        # As result.json names them; the study's own numbers come first.
        values_by_name = {q.name: value for q, value in values} | winner.trial.metrics
        others = ("parameters", *SECONDS)
    else:
        values_by_name, others = {}, tuple(n for n in winner.measured if not n.startswith("seconds/") or n in SECONDS)
    for name in others:
        if name in winner.measured:
            values_by_name.setdefault(name, winner.measured[name])
    objectives = {q.name: q for q in facts.objectives}
    listed = []
    for name, value in values_by_name.items():
        q = objectives.get(name) or quantity(name, [value])
        listed.append((q.label, q.text(value)))
        if name == ACCURACY and winner.final is not None:
            listed += _intervals(winner.final, q)
    if winner.final is not None and winner.final.temperature is not None:
        listed.append(("temperature", f"{winner.final.temperature:.3f}"))
    return listed


def _intervals(final: Final, accuracy: Quantity) -> list[tuple[str, str]]:
    """Return what stands only in the card: the interval of the test accuracy, and that on corrected labels."""
    listed = []
    if final.test_interval is not None:
        listed.append(("its 95 % interval", _range(accuracy.text, final.test_interval)))
    if final.corrected is not None:
        listed.append(("on corrected labels", accuracy.text(final.corrected)))
    return listed


def _of_search(facts: Facts, trial: Trial) -> str:
    """Return in words why this trial is the winner."""
    several = len(facts.objectives) > 1
    intro = (
        f"Trial {trial.number}, the best by {facts.objectives[0].label}{' (the first objective)' if several else ''}."
    )
    if trial.note:
        intro += f" It {trial.note}." if trial.note.startswith("repeats") else f" ({trial.note}.)"
    if any(name.startswith("test/") for name in trial.metrics):
        intro += f" {TEST_RANKED_NOTHING}"
    return intro


def _of_final(facts: Facts, final: Final) -> str:
    """Return in words how the winner came about."""
    selection, objective = final.selection, facts.objectives[0]
    candidates = selection.candidates
    sentences = []
    if candidates:
        many, seeds = len(candidates), max(len(candidate.runs) + candidate.lost for candidate in candidates)
        again = f"trained again on {seeds} new seed{'s' * (seeds > 1)}"
        if many > 1:
            again = f"the best of {many}, each {again}, by mean {objective.label}"
        sentences.append(f"The configuration of trial {selection.trial}, {again}.")
    elif selection.full_data:
        sentences.append(f"The configuration of trial {selection.trial}, the best of the search.")
    if selection.full_data:
        others = ", ".join(f"{name}={shown(value)}" for name, value in selection.retrained_with.items())
        data = "all of the train files" + (f" ({others})" if others else "")
        sentences.append(
            f"The model was then trained on {data}, the validation pictures too: on those it measures nothing, so no "
            "number of theirs stands here."
        )
    if selection.members:
        sentences.append(f"It is an ensemble of {len(selection.members)} models: {', '.join(selection.members)}.")
    elif selection.model.seed is not None:
        why = "" if selection.full_data or len(candidates) == 0 else ", the best of its seeds by the objective"
        sentences.append(f"The weights are those of seed {selection.model.seed}{why}.")
    if not final.is_measured:
        sentences.append("Its card is not written yet: these numbers and answers are those of the first of its models.")
    sentences.append("The test split ranked nothing.")
    if facts.best is not None:
        value = objective.text(facts.best.values[0])
        sentences.append(
            f"The best trial of the search, ★ in the plots below, is trial {facts.best.number} with {value}."
        )
    return " ".join(sentences)


def _finals(facts: Facts, final: Final) -> Headed:
    """Return the final stage: its candidates, the best first."""
    objective, stage = facts.objectives[0], SweepDir(facts.folder).finals.root
    name = objective.label[:1].upper() + objective.label[1:]
    note = (
        f"{name} of the new seeds: mean and standard deviation. What the search measured is the largest of many, and "
        "so too large."
    )
    if any(candidate.p is not None for candidate in final.selection.candidates):
        note += " p: McNemar's test against the first, each picture answered by the majority of the seeds."
    where: list[str | Link] = [" All of it: ", Link(stage), "."] if stage.is_dir() else []
    return Headed("The final stage", [Text([note, *where]), _ranking(facts, final.selection.candidates)])


def _ranking(facts: Facts, candidates: Sequence[Candidate]) -> Table:
    """Return the candidates as a table, without the columns that say nothing of any."""
    text, trials = facts.objectives[0].text, {trial.number: trial for trial in facts.trials}

    def spread(candidate: Candidate) -> str:
        if not candidate.runs:
            return "-"
        return text(candidate.mean) + (f" ± {text(candidate.std)}" if len(candidate.runs) > 1 else "")

    columns = {
        "trial": [trial_cell(trials[candidate.trial]) for candidate in candidates],
        "in the search": [Cell(text(candidate.searched_objective)) for candidate in candidates],
        "mean ± deviation": [Cell(spread(candidate)) for candidate in candidates],
        "95 % interval": [
            Cell("-" if candidate.interval is None else _range(text, candidate.interval)) for candidate in candidates
        ],
        "to the first": [Cell(_difference(facts.objectives[0], candidate)) for candidate in candidates],
        "p": [Cell("-" if candidate.p is None else f"{candidate.p:.2g}") for candidate in candidates],
        "seeds": [
            Cell(f"{len(candidate.runs)}{f' ({candidate.lost} not complete)' if candidate.lost else ''}")
            for candidate in candidates
        ],
    }
    columns = {name: cells for name, cells in columns.items() if any(cell.text != "-" for cell in cells)}
    rows = [
        Row(list(cells), "" if number else "best") for number, cells in enumerate(zip(*columns.values(), strict=True))
    ]
    return Table("configurations trained again, the best first", [Head(name, "number") for name in columns], rows)


def _range(text: Callable[[float], str], ends: Interval) -> str:
    low, high = map(text, ends)
    return f"{low} to {high}"


def _difference(objective: Quantity, candidate: Candidate) -> str:
    """Return by how much a candidate's mean is greater than that of the first."""
    if candidate.difference is None:
        return "-"
    by, ends = candidate.difference.mean, candidate.difference.interval
    # Of shares in points: 1 % of 90 % would be something else.
    points = objective.unit == "%"
    mean, low, high = (f"{objective.scale * value:{'+.2f' if points else '+.4g'}}" for value in (by, *ends))
    unit = "points" if points else objective.unit
    return f"{mean} {unit}".strip() + f" ({low} to {high})"
