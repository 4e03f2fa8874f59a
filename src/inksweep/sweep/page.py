"""The report on a sweep that ends, written by a process of its own: nothing that happens there can harm the sweep."""

import importlib.util
import logging
import os
import subprocess
import sys

from inksweep.errors import last_line
from inksweep.paths import SweepDir, shown
from inksweep.sweep.storage import Address
from inksweep.sweep.stored import STORAGE_VARIABLE

log = logging.getLogger(__name__)

# It takes a few seconds: by default only where the trials took longer.
LEAST_TRIALS_S = 10.0
PATIENCE_S = 120.0


def is_wanted(asked: bool | None, trials_s: float) -> bool:
    """Whether a report is to be written.

    Args:
        asked: `hydra.sweeper.report`.
        trials_s: how long all trials of the study took together, in seconds.
    """
    return trials_s >= LEAST_TRIALS_S if asked is None else asked


def write(sweep: SweepDir, address: Address) -> None:
    """Write `report.html` if the extra is installed; whatever goes wrong is a line in the log."""
    if any(importlib.util.find_spec(name) is None for name in ("plotly", "jinja2")):
        return
    # The address of a database may hold a password: it has no place among the words of a command.
    environment = os.environ | ({} if address.url is None else {STORAGE_VARIABLE: address.url})
    command = [sys.executable, "-P", "-m", "inksweep", "report", str(sweep.root)]
    failed = ""
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
        )
        failed = "" if done.returncode == 0 else last_line(done.stderr) or f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        failed = f"it took more than {PATIENCE_S:g} s"
    except (KeyboardInterrupt, SystemExit):  # the sweep itself is over, and as it should be
        failed = "interrupted"
    except OSError as error:
        failed = str(error)
    if failed:
        log.warning("the report was not written (%s); inksweep report %s", failed, shown(sweep.root))
    else:
        log.info("report: %s", shown(sweep.report))
