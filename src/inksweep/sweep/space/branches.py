"""Which branches of a search space can be taken, and which together: found without going through all combinations."""

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

from inksweep.sweep.space.grammar import Leaf, bare

# A branch: the parameter that opens it, and with which value, as written in an override.
Branch = tuple[str, str]
# Parameter -> what it may be. The key keeps the `+` that an override needs to add it to the config.
Block = dict[str, Leaf]


class Branches:
    """The branches of a space.

    Args:
        block: parameters of every trial.
        branches: parameter -> one of its values -> the block that it opens.
        can_be: whether a parameter may take a value, as written.
    """

    def __init__(
        self, block: Block, branches: dict[str, dict[str, Block]], can_be: Callable[[Leaf, str], bool]
    ) -> None:
        self._can_be = can_be
        # Where a parameter stands: None for the block of every trial. Of branches only those that can be taken.
        self._holders: dict[str, list[tuple[Branch | None, Leaf]]] = {}
        waiting: dict[Branch, Block] = {
            (condition, value): inner for condition, blocks in branches.items() for value, inner in blocks.items()
        }
        self._add(None, block)
        while opened := [branch for branch in waiting if self._places(branch)]:
            for branch in opened:
                self._add(branch, waiting.pop(branch))
        taken = {branch for places in self._holders.values() for branch, _ in places if branch is not None}
        # In the order in which they are declared. One whose block is empty changes nothing.
        self.all = [
            (condition, value) for condition in branches for value in branches[condition] if (condition, value) in taken
        ]

    @property
    def parameters(self) -> set[str]:
        """Parameters that count for some trial."""
        return set(self._holders)

    def together(self, wanted: Iterable[Branch], known: dict[str, str] | None = None) -> dict[str, str] | None:
        """Return values, parameter -> value, with which all of `wanted` are taken; None if there are none.

        Args:
            wanted: branches.
            known: values that are settled, with all that they need.
        """
        chosen = dict(known or {})
        open_conditions = set()
        for condition, value in wanted:
            if chosen.setdefault(condition, value) != value:
                return None
            if condition not in (known or {}):
                open_conditions.add(condition)
        return self._settle(chosen, frozenset(open_conditions))

    def meeting(self) -> Iterator[dict[str, str]]:
        """Yield values with which a parameter stands in two blocks that both count, for each pair of such blocks."""
        for places in self._holders.values():
            for one, other in combinations(places, 2):
                both = [branch for branch, _ in (one, other) if branch is not None]
                if (values := self.together(both)) is not None:
                    yield values

    def covering(self) -> Iterator[dict[str, str]]:
        """Yield few sets of values, which together take every branch at least once."""
        left = list(self.all)
        while left:
            values = self.together(left[:1])
            taken = left[:1]
            for branch in left[1:]:
                if values is not None and (more := self.together([branch], values)) is not None:
                    values = more
                    taken.append(branch)
            left = [branch for branch in left if branch not in taken]
            if values is not None:
                yield values

    def _add(self, branch: Branch | None, block: Block) -> None:
        for key, leaf in block.items():
            self._holders.setdefault(bare(key), []).append((branch, leaf))

    def _places(self, branch: Branch) -> list[Branch | None]:
        """Return the blocks where the parameter of `branch` stands so that it may have the value."""
        condition, value = branch
        return [place for place, leaf in self._holders.get(condition, []) if self._can_be(leaf, value)]

    def _settle(self, chosen: dict[str, str], left: frozenset[str]) -> dict[str, str] | None:
        """Choose what has to be chosen besides, so that the parameters `left` count with their chosen values."""
        if not left:
            return chosen
        # The one with the fewest places first: a contradiction then shows before anything else is tried.
        places = {condition: self._places((condition, chosen[condition])) for condition in left}
        condition = min(sorted(left), key=lambda name: len(places[name]))
        for place in places[condition]:
            if place is None:
                found = self._settle(chosen, left - {condition})
            elif chosen.get(place[0], place[1]) != place[1]:
                continue
            else:
                found = self._settle(
                    {**chosen, place[0]: place[1]},
                    (left - {condition}) | ({place[0]} if place[0] not in chosen else frozenset()),
                )
            if found is not None:
                return found
        return None
