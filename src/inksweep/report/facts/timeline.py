"""When each slot worked and when it was idle: pauses between two starts of a sweep are no idle time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

# Begin and end.
Span = tuple[datetime, datetime]


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

    # As in `Timeline.available`.
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
    # Seconds in which a slot could have run trials, and in which it did; by slot. A process has its own: of two that
    # were at work at the same time on one machine, the second one's are called `..., process 2`.
    available: dict[str, float]
    busy: dict[str, float]

    @property
    def wall_s(self) -> float:
        """Return how long the sweep was at work, in seconds, without the pauses between its starts."""
        return sum(period.seconds for period in self.periods)

    def idle_s(self, slot: str) -> float:
        """Return how long a slot was idle, in seconds."""
        return max(0.0, self.available[slot] - self.busy[slot])  # sums of fractions may differ by a hair

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
    # A clock that was set back, or that of another machine: such a trial took no time.
    stretches = [replace(stretch, end=max(stretch.begin, stretch.end)) for stretch in stretches]
    work = _work(stretches)
    periods, numbers = _apart(work.values()), _numbers(stretches, work)
    rows: dict[str, list[Stretch]] = {}
    for stretch in sorted(stretches, key=lambda stretch: (stretch.slot, numbers[stretch.owner], stretch.begin)):
        number = numbers[stretch.owner]
        rows.setdefault(stretch.slot if number == 1 else f"{stretch.slot}, process {number}", []).append(stretch)
    return Timeline(
        periods,
        bars=[_bar(row, stretch, periods) for row, ours in rows.items() for stretch in ours],
        available={row: _seconds(work[stretch.owner] for stretch in ours) for row, ours in rows.items()},
        busy={row: _seconds((stretch.begin, stretch.end) for stretch in ours) for row, ours in rows.items()},
    )


def _bar(row: str, stretch: Stretch, periods: Iterable[Period]) -> Bar:
    period = next(period for period in periods if period.begin <= stretch.begin <= period.end)
    at = period.at + (stretch.begin - period.begin).total_seconds()
    return Bar(row, stretch.number, at, (stretch.end - stretch.begin).total_seconds())


def _work(stretches: Iterable[Stretch]) -> dict[str, Span]:
    """Return when each process was at work."""
    work: dict[str, Span] = {}
    for stretch in stretches:
        begin, end = work.get(stretch.owner, (stretch.begin, stretch.end))
        work[stretch.owner] = (min(begin, stretch.begin), max(end, stretch.end))
    return work


def _numbers(stretches: Iterable[Stretch], work: dict[str, Span]) -> dict[str, int]:
    """Number the processes: those that used the same slot share a number only if they were at work one by one."""
    slots: dict[str, set[str]] = {}
    for stretch in stretches:
        slots.setdefault(stretch.owner, set()).add(stretch.slot)
    numbers: dict[str, int] = {}
    for owner, (begin, _) in sorted(work.items(), key=lambda item: item[1]):
        beside = (other for other in numbers if work[other][1] > begin and slots[other] & slots[owner])
        taken = {numbers[other] for other in beside}
        numbers[owner] = next(number for number in count(1) if number not in taken)
    return numbers


def _seconds(spans: Iterable[Span]) -> float:
    return sum(period.seconds for period in _apart(spans))


def _apart(spans: Iterable[Span]) -> list[Period]:
    """Return the union of spans."""
    periods: list[Period] = []
    for begin, end in sorted(spans):
        if periods and begin <= periods[-1].end:
            last = periods[-1]
            periods[-1] = Period(last.begin, max(last.end, end), last.at)
        else:
            at = periods[-1].at + periods[-1].seconds if periods else 0.0
            periods.append(Period(begin, end, at))
    return periods
