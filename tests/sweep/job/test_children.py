"""What a trial starts has the signals of any program, and is found wherever it has put itself."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from inksweep.sweep.job import children
from tests.sweep.apps import wait_for

ASK = "import signal; print([int(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGHUP)])"


def in_a_process(function):
    """Run `function` in a process of its own, as it changes the process; return whether it raised nothing."""
    process = multiprocessing.get_context("fork").Process(target=function)
    process.start()
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode == 0


def test_a_deaf_process_is_not_ended_and_its_children_are():
    def look():
        children.be_deaf()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        # Of a program that is started.
        default = [int(signal.SIG_DFL)] * 2
        assert subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout.strip() == str(
            default
        )
        # Of a forked child, at once after the fork: 20 times, as one in some hundred would not hear it in time.
        for _ in range(20):
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
            child.start()
            child.terminate()
            child.join(10)
            assert child.exitcode == -signal.SIGTERM

    assert in_a_process(look)


def test_what_is_left_is_seen_but_not_what_libraries_keep():
    def look():
        children.adopt_orphans()
        assert not children.has_left()
        # The tracker of shared memory, which stays for the next use.
        multiprocessing.get_context("spawn").Lock()
        assert not children.has_left()
        left = subprocess.Popen(["sleep", "60"])
        assert children.has_left()
        left.kill()
        wait_for(lambda: not children.has_left())

    assert in_a_process(look)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give orphans to their first process")
def test_what_an_ended_child_had_started_in_a_session_of_its_own_is_killed():
    def look():
        children.adopt_orphans()
        shell = "setsid sleep 60 >/dev/null 2>&1 & echo $!"
        pid = int(subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout)
        assert pid in children.of(os.getpid())
        assert children.kill_all(os.getpid())
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        assert not children.kill_all(os.getpid())

    assert in_a_process(look)


def test_some_may_be_spared():
    def look():
        one, other = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
        assert children.kill_all(os.getpid(), spare=[one.pid])
        assert other.wait(10) == -signal.SIGKILL
        assert one.poll() is None
        one.kill()

    assert in_a_process(look)


def test_what_a_launcher_has_set_and_blocked_is_not_for_what_a_trial_starts():
    def look():
        signal.signal(signal.SIGTERM, lambda number, frame: None)  # as submitit does
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        children.have_default_signals()
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        child.terminate()
        child.join(10)
        assert child.exitcode == -signal.SIGTERM
        ask = "import signal; print(signal.pthread_sigmask(0, []))"
        assert subprocess.check_output([sys.executable, "-c", ask], text=True).strip() == "set()"

    assert in_a_process(look)
