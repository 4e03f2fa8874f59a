"""Conditions on runs, as typed after --where: `model=cnn and (val/accuracy>99% or not seed=1)`."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from inksweep.compare.rows import ABSENT, is_number
from inksweep.errors import InputError

# The value of a key, or ABSENT.
Lookup: TypeAlias = Callable[[str], Any]

ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Condition:
    """A condition, and the keys that it asks for."""

    holds: Callable[[Lookup], bool]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Literal:
    """A value as typed, and what it stands for: a number, a word, true, false, null or a list of such."""

    text: str
    value: Any


def parse(text: str) -> Condition:
    """Read a condition.

    A comparison is `key op value` with = == != < <= > >=; `and`, `or`, `not` and parentheses join them. A value is a
    number, a percentage, a word, a quoted string, true, false, null or a list. A run without the key has null there,
    and is neither less nor greater than anything.

    Raises:
        InputError: it is no condition; the message shows where.
    """
    # A third of a second, so only those pay for it who type a condition.
    import pyparsing as pp

    pp.ParserElement.enable_packrat()  # nested parentheses would take time exponential in their depth
    key = pp.Regex(r"[A-Za-z_][\w./@-]*") | pp.QuotedString('"') | pp.QuotedString("'")
    quoted = (pp.QuotedString('"') | pp.QuotedString("'")).set_parse_action(lambda found: Literal(found[0], found[0]))
    word = pp.Regex(r"[^\s()\[\],'\"<>=!]+").set_parse_action(lambda found: literal(found[0]))
    plain = quoted | word
    several = pp.Suppress("[") - pp.Optional(pp.DelimitedList(plain)) - pp.Suppress("]")
    several.set_parse_action(lambda found: Literal("", list(found)))
    # `-`: after an operator nothing else can be meant, so the error is there and not at the beginning.
    comparison = key + pp.one_of("== != <= >= = < >") - (several | plain)
    comparison.set_parse_action(lambda found: _comparison(*found))
    operators = [
        (pp.CaselessKeyword("not"), 1, pp.OpAssoc.RIGHT, lambda found: _not(found[0][1])),
        (pp.CaselessKeyword("and"), 2, pp.OpAssoc.LEFT, lambda found: _joined(all, found[0][::2])),
        (pp.CaselessKeyword("or"), 2, pp.OpAssoc.LEFT, lambda found: _joined(any, found[0][::2])),
    ]
    grammar = pp.infix_notation(comparison, operators)  # type: ignore[no-untyped-call]
    try:
        condition: Condition = grammar.parse_string(text, parse_all=True)[0]
    except pp.ParseBaseException as error:
        rest = text[error.loc :].strip()
        where = f"from {rest!r} on" if rest else "at its end"
        message = f"--where {text!r}: cannot be read {where}; write comparisons such as model=cnn or val/accuracy>0.99"
        raise InputError(f"{message}, joined by and, or, not, ( )") from None
    except RecursionError:
        raise InputError(f"--where {text!r}: is nested too deeply") from None
    return condition


def literal(text: str) -> Literal:
    """Return the value that an unquoted word stands for."""
    if text.lower() in CONSTANTS:
        return Literal(text, CONSTANTS[text.lower()])
    try:
        return Literal(text, float(text[:-1]) / 100 if text.endswith("%") else float(text))
    except ValueError:
        return Literal(text, text)


def _comparison(key: str, sign: str, wanted: Literal) -> Condition:
    return Condition(lambda lookup: compare(lookup(key), sign, wanted), (key,))


def _not(condition: Condition) -> Condition:
    return Condition(lambda lookup: not condition.holds(lookup), condition.keys)


def _joined(every: Callable[..., bool], conditions: Sequence[Condition]) -> Condition:
    keys = tuple(key for condition in conditions for key in condition.keys)
    return Condition(lambda lookup: every(condition.holds(lookup) for condition in conditions), keys)


def compare(found: Any, sign: str, wanted: Literal) -> bool:
    """Whether `found sign wanted` holds."""
    if found is ABSENT:
        found = None
    if sign not in ORDER:
        return same(found, wanted) != (sign == "!=")
    if is_number(found):
        return is_number(wanted.value) and bool(ORDER[sign](found, wanted.value))
    if not isinstance(found, str) or isinstance(wanted.value, list):
        return False
    # Dates are words too: `started>2026`. But cnn is not more than 3.
    return (found[:1].isdigit() or not is_number(wanted.value)) and bool(ORDER[sign](found, wanted.text))


def same(found: Any, wanted: Literal) -> bool:
    """Whether a value is what was typed: numbers as numbers, words as words, lists entry by entry."""
    if isinstance(found, list):
        entries = wanted.value
        return (
            isinstance(entries, list)
            and len(found) == len(entries)
            and all(same(entry, typed) for entry, typed in zip(found, entries, strict=True))
        )
    if found is None or isinstance(found, bool):
        return found is wanted.value
    if is_number(found):
        return is_number(wanted.value) and bool(found == wanted.value)
    return not isinstance(wanted.value, list) and str(found) == wanted.text
