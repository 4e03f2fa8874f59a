"""`inksweep report`: where the page goes, when it is written anew, and at the end of a sweep."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.report.sweeps import make

pytest.importorskip("plotly")

from inksweep import cli
from inksweep.errors import InputError
from inksweep.files import held
from inksweep.paths import SweepDir
from inksweep.report import command
from inksweep.sweep import afterwards
from inksweep.sweep.study import reader
from inksweep.sweep.study.storage import Address


def finished(root, **more):
    made = make(root, **more)
    made.trial(0.5)
    made.end("n_trials")
    return made


def test_the_page_lies_in_the_sweep_or_where_it_is_wanted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    finished(tmp_path / "a", name="first")
    finished(tmp_path / "b", name="second")
    cli.main(["report", "a"])
    assert capsys.readouterr().out == "report: a/report.html\n"
    cli.main(["report", "a", "--out", "out/page.html"])
    cli.main(["report", "a", "b"])
    assert "first" in (tmp_path / "a" / "report.html").read_text()
    assert "first" in (tmp_path / "out" / "page.html").read_text()
    both = (tmp_path / "report.html").read_text()
    assert "2 sweeps compared" in both
    assert not (tmp_path / "b" / "report.html").exists()


def test_pictures_go_into_the_sweep(tmp_path, capsys):
    finished(tmp_path)
    cli.main(["report", str(tmp_path), "--png"])
    assert (tmp_path / "report" / "history.png").is_file()
    assert "history.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said", [(["nowhere"], "nowhere: no sweep directory"), (["empty"], "no sweep directory")]
)
def test_a_wrong_folder_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", *words])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_wrong_time_is_refused(tmp_path, capsys, seconds):
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(tmp_path), "--watch", f"--every={seconds}"])
    assert ended.value.code == 2
    assert "--every" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    finished(tmp_path)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(InputError, match=r'inksweep report: plotly is not installed; pip install .*\[report\]"'):
        command.run([tmp_path])
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r'inksweep report: matplotlib is not installed; pip install .*\[report\]"'):
        command.run([tmp_path], png=True)


def test_watching_writes_when_something_is_new_and_ends_with_the_sweep(tmp_path, monkeypatch):
    made = make(tmp_path)
    made.trial(0.5)
    made.end(None)
    written = []
    monkeypatch.setattr(command, "SHARE", 1e9)  # drawing may take all of the time

    def write(path, many, reload_s):
        written.append((len(many[0].trials), many[0].status, reload_s))

    monkeypatch.setattr("inksweep.report.page.page.write", write)

    def wait_for(count):
        deadline = time.monotonic() + 120
        while len(written) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    watcher = threading.Thread(target=command.run, args=([tmp_path],), kwargs={"watch_s": 0.02}, daemon=True)
    with held(made.sweep.lock, "taken"):
        watcher.start()
        wait_for(1)
        time.sleep(0.2)
        assert len(written) == 1  # nothing is new
        made.trial(None, TrialState.RUNNING, end=None)
        wait_for(2)
        assert [(trials, status) for trials, status, _ in written] == [(1, "running"), (2, "running")]
        assert all(reload_s for *_, reload_s in written)
    made.end("n_trials")
    watcher.join(20)
    assert not watcher.is_alive()
    assert written[-1] == (2, "ended", None)


def address(made):
    return Address("night", None, made.root, 60)


def test_the_end_of_a_sweep_writes_the_page_in_a_process_of_its_own(tmp_path, caplog):
    made = finished(tmp_path)
    with caplog.at_level("INFO"), held(made.sweep.lock, "taken"):
        afterwards.write(made.sweep, address(made))
    assert "report.html" in caplog.text
    text = made.sweep.report.read_text()
    assert '<span class="badge ended">' in text  # though the sweep still holds its lock
    assert 'id="reload"' not in text


def test_whatever_happens_to_the_report_is_a_line_in_the_log_of_the_sweep(tmp_path, caplog, monkeypatch):
    made = finished(tmp_path)
    made.sweep.journal.write_text("broken\n\n")
    afterwards.write(made.sweep, address(made))
    assert "the report was not written (error: " in caplog.text
    assert not made.sweep.report.exists()
    for raised in (subprocess.TimeoutExpired("x", 1), OSError("no memory"), KeyboardInterrupt()):
        caplog.clear()

        def run(*arguments, raised=raised, **options):
            raise raised

        monkeypatch.setattr(afterwards.subprocess, "run", run)
        afterwards.write(made.sweep, address(made))
        assert "the report was not written" in caplog.text


def test_without_the_extra_a_sweep_says_nothing_of_it(tmp_path, caplog, monkeypatch):
    made = finished(tmp_path)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    afterwards.write(made.sweep, address(made))
    assert caplog.text == ""
    assert not made.sweep.report.exists()


def test_a_report_that_was_asked_for_needs_the_extra_before_the_sweep_begins(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    afterwards.check_report(None)
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.report=true: jinja2 is not installed; pip install "):
        afterwards.check_report(True)


def test_the_password_of_a_database_is_not_among_the_words_of_a_command(tmp_path, monkeypatch):
    seen = {}

    def run(words, env, **options):
        seen.update(words=words, url=env[reader.STORAGE_VARIABLE])
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(afterwards.subprocess, "run", run)
    url = "postgresql://me:secret@host/db"
    afterwards.write(SweepDir(tmp_path), Address("night", url, tmp_path, 60))
    assert seen["url"] == url
    assert "secret" not in " ".join(seen["words"])


@pytest.mark.parametrize(
    "asked, trials_s, wanted", [(None, 9, False), (None, 11, True), (True, 0, True), (False, 1e6, False)]
)
def test_short_sweeps_have_a_report_only_if_it_is_asked_for(asked, trials_s, wanted):
    assert afterwards.is_wanted(asked, trials_s) is wanted


APP = """
import hydra
from hydra.core.config_store import ConfigStore

@hydra.main(config_path=None, config_name="config")
def main(cfg):
    return cfg.x

ConfigStore.instance().store(name="config", node={"x": 0.0})
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("asked, there", [("true", True), ("null", False)])
def test_a_sweep_of_any_app_ends_with_a_report(tmp_path: Path, asked, there):
    (tmp_path / "app.py").write_text(APP)
    words = ["hydra/sweeper=inksweep", "hydra.sweep.dir=night", "x=interval(0,1)", "hydra.sweeper.n_trials=3",
             "hydra/launcher=basic", f"hydra.sweeper.report={asked}"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "app.py", "-m", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "night" / "report.html").is_file() is there
    assert ("report: night/report.html" in done.stdout) is there


WATCHED = APP.replace(
    "import hydra\n",
    """import os, signal
import hydra
from inksweep.files import is_held
from inksweep.sweep import afterwards

def write(sweep, address):
    print("page, with the sweep's lock held:", is_held(sweep.lock))

afterwards.write = write
""",
)


@pytest.mark.parametrize(
    "body, code, said",
    [
        # The next start need not wait for the page.
        ("return cfg.x", 0, "page, with the sweep's lock held: False"),
        # Too many failures are a reason to look.
        ("raise ValueError('no')", 1, "page, with the sweep's lock held: False"),
        # Who interrupts does not want to wait.
        ("os.kill(os.getppid(), signal.SIGINT); import time; time.sleep(1); return cfg.x", 130, ""),
    ],
)
def test_the_page_comes_last_and_not_after_an_interruption(tmp_path: Path, body: str, code: int, said: str):
    # In a slot, the parent's parent is the sweep: a fork server stands between.
    find = "int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])"
    (tmp_path / "app.py").write_text(WATCHED.replace("return cfg.x", body.replace("os.getppid()", find)))
    words = ["hydra/sweeper=inksweep", "hydra.sweep.dir=night", "x=interval(0,1)", "hydra.sweeper.n_trials=3",
             "hydra.sweeper.report=true"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "app.py", "-m", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    assert ("page, " in done.stdout) is bool(said)
    assert said in done.stdout
