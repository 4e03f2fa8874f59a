"""A single run and a sweep of one app: what is typed for a sweep, but without -m, and files that ask for a sweep.

Every start of every Hydra app in this environment imports this module: nothing heavy here.
"""

import importlib.util
import logging
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.config_search_path import ConfigSearchPath

log = logging.getLogger(__name__)

FOR_A_SWEEP = re.compile(r"[+~]*hydra[./](sweeper|launcher|sweep)\b")
# Options of Hydra that make it no single run: several, or none.
OTHER_MODES = re.compile(r"-m$|--mu|-c$|--cfg|-i$|--in|-h$|--he|--hy|-sc$|--sh|--ex|--v")


def hint(argv: Sequence[str], search_path: "ConfigSearchPath | None" = None) -> str | None:
    """Return what to type instead; None: nothing of a sweep was typed, or it takes effect.

    Args:
        argv: of a Hydra app, its name first.
        search_path: where its configs are; a primary config in it that may ask for a sweep needs no -m.
    """
    app, *words = argv or [""]
    typed = [word for word in words if FOR_A_SWEEP.match(word)]
    has_mode = any(OTHER_MODES.match(word) or re.match(r"[+]*hydra\.mode=", word) for word in words)
    if not typed or has_mode or (search_path is not None and _may_ask_for_a_sweep(search_path, words)):
        return None
    return (
        f"hint: {typed[0]} has no effect on a single run; add -m for a sweep: python {shlex.join([app, '-m', *words])}"
    )


def _may_ask_for_a_sweep(search_path: "ConfigSearchPath", words: Sequence[str]) -> bool:
    """Whether what may be the app's primary config mentions a multirun; its name is known only where it was typed."""
    from hydra.core.config_store import ConfigNode, ConfigStore

    from inksweep.command import config_name

    name = config_name(words)
    folders = _folders(search_path)
    if name is None:
        texts = [_text(file) for folder in folders for file in folder.glob("*.y*ml")]
    else:
        texts = [_text(folder / f"{name.removesuffix('.yaml')}.yaml") for folder in folders]
    nodes = [str(node.node) for node in ConfigStore.instance().repo.values() if isinstance(node, ConfigNode)]
    return any("MULTIRUN" in text for text in (*texts, *nodes))


def is_refused(hydra: Any, loader: "ConfigLoader") -> bool:
    """Whether Hydra refuses a single run of the app that sweeps: a config file says `hydra.mode: MULTIRUN`.

    Args:
        hydra: the `hydra` node of the sweep's config.
        loader: knows the app's configs.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    from inksweep.command import plain

    if not any(RunMode.MULTIRUN.name in text for text in _configs(loader)):
        return False  # as in most apps, which need not be composed once more then
    words = [*plain(hydra.overrides.hydra), *plain(hydra.overrides.task)]
    try:
        fixed = [
            each.input_line or ""
            for each in OverridesParser.create().parse_overrides(words)
            if each.key_or_group != "hydra.mode" and (each.is_delete() or not each.is_sweep_override())
        ]
        config = loader.load_configuration(hydra.job.config_name, fixed, run_mode=RunMode.MULTIRUN)
    except Exception as error:  # it needs what is searched; whether anything is wrong with it the sweep says
        log.debug("hydra.mode of the files is not known: %s", error)
        return False
    return bool(config.hydra.mode == RunMode.MULTIRUN)


def _configs(loader: "ConfigLoader") -> Iterator[str]:
    """Yield the text of each config of the app, in files and in Hydra's store."""
    from hydra.core.config_store import ConfigNode, ConfigStore

    for folder in _folders(loader.get_search_path()):
        yield from map(_text, folder.rglob("*.y*ml"))
    groups: list[Any] = [ConfigStore.instance().repo]
    while groups:
        for node in groups.pop().values():
            if isinstance(node, ConfigNode) and node.provider is None:
                yield str(node.node)
            elif isinstance(node, dict):
                groups.append(node)


def _folders(search_path: "ConfigSearchPath") -> Iterator[Path]:
    """Yield the folders that the app's own configs are looked for in."""
    for entry in search_path.get_path():
        scheme, _, place = entry.path.rpartition("://")
        if entry.provider == "hydra" or not place or scheme not in ("", "file", "pkg"):
            continue
        if scheme == "pkg":
            spec = importlib.util.find_spec(place)
            yield from map(Path, (spec.submodule_search_locations or []) if spec is not None else [])
        else:
            yield Path(place)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # a folder of that name, or one that Hydra says more about
        return ""
