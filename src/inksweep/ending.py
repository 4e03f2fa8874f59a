"""The end of a script that is done: Python would take all its modules apart, for torch's half a second."""

import atexit
import gc
import io
import os
import sys
import threading
from contextlib import suppress


def at_once() -> None:
    """End this process with exit code 0, after all that Python does at its end but taking its modules apart.

    Threads are waited for, `atexit` is called, and what was written to files that are still open is in them. To be
    called as the last line of a script. If somebody waits for that, such as a profiler or a prompt, this returns and
    the process ends as ever; so it does where Python has other private names.
    """
    if sys.flags.interactive or os.environ.get("PYTHONINSPECT"):
        return
    with suppress(AttributeError):
        if sys._getframe(1).f_back is not None:  # Python itself does not run the script, something else does
            return
        shutdown, exit_functions = threading._shutdown, atexit._run_exitfuncs  # type: ignore[attr-defined]
        shutdown()
        exit_functions()
        for each in gc.get_objects():
            if issubclass(type(each), io.IOBase):
                with suppress(Exception):  # closed, or on a disk that is full
                    each.flush()
        os._exit(0)
