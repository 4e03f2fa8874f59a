"""`inksweep diff`: two runs side by side on the terminal, as JSON, or as a picture as well."""

import sys
from pathlib import Path

from inksweep.diff import difference
from inksweep.diff.plain import as_dict
from inksweep.errors import need_extra
from inksweep.files import json_text


def run(a: Path, b: Path, split: str, images: int, png: Path | None, *, as_json: bool) -> None:
    """Compare two runs and print what differs.

    Args:
        a: a run directory or a winner.
        b: another one.
        split: where to look for disagreements, `test` or `val`.
        images: how many digits are drawn in the terminal.
        png: draw curves and disagreements into this file; None: no picture.
        as_json: print all of it, unrounded, as JSON.

    Raises:
        InputError: a folder is no run, or the packages that draw the picture are not installed.
    """
    if png:
        need_extra(f"--png {png}", "report", ["matplotlib"])
    compared = difference.compare(a, b, split)
    if as_json:
        print(json_text(as_dict(compared)), end="")
    else:
        from rich.console import Console

        from inksweep.diff import text

        text.show(compared, Console(), images)
    if png:
        from inksweep.diff import figure

        why = figure.save(compared, png)
        print(f"picture: {png}{f' (without digits: {why})' if why else ''}", file=sys.stderr)
