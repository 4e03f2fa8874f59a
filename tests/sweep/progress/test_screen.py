"""The table on a terminal: what it says, what it leaves alone, and how it goes."""

import io
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from rich.console import Console

from inksweep.sweep.progress.screen import Screen, render
from inksweep.sweep.progress.view import RunningTrial, View, seconds_left

LONG = "model=cnn model.channels=[16,32,64] optimizer.lr=0.0123 trainer.label_smoothing=0.05 augment=affine"
VIEW = View(
    study="night",
    seconds=3785,
    n_trials=20,
    counts={"complete": 5, "pruned": 2, "fail": 1, "running": 3, "waiting": 0, "lost": 0},
    finished=7,
    slots=3,
    running=[
        RunningTrial(0, 9, LONG, 45, step=3, total=8, value=0.98714),
        RunningTrial(2, 11, "model.hidden=[128]", 5),
        RunningTrial(None, 12, LONG, 130, step=40, value=1e-6),
    ],
    best="0.9912 (trial 7)  test/accuracy 0.9908",
    best_parameters=LONG,
    target="test/accuracy > 0.99",
    seconds_left=700,
    may_end_before=True,
)
CLEAR, HIDE, SHOW = "\x1b[2K", "\x1b[?25l", "\x1b[?25h"


def shown(view: View, width: int = 80) -> list[str]:
    on = console(io.StringIO(), force_terminal=False, width=width)
    on.print(render(view))
    return [line.rstrip() for line in on.file.getvalue().split("\n")]


def row(view: View, start: str, width: int = 80) -> list[str]:
    (line,) = [line for line in shown(view, width) if line.startswith(start)]
    return line.split()


def stand_in(monkeypatch, file, *names):
    """Put a file where stdout and stderr were. Not in a fixture: pytest sets both anew before the test itself."""
    for name in names or ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, file)
    return file


def logger(monkeypatch, name="below"):
    """A logger below the root with a handler on stdout, made before the screen as Hydra makes it."""
    log = logging.getLogger(f"inksweep_screen_test.{name}")
    monkeypatch.setattr(log, "handlers", [logging.StreamHandler(sys.stdout)])
    log.setLevel(logging.INFO)
    return log


def console(file, **keys):
    keys = {"force_terminal": True, "width": 80, "height": 30, "no_color": True, "_environ": {}, **keys}
    return Console(file=file, **keys)


# What it says.


@pytest.mark.parametrize("width", [80, 120])
def test_the_numbers(width):
    text = "\n".join(shown(VIEW, width))
    for part in (
        "7 of 20 trials",
        "5 complete, 2 pruned, 1 failed, 3 running (1 by another process)\n",
        "0.9912 (trial 7)  test/accuracy 0.9908\n",
        "test/accuracy > 0.99\n",
        "1:03:05, up to 12 min left\n",
    ):
        assert part in text


@pytest.mark.parametrize("width", [30, 80, 120, 200])
def test_no_line_is_wrapped_or_longer_than_the_terminal(width):
    lines = shown(VIEW, width)
    assert len(lines) == len(shown(VIEW))
    assert max(map(len, lines)) <= width


def test_a_row_a_slot_then_those_of_other_processes():
    assert row(VIEW, "0 ")[:5] == ["0", "9", "━━━─────", "3/8", "0.9871"]
    assert row(VIEW, "1 ") == ["1", "idle"]
    assert row(VIEW, "2 ") == ["2", "11", "starting", "0:05", "model.hidden=[128]"]
    assert row(VIEW, "other ")[:6] == ["other", "12", "step", "40", "1e-06", "2:10"]


def test_long_parameters_end_in_an_ellipsis_and_show_more_on_a_wider_terminal():
    narrow, wide = row(VIEW, "0 "), row(VIEW, "0 ", 120)
    assert narrow[-1].endswith("…")
    assert wide[-1].endswith("…")
    assert len("".join(wide)) > len("".join(narrow)) + 20
    assert row(VIEW, "0 ", 200)[-1] == "augment=affine"


def test_what_trials_do_until_the_first_of_them_reports():
    running = [RunningTrial(slot, slot, "x=1", 3, doing="importing torch") for slot in (0, 1)]
    first = replace(VIEW, finished=0, running=running, best=None, best_parameters=None)
    assert row(first, "now") == ["now", "importing", "torch"]
    assert "now" not in "\n".join(shown(replace(first, finished=1)))


def test_what_is_not_known_yet():
    view = replace(VIEW, counts={}, running=[], best=None, best_parameters=None, target=None, seconds_left=None)
    text = "\n".join(shown(view))
    assert "trials  none yet" in text
    assert "best    none yet" in text
    assert "target" not in text
    assert "left" not in text


@pytest.mark.parametrize(
    "seconds, may_end_before, text",
    [
        (12, False, "under 1 min"),
        (700, False, "about 12 min"),
        (700, True, "up to 12 min"),
        (2 * 3600, False, "about 2.0 h"),
        (30 * 3600, False, "about 30 h"),
    ],
)
def test_time_left_is_rough_and_a_bound_where_a_rule_may_end_it(seconds, may_end_before, text):
    assert f"1:03:05, {text} left" in shown(replace(VIEW, seconds_left=seconds, may_end_before=may_end_before))[1]


def test_an_ending_is_said_in_full_and_the_estimate_goes():
    reason = "interrupted: running trials end at their next report; Ctrl-C again: now"
    lines = shown(replace(VIEW, stopping=reason), 50)
    assert reason in " ".join(" ".join(lines).removesuffix(" ").split())
    assert "left" not in "".join(lines)


@pytest.mark.parametrize(
    "slots, busy, numbers, more",
    [
        (8, range(8), "01234567", None),
        (9, range(9), "01234567", "... and 1 more"),
        # The rows that are cut are idle ones as long as there are any.
        (12, [10, 11], "10 11 0 1 2 3 4 5", "... and 4 more"),
    ],
)
def test_at_most_eight_rows(slots, busy, numbers, more):
    view = replace(VIEW, slots=slots, running=[RunningTrial(slot, 100 + slot, "x=1", 1) for slot in busy])
    lines = shown(view)
    rows = lines[next(n for n, line in enumerate(lines) if line.startswith("slot")) + 1 :]
    assert [line.split()[0] for line in rows[:8]] == (numbers.split() if " " in numbers else list(numbers))
    assert [line for line in rows[8:] if line] == ([more] if more else [])


def test_text_from_outside_is_neither_markup_nor_control_codes():
    view = replace(VIEW, running=[RunningTrial(0, 1, "a=[red]x[/red]\n\x1b[2J:smile:", 1)], study="[bold]")
    assert "a=[red]x[/red]  [2J:smile:" in "\n".join(shown(view, 120))
    assert shown(view)[1].startswith("[bold]")


@pytest.mark.parametrize("changes", [{"n_trials": 0, "finished": 0}, {"finished": 25}])
def test_odd_totals_are_drawn(changes):
    view = replace(VIEW, **changes)
    assert f"{view.finished} of {view.n_trials} trials" in "\n".join(shown(view))


# How long it still takes.


def run(seconds, step=None, total=None, slot=0):
    return RunningTrial(slot, 1, "", seconds, step, total)


@pytest.mark.parametrize(
    "durations, running, missing, slots, expected",
    [
        # Nothing to go by.
        ([], [], 5, 1, None),
        ([], [run(10)], 5, 1, None),
        ([], [run(10, 0, 8)], 5, 1, None),
        # Nothing to do.
        ([10], [], 0, 2, 0),
        ([], [], 0, 2, 0),
        # Whole trials over the slots: the last one alone takes its full time.
        ([10], [], 4, 1, 40),
        ([5, 15], [], 4, 2, 20),
        ([10], [], 5, 2, 30),
        ([10], [], 1, 4, 10),
        # A running trial: the mean less what has passed, never less than nothing.
        ([10], [run(4)], 0, 1, 6),
        ([10], [run(40)], 0, 1, 0),
        ([10], [run(4)], 1, 1, 16),
        ([10], [run(4)], 1, 2, 10),
        # With steps: its own pace, half a step ahead of the report.
        ([10], [run(35, 3, 8)], 0, 1, 45),
        ([10], [run(35, 8, 8)], 0, 1, 0),
        # The pace of a running trial stands in for a mean.
        ([], [run(35, 3, 8)], 1, 1, 45 + 80),
        # A trial of another process is one more place, our slots stay free.
        ([10], [run(4, slot=None)], 2, 1, 16),
        # Only recent durations count.
        ([1000] * 50 + [10] * 20, [], 1, 1, 10),
    ],
)
def test_seconds_left(durations, running, missing, slots, expected):
    assert seconds_left(durations, running, missing, slots) == pytest.approx(expected)


def test_seconds_left_of_very_many_trials_is_close_and_quick():
    assert seconds_left([10], [run(5)], 10**9, 4) == pytest.approx(10**10 / 4, rel=1e-3)


# Where it is shown.


def silent(screen, file):
    with screen:
        screen.refresh()
        print("line")
    assert not screen.active
    assert file.getvalue() == "line\n"


def forbidden():
    raise AssertionError("asked for a view")


@pytest.mark.parametrize("force", [{}, {"FORCE_COLOR": "1", "TERM": "xterm"}])
def test_without_a_terminal_it_is_silent(monkeypatch, force):
    file = stand_in(monkeypatch, io.StringIO())
    for name, value in force.items():
        monkeypatch.setenv(name, value)
    silent(Screen(forbidden, interval_s=0), file)


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TTY_INTERACTIVE": "0"}])
def test_on_a_terminal_that_cannot_move_its_cursor_it_is_silent(monkeypatch, environ):
    file = stand_in(monkeypatch, io.StringIO())
    silent(Screen(forbidden, interval_s=0, console=console(file, _environ=environ)), file)


def test_on_a_terminal_without_utf_8_it_is_silent(monkeypatch):
    file = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    stand_in(monkeypatch, file)
    with Screen(forbidden, console=console(file)) as screen:
        assert not screen.active
    assert file.buffer.getvalue() == b""


def test_it_is_drawn_at_once_then_at_most_every_interval(monkeypatch):
    file = stand_in(monkeypatch, io.StringIO())
    views = []

    def view():
        views.append(1)
        return VIEW

    with Screen(view, interval_s=60, console=console(file)) as screen:
        assert screen.active
        assert "7 of 20 trials" in file.getvalue()
        screen.refresh()
        assert len(views) == 1
        screen.interval_s = 0
        screen.refresh()
        assert len(views) == 2
    screen.refresh()
    assert len(views) == 2


def test_on_a_real_terminal_it_is_drawn_without_being_told_to(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as file, ThreadPoolExecutor() as pool:  # noqa: PTH123
        read = pool.submit(read_until, ours, SHOW)
        stand_in(monkeypatch, file)
        with Screen(lambda: VIEW):
            print("line \udcff")  # a file name may hold bytes that are no letters
            assert not sys.stdout.isatty()
        text = read.result(timeout=300)
    os.close(ours)
    assert "line \\udcff\r\n" in text
    assert "7 of 20 trials" in text


def read_until(descriptor, end):
    text = b""
    while end.encode() not in text:
        text += os.read(descriptor, 1024)
    return text.decode(errors="replace")


# What is printed meanwhile.


class Terminal(io.StringIO):
    """Just enough of a terminal to tell which lines stand in the end: rich erases lines upwards, then writes."""

    def lines(self):
        lines, text = [""], self.getvalue().replace(HIDE, "").replace(SHOW, "")
        for part in text.replace("\x1b[1A", "\0up\0").replace(CLEAR, "\0clear\0").replace("\n", "\0new\0").split("\0"):
            if part == "up":
                assert lines.pop() == ""  # nothing is left behind below
            elif part == "clear":
                lines[-1] = ""
            elif part == "new":
                lines.append("")
            elif part.strip("\r"):
                assert "\x1b[" not in part.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "")
                lines[-1] += part.strip("\r")
        return lines


def test_lines_stand_whole_and_in_order_and_the_table_goes(monkeypatch):
    file = stand_in(monkeypatch, Terminal())
    log = logger(monkeypatch)
    long = "x" * 200
    with Screen(lambda: VIEW, interval_s=0, console=console(file)) as screen:
        log.info("model.hidden=[128] [red]:smile:")
        screen.refresh()
        print("printed")
        print("in two ", end="", flush=True)
        screen.refresh()
        print("parts")
        print(long, file=sys.stderr)
        print("bar 1\rbar 2")
        log.info("two\nlines")
        lines = file.lines()
        assert "night" in lines[lines.index("lines") + 2]
        print("unended", end="")
    print(" end")
    expected = [
        "model.hidden=[128] [red]:smile:",
        "printed",
        "in two parts",
        long,
        "bar 2",
        "two",
        "lines",
        "unended end",
    ]
    assert file.lines() == [*expected, ""]


def test_lines_of_several_threads_stand_whole(monkeypatch):
    file = stand_in(monkeypatch, Terminal())
    log = logger(monkeypatch)

    def talk(name):
        for n in range(20):
            log.info("%s %d", name, n)

    threads = [threading.Thread(target=talk, args=(name,)) for name in "ab"]
    heights = iter(range(1000))

    def view():  # of changing height
        return replace(VIEW, slots=next(heights) % 5)

    with Screen(view, interval_s=0, console=console(file)) as screen:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            screen.refresh()
    assert sorted(file.lines()) == sorted(["", *(f"{name} {n}" for name in "ab" for n in range(20))])


def test_a_table_higher_than_the_terminal_is_cut_and_cleared(monkeypatch):
    file = stand_in(monkeypatch, Terminal())
    with Screen(lambda: VIEW, interval_s=0, console=console(file, height=6)) as screen:
        print("line")
        screen.refresh()
        assert len(file.lines()) == 1 + 6
        assert "7 of 20 trials" in "".join(file.lines())
        before = len(file.getvalue())
    assert file.lines() == ["line", ""]
    # What is drawn in full once more at the end would have scrolled out of reach.
    assert "trials" not in file.getvalue()[before:]


def test_others_are_told_that_there_is_no_terminal_to_draw_on(monkeypatch):
    file = Terminal()
    file.isatty = lambda: True
    stand_in(monkeypatch, file)
    with Screen(lambda: VIEW, console=console(file)):
        assert not sys.stderr.isatty()
    assert sys.stderr.isatty()


def test_a_console_that_follows_stdout_keeps_to_the_terminal(monkeypatch):
    file = stand_in(monkeypatch, Terminal())
    with Screen(lambda: VIEW, console=console(None)):
        print("line")
    assert file.lines() == ["line", ""]


def test_a_stream_that_is_no_terminal_keeps_its_text(monkeypatch):
    file, terminal = stand_in(monkeypatch, io.StringIO(), "stderr"), stand_in(monkeypatch, Terminal(), "stdout")
    with Screen(lambda: VIEW, console=console(terminal)):
        print("into the file", file=sys.stderr)
    assert file.getvalue() == "into the file\n"
    assert "into the file" not in terminal.getvalue()


# How it goes.


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_all_is_as_before_whatever_ends_it(monkeypatch, error):
    file = stand_in(monkeypatch, Terminal())
    (handler,), others = logger(monkeypatch).handlers, logger(monkeypatch, "late")
    try:
        with Screen(lambda: VIEW, console=console(file)):
            assert sys.stdout is not file
            assert handler.stream is not file
            late = logging.StreamHandler(sys.stdout)  # as a job makes it that runs in this process
            dropped = logging.StreamHandler(sys.stdout)
            others.addHandler(late)
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        assert type(raised) is error  # noqa: PT017
    assert sys.stdout is sys.stderr is handler.stream is late.stream is file
    assert file.getvalue().count(HIDE) == file.getvalue().count(SHOW) == 1
    assert file.lines() == [""]
    # One that nobody can find any more still writes.
    dropped.stream.write("still here")
    assert file.lines() == ["still here"]


def test_a_view_that_raises_at_the_start_leaves_nothing_behind(monkeypatch):
    file = stand_in(monkeypatch, Terminal())
    (handler,) = logger(monkeypatch).handlers

    def view():
        raise ValueError("no view")

    with pytest.raises(ValueError, match="no view"), Screen(view, console=console(file)):
        pass
    assert sys.stdout is handler.stream is file
    assert file.lines() == [""]
    assert file.getvalue().count(HIDE) == file.getvalue().count(SHOW) == 1


def test_a_terminal_that_goes_away_does_not_end_the_sweep(monkeypatch):
    file = stand_in(monkeypatch, Terminal())
    (handler,) = logger(monkeypatch).handlers

    def gone(text):
        raise OSError(5, "Input/output error")

    with Screen(lambda: VIEW, interval_s=0, console=console(file)) as screen:
        file.write, write, before = gone, file.write, len(file.getvalue())
        with pytest.raises(OSError, match="Input/output"):
            print("lost")
        file.write = write
        print("back")
        assert file.getvalue()[before:].endswith("back\n")
        assert "lost" not in file.getvalue()[before:]
        file.write = gone
        screen.refresh()
        assert not screen.active
        screen.refresh()
        assert sys.stdout is handler.stream is file
