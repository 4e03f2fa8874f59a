"""What was asked of `inksweep compare`."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """What was asked for; by default, all runs by their objective."""

    metrics: Sequence[str] = ()
    columns: Sequence[str] = ()
    # KEY, KEY:asc or KEY:desc; the first counts most.
    sort: Sequence[str] = ()
    group_by: Sequence[str] = ()
    where: str | None = None
    top: int | None = None
