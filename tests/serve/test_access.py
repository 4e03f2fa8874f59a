"""access.py: which Host, Origin and key a request may come with."""

from pathlib import Path

import pytest

from inksweep.errors import InputError
from inksweep.serve import access as access_module
from inksweep.serve.access import VARIABLE, access, is_loopback

KEY, OTHER = "a-key-of-16-signs", "another-key-of-17"


def status(headers: dict[str, str], path: str = "/v1/read", **asked: object) -> int | None:
    """Return the status that a request is refused with; None: it may be answered."""
    made = access(**{"host": "127.0.0.1", "allowed": [], "key_file": None, **asked})  # type: ignore[arg-type]
    refusal = made.refusal(path, {name.encode(): value.encode() for name, value in headers.items()})
    return refusal.status if refusal else None


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]:8000"])
def test_the_names_of_this_machine_may_be_used(host: str) -> None:
    assert status({"host": host}) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[::1", "192.168.0.2"]
)
def test_on_loopback_another_name_is_refused(host: str) -> None:
    assert status({"host": host}) == 403


def test_a_name_that_is_allowed_may_be_used_on_loopback_too() -> None:
    assert status({"host": "digits.example.org"}, allowed=["Digits.example.org"]) is None
    assert status({"host": "127.0.0.1"}, allowed=["digits.example.org"]) is None
    assert status({"host": "evil.example"}, allowed=["digits.example.org"]) == 403


def test_elsewhere_any_name_may_be_used_unless_some_are_given() -> None:
    assert status({"host": "anything.example"}, host="0.0.0.0") is None
    assert status({"host": "anything.example"}, host="0.0.0.0", allowed=["digits.example.org"]) == 403


@pytest.mark.parametrize(
    "origin, expected",
    [
        ("http://127.0.0.1:8000", None),
        ("http://127.0.0.1:9000", 403),  # another server of this machine
        ("http://evil.example", 403),
        ("null", 403),  # a sandboxed page, a file
        ("", 403),
        ("http://[", 403),
        ("https://digits.example.org", None),
        ("https://digits.example.org.evil.example", 403),
    ],
)
def test_only_pages_of_this_server_and_of_allowed_names_may_ask(origin: str, expected: int | None) -> None:
    headers = {"host": "127.0.0.1:8000", "origin": origin}
    assert status(headers, allowed=["digits.example.org"]) == expected


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({}, 401),
        ({"authorization": f"Bearer {KEY}"}, None),
        ({"authorization": f"bearer  {KEY}"}, None),
        ({"authorization": f"Bearer {OTHER}"}, None),
        ({"x-api-key": KEY}, None),
        ({"authorization": f"Bearer {KEY}x"}, 401),
        ({"authorization": f"Bearer {KEY[:-1]}"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"x-api-key": ""}, 401),
        ({"x-api-key": "ä" * 16}, 401),
    ],
)
def test_a_key_opens_if_it_is_one_of_the_file(headers: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n\n{OTHER}\n")
    assert status({"host": "127.0.0.1", **headers}, key_file=file) == expected


def test_with_a_key_the_page_and_the_health_of_the_server_stay_open(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(KEY)
    for path in ("/", "/page.js", "/healthz", "/readyz", "/docs", "/openapi.json"):
        assert status({"host": "127.0.0.1"}, path, key_file=file) is None
    for path in ("/v1/read", "/v1/digits", "/v1/winners", "/metrics"):
        assert status({"host": "127.0.0.1"}, path, key_file=file) == 401


def test_the_key_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    assert status({"host": "127.0.0.1"}) == 401
    assert status({"host": "127.0.0.1", "x-api-key": KEY}) is None


@pytest.mark.parametrize(
    "text, line", [("", "holds no key"), ("short", "16 or more"), ("a key with spaces in", "without spaces")]
)
def test_a_key_that_cannot_be_used_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(InputError, match=line) as caught:
        access("127.0.0.1", [], file)
    assert "spaces in" not in str(caught.value)


def test_a_file_with_keys_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--api-key-file .*gone: cannot be read \(No such file"):
        access("127.0.0.1", [], tmp_path / "gone")


@pytest.mark.parametrize("name", ["", "http://a", "a/b", "*"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--allow-host"):
        access("127.0.0.1", [name], None)


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(KEY)
    compared = []
    monkeypatch.setattr(access_module.hmac, "compare_digest", lambda a, b: bool(compared.append((a, b))))
    assert status({"host": "127.0.0.1", "x-api-key": "guess"}, key_file=file) == 401
    assert compared == [(b"guess", KEY.encode())]


@pytest.mark.parametrize(
    "host, expected",
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
