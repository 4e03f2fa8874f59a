"""When each slot worked and when it was idle: pauses between two starts of a sweep are no idle time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Stretch:
    """A trial in its slot."""

    # The process that ran it: each start of the sweep on each machine is another one.
    owner: str
    slot: str
    number: int
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Period:
    """A time in which at least one process of the sweep was at work."""

    begin: datetime
    end: datetime
    # Where it lies on the axis that leaves pauses out, in seconds.
    at: float

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True)
class Bar:
    """A trial on the axis that leaves pauses out, in seconds."""

    slot: str
    number: int
    at: float
    seconds: float


@dataclass(frozen=True)
class Timeline:
    """What each slot did."""

    # In order, apart from each other.
    periods: list[Period]
    bars: list[Bar]
    # Seconds in which a slot could have run trials, and in which it did; by slot.
    available: dict[str, float]
    busy: dict[str, float]

    @property
    def wall_s(self) -> float:
        """Return how long the sweep was at work, in seconds, without the pauses between its starts."""
        return sum(period.seconds for period in self.periods)

    def idle(self, slot: str) -> float:
        """Return the part of its time that a slot was idle, 0..1."""
        return _idle(self.busy[slot], self.available[slot])

    @property
    def idle_share(self) -> float:
        """Return the part of their time that all slots together were idle, 0..1."""
        return _idle(sum(self.busy.values()), sum(self.available.values()))


def _idle(busy: float, available: float) -> float:
    return max(0.0, 1 - busy / available) if available > 0 else 0.0


def timeline(stretches: Sequence[Stretch]) -> Timeline:
    """Put trials on an axis without the pauses.

    A process is at work from the begin of its first trial to the end of its last, and a slot could have run trials
    while a process was at work that used it.
    """
    work: dict[str, tuple[datetime, datetime]] = {}
    for stretch in stretches:
        begin, end = work.get(stretch.owner, (stretch.begin, stretch.end))
        work[stretch.owner] = (min(begin, stretch.begin), max(end, stretch.end))
    periods = _apart(sorted(work.values()))
    slots = sorted({stretch.slot for stretch in stretches})
    available, busy = dict.fromkeys(slots, 0.0), dict.fromkeys(slots, 0.0)
    for slot in slots:
        owners = {stretch.owner for stretch in stretches if stretch.slot == slot}
        available[slot] = sum(period.seconds for period in _apart(sorted(work[owner] for owner in owners)))
    bars = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.begin):
        seconds = (stretch.end - stretch.begin).total_seconds()
        busy[stretch.slot] += seconds
        period = next(period for period in periods if period.begin <= stretch.begin <= period.end)
        at = period.at + (stretch.begin - period.begin).total_seconds()
        bars.append(Bar(stretch.slot, stretch.number, at, seconds))
    return Timeline(periods, bars, available, busy)


def _apart(spans: Sequence[tuple[datetime, datetime]]) -> list[Period]:
    """Return the union of spans that are sorted by their begin."""
    periods: list[Period] = []
    for begin, end in spans:
        if periods and begin <= periods[-1].end:
            last = periods[-1]
            periods[-1] = Period(last.begin, max(last.end, end), last.at)
        else:
            at = periods[-1].at + periods[-1].seconds if periods else 0.0
            periods.append(Period(begin, end, at))
    return periods
