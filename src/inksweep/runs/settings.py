"""The settings of a run as one would type them: a composed config.yaml as dotted keys, without OmegaConf."""

import itertools
import math
import re
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from inksweep.errors import InputError

# Settings that change nothing a run learns: where its files come from, how they are described, what is written besides.
SILENT = re.compile(
    r"(data\.(root|npm|checksums|title|about|handwritten_digits)|trainer\.(resume|keep_checkpoint)|figures|tracker)(\..+)?"
)
# The most values that a config may hold: a few aliases in YAML, each naming the one before twice, are a billion.
MOST_VALUES = 100_000


def read_settings(config: Path, hydra: Path) -> dict[str, Any]:
    """Return a composed config as one would type it: dotted keys, and the option chosen for each group.

    Raises:
        InputError: a file of it is no YAML, or it holds too many values.
    """
    if not config.is_file():
        return {}
    composed = _yaml(config)
    choices = _choices(hydra) if hydra.is_file() else {}
    try:
        return choices | _flattened(composed)
    except (OverflowError, RecursionError):
        raise InputError(f"{config}: too many keys (it holds more than {MOST_VALUES:,} values)") from None


def _flattened(composed: dict[str, Any]) -> dict[str, Any]:
    """Return a config with dotted keys.

    Raises:
        OverflowError: it holds too many values.
    """
    flat: dict[str, Any] = {}
    counted = itertools.count()

    def add(key: str, value: Any) -> None:
        if not isinstance(value, dict):
            flat[key] = plain(value)
        elif next(counted) > MOST_VALUES:
            raise OverflowError
        else:
            for name, item in value.items():
                add(f"{key}.{name}", item)

    def plain(value: Any) -> Any:
        if next(counted) > MOST_VALUES:
            raise OverflowError
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {str(name): plain(item) for name, item in value.items()}
        return "nan" if isinstance(value, float) and math.isnan(value) else value

    for key, value in composed.items():
        add(str(key), value)
    return flat


def is_silent(key: str) -> bool:
    """Whether a setting changes nothing that a run learns."""
    return SILENT.fullmatch(key) is not None


def target_options(key: str) -> list[str]:
    """Return the groups whose option says what the `_target_` under this key is; none if it is another key."""
    group, dot, name = key.rpartition(".")
    # The config group `a/b` is the key `a.b`.
    return list(dict.fromkeys([group, group.replace(".", "/")])) if dot and name == "_target_" else []


def _choices(hydra: Path) -> dict[str, Any]:
    """Return the app's groups with the option chosen, from Hydra's own settings."""
    text = hydra.read_text(encoding="utf-8", errors="replace")
    # A few lines of two hundred: parsing all of them would be most of the time that reading a run takes.
    block = re.search(r"^    choices:\n((?:      .*\n)+)", text, re.MULTILINE)
    if block is None:
        found = _yaml(hydra).get("hydra", {})
        for key in ("runtime", "choices"):
            found = found.get(key, {}) if isinstance(found, dict) else {}
    else:
        found = _yaml(hydra, block[1])
    return {str(group): option for group, option in found.items() if option and not str(group).startswith("hydra/")}


def _yaml(path: Path, text: str | None = None) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.load(path.read_text(encoding="utf-8") if text is None else text, _loader())
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read ({reason})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no config (it holds no keys)")
    return found


@cache
def _loader() -> Any:
    """Return a safe YAML loader that also knows what an app with paths and tuples has in its config.yaml."""
    import yaml

    # As text, lists and keys: nothing that a file names is imported, let alone called.
    def plain(loader: Any, name: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if not isinstance(node, yaml.SequenceNode):
            return loader.construct_scalar(node) or name.partition(":")[2]
        parts = loader.construct_sequence(node, deep=True)
        kind = name.rpartition(".")[2]
        if not kind.endswith("Path"):
            return parts
        return str((PureWindowsPath if "Windows" in kind else PurePosixPath)(*map(str, parts)))

    # The one in C is ten times faster, where it was built.
    loader = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    loader.add_multi_constructor("tag:yaml.org,2002:python/", plain)  # type: ignore[attr-defined]
    return loader
