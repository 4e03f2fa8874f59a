"""optuna-dashboard opens the journal of a sweep that runs."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

APP = """
import time
import hydra
from hydra.core.config_store import ConfigStore
from inksweep import trial

@hydra.main(config_path=None, config_name="config")
def main(cfg):
    for step in range(1, 200):
        time.sleep(0.05)
        trial.report(step, cfg.x)
        if trial.should_stop():
            break
    return cfg.x

ConfigStore.instance().store(name="config", node={"x": 0.0})
if __name__ == "__main__":
    main()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetched(url, seconds=60):
    """Return what `url` answers, once it does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.mark.full
def test_the_dashboard_serves_the_study_while_the_sweep_runs(tmp_path):
    dashboard = shutil.which("optuna-dashboard", path=str(Path(sys.executable).parent))
    if dashboard is None:
        pytest.skip("optuna-dashboard is not installed")
    (tmp_path / "app.py").write_text(APP)
    words = ["hydra/sweeper=inksweep", "hydra.sweep.dir=night", "x=interval(0,1)", "hydra.sweeper.n_jobs=2"]
    sweep = subprocess.Popen([sys.executable, "app.py", "-m", *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
    port = free_port()
    server = None
    try:
        journal = tmp_path / "night" / "study.journal"
        deadline = time.monotonic() + 60
        while not (journal.exists() and b"intermediate_value" in journal.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        command = [dashboard, str(journal), "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert fetched(f"http://127.0.0.1:{port}/dashboard")[0] == 200
        status, body = fetched(f"http://127.0.0.1:{port}/api/studies")
        (study,) = json.loads(body)["study_summaries"]
        assert (status, study["study_name"]) == (200, "night")
        status, body = fetched(f"http://127.0.0.1:{port}/api/studies/{study['study_id']}?after=0")
        shown = json.loads(body)["trials"]
        assert status == 200
        assert {"Running"} <= {trial["state"] for trial in shown}
        assert sweep.poll() is None
    finally:
        for process in (sweep, server):
            if process is not None:
                process.kill()
                process.wait()
