"""dashboard.py: `inksweep dashboard SWEEP`, as a user types it."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from inksweep import cli, extras
from inksweep.paths import SweepDir
from tests.sweep.study.small import names, settings_only, two_trials


@pytest.fixture
def sweep(tmp_path: Path) -> SweepDir:
    """A sweep of two trials in a journal."""
    return two_trials(tmp_path / "night")


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["dashboard", *words])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    return said


def test_a_password_that_was_not_kept_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings_only(tmp_path, "postgresql://me:***@host/db")
    said = refusal([str(tmp_path)], capsys)
    assert "postgresql://me:***@host/db" in said
    assert "--storage or INKSWEEP_STORAGE" in said


def test_a_database_that_is_not_there_is_not_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings_only(tmp_path / "night", "sqlite:///gone.db")
    assert "sqlite:///gone.db: there is no such file" in refusal([str(tmp_path / "night")], capsys)
    assert names(tmp_path) == ["night"]
    assert names(tmp_path / "night") == ["sweep.yaml"]


def test_a_password_never_shows_in_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings_only(tmp_path, "postgresql://me:***@host/db")
    said = refusal([str(tmp_path), "--storage", "nodriver://me:secret@host/db"], capsys)
    assert "cannot be opened" in said
    assert "secret" not in said


def broken_yaml(sweep: SweepDir) -> None:
    sweep.config.write_text("a: [")


def other_yaml(sweep: SweepDir) -> None:
    sweep.config.write_text("- 1\n- 2\n")


def no_sweep(sweep: SweepDir) -> None:
    sweep.config.unlink()
    sweep.journal.unlink()


def journal_alone(sweep: SweepDir) -> None:
    sweep.config.unlink()


def no_journal(sweep: SweepDir) -> None:
    sweep.journal.unlink()


def empty_journal(sweep: SweepDir) -> None:
    sweep.journal.write_text("")


def broken_journal(sweep: SweepDir) -> None:
    sweep.journal.write_text("not json\n" + sweep.journal.read_text())


@pytest.mark.parametrize(
    "spoil, line",
    [
        (no_sweep, "no sweep directory (it has no sweep.yaml)"),
        (journal_alone, "no sweep directory (it has no sweep.yaml)"),
        (broken_yaml, "sweep.yaml: cannot be read"),
        (other_yaml, "sweep.yaml: cannot be read (it holds no settings of a sweep)"),
        (no_journal, "there is no study in it (no study.journal)"),
        (empty_journal, "study.journal: the study night is not in it (there are: none)"),
        (broken_journal, "study.journal: is no journal of a study"),
    ],
)
def test_a_folder_without_a_study_is_one_line(
    sweep: SweepDir, spoil: Callable[[SweepDir], None], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(sweep)
    assert line in refusal([str(sweep.root)], capsys)


def test_without_optuna_dashboard_the_line_says_how_to_get_it(
    sweep: SweepDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert extras.install("dashboard") in refusal([str(sweep.root)], capsys)


def test_a_port_that_is_taken_or_none_is_named(sweep: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna_dashboard")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"--port {port}: cannot be used (Address already in use)" in refusal(
            [str(sweep.root), "--port", str(port)], capsys
        )
    assert "--port 70000: cannot be used" in refusal([str(sweep.root), "--port", "70000"], capsys)


@pytest.fixture
def served(sweep: SweepDir) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the address that it printed."""
    pytest.importorskip("optuna_dashboard")
    code = "from inksweep.cli import main; main()"
    words = [sys.executable, "-c", code, "dashboard", str(sweep.root), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/dashboard/studies/0", first)
        assert found, first
        yield process, found.group(1)
    finally:
        process.kill()
        process.communicate()


def test_the_dashboard_shows_the_study_changes_nothing_and_ends_at_ctrl_c(
    sweep: SweepDir, served: tuple[subprocess.Popen[str], str]
) -> None:
    process, url = served
    before = sweep.journal.read_bytes()

    def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f"{url}{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    status, page = ask("/")
    assert (status, b"<html" in page.lower()) == (200, True)
    status, body = ask("/api/studies")
    (study,) = json.loads(body)["study_summaries"]
    assert (status, study["study_name"]) == (200, "night")
    # Another trial is told meanwhile, as by a sweep that runs.
    writer = optuna.load_study(study_name="night", storage=JournalStorage(JournalFileBackend(str(sweep.journal))))
    writer.tell(writer.ask(), 0.5)
    before = sweep.journal.read_bytes()
    shown = json.loads(ask("/api/studies/0?after=0")[1])["trials"]
    assert [trial["state"] for trial in shown] == ["Complete"] * 3

    status, body = ask("/api/studies/0", "DELETE")
    assert (status, json.loads(body)["reason"]) == (405, "inksweep dashboard shows the study and changes nothing")
    assert ask("/api/studies", Host="elsewhere.example")[0] == 403
    assert ask("/api/studies", Host="localhost:9000")[0] == 200
    assert sweep.journal.read_bytes() == before

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert (process.returncode, said) == (0, "")


def test_it_listens_on_this_machine_only(served: tuple[subprocess.Popen[str], str]) -> None:
    port = int(served[1].rpartition(":")[2])
    # All of 127.0.0.0/8 leads here on Linux: a server on all addresses would answer.
    if sys.platform == "linux":
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5).close()


def test_the_command_imports_no_torch() -> None:
    code = "import sys, inksweep.dashboard\nassert not {'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
