"""A table on stdout, in one of FORMATS."""

import sys

from inksweep.compare import FORMATS
from inksweep.compare.tables import Table, as_csv, as_json, as_markdown
from inksweep.compare.terminal import terminal

WRITERS = dict(zip(FORMATS, (terminal, as_csv, as_json, as_markdown), strict=True))


def write(table: Table, kind: str) -> None:
    """Print a table as `kind`, one of FORMATS."""
    sys.stdout.write(WRITERS[kind](table))
