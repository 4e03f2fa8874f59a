"""Who may ask: from which page, under which name of this server, with which key."""

import hmac
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from inksweep.errors import InputError

# Where the key may stand instead of a file. Not an option: every user of the machine can read the words of a command.
VARIABLE = "INKSWEEP_API_KEY"
# A key that is shorter can be guessed.
SHORTEST_KEY = 16
# What a browser calls this machine, or the near end of an ssh tunnel. A page elsewhere whose name leads here (DNS
# rebinding) could otherwise use the server through the browser of whoever looks at that page.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Those that cost computing, and those that tell about others' requests.
WITH_KEY = ("/v1/", "/metrics")


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    line: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Access:
    """Who may ask."""

    # Names that a request may give this server in `Host`, without port; None: any.
    names: frozenset[str] | None = LOOPBACK
    # Names of pages that may ask although their requests reach the server under another one, as behind a proxy.
    pages: frozenset[str] = frozenset()
    # Any one of them opens; none: everybody may ask.
    keys: tuple[bytes, ...] = ()

    def refusal(self, path: str, headers: Mapping[bytes, bytes]) -> Refusal | None:
        """Return why a request is refused; None if it may be answered.

        Args:
            path: of its URL.
            headers: names in small letters.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if self.names is not None and _name(host) not in self.names:
            return Refusal(403, f"this server is not called {_shown(host)}; --allow-host NAME lets it be")
        if (origin := headers.get(b"origin")) is not None:
            page = _parts(origin.decode("latin-1"))
            if page is None or (page.netloc.lower() != host.lower() and page.hostname not in self.pages):
                return Refusal(403, "pages of other origins may not ask; --allow-host NAME lets those of a name")
        if self.keys and path.startswith(WITH_KEY) and not self._opens(headers):
            line = "an API key is needed: the header `Authorization: Bearer KEY`, or `X-API-Key: KEY`"
            return Refusal(401, line, ((b"www-authenticate", b"Bearer"),))
        return None

    def _opens(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        given = given.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        # In constant time each, so that the time tells nothing of a key.
        return any(hmac.compare_digest(given, key) for key in self.keys)


def access(host: str, allowed: list[str], key_file: Path | None) -> Access:
    """Return who may ask a server that listens at `host`.

    On loopback only requests to one of its names are answered. Elsewhere the name is looked at only if some are given.

    Args:
        host: name or address that it listens at.
        allowed: further names of the server, typed after --allow-host.
        key_file: a file with keys, one a line; None: the environment variable `VARIABLE`, if it is set.

    Raises:
        InputError: the file cannot be read, or a key cannot be used.
    """
    more = frozenset(name.lower().strip("[]") for name in allowed)
    if wrong := sorted(name for name in more if not name or any(sign in name for sign in "/ *@")):
        raise InputError(f"--allow-host {wrong[0]}: must be a name without port, such as digits.example.org")
    names = LOOPBACK | {host.lower()} | more if is_loopback(host) or more else None
    return Access(names, more, _keys(key_file))


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a server at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it is none, such as `null`, which a sandboxed page sends as its origin."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname else None
    except ValueError:
        return None


def _keys(file: Path | None) -> tuple[bytes, ...]:
    if file is None:
        where, text = VARIABLE, os.environ.get(VARIABLE, "")
        if not text:
            return ()
    else:
        where = f"--api-key-file {file}"
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{where}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    keys = [line.strip() for line in text.splitlines() if line.strip()]
    if not keys:
        raise InputError(f"{where}: holds no key; write one a line")
    for key in keys:
        if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise InputError(f"{where}: a key must be {SHORTEST_KEY} or more letters, digits and signs without spaces")
    return tuple(key.encode() for key in keys)


def _name(host: str) -> str:
    """Return the name in a `Host` header, without port; "" of what is none."""
    parts = _parts(f"//{host}")
    return "" if parts is None else parts.hostname or ""


def _shown(host: str) -> str:
    """Return a name that somebody sent, short and printable."""
    return repr(host[:80])
