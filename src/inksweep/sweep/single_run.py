"""What is typed for a sweep, but without -m: Hydra then runs once, and passes over it without a word.

Every start of every Hydra app in this environment imports this module: nothing heavy here.
"""

import re
import shlex
from collections.abc import Sequence

FOR_A_SWEEP = re.compile(r"[+~]*hydra[./](sweeper|launcher|sweep)\b")
# Options of Hydra that make it no single run: several, or none.
OTHER_MODES = re.compile(r"-m$|--mu|-c$|--cfg|-i$|--in|-h$|--he|--hy|-sc$|--sh|--ex|--v")


def hint(argv: Sequence[str]) -> str | None:
    """Return what to type instead; None: nothing of a sweep was typed, or it takes effect.

    Args:
        argv: of a Hydra app, its name first.
    """
    app, *words = argv or [""]
    typed = [word for word in words if FOR_A_SWEEP.match(word)]
    has_mode = any(OTHER_MODES.match(word) or re.match(r"[+]*hydra\.mode=", word) for word in words)
    if not typed or has_mode:
        return None
    return (
        f"hint: {typed[0]} has no effect on a single run; add -m for a sweep: python {shlex.join([app, '-m', *words])}"
    )
