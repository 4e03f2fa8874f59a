"""What makes two runs hard to compare: other data, another machine, other code, a run that did not complete."""

from collections.abc import Mapping, Sequence
from typing import Any

from inksweep.paths import RunDir
from inksweep.runs.predictions import Predictions
from inksweep.runs.reader import Run

# Settings that decide which pictures there are, and which of them are the validation split.
DATA = ("data.name", "data.source._target_", "data.classes", "data.size", "data.fit", "data.transpose")
CUT = ("data.split_seed", "data.val_size", "data.train_images")


def of_both(a: Run, b: Run) -> list[str]:
    """Say what makes two runs hard to compare, a line each; nothing: they are alike."""
    lines = []
    for who, run in (("A", a), ("B", b)):
        if run.status != "completed":
            why = f" ({run.reason})" if run.reason not in (None, run.status) else ""
            lines.append(f"{who} is {run.status}{why}: what it lacks is missing below")
    if who := trained_on_validation(a, b):
        lines.append(f"{who} trained on the validation pictures (data.train_on_all): no verdict by val/...")
    if a.settings and b.settings:
        if data := _other(a.settings, b.settings, DATA):
            lines.append(f"other data: {data}")
        if cut := _other(a.settings, b.settings, CUT):
            lines.append(f"other validation split: {cut}; their val/ metrics are of other pictures")
    if a.objective and b.objective and a.objective != b.objective:
        lines.append(f"other objective: {a.objective} | {b.objective}; it chose the weights that were kept")
    if machine := _other(a.facts, b.facts, ("device", "threads")):
        lines.append(f"other machine: {machine}; their seconds say little")
    (sha_a, versions_a), (sha_b, versions_b) = _code(a), _code(b)
    if sha_a and sha_b and sha_a != sha_b:
        lines.append(f"other code: git {sha_a[:7]} | {sha_b[:7]}")
    if versions := _other(versions_a, versions_b, list(versions_a)):
        lines.append(f"other versions: {versions}")
    return lines


def trained_on_validation(a: Run, b: Run) -> str:
    """Return who of the two was trained on the validation pictures; nothing: neither was."""
    return " and ".join(who for who, run in (("A", a), ("B", b)) if run.trained_on_validation)


def of_one_member(run: Run) -> str | None:
    """Say whose the curve of an ensemble is, which was never trained as a whole; None: there is no need."""
    members = run.facts.get("ensemble")
    if not isinstance(members, list) or not RunDir(run.folder).metrics.is_file():
        return None
    return f"is an ensemble of {len(members)} models; the curve is that of one of them"


def of_another_model(run: Run, answers: dict[str, Predictions] | str) -> list[str]:
    """Say where a run's predictions are not those that its metrics were measured on."""
    if isinstance(answers, str):
        return []
    lines = []
    for split, of_split in answers.items():
        recorded = run.metrics.get(f"{split}/accuracy")
        if recorded is not None and abs(recorded - of_split.accuracy) > 0.5 / len(of_split):
            lines.append(
                f"its predictions.npz is of another model: {split}/accuracy {of_split.accuracy:.4f} by it, "
                f"{recorded:.4f} in result.json"
            )
    return lines


def _other(a: Mapping[str, Any], b: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return `key a | b` for those keys that both have with different values."""
    differing = [key for key in keys if key in a and key in b and a[key] != b[key]]
    return ", ".join(f"{key} {a[key]} | {b[key]}" for key in differing)


def _code(run: Run) -> tuple[str | None, Mapping[str, Any]]:
    """Return the commit that a run was made with, and the versions of the packages."""
    git, versions = run.facts.get("git"), run.facts.get("versions")
    sha = git.get("sha") if isinstance(git, dict) else None
    return str(sha) if sha else None, versions if isinstance(versions, dict) else {}
