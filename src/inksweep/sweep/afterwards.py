"""What is made of a sweep that has ended, by a process of its own: nothing that happens there can harm the sweep."""

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from inksweep import extras
from inksweep.errors import InputError, last_line, need_extra
from inksweep.paths import SweepDir, shown
from inksweep.silence import saying
from inksweep.sweep.study.reader import STORAGE_VARIABLE
from inksweep.sweep.study.storage import Address
from inksweep.sweep.winner import saving

# Given a module and its words, as after `python -m`, and for how many seconds it may run: its exit code, and what it
# printed.
Run = Callable[[Sequence[str], float], tuple[int, str]]

log = logging.getLogger(__name__)

# A report takes a few seconds: by default it is written only where the trials took longer than this.
LEAST_TRIALS_S = 10.0
# How long to wait for the report, and for the card, for which models may be measured and exported.
PATIENCE_S, CARD_PATIENCE_S = 120.0, 600.0
# What an export needs besides torch.
PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch-export": ()}
# What `inksweep report` needs.
NEEDED_BY_REPORT = ("plotly", "jinja2")
# How `inksweep card` begins the line for a format that could not be written.
NOT_EXPORTED = "not exported"


def check_exports(formats: Sequence[str]) -> None:
    """Refuse, before hours of training, formats that this installation cannot write.

    Raises:
        InputError: the message names what is missing.
    """
    for name in formats:
        if missing := extras.missing(PACKAGES[name]):
            raise InputError(
                f"hydra.sweeper.winner.export={name}: {', '.join(missing)} is not installed; "
                f"{extras.install('export')}, or leave it out and give inksweep export later"
            )


def check_report(asked: bool | None) -> None:
    """Refuse, before hours of training, a report that was asked for and that this installation cannot write.

    Args:
        asked: `hydra.sweeper.report`. Where it is null, a report is written only if the extra is there.

    Raises:
        InputError: the message names what is missing.
    """
    if asked:
        need_extra("hydra.sweeper.report=true", "report", NEEDED_BY_REPORT)


def is_wanted(asked: bool | None, trials_s: float) -> bool:
    """Whether a report is to be written.

    Args:
        asked: `hydra.sweeper.report`.
        trials_s: how long all trials of the study took together, in seconds.
    """
    return trials_s >= LEAST_TRIALS_S if asked is None else asked


def write(sweep: SweepDir, address: Address) -> None:
    """Write `report.html` if the extra is installed; whatever goes wrong is a line in the log."""
    if extras.missing(NEEDED_BY_REPORT):
        return
    # The address of a database may hold a password: it must not be seen among the words of a command.
    environment = {} if address.url is None else {STORAGE_VARIABLE: address.url}
    failed, _ = _called(["report", str(sweep.root)], PATIENCE_S, environment)
    if failed:
        log.warning("the report was not written (%s); inksweep report %s", failed, shown(sweep.root))
    else:
        log.info("report: %s", shown(sweep.report))


def write_card(sweep: SweepDir, run: Run | None = None) -> None:
    """Complete the winner's card if that is not done yet; whatever goes wrong is a line in the log.

    Args:
        sweep: its directory.
        run: runs a command in a process that has imported torch already; None: the process begins with nothing.
    """
    if not saving.wants_card(sweep):
        return
    folder = shown(sweep.winner.root)
    log.info("the winner is measured for its card ...")
    failed, stderr = _called(["card", str(sweep.winner.root)], CARD_PATIENCE_S, run=run)
    for line in stderr.splitlines():
        if line.startswith(NOT_EXPORTED):
            log.warning("%s", line)
    if failed:
        log.warning("the card was not completed (%s); inksweep card %s", failed, shlex.quote(folder))
    else:
        log.info("card: %s", shown(sweep.winner.card))


def _called(
    words: list[str], patience_s: float, environment: Mapping[str, str] | None = None, run: Run | None = None
) -> tuple[str, str]:
    """Run `inksweep` with `words`; return what went wrong, or nothing, and what it said."""
    try:
        with saying(f"inksweep {words[0]}, which completes the sweep"):
            code, said = _ended(["inksweep", *words], patience_s, environment or {}, run)
    except (TimeoutError, subprocess.TimeoutExpired):
        return f"it took more than {patience_s:g} s", ""
    except (KeyboardInterrupt, SystemExit):  # the sweep is over, and its exit code stays
        return "interrupted", ""
    except OSError as error:
        return str(error), ""
    return "" if code == 0 else last_line(said) or f"exit code {code}", said


def _ended(command: list[str], patience_s: float, environment: Mapping[str, str], run: Run | None) -> tuple[int, str]:
    if run is not None:
        with suppress(ConnectionError):  # the process that it would be forked from was killed
            return run(command, patience_s)
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=patience_s,
    )
    return done.returncode, done.stderr
