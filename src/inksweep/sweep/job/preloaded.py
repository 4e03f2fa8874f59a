"""TRIAL SIDE. The last module that is preloaded before workers are forked: their memory is to stay shared from here."""

import atexit
import gc
import os
import signal

# The collector writes into every object that it looks at, and a page that is written to is no longer shared.
gc.collect()
gc.freeze()
# What is frozen is not taken down at the end, which some libraries report as leaks; there is nothing to take down.
atexit.register(os._exit, 0)
# A scheduler, or `timeout`, sends it to the whole process group: the sweep needs its workers until trials have ended.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
