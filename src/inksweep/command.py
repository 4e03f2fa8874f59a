"""The program that runs, as words that start it again: every command that is recorded or printed is made of them.

The words mean the same wherever they are typed: paths in them are absolute. `python -m` and console scripts need their
package to be installed, or the folder it lies in.
"""

import argparse
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

# Hydra's own settings that a training may depend on, beside the search path: the rest says where it writes and how it
# is launched.
KEPT = re.compile(r"hydra[./](job|callbacks|env)\b(?!\.(id|num)\b)")
SEARCH_PATH = "hydra.searchpath"
# Hydra refuses a single run of a config that asks for a sweep (hydra.mode: MULTIRUN) unless this is typed.
ONE_RUN = "hydra.mode=RUN"


@dataclass(frozen=True)
class Program:
    """A program, as it was started."""

    # `python /home/me/train.py`, `python -m package.module` or the name of a console script.
    words: tuple[str, ...]
    # What was typed of --config-path and --config-name; --config-dir, absolute.
    options: tuple[str, ...] = ()
    # Whether it repeats another run (--experimental-rerun), whose config name it then has.
    is_rerun: bool = False
    # The file with its code; None: it was typed into an interpreter.
    code: Path | None = None


# Of a process that runs jobs of another one: what that one was started as.
_handed: Program | None = None
# Of a process that sweeps: whether the app's config files ask for that.
_asks_for_sweep = False


def program() -> Program:
    """Return the program that this process runs, or runs jobs of."""
    if _handed is not None:
        return _handed
    of = _of_process(tuple(sys.argv))
    is_needed = _asks_for_sweep or ONE_RUN in sys.argv[1:]
    return replace(of, options=(*of.options, ONE_RUN)) if is_needed else of


def is_asked_to_sweep(by_files: bool) -> None:
    """Say whether the config files of the app that sweeps here ask for a sweep; a single run of it then says so."""
    global _asks_for_sweep
    _asks_for_sweep = by_files


def hand(other: Program) -> None:
    """Tell this process whose jobs it runs."""
    global _handed
    _handed = other


def prefix(of: Program, hydra: Any) -> list[str]:
    """Return the words that come before the overrides of a job, so that they mean to Hydra what they meant before.

    Args:
        of: the program.
        hydra: the `hydra` node of the job's config, or of its sweep's.
    """
    options = list(of.options)
    if of.is_rerun and hydra.job.config_name is not None:
        options += ["--config-name", hydra.job.config_name]
    typed = plain(hydra.overrides.hydra)
    kept = [override for override in typed if KEPT.match(override.lstrip("+~"))]
    return [*of.words, *options, *_search_path(hydra, typed), *kept]


def again(hydra: Any) -> str:
    """Return the command that trains a run again, quoted for a shell.

    Args:
        hydra: the `hydra` node of its config.
    """
    return shlex.join([*prefix(program(), hydra), *plain(hydra.overrides.task)])


def typed_in(folder: Path, command: str) -> str:
    """Return a command as it is typed in `folder`: the script in it without that folder's name."""
    try:
        words = shlex.split(command)
    except ValueError:  # edited by hand
        return command
    is_inside = len(words) > 1 and words[0] == "python" and Path(words[1]).is_relative_to(folder)
    if not is_inside:
        return command
    return shlex.join(["python", str(Path(words[1]).relative_to(folder)), *words[2:]])


def as_typed(arguments: Sequence[str]) -> str:
    """Return the command that this process was started with; `arguments` are those of the program, behind its name."""
    words = program().words
    name = sys.argv[0] if words[:1] == ("python",) and len(words) == 2 else words[-1]
    return shlex.join([*words[:-1], name, *arguments])


def override(key: str, value: Path | str) -> str:
    """Return the override that gives a key this text, quoted for Hydra where its grammar asks for that."""
    text = str(value)
    return f"{key}={_written(text)}"


def _written(text: str) -> str:
    """Return the text that Hydra's grammar reads as `text`, in quotes where they are needed."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Quote, QuotedString
    from hydra.errors import HydraException

    try:
        is_plain = "${" not in text and OverridesParser.create().parse_override(f"key={text}").value() == text
    except HydraException:
        is_plain = False
    return text if is_plain else QuotedString(text.replace("${", r"\${"), Quote.double).with_quotes()


def plain(overrides: Any) -> list[str]:
    """Return overrides as they were typed: in one that gives a value by `${...}`, that stays."""
    from omegaconf import OmegaConf

    texts: Any = OmegaConf.to_container(overrides, resolve=False)
    return [str(text) for text in texts]


def _search_path(hydra: Any, typed: Sequence[str]) -> Iterator[str]:
    """Yield the override with the folders that configs are looked for in besides, absolute; none if there are none."""
    folders = [str(folder) for folder in hydra.searchpath]
    home = Path(str(hydra.runtime.cwd))
    anchored = [_anchored(folder, home) for folder in folders]
    is_typed = any(override.lstrip("+~").startswith(SEARCH_PATH) for override in typed)
    if is_typed or anchored != folders:
        yield f"{SEARCH_PATH}=[{','.join(map(_written, anchored))}]"


def _anchored(folder: str, home: Path) -> str:
    scheme, separator, path = folder.partition("://")
    if not separator:
        scheme, path = "file", folder
    return folder if scheme != "file" or Path(path).is_absolute() else f"file://{home / path}"


@cache
def _of_process(argv: tuple[str, ...]) -> Program:
    words, code = _started(argv[0] if argv else "")
    typed = _Options().parse(argv[1:])
    options = []
    for name in ("config_path", "config_name", "config_dir"):
        value = getattr(typed, name)
        if value is not None:
            value = os.path.abspath(value) if name == "config_dir" else value  # noqa: PTH100  as Hydra does
            options += [f"--{name.replace('_', '-')}", value]
    return Program(words, tuple(options), typed.experimental_rerun is not None, code)


def config_name(words: Sequence[str]) -> str | None:
    """Return what was typed after --config-name; None: the app's own."""
    name: str | None = _Options().parse(words).config_name
    return name


class _Options(argparse.ArgumentParser):
    """Reads those options of Hydra's that say which configs are composed."""

    def __init__(self) -> None:
        super().__init__(add_help=False)
        # The others of Hydra's that begin alike: argparse knows an option by its first letters.
        for names in (("--config-path", "-cp"), ("--config-name", "-cn"), ("--config-dir", "-cd"), ("--cfg", "-c"),
                      ("--experimental-rerun",)):  # fmt: skip
            self.add_argument(*names)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the options; none of words that are not Hydra's."""
        try:
            return self.parse_known_args(list(words))[0]
        except ValueError:
            return self.parse_known_args([])[0]

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the process."""
        raise ValueError(message)


def _started(name: str) -> tuple[tuple[str, ...], Path | None]:
    """Return the words that start the program which `sys.argv` calls `name`, and the file with its code."""
    main = sys.modules.get("__main__")
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if (
        spec is not None
        and spec.name != "__main__"
        and file is not None
        and Path(file).resolve() == Path(name).resolve()
    ):
        return ("python", "-m", spec.name.removesuffix(".__main__")), Path(file).resolve()
    if name in ("", "-", "-c"):
        return ("python", "app.py"), None
    script = Path(os.path.abspath(name))  # noqa: PTH100  a link to a script stays one
    if script.suffix != ".py" and (code := _of_console_script(script.stem)) is not None:
        found = shutil.which(script.name)
        is_found = found is not None and Path(found).resolve() == script.resolve()
        return (script.name if is_found else str(script),), code
    return ("python", str(script)), script.resolve()


def _of_console_script(name: str) -> Path | None:
    """Return the file of the module that a console script calls; None if no installed package has such a script."""
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    for entry in entry_points(group="console_scripts", name=name):
        try:
            spec = find_spec(entry.module)
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).resolve()
    return None
