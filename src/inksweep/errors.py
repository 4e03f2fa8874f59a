"""What a user did wrong, said in one line.

`InputError` is raised wherever a value, a file or a place outside the program is not usable. `one_line_errors` stands
around a whole command: it turns such an error, and Hydra's own, into one line on stderr and exit code 2. Everything
else keeps its traceback, because then the fault is ours.
"""

import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A value or file given by the user cannot be used; the message names it and says what to do."""


class Diverged(ArithmeticError):
    """Loss or a metric became infinite or not a number; the message names it and the epoch."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of `known`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Run a command: user errors become one line and exit code 2; with HYDRA_FULL_ERROR=1 the traceback is kept.

    Exit codes: 2 for a user error, 1 for a training that diverged or a fault of ours, 130 for Ctrl-C.
    """
    wanted = os.environ.get("HYDRA_FULL_ERROR")
    # Hydra prints and exits by itself unless this is set; we need the exception.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        line = explain(error)
        if wanted == "1" or line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(1 if isinstance(error, Diverged) else 2)
    finally:
        if wanted is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = wanted


def explain(error: BaseException) -> str | None:
    """Return the one line for `error`, or None if it is not the user's."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, InputError | Diverged):
            return _one_line(str(link))
    # Imported here: a command that never met Hydra does not pay for it.
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, HydraException | OmegaConfBaseException):
        return _hydra_line(error, chain)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _hydra_line(error: BaseException, chain: list[BaseException]) -> str:
    """Condense Hydra's paragraph: the key, what is wrong with it, the nearest name."""
    text = "\n".join(str(link) for link in chain)
    missing = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if missing:
        options = re.search(r"Available options in '[^']+':\n((?:\t\S+\n?)+)", text)
        known = options.group(1).split() if options else []
        group, name = missing.groups()
        allowed = f" (there are: {', '.join(known)})" if known else ""
        return f"{group}={name}: there is no such option{nearest(name, known)}{allowed}"
    # OmegaConf ends its messages with the place; Hydra begins its own with the key.
    place = re.search(r"full_key: (\S+)", text)
    key = re.search(r"Could not (?:override|append) '?([^'\s.]+(?:\.[^'\s.]+)*)", text)
    name = key.group(1) if key else place.group(1) if place else None
    innermost = _one_line(re.split(r"\n\s*full_key:", str(chain[-1]))[0])
    return f"{name}: {innermost}" if name and name not in innermost else innermost
