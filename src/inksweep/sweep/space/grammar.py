"""Hydra's override grammar: text -> what a parameter may be, and a value -> the text that means it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, Transformer, ValueType
from hydra.errors import HydraException

# Private, but the stock sweeper's own: what it reads as a distribution is one here too. Without it no range is read.
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from optuna.distributions import BaseDistribution, CategoricalDistribution

from inksweep.errors import InputError, null_hint
from inksweep.sweep.space.written import reads_as, written


@dataclass(frozen=True)
class Fixed:
    """A value that is not searched: what it is, and how it was written."""

    value: Any
    text: str


# What a parameter may be.
Leaf = BaseDistribution | Fixed


def parse(override: str, place: str, loader: ConfigLoader | None = None) -> tuple[str, Leaf]:
    """Read `key=value` or `key=distribution`.

    Args:
        override: as on Hydra's command line.
        place: how an error names it.
        loader: knows the options of a config group, for `group=glob(*)`.

    Returns:
        The key, with its `+` or `++` if it has one, and what it may be.

    Raises:
        InputError: it cannot be read, or holds no value at all.
    """
    try:
        read = OverridesParser.create().parse_override(override)
        read.config_loader = loader
        return read.get_key_element(), _leaf(read)
    except (HydraException, ValueError, AssertionError, NotImplementedError) as error:
        reason = str(error).replace("\n", " ").rstrip(".") or "not a kind of sweep that this sweeper knows"
        why = f"cannot be searched ({reason})"
        raise InputError(f"{place}: {null_hint(override, reason) or why}") from error


def is_delete(argument: str) -> bool:
    """Whether a command-line override takes a key away (`~key`)."""
    return argument.startswith("~")


def bare(key: str) -> str:
    """Return the parameter that an override is about: `+a.b`, `++a.b`, `~a.b`, `~a.b=1` and `a.b` are all about a.b."""
    return key.lstrip("+~").partition("=")[0]


def as_override(key: str, value: Any) -> str:
    """Return the override that gives `key` a suggested value.

    A suggested string is override text, as in the stock sweeper: `[64,32]` is a list, `null` is null. Text that is no
    single value, such as `a,b` from a search space written in Python, is a plain string and gets quotes.
    """
    is_text = isinstance(value, str) and reads_as(value)[0]
    return f"{key}={value if is_text else written(value)}"


def _leaf(override: Override) -> Leaf:
    if not override.is_sweep_override():
        return Fixed(override.value(), override.get_value_string())
    shuffled = getattr(override.value(), "shuffle", False)
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return _options(override)
    if override.is_choice_sweep():
        choices = list(_choices(override))
        return CategoricalDistribution(sorted(choices, key=_kind_and_value) if shuffled else choices)
    distribution = create_optuna_distribution_from_override(override)
    assert isinstance(distribution, BaseDistribution)
    if isinstance(distribution, CategoricalDistribution) and shuffled:
        return CategoricalDistribution(sorted(distribution.choices, key=_kind_and_value))
    return distribution


def _options(override: Override) -> CategoricalDistribution:
    """Return the options of a config group that a glob matches."""
    options = [str(option) for option in override.sweep_iterator()]
    if not options:
        raise ValueError(f"no option of {override.key_or_group} matches")
    return CategoricalDistribution(options)


def _kind_and_value(choice: Any) -> tuple[str, Any]:
    """Sort what is to be shuffled: each start would do so anew, and a study keeps its choices in their order."""
    return type(choice).__name__, choice


def _choices(override: Override) -> Iterator[bool | int | float | str]:
    """Yield each choice as a study can store it: numbers and booleans as they are, all else as override text.

    The stock sweeper stores `'a,b'` without its quotes and can then not tell it from two values.
    """
    for choice in override.sweep_iterator():
        item: Any = choice
        if isinstance(item, QuotedString):
            item = item.text
        if isinstance(item, str):
            yield written(item)
        elif isinstance(item, bool | int | float):
            yield item
        else:
            yield Transformer.str(item)
