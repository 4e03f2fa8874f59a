"""User errors, as messages of one line.

`InputError` is raised wherever a value, a file or something else outside the program cannot be used. `one_line_errors`
stands around a whole command: it turns such an error, and Hydra's own, into one line on stderr and exit code 2. All
other errors keep their traceback, because the fault is then ours.
"""

import difflib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from inksweep import extras, streams

# HYDRA_FULL_ERROR as the user set it, while a command runs; one_line_errors may stand inside another one_line_errors.
_full_error_typed: ContextVar[str | None] = ContextVar("hydra_full_error_typed", default=None)


class InputError(ValueError):
    """A value or file given by the user cannot be used; the message names it and says what to do."""


class Unavailable(Exception):
    """One of several ways to get a file did not work; the message says why. The caller tries the next way."""


class Diverged(ArithmeticError):
    """Loss or a metric became infinite or not a number; the message names it and the epoch."""


def need(good: bool, key: str, value: object, allowed: str) -> None:
    """Raise InputError for the value of a config key unless `good`; `allowed` completes the words "must be ..."."""
    if not good:
        raise InputError(f"{key}={value}: must be {allowed}")


def need_extra(user: str, extra: str, packages: Sequence[str] | None = None) -> None:
    """Raise InputError unless packages of an extra are installed; none of them is imported.

    Args:
        user: what needs them, as it was typed: `inksweep report`, `figures=true`.
        extra: the extra that brings them, and that the message tells to install.
        packages: which of its packages are needed, as they are imported; None: all.
    """
    if lacking := extras.missing(extras.EXTRAS[extra] if packages is None else packages):
        raise InputError(f"{user}: {_not_installed(lacking)}; {extras.install(extra)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of `known`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Run a command: user errors become one line and exit code 2; with HYDRA_FULL_ERROR=1 the traceback is kept.

    Exit codes: 2 for a user error, 1 for a training that diverged or a fault of ours, 130 for Ctrl-C, 143 for SIGTERM.
    Where the disk behind standard output is full the command goes on, and ends with 2.
    """
    outermost = _full_error_typed.get() is None
    if outermost:
        streams.prepare()
    handles = outermost and threading.current_thread() is threading.main_thread()  # no other thread may set a handler
    before = signal.signal(signal.SIGTERM, _end) if handles else None
    typed = os.environ.get("HYDRA_FULL_ERROR") if outermost else _full_error_typed.get()
    token = _full_error_typed.set(typed or "")
    # Unless this is set, Hydra prints the error and exits; the exception is needed here.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        try:
            yield
        finally:
            if outermost:
                _check_shown()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        line = explain(error)
        if typed == "1" or line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(1 if isinstance(error, Diverged) else 2)
    finally:
        _full_error_typed.reset(token)
        if handles:
            signal.signal(signal.SIGTERM, before)
        if outermost:
            os.environ.pop("HYDRA_FULL_ERROR")
            if typed is not None:
                os.environ["HYDRA_FULL_ERROR"] = typed


def explain(error: BaseException) -> str | None:
    """Return the one line for `error`, or None if it is not the user's fault."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, InputError | Diverged):
            return _one_line(str(link))
    if isinstance(error, ModuleNotFoundError):
        return _lacking_line(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; make room, give permission or name another place"
    # Imported here, because a command that does without Hydra should not import it.
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, HydraException | OmegaConfBaseException):
        return _hydra_line(chain)
    return None


def null_hint(override: str, reason: str) -> str:
    """Return what to write instead of `choice(null,5)`, which Hydra's grammar refuses for such a reason; else ""."""
    if "NoneType" not in reason or "choice(" not in override:
        return ""
    key, _, text = override.partition("=")
    choices = re.fullmatch(r"\s*choice\((.*)\)\s*", text)
    return "choice() takes no null" + (
        f"; write {key}={choices.group(1)}" if choices else "; write null,... without it"
    )


def last_line(reason: object) -> str:
    """Return the last line of a message, where tools say what went wrong, at most 200 characters of it."""
    lines = str(reason).strip().splitlines()
    return lines[-1].strip()[:200] if lines else ""


def without_password(text: str) -> str:
    """Return a text with the passwords of the URLs in it replaced by stars."""
    return re.sub(r"(password=)[^&\s]*", r"\1***", re.sub(r"(//[^:/@\s]*):[^/\s]*@", r"\1:***@", text))


def _check_shown() -> None:
    """Raise InputError if what a command has shown was lost, unless it ends with an error already."""
    reason, error = streams.lost(), sys.exception()
    if reason is not None and (error is None or (isinstance(error, SystemExit) and not error.code)):
        raise InputError(f"standard output: {reason}; what was to be shown is lost, the files are written")


def _end(number: int, frame: object) -> None:
    """End on SIGTERM by an exception, as Ctrl-C does, so that a run can still write its result."""
    sys.exit(128 + number)


def _not_installed(packages: Sequence[str]) -> str:
    *most, last = packages
    return f"{', '.join(most)} and {last} are not installed" if most else f"{last} is not installed"


def _lacking_line(error: ModuleNotFoundError) -> str | None:
    """Name the extra that brings what a module of inksweep could not import; None if it is no package of an extra.

    What an app of the user's cannot import is the app's affair, and keeps its traceback.
    """
    import traceback

    package = (error.name or "").partition(".")[0]
    extra = extras.extra_of(package)
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = bool(frames) and frames[-1].partition(".")[0] == "inksweep"
    if extra is None or not ours or not extras.missing([package]):
        return None
    return f"{_not_installed([package])}; {extras.install(extra)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _hydra_line(chain: list[BaseException]) -> str:
    """Condense the paragraphs of Hydra and OmegaConf to: the key, what is wrong with it, the nearest name."""
    messages = [str(link) for link in chain]
    if option := re.search(r"Could not find '([^']+)/([^'/]+)'", messages[0]):
        group, name = option.groups()
        listed = re.search(r"Available options in '[^']+':\n((?:\t\S+\n?)+)", messages[0])
        known = listed.group(1).split() if listed else []
        package = name.partition("_")[0]
        if group == "hydra/launcher" and package in extras.EXTRAS["cluster"]:
            return f"{group}={name}: hydra-{package}-launcher is not installed; {extras.install('cluster')}"
        return f"{group}={name}: there is no such option{nearest(name, known)} (there are: {', '.join(known)})"
    if "hydra.mode changed" in messages[0]:
        return f"{_one_line(messages[0])}; or add -m to the command"
    if unread := re.search(r"string: (.*?)(?: out of .*)?\.\n(.*)", messages[0]):
        if hint := null_hint(unread.group(1), messages[0]):
            return f"{unread.group(1)}: {hint}"
        return f"{unread.group(1)}: cannot be read ({unread.group(2)}); quote special characters"
    # OmegaConf's message ends with lines on where the key is; Hydra's, which is raised from it, names the override.
    about = [text for text in messages if "full_key:" in text and "raised while resolving" not in text]
    reason, _, place = (about[0] if about else messages[0]).partition("\n    full_key: ")
    override = re.search(r"Error merging override (\S+)|Could not (?:override|append) '([^']+)'", messages[0])
    key = next(filter(None, override.groups())) if override else place.partition("\n")[0]
    if re.fullmatch(r"Key '\w+' not in '\w+'", reason.strip()) and "." in key and not key.startswith("hydra."):
        group = key.partition(".")[0]
        reason = f"{reason.strip()}; if another option of {group} has it, choose that too ({group}=...)"
    return _one_line(f"{key}: {reason}" if key else reason)
