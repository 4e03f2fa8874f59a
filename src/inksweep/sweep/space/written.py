"""Values as Hydra's grammar writes them. Every start of a sweep needs it, before Optuna is imported."""

from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException


def written(value: Any) -> str:
    """Return the text that Hydra's grammar reads as `value`: numbers, strings, null, booleans, lists and mappings."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if reads_as(value) == (True, value) else QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list | tuple):
        return "[" + ",".join(written(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{written(item)}" for key, item in value.items()) + "}"
    return "null" if value is None else str(value)


@lru_cache(maxsize=4096)
def reads_as(text: str) -> tuple[bool, Any]:
    """Return whether `text` is one value to Hydra, and which."""
    try:
        read = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return False, None
    return not read.is_sweep_override(), read.value()
