"""A card in words: the facts as Markdown. It knows neither torch nor files."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from inksweep.runs import selection as selections
from inksweep.runs.selection import SEEDS, Candidate, Difference, Selection, Trials

# What the data sets are called outside of configs.
TITLES = {
    "mnist": "MNIST",
    "qmnist": "QMNIST",
    "kmnist": "KMNIST",
    "fashion_mnist": "Fashion-MNIST",
    "emnist_digits": "EMNIST Digits",
    "usps": "USPS",
}
# Those whose classes are digits written by hand, and what they look like.
DIGITS = {
    "mnist": "28 x 28 pixels, white on black, scaled into 20 x 20 and placed by their centre of mass; written around "
    "1990 by employees of the US Census Bureau and by US high-school students",
    "qmnist": "28 x 28 pixels, white on black, scaled into 20 x 20 and placed by their centre of mass; by US writers",
    "emnist_digits": "28 x 28 pixels, white on black, centred; by US writers",
    "usps": "from postcodes on US letters, white on black, filling their square",
}
# One trial, or one look, chooses nothing.
LEAST_CHOICE = 2


def write(card: dict[str, Any]) -> str:
    """Return the card, with its pictures by their names beside it."""
    parts = [
        _head(card),
        _chosen(card),
        _accuracy(card),
        _looks(card),
        _classes(card),
        _mistakes(card),
        _calibration(card),
        _size(card),
        _load(card),
        _train(card),
        _provenance(card),
        _limits(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(card: dict[str, Any]) -> str:
    model, data, test, training = card["model"], card["data"], card["accuracy"]["test"], card["training"]
    members = model["members"]
    title = f"The winner of {card['name']}" if card["kind"] == "winner" else f"The run {card['name']}"
    parameters = f"with {model['parameters']:,} parameters"
    if members:
        noun = f"{model['class']}s" if model["class"] else "models"
        who, verb = f"{len(members)} {noun} {parameters} in all that together", ""
    else:
        who, verb = f"{_article(model['class'])} {parameters} that", "s"
    digits = data["name"] in DIGITS
    what = f"read{verb} a handwritten digit" if digits else f"tell{verb} {len(data['classes'])} classes apart"
    sentence = (
        f"{who} {what}: right on **{_percent(test['accuracy'])}** of the {test['n']:,} test pictures of {_title(data)} "
        f"(95% interval {_interval(test['interval'])})."
    )
    calibration = card["calibration"]
    ece = f"{_percent(calibration['test']['after']['ece_equal_mass'])} on average (ECE, bins of equal counts)"
    rows = [
        ("takes", f"a picture of {data['size']} x {data['size']} pixels, 0 to 255, background 0"),
        ("gives", f"a probability for each of: {', '.join(data['classes'])}"),
        ("wrong on the test split", f"{test['errors']:,} of {test['n']:,}"),
        ("how far its confidence is off", f"{ece}, at a temperature of {calibration['temperature']:.3f}"),
        ("time for one picture", f"{card['latency']['torch']:.2f} ms on one thread"),
        ("file", f"model.pt, {_bytes(card['bytes'])}"),
    ]
    if training["seconds"] is not None:
        rows.append(("trained in", f"{_minutes(training['seconds'])}{' in all' if members else ''}"))
    return "\n\n".join([f"# {title}", sentence, _table(("", ""), rows)])


def _chosen(card: dict[str, Any]) -> str:
    title, selection = "## How it was chosen", _selection(card)
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
                f"would be too high by up to {_points(optimism['at_most'])} on average "
                f"({card['data']['val']:,} pictures)."
            )
    searched = ", ".join(f"`{name}={_value(value)}`" for name, value in selection.searched.items())
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


def _selection(card: dict[str, Any]) -> Selection | None:
    return None if card["selection"] is None else selections.parse(card["selection"], "card.json")


def _retrained(selection: Selection, pictures: int) -> str:
    members, replaced = selection.members, selection.retrained_with
    how = f"on {len(members)} seeds, " if members else ""
    how += "with the same settings"
    if replaced:
        how += " but for " + ", ".join(f"`{name}={_value(value)}`" for name, value in replaced.items())
    said = f"Then it was trained again, {how}, on all {pictures:,} training pictures, those of the validation split "
    said += "among them."
    if replaced:
        said += " What a training of that length is worth was not measured on the validation split."
    return said if members else f"{said} This is that model."


def _trials(trials: Trials) -> str:
    words = {"trained to the end": trials.complete, "given up early": trials.pruned, "failed": trials.failed}
    counts = [f"{count:,} {word}" for word, count in words.items() if count]
    return f"{_count(sum(words.values()), 'trial')} ({', '.join(counts)})"


def _seeds(selection: Selection) -> str:
    """Return what the final stage measured: the configurations that were trained again, and why one was chosen."""
    candidates, name = selection.candidates, selection.objective.name or "objective"
    seeds = max(len(candidate.runs) for candidate in candidates)
    if len(candidates) == 1:
        start = f"The best configuration was trained again on {_count(seeds, 'fresh seed')}."
    else:
        start = f"The best {len(candidates)} configurations were trained again on {_count(seeds, 'fresh seed')} each, "
        start += f"and ranked by the mean {name}."
    lines = [start, _seeds_table(selection, name, seeds), *_seeds_notes(candidates)]
    for candidate in candidates:
        if candidate.lost:
            diverged = f", since {candidate.diverged} diverged" if candidate.diverged else ""
            lost = _count(candidate.lost, "training")
            lines.append(f"Of trial {candidate.trial}, {lost} did not complete{diverged}.")
    chosen = next((candidate for candidate in candidates if candidate.trial == selection.trial), None)
    if chosen is not None:
        lines.append(_luck(name, chosen, maximize=selection.objective.direction == "maximize"))
    return "\n\n".join(lines)


def _seeds_table(selection: Selection, name: str, seeds: int) -> str:
    differ = any(candidate.difference is not None for candidate in selection.candidates)
    rows = [
        (
            f"trial {candidate.trial}" + (", **chosen**" if candidate.trial == selection.trial else ""),
            _metric(name, candidate.searched_objective),
            f"{_metric(name, candidate.mean)} ± {_spread(name, candidate.std)}",
            "-" if candidate.interval is None else " to ".join(_metric(name, end) for end in candidate.interval),
            *([_difference(candidate.difference)] if differ else []),
            "-" if candidate.p is None else f"{candidate.p:.2g}",
        )
        for candidate in selection.candidates
    ]
    heading = [
        "configuration",
        "in the search",
        f"mean of {_count(seeds, 'seed')} ± std",
        "95% interval",
        *(["difference to the first"] if differ else []),
        "p",
    ]
    return _table(heading, rows, right=len(heading) - 1)


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


def _luck(name: str, chosen: Candidate, *, maximize: bool) -> str:
    luck = (chosen.searched_objective - chosen.mean) * (1 if maximize else -1)
    said = _points(abs(luck)) if name.endswith("accuracy") else f"{abs(luck):.3g}"
    fresh = "seed is" if len(chosen.runs) == 1 else "seeds are on average"
    start = f"The luck: the search saw {_metric(name, chosen.searched_objective)}, the fresh {fresh} {said}"
    return f"{start} worse: about that much was luck." if luck > 0 else f"{start} better: this one was not flattered."


def _accuracy(card: dict[str, Any]) -> str:
    accuracy = card["accuracy"]
    names = {
        "val": "validation",
        "test": "test, labels as given" if accuracy["test_corrected"] else "test",
        "test_corrected": "test, corrected labels",
    }
    rows = [
        (
            name,
            f"**{_percent(part['accuracy'])}**",
            _interval(part["interval"]),
            f"{part['errors']:,}",
            f"{part['n']:,}",
        )
        for key, name in names.items()
        if (part := accuracy[key]) is not None
    ]
    lines = [_table(("split", "accuracy", "95% interval", "wrong", "pictures"), rows, right=4)]
    if accuracy["val"] is None:
        lines.append("There is no validation row: this model was trained on those pictures.")
    lines.append("The intervals are Wilson's: what other pictures of the same kind would do to the number.")
    if accuracy["test_corrected"]:
        lines.append(_corrected(card))
    return "## Accuracy\n\n" + "\n\n".join(lines)


def _corrected(card: dict[str, Any]) -> str:
    known = card["label_errors"]
    with_majority = [one for one in known if one["corrected"] is not None]
    found = sum(one["answer"] == one["corrected"] for one in with_majority)
    n = card["accuracy"]["test_corrected"]["n"]
    rows = [
        (
            f"{one['row']}",
            one["given"],
            one["corrected"] or "no majority",
            one["answer"],
            _percent(one["confidence"], 1),
            "" if one["corrected"] is None else ("yes" if one["answer"] == one["corrected"] else "no"),
        )
        for one in known
    ]
    return "\n\n".join(
        [
            f"{len(known)} labels of MNIST's test split are known to be wrong or in doubt "
            "([Northcutt et al. 2021](https://arxiv.org/abs/2103.14749); five people looked at each picture). In the "
            f"corrected row the {len(with_majority)} on which a majority agreed have that label, and the other "
            f"{len(known) - len(with_majority)} are left out: n = {n:,}. Of those {len(with_majority)}, this model "
            f"answers {found} as the majority did.",
            "<details><summary>The known label errors, and what it answers</summary>",
            _table(("picture", "given", "majority", "answer", "confidence", "as the majority"), rows),
            "</details>",
        ]
    )


def _looks(card: dict[str, Any]) -> str:
    selection = _selection(card)
    if selection is None:
        return ""
    title = "## What the search saw of the test split, and what that costs"
    rule, optimism, test = selection.stop_rule, card["optimism"]["stop_rule"], card["accuracy"]["test"]
    if rule is None:
        return f"{title}\n\nNothing: there was no stop rule in any of its starts, and nothing else looked at it."
    reached = "It was reached." if rule.reached else "It was not reached."
    aim = f"The search was to stop when the best trial had more than {_metric(rule.metric, rule.value)}"
    asked = f"{aim} {rule.metric}. {reached}"
    if not rule.metric.startswith("test/"):
        return f"{title}\n\n{asked} Nothing in it looked at the test split."
    looks = rule.looks
    looked = f"For that it looked at the test split {_times(looks)}, always at the best trial by validation."
    if looks < LEAST_CHOICE:
        cost = "That chooses nothing: it does not flatter the test accuracy above."
    elif optimism is None:
        cost = "What it saw may be slightly flattered by that."
    else:
        at = " and ".join(
            f"{_points(cost)} at an accuracy of {_percent(float(level), 1)}"
            for level, cost in optimism["orientation"].items()
        )
        cost = (
            f"The best of {looks} measurements of equal models on the same {test['n']:,} pictures is too high by "
            f"at most {_points(optimism['at_most'])} on average, at this accuracy; so much may the test accuracy above "
            f"be flattered. For orientation: at most {at}."
        )
        if selection.model.path != str(selection.trial):
            cost += " The rule never saw this model, which was trained after it: less of that is left."
    return f"{title}\n\n{asked} {looked} {cost}"


def _classes(card: dict[str, Any]) -> str:
    rows = [
        (
            one["name"],
            *("-" if one[key] is None else _percent(one[key]) for key in ("precision", "recall", "f1")),
            f"{one['n']:,}",
            "never another"
            if one["taken_for"] is None
            else f"{one['taken_for']['name']} ({one['taken_for']['count']})",
        )
        for one in card["classes"]
    ]
    heading = ("class", "precision", "recall", "F1", "pictures", "most often taken for")
    return "\n\n".join(
        [
            "## Class by class",
            "On the test split, labels as given.",
            _table(heading, rows, right=4),
            "![Confusion matrix of the test split](confusion.png)",
        ]
    )


def _mistakes(card: dict[str, Any]) -> str:
    mistakes, errors = card["mistakes"], card["accuracy"]["test"]["errors"]
    if not mistakes:
        return "## Its mistakes\n\nIt makes none on the test split."
    lines = ["## Its most confident mistakes"]
    doubtful = sum(mistake["label_error"] for mistake in mistakes)
    if len(mistakes) < errors:
        start = f"The {len(mistakes)} of {errors:,} wrong answers on the test split that it is surest of."
    else:
        start = f"{'The one' if errors == 1 else f'All {errors}'} wrong on the test split, the surest first."
    if doubtful:
        start += (
            f" {doubtful} of them {'is' if doubtful == 1 else 'are'} among the known label errors: *label in doubt*."
        )
    return "\n\n".join([*lines, start, "![The most confident mistakes on the test split](mistakes.png)"])


def _calibration(card: dict[str, Any]) -> str:
    calibration = card["calibration"]
    others, temperature, kept = calibration["fitted_on"], calibration["temperature"], calibration["kept"]
    if calibration["val"] is None and not kept:
        said = "No temperature was fitted: there are no pictures left to fit it on that the model was not trained on."
    elif not calibration["fitted"]:
        said = "All validation answers are right: there is nothing to fit a temperature on, it stays 1."
    else:
        said = (
            f"The logits are divided by a temperature of **{temperature:.3f}**, fitted on the validation split for the "
            "least cross-entropy ([Guo et al. 2017](https://arxiv.org/abs/1706.04599)). That makes the model "
            f"{'less' if temperature > 1 else 'more'} sure, and changes no answer."
        )
    if others:
        who, whose = ("a run", "its") if len(others) == 1 else (f"{len(others)} runs", "theirs")
        said += (
            f" This model was trained on the validation pictures, so it was fitted on the answers of {who} of the same "
            f"configuration that had not seen them ({', '.join(f'`{path}`' for path in others)})"
        )
        said += f"; the validation rows are {whose}." if calibration["val"] is not None else "."
        if kept:
            has_rows = calibration["val"] is not None
            what = "temperature and validation rows are those" if has_rows else "the temperature is that"
            said += f" Not all of that is there any more: {what} of the card before."
    rows = [
        (
            # Without a temperature there is no before and after.
            f"{name}, {word}" if calibration["fitted"] else name,
            f"{values['nll']:.4f}",
            _percent(values["ece"]),
            _percent(values["ece_equal_mass"]),
        )
        for split, name in (("val", "validation"), ("test", "test"))
        if calibration[split] is not None
        for word, values in calibration[split].items()
        if word == "after" or calibration["fitted"]
    ]
    return "\n\n".join(
        [
            "## Is it as often right as it says?",
            said,
            _table(("", "cross-entropy", "ECE, equal widths", "ECE, equal counts"), rows, right=3),
            "ECE is how far confidence and accuracy are apart, on average over 15 bins. Where nearly all answers are "
            "sure, bins with equally many answers tell more than bins of equal width.",
            "![How sure it is, and how often it is right](reliability.png)",
        ]
    )


def _size(card: dict[str, Any]) -> str:
    latency = card["latency"]
    rows = [
        ("model.pt", f"{_bytes(card['bytes'])}, {card['model']['parameters']:,} parameters"),
        ("one picture, torch", f"{latency['torch']:.3f} ms"),
    ]
    for name, found in card["exports"].items():
        rows += [(name, f"not exported: {found['failed']}")] if "failed" in found else _export(found)
    how = f"Median of {latency['repetitions']} repetitions on one thread of: {card['processor']}. "
    return "\n\n".join(["## Size and speed", _table(("", ""), rows), f"{how}Preprocessing is included."])


def _export(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of an exported file: its size and check, and how long a picture takes."""
    checked, timed = found["checked"], found["latency_ms"]["batch_1"]
    agrees = f"the same answer on {checked['same_class']:,} of {checked['pictures']:,} test pictures, probabilities"
    rows = [(found["file"], f"{_bytes(found['bytes'])}; {agrees} within {checked['largest_difference']:.1g}")]
    engines = [name for name in timed if name not in ("torch", "threads", "repetitions")]
    beside = f"where torch took {timed['torch']:.3f} ms (timed in turns)"
    return rows + [(f"one picture, {name}", f"{timed[name]:.3f} ms, {beside}") for name in engines]


def _load(card: dict[str, Any]) -> str:
    size = card["data"]["size"]
    ink = f"torch.zeros(1, {size}, {size}).index_fill(2, torch.tensor([{size // 2}]), 255)"
    code = "\n".join(
        [
            "import torch",
            "import inksweep",
            f"model = inksweep.load({json.dumps(card['folder'], ensure_ascii=False)})",
            f"pixels = {ink}  # (n, {size}, {size}), 0 to 255: a stroke",
            "print(dict(zip(model.classes, model(pixels)[0].tolist())))",
        ]
    )
    return f"## Load it\n\nFrom the folder where the training was started:\n\n```python\n{code}\n```"


def _train(card: dict[str, Any]) -> str:
    commands = card["training"]["commands"]
    if not commands:
        return ""
    these = "This command gives" if len(commands) == 1 else "These commands give"
    text = "\n".join(commands)
    same = f"{these} the same weights again, on the same machine with the same number of threads."
    return f"## Train it again\n\n{same}\n\n```\n{text}\n```"


def _provenance(card: dict[str, Any]) -> str:
    data, training = card["data"], card["training"]
    git, versions = training["git"], training["versions"] or {}
    parts = f"{data['train']:,} trained on, {data['val']:,} for validation, {data['test']:,} for the test"
    if card["accuracy"]["val"] is None:
        parts += "; the validation pictures are among those trained on"
    selection = _selection(card)
    members = selection.members if selection else []
    rows = [
        ("data", f"{_title(data)} ({data['source']})" if data["source"] else _title(data)),
        ("pictures", f"{parts}; split by seed {data['split_seed']}"),
        *((f"md5 of {name}", f"`{md5}`") for name, md5 in data["checksums"].items()),
        ("git", "not a repository" if not git else f"`{git['sha']}`{', with changes' if git['dirty'] else ''}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("computed on", f"{training['device']}, {_count(training['threads'] or 1, 'thread')}{_seeds_of(training)}"),
        *([("members", ", ".join(f"`{path}`" for path in members))] if members else []),
        *([("started", str(training["started"]))] if training["started"] else []),
        ("took", "not known" if training["seconds"] is None else _minutes(training["seconds"])),
    ]
    return f"## Where it comes from\n\n{_table(('', ''), rows)}"


def _seeds_of(training: dict[str, Any]) -> str:
    seeds = [str(seed) for seed in training["seeds"] if seed is not None]
    return f", seed{'' if len(seeds) == 1 else 's'} {', '.join(seeds)}" if seeds else ""


def _limits(card: dict[str, Any]) -> str:
    data, outside = card["data"], card["outside"]
    digits, title = data["name"] in DIGITS, _title(data)
    kind = DIGITS.get(data["name"], f"{data['size']} x {data['size']} pixels, background 0")
    empty, noise, turned = outside["empty"], outside["noise"], outside["black_on_white"]
    others = "other hands, pens, cameras or scanners" if digits else "pictures from elsewhere"
    lines = [
        f"It knows pictures like those of {title}: {kind}. For {others} nothing is promised.",
        f"It cannot say *none of these*. It calls an empty picture {empty['answer']} with a confidence of "
        f"{_percent(empty['confidence'], 0)}, and of {noise['n']:,} pictures of noise it gives "
        f"{noise['above_90']:,} a class with more than 90%.",
        f"Dark and light matter: of {turned['n']:,} test pictures with both exchanged it gets "
        f"{_percent(turned['right'] / turned['n'], 0)} right.",
        "All numbers are of one split into training and validation, and of one test split"
        + (", at which the whole field has looked for decades." if data["name"] == "mnist" else "."),
    ]
    if card["calibration"]["fitted"]:
        lines.append("Its temperature is that of the validation split: on pictures of another kind it is too sure.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _title(data: dict[str, Any]) -> str:
    return TITLES.get(data["name"], str(data["name"]))


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """Return a table; of its columns, the `right` ones after the first are numbers."""
    rule = ["---:" if 1 <= column <= right else "---" for column in range(len(heading))]
    lines = [heading, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _article(noun: str) -> str:
    # The letters M, L, N, ... are spoken with a vowel first.
    return f"An {noun}" if noun[0] in "AEFHILMNORSX" else f"A {noun}"


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f}%"


def _interval(ends: Sequence[float]) -> str:
    return f"{_percent(ends[0])} to {_percent(ends[1])}"


def _points(share: float) -> str:
    return f"{100 * share:.2f} points"


def _metric(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return _percent(value) if name.endswith("accuracy") else f"{value:.4g}"


def _spread(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}" if name.endswith("accuracy") else f"{value:.2g}"


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace(" ", "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _times(number: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def _bytes(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
