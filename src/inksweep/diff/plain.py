"""Two runs side by side for a program: what `--format json` prints."""

import math
from typing import Any

from inksweep.diff.difference import ABSENT, Diff, Disagreements
from inksweep.runs.predictions import Predictions
from inksweep.runs.reader import Run
from inksweep.significance import Paired


def as_dict(diff: Diff) -> dict[str, Any]:
    """Return all that is known of two runs, unrounded, as what JSON can hold."""
    return {
        "a": _facts(diff.a),
        "b": _facts(diff.b),
        "notes": diff.notes,
        "settings": {
            key: {who: _json(value) for who, value in zip("ab", pair, strict=True) if value is not ABSENT}
            for key, pair in diff.settings.items()
        },
        "metrics": {
            metric.name: {
                "a": metric.a,
                "b": metric.b,
                "difference": _json(metric.difference),
                "better": metric.better and metric.better.lower(),
            }
            for metric in diff.metrics
        },
        "tests": {split: _test(test) for split, test in diff.tests.items()},
        "curves": dict(zip("ab", ([dict(row) for row in rows] for rows in diff.curves), strict=True)),
        "disagreements": {"split": diff.split, **_rows(diff.disagreements)},
    }


def _facts(run: Run) -> dict[str, Any]:
    return {
        "folder": run.name,
        "study": run.study,
        "status": run.status,
        "reason": run.reason,
        "objective": run.objective,
        "started": run.started if math.isfinite(run.started) else None,
        **{
            key: _json(run.facts[key])
            for key in ("command", "device", "threads", "git", "versions")
            if key in run.facts
        },
    }


def _test(test: Paired | str) -> dict[str, Any]:
    if isinstance(test, str):
        return {"missing": test}
    return {
        "pictures": test.pictures,
        "both_right": test.both_right,
        "only_a": test.only_a,
        "only_b": test.only_b,
        "both_wrong": test.both_wrong,
        "difference": test.difference,
        "interval": list(test.interval),
        "p": test.p,
    }


def _rows(answers: Disagreements | str) -> dict[str, Any]:
    if isinstance(answers, str):
        return {"missing": answers, "rows": []}

    def answer(of: Predictions, row: int) -> dict[str, Any]:
        return {"answer": answers.name(int(of.predicted[row])), "confidence": float(of.confidence[row])}

    return {
        "rows": [
            {"row": row, "label": answers.name(int(answers.a.labels[row])), "a": answer(answers.a, row),
             "b": answer(answers.b, row)}
            for row in answers.rows.tolist()
        ]
    }  # fmt: skip


def _json(value: Any) -> Any:
    """Return what JSON can hold of a value read from YAML, which knows dates and infinities."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)
