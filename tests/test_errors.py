import os
import signal
import subprocess
import sys
import threading

import pytest

from inksweep.errors import Diverged, InputError, explain, nearest, one_line_errors, without_password


def test_the_nearest_name_is_offered_only_if_there_is_one() -> None:
    assert nearest("adm", ["adam", "sgd"]) == "; did you mean 'adam'?"
    assert nearest("xyz", ["adam", "sgd"]) == ""


@pytest.mark.parametrize(
    "error, code, line",
    [
        (InputError("optimizer.lr=-1: must be\n above 0"), 2, "error: optimizer.lr=-1: must be above 0\n"),
        (Diverged("train/loss is nan"), 1, "error: train/loss is nan\n"),
        (PermissionError(13, "Permission denied", "/there"), 2, "error: /there: Permission denied; make room"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_users_error_is_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise error
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == (1 if line else 0)


def test_an_error_wrapped_by_others_is_still_found() -> None:
    outer = RuntimeError("while resolving")
    outer.__cause__ = InputError("data.root=/x: cannot be written")
    assert explain(outer) == "data.root=/x: cannot be written"


def test_our_own_faults_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors():
        _ = 1 / 0


def test_with_full_error_the_traceback_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(InputError), one_line_errors():
        raise InputError("bad")
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


def test_environment_and_signals_are_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with one_line_errors():
        assert signal.getsignal(signal.SIGTERM) != before
    assert "HYDRA_FULL_ERROR" not in os.environ
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_command_may_run_in_another_thread() -> None:
    done: list[str] = []

    def command() -> None:
        with one_line_errors():
            done.append("ran")

    thread = threading.Thread(target=command)
    thread.start()
    thread.join()
    assert done == ["ran"]


def test_a_request_to_end_unwinds_the_program() -> None:
    code = (
        "import time\n"
        "from inksweep.errors import one_line_errors\n"
        "with one_line_errors():\n"
        "    try:\n"
        "        print('ready', flush=True); time.sleep(30)\n"
        "    finally:\n"
        "        print('written', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == "written\n"
    assert process.wait(10) == 143


@pytest.mark.parametrize(
    "text, shown",
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("x://host/db?user=me&password=secret&a=1", "x://host/db?user=me&password=***&a=1"),
        (
            "no host http://me:secret@host:9/ answers at http://host:80/a@b",
            "no host http://me:***@host:9/ answers at http://host:80/a@b",
        ),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_a_password_is_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown
