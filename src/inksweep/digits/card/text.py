"""A card in words: the facts as Markdown, section after section. It knows neither torch nor files.

The sections on how a winner was chosen are in story.py.
"""

import json
import shlex
from typing import Any

from inksweep.digits.card import story, wording
from inksweep.runs import selection as selections
from inksweep.runs.selection import Selection


def write(card: dict[str, Any]) -> str:
    """Return the card, with its pictures by their names beside it.

    Raises:
        InputError: what the card holds of selection.json cannot be used.
    """
    selection = None if card["selection"] is None else selections.parse(card["selection"], "selection")
    parts = [
        _head(card),
        story.chosen(card, selection),
        _accuracy(card),
        story.looks_at_test(card, selection),
        _classes(card),
        _mistakes(card),
        _calibration(card),
        _size(card),
        _load(card),
        _train(card),
        _provenance(card, selection),
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
        who, verb = f"{wording.with_article(model['class'])} {parameters} that", "s"
    what = (
        f"read{verb} a handwritten digit"
        if data["handwritten_digits"]
        else f"tell{verb} {len(data['classes'])} classes apart"
    )
    sentence = (
        f"{who} {what}: right on **{wording.percent(test['accuracy'])}** of the {test['n']:,} test pictures of "
        f"{data['title']} (95% interval {wording.interval(test['interval'])})."
    )
    calibration = card["calibration"]
    ece = f"{wording.percent(calibration['test']['after']['ece_equal_mass'])} on average (ECE, bins of equal counts)"
    rows = [
        ("takes", f"a picture of {data['size']} x {data['size']} pixels, 0 to 255, background 0"),
        ("gives", f"a probability for each of: {', '.join(data['classes'])}"),
        ("wrong on the test split", f"{test['errors']:,} of {test['n']:,}"),
        ("how far its confidence is off", f"{ece}, at a temperature of {calibration['temperature']:.3f}"),
        ("time for one picture", f"{card['latency']['torch']:.2f} ms on one thread"),
        ("file", f"model.pt, {wording.size(card['bytes'])}"),
    ]
    if training["seconds"] is not None:
        rows.append(("trained in", f"{wording.duration(training['seconds'])}{' in all' if members else ''}"))
    return "\n\n".join([f"# {title}", sentence, wording.table(("", ""), rows)])


def _accuracy(card: dict[str, Any]) -> str:
    accuracy, warped = card["accuracy"], card["warped"]
    names = {
        "val": "validation",
        "test": "test, labels as given" if accuracy["test_corrected"] else "test",
        "test_corrected": "test, corrected labels",
    }
    parts = [(names[key], accuracy[key]) for key in names if accuracy[key] is not None]
    if warped is not None:
        # Below the row of the pictures that they were made of, which is the first.
        parts.insert(1, (f"{'validation' if warped['split'] == 'val' else 'test'}, warped", warped))
    rows = [
        (
            name,
            f"**{wording.percent(part['accuracy'])}**",
            wording.interval(part["interval"]),
            f"{part['errors']:,}",
            f"{part['n']:,}",
        )
        for name, part in parts
    ]
    lines = [wording.table(("split", "accuracy", "95% interval", "wrong", "pictures"), rows, right=4)]
    if accuracy["val"] is None:
        lines.append("There is no validation row: this model was trained on those pictures.")
    lines.append("The intervals are Wilson's: what other pictures of the same kind would do to the number.")
    if warped is not None:
        lines.append(
            "*Warped* are such digits as a reader of photos and drawings would frame them: by other pens, turned by up "
            "to 15 degrees, not quite in the middle, coarse, faded, with grain. They are computed, not photographed."
        )
    if accuracy["test_corrected"]:
        lines.append(_corrected(card))
    return "## Accuracy\n\n" + "\n\n".join(lines)


def _corrected(card: dict[str, Any]) -> str:
    errors = card["label_errors"]
    with_majority = [error for error in errors if error["corrected"] is not None]
    as_majority = sum(error["answer"] == error["corrected"] for error in with_majority)
    n = card["accuracy"]["test_corrected"]["n"]
    rows = [
        (
            f"{error['row']}",
            error["given"],
            error["corrected"] or "no majority",
            error["answer"],
            wording.percent(error["confidence"], 1),
            "" if error["corrected"] is None else ("yes" if error["answer"] == error["corrected"] else "no"),
        )
        for error in errors
    ]
    return "\n\n".join(
        [
            f"{len(errors)} labels of MNIST's test split are known to be wrong or in doubt "
            "([Northcutt et al. 2021](https://arxiv.org/abs/2103.14749); five people looked at each picture). In the "
            f"corrected row the {len(with_majority)} on which a majority agreed have that label, and the other "
            f"{len(errors) - len(with_majority)} are left out: n = {n:,}. Of those {len(with_majority)}, this model "
            f"answers {as_majority} as the majority did.",
            "<details><summary>The known label errors, and what it answers</summary>",
            wording.table(("picture", "given", "majority", "answer", "confidence", "as the majority"), rows),
            "</details>",
        ]
    )


def _classes(card: dict[str, Any]) -> str:
    rows = [
        (
            row["name"],
            *("-" if row[key] is None else wording.percent(row[key]) for key in ("precision", "recall", "f1")),
            f"{row['n']:,}",
            "never another"
            if row["taken_for"] is None
            else f"{row['taken_for']['name']} ({row['taken_for']['count']})",
        )
        for row in card["classes"]
    ]
    heading = ("class", "precision", "recall", "F1", "pictures", "most often taken for")
    return "\n\n".join(
        [
            "## Class by class",
            "On the test split, labels as given.",
            wording.table(heading, rows, right=4),
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
        sentences = (
            "No temperature was fitted: there are no pictures left to fit it on that the model was not trained on."
        )
    elif not calibration["fitted"]:
        sentences = "All validation answers are right: there is nothing to fit a temperature on, it stays 1."
    else:
        sentences = (
            f"The logits are divided by a temperature of **{temperature:.3f}**, fitted on the validation split for the "
            "least cross-entropy ([Guo et al. 2017](https://arxiv.org/abs/1706.04599)). That makes the model "
            f"{'less' if temperature > 1 else 'more'} sure, and changes no answer."
        )
    if others:
        who, whose = ("a run", "its") if len(others) == 1 else (f"{len(others)} runs", "theirs")
        sentences += (
            f" This model was trained on the validation pictures, so it was fitted on the answers of {who} of the same "
            f"configuration that had not seen them ({', '.join(f'`{path}`' for path in others)})"
        )
        sentences += f"; the validation rows are {whose}." if calibration["val"] is not None else "."
        if kept:
            has_rows = calibration["val"] is not None
            what = "temperature and validation rows are those" if has_rows else "the temperature is that"
            sentences += f" Not all of that is there any more: {what} of the card before."
    rows = [
        (
            # Without a temperature there is no before and after.
            f"{name}, {word}" if calibration["fitted"] else name,
            f"{values['nll']:.4f}",
            wording.percent(values["ece"]),
            wording.percent(values["ece_equal_mass"]),
        )
        for split, name in (("val", "validation"), ("test", "test"))
        if calibration[split] is not None
        for word, values in calibration[split].items()
        if word == "after" or calibration["fitted"]
    ]
    return "\n\n".join(
        [
            "## Is it as often right as it says?",
            sentences,
            wording.table(("", "cross-entropy", "ECE, equal widths", "ECE, equal counts"), rows, right=3),
            "ECE is how far confidence and accuracy are apart, on average over 15 bins. Where nearly all answers are "
            "sure, bins with equally many answers tell more than bins of equal width.",
            "![How sure it is, and how often it is right](reliability.png)",
        ]
    )


def _size(card: dict[str, Any]) -> str:
    latency = card["latency"]
    rows = [
        ("model.pt", f"{wording.size(card['bytes'])}, {card['model']['parameters']:,} parameters"),
        ("one picture, torch", f"{latency['torch']:.3f} ms"),
    ]
    for name, export in card["exports"].items():
        rows += [(name, f"not exported: {export['failed']}")] if "failed" in export else _export(export)
    how = f"Median of {latency['repetitions']} repetitions on one thread of: {card['processor']}. "
    return "\n\n".join(["## Size and speed", wording.table(("", ""), rows), f"{how}Preprocessing is included."])


def _export(export: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of an exported file: its size and check, and how long a picture takes."""
    checked, timed = export["checked"], export["latency_ms"]["batch_1"]
    agrees = f"the same answer on {checked['same_class']:,} of {checked['pictures']:,} test pictures, probabilities"
    rows = [(export["file"], f"{wording.size(export['bytes'])}; {agrees} within {checked['largest_difference']:.1g}")]
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
    text = f"## Load it\n\nFrom the folder where the training was started:\n\n```python\n{code}\n```"
    if not card["data"]["handwritten_digits"]:
        return text
    command = f"inksweep predict {shlex.quote(card['folder'])} photo.png"
    return (
        f"{text}\n\nA photo, a scan or a drawing of digits is brought into that shape, and read, by this command (in "
        f'Python `model.read("photo.png")`):\n\n```\n{command}\n```'
    )


def _train(card: dict[str, Any]) -> str:
    commands = card["training"]["commands"]
    if not commands:
        return ""
    these = "This command gives" if len(commands) == 1 else "These commands give"
    text = "\n".join(commands)
    same = f"{these} the same weights again, on the same machine with the same number of threads."
    return f"## Train it again\n\n{same}\n\n```\n{text}\n```"


def _provenance(card: dict[str, Any], selection: Selection | None) -> str:
    data, training = card["data"], card["training"]
    git, versions = training["git"], training["versions"] or {}
    parts = f"{data['train']:,} trained on, {data['val']:,} for validation, {data['test']:,} for the test"
    if card["accuracy"]["val"] is None:
        parts += "; the validation pictures are among those trained on"
    members = selection.members if selection else []
    rows = [
        ("data", f"{data['title']} ({data['source']})" if data["source"] else data["title"]),
        ("pictures", f"{parts}; split by seed {data['split_seed']}"),
        *((f"md5 of {name}", f"`{md5}`") for name, md5 in data["checksums"].items()),
        ("git", "not a repository" if not git else f"`{git['sha']}`{', with changes' if git['dirty'] else ''}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        (
            "computed on",
            f"{training['device']}, {wording.count(training['threads'] or 1, 'thread')}{_seeds_of(training)}",
        ),
        *([("members", ", ".join(f"`{path}`" for path in members))] if members else []),
        *([("started", str(training["started"]))] if training["started"] else []),
        ("took", "not known" if training["seconds"] is None else wording.duration(training["seconds"])),
    ]
    return f"## Where it comes from\n\n{wording.table(('', ''), rows)}"


def _seeds_of(training: dict[str, Any]) -> str:
    seeds = [str(seed) for seed in training["seeds"] if seed is not None]
    return f", seed{'' if len(seeds) == 1 else 's'} {', '.join(seeds)}" if seeds else ""


def _limits(card: dict[str, Any]) -> str:
    data, outside = card["data"], card["outside"]
    kind = data["about"] or f"{data['size']} x {data['size']} pixels, background 0"
    empty, noise, turned = outside["empty"], outside["noise"], outside["black_on_white"]
    others = "other hands, pens, cameras or scanners" if data["handwritten_digits"] else "pictures from elsewhere"
    lines = [
        f"It knows pictures like those of {data['title']}: {kind}. For {others} nothing is promised.",
        f"It cannot say *none of these*. It calls an empty picture {empty['answer']} with a confidence of "
        f"{wording.percent(empty['confidence'], 0)}, and of {noise['n']:,} pictures of noise it gives "
        f"{noise['above_90']:,} a class with more than 90%.",
        f"Dark and light matter: of {turned['n']:,} test pictures with both exchanged it gets "
        f"{wording.percent(turned['right'] / turned['n'], 0)} right.",
        "All numbers are of one split into training and validation, and of one test split"
        + (", at which the whole field has looked for decades." if data["name"] == "mnist" else "."),
    ]
    if card["calibration"]["fitted"]:
        lines.append("Its temperature is that of the validation split: on pictures of another kind it is too sure.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)
