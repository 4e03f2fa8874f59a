"""The `README.md` of any app's winner."""

import json
from collections.abc import Iterator, Sequence

from inksweep.command import typed_in
from inksweep.paths import RunDir, SweepDir, home, shown
from inksweep.runs.selection import Candidate, Selection
from inksweep.sweep.winner.choice import Choice
from inksweep.sweep.winner.full_data import HOW_TO_LOAD, is_ours

TEST_SPLIT = (
    "The test split ranked nothing; a sweep with a target looks at the best trial's test metric to decide",
    "whether to stop, so that number is slightly optimistic.",
)
INTERIM = ("**It is not final**: the best were to be trained again, which was not done when it was saved.",)


def card(sweep: SweepDir, choice: Choice, selection: Selection) -> str:
    """Return the plain model card, in Markdown: what is known without a look into the model."""
    run, model = RunDir(sweep.root / choice.model.path), choice.model
    objectives = {"objective": model.values[0]} if len(model.values) == 1 else dict(_numbered(model.values))
    known = {**objectives, **model.metrics}
    lines = [
        f"# Winner of {selection.study}",
        "",
        *_why(choice),
        *(INTERIM if selection.interim else ()),
        *(TEST_SPLIT if any(name.startswith("test/") for name in known) else ()),
        "",
        *_ranking(selection.candidates),
        "| measured | value |",
        "|---|---|",
        *(f"| {name} | {value:.6g} |" for name, value in known.items()),
        "",
        "| searched | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in choice.trial.params.items()),
        "",
        f"All that it left: {shown(run.root)}",
        "",
        "Run it again:",
        "",
        "```",
        *(typed_in(home(), command) for command in selection.commands),
        "```",
        "",
    ]
    if is_ours(run.model, run.result):
        lines += ["Use it:", "", HOW_TO_LOAD.format(model=json.dumps(shown(sweep.winner.root), ensure_ascii=False))]
    return "\n".join(lines)


def _why(choice: Choice) -> Iterator[str]:
    number = choice.trial.number
    if choice.candidates:
        seeds = len(choice.candidates[0].runs)
        yield (
            f"The configuration of trial {number} of the study. The best trials were trained again on {seeds} new "
            "seeds each, and its mean objective is the best."
        )
    else:
        yield f"Trial {number} of the study. Chosen because its objective is the best of all trials."
    if choice.full_data:
        yield (
            "The model was then trained on all of the train files, the validation pictures too: what it measures on "
            "validation is no measure of it."
        )
    elif choice.candidates:
        yield f"The weights are those of its seed {choice.model.seed}, the best of them by the objective."
    if choice.members:
        yield f"It is to be an ensemble of {len(choice.members)} models; model.pt is the first of them."


def _ranking(candidates: Sequence[Candidate]) -> Iterator[str]:
    if not candidates:
        return
    yield "| trial | in the search | mean of its seeds | deviation | 95 % interval | p against the first |"
    yield "|---|---|---|---|---|---|"
    for candidate in candidates:
        interval = "" if candidate.interval is None else "{:.4f} to {:.4f}".format(*candidate.interval)
        p = "" if candidate.p is None else f"{candidate.p:.3g}"
        measured = (candidate.searched_objective, candidate.mean, candidate.std)
        numbers = " | ".join(f"{value:.6g}" for value in measured)
        yield f"| {candidate.trial} | {numbers} | {interval} | {p} |"
    yield ""


def _numbered(values: Sequence[float]) -> Iterator[tuple[str, float]]:
    return ((f"objective {index}", value) for index, value in enumerate(values, start=1))
