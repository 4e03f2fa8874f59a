"""The choice of a winner in words: how it was made, and what looking at the test split may cost."""

from collections.abc import Sequence
from typing import Any

from inksweep.digits.card import wording
from inksweep.runs.find import FINALS
from inksweep.runs.selection import SEEDS, Candidate, Difference, Selection, Trials

# With fewer trials, or looks at the test split, nothing was chosen, so that no luck is in the number.
LEAST_CHOICE = 2


def chosen(card: dict[str, Any], selection: Selection | None) -> str:
    """Return the section on how the model was chosen; `selection` is None if there was no selection.json."""
    title = "## How it was chosen"
    if selection is None:
        alone = "This is a single run: it was not chosen from others by a search."
        return f"{title}\n\n{alone if card['kind'] == 'run' else 'Not known: this winner has no selection.json.'}"
    name = selection.objective.name or "objective"
    best = "greatest" if selection.objective.direction == "maximize" else "least"
    lines = [f"The search *{selection.study}* ran {_trials(selection.trials)} and ranked them by the {best} {name}."]
    if not name.startswith("test/"):
        lines[0] += " The test split ranked nothing."
    if selection.rule == SEEDS and selection.candidates:
        lines.append(_seeds(selection))
    else:
        lines.append(f"Trial {selection.trial} was the best. Each configuration was trained once.")
        optimism = card["optimism"]["search"]
        if optimism and optimism["trials"] >= LEAST_CHOICE:
            lines.append(
                f"The best of {optimism['trials']} is partly luck: if all were equally good, its validation accuracy "
                f"would be too high by up to {wording.points(optimism['at_most'])} on average "
                f"({card['data']['val']:,} pictures)."
            )
    searched = ", ".join(f"`{name}={wording.setting(value)}`" for name, value in selection.searched.items())
    if searched:
        lines.append(f"What the search chose: {searched}.")
    if selection.interim:
        lines.append("**It is not final**: the best were to be trained again, which was not done when it was saved.")
    if selection.full_data:
        lines.append(_retrained(selection, card["data"]["train"]))
    if members := selection.members:
        # A number is a trial of the search.
        named = ", ".join(f"trial {path}" if path.isdecimal() else f"`{path}`" for path in members)
        lines.append(f"It is an ensemble of {len(members)}: {named}. Its probabilities are the mean of theirs.")
    return "\n\n".join([title, *lines])


def looks_at_test(card: dict[str, Any], selection: Selection | None) -> str:
    """Return the section on what the search saw of the test split; nothing for a single run."""
    if selection is None:
        return ""
    title = "## What the search saw of the test split, and what that costs"
    rule, optimism, test = selection.stop_rule, card["optimism"]["stop_rule"], card["accuracy"]["test"]
    if rule is None:
        return f"{title}\n\nNothing: there was no stop rule in any of its starts, and nothing else looked at it."
    reached = "It was reached." if rule.reached else "It was not reached."
    aim = f"The search was to stop when the best trial had more than {wording.metric(rule.metric, rule.value)}"
    asked = f"{aim} {rule.metric}. {reached}"
    if not rule.metric.startswith("test/"):
        return f"{title}\n\n{asked} Nothing in it looked at the test split."
    looks = rule.looks
    looked = f"For that it looked at the test split {wording.times(looks)}, always at the best trial by validation."
    if looks < LEAST_CHOICE:
        cost = "That chooses nothing: it does not flatter the test accuracy above."
    elif optimism is None:
        cost = "What it saw may be slightly flattered by that."
    else:
        at = " and ".join(
            f"{wording.points(cost)} at an accuracy of {wording.percent(float(level), 1)}"
            for level, cost in optimism["orientation"].items()
        )
        cost = (
            f"The best of {looks} measurements of equal models on the same {test['n']:,} pictures is too high by "
            f"at most {wording.points(optimism['at_most'])} on average, at this accuracy; so much may the test "
            f"accuracy above be flattered. For orientation: at most {at}."
        )
        if selection.model.path.startswith(f"{FINALS}/"):
            cost += " The rule never saw this model, which was trained after it: less of that is left."
    return f"{title}\n\n{asked} {looked} {cost}"


def _trials(trials: Trials) -> str:
    words = {"trained to the end": trials.complete, "given up early": trials.pruned, "failed": trials.failed}
    counts = [f"{count:,} {word}" for word, count in words.items() if count]
    return f"{wording.count(sum(words.values()), 'trial')} ({', '.join(counts)})"


def _seeds(selection: Selection) -> str:
    """Return what the final stage measured: the configurations that were trained again, and why one was chosen."""
    candidates, name = selection.candidates, selection.objective.name or "objective"
    seeds = max(len(candidate.runs) for candidate in candidates)
    if len(candidates) == 1:
        start = f"The best configuration was trained again on {wording.count(seeds, 'fresh seed')}."
    else:
        start = f"The best {len(candidates)} configurations were trained again on "
        start += f"{wording.count(seeds, 'fresh seed')} each, and ranked by the mean {name}."
    lines = [start, _seeds_table(selection, name, seeds), *_seeds_notes(candidates)]
    for candidate in candidates:
        if candidate.lost:
            diverged = f", since {candidate.diverged} diverged" if candidate.diverged else ""
            lost = wording.count(candidate.lost, "training")
            lines.append(f"Of trial {candidate.trial}, {lost} did not complete{diverged}.")
    best = next((candidate for candidate in candidates if candidate.trial == selection.trial), None)
    if best is not None:
        lines.append(_luck(name, best, maximize=selection.objective.direction == "maximize"))
    return "\n\n".join(lines)


def _seeds_table(selection: Selection, name: str, seeds: int) -> str:
    differ = any(candidate.difference is not None for candidate in selection.candidates)
    rows = [
        (
            f"trial {candidate.trial}" + (", **chosen**" if candidate.trial == selection.trial else ""),
            wording.metric(name, candidate.searched_objective),
            _mean(name, candidate),
            "-" if candidate.interval is None else " to ".join(wording.metric(name, end) for end in candidate.interval),
            *([_difference(candidate.difference)] if differ else []),
            "-" if candidate.p is None else f"{candidate.p:.2g}",
        )
        for candidate in selection.candidates
    ]
    heading = [
        "configuration",
        "in the search",
        f"mean of {wording.count(seeds, 'seed')}{' ± std' if seeds > 1 else ''}",
        "95% interval",
        *(["difference to the first"] if differ else []),
        "p",
    ]
    return wording.table(heading, rows, right=len(heading) - 1)


def _mean(name: str, candidate: Candidate) -> str:
    mean = wording.metric(name, candidate.mean)
    # One seed has no deviation.
    return mean if len(candidate.runs) < 2 else f"{mean} ± {wording.deviation(name, candidate.std)}"


def _seeds_notes(candidates: Sequence[Candidate]) -> list[str]:
    """Return what the columns of the table mean, of those that it has; as one paragraph, or none."""
    notes = []
    if any(candidate.interval is not None for candidate in candidates):
        notes.append("The interval is that of the mean, over other seeds and other pictures.")
    if any(candidate.difference is not None for candidate in candidates):
        notes.append(
            "The difference is that of the means, with its 95% interval: over other seeds and other pictures, the same "
            "for both. With 0 in it the order may well be chance."
        )
    if any(candidate.p is not None for candidate in candidates):
        notes.append(
            "p is that of McNemar's test against the first on the validation pictures, as the majority of the seeds "
            "answers them: it knows the chance in these pictures only, not that between seeds."
        )
    return [" ".join(notes)] if notes else []


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    low, high = difference.interval
    return f"{100 * difference.mean:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f})"


def _luck(name: str, best: Candidate, *, maximize: bool) -> str:
    luck = (best.searched_objective - best.mean) * (1 if maximize else -1)
    amount = wording.points(abs(luck)) if name.endswith("accuracy") else f"{abs(luck):.3g}"
    fresh = "seed is" if len(best.runs) == 1 else "seeds are on average"
    start = f"The luck: the search saw {wording.metric(name, best.searched_objective)}, the fresh {fresh} {amount}"
    return f"{start} worse: about that much was luck." if luck > 0 else f"{start} better: this one was not flattered."


def _retrained(selection: Selection, pictures: int) -> str:
    members, replaced = selection.members, selection.retrained_with
    how = f"on {len(members)} seeds, " if members else ""
    how += "with the same settings"
    if replaced:
        how += " but for " + ", ".join(f"`{name}={wording.setting(value)}`" for name, value in replaced.items())
    sentences = (
        f"Then it was trained again, {how}, on all {pictures:,} training pictures, those of the validation split "
        "among them."
    )
    if replaced:
        sentences += " What a training of that length is worth was not measured on the validation split."
    return sentences if members else f"{sentences} This is that model."
