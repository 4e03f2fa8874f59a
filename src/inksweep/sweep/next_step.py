"""What to type when a search has met its target: the command that goes on with it, for a better result."""

import logging
import sys
from collections.abc import Sequence

from inksweep import command
from inksweep.command import override
from inksweep.errors import without_password
from inksweep.paths import shown
from inksweep.sweep.space.grammar import bare
from inksweep.sweep.start import Start
from inksweep.sweep.stopping import Reason, Standing, harder_target, to_raise

log = logging.getLogger(__name__)


def say(start: Start, now: Standing) -> None:
    """Log the command that goes on in the same study; the target has ended this start.

    Args:
        start: this start of the sweep.
        now: how the sweep stands at its end.
    """
    harder = harder_target(now)
    if harder is None:
        what, added = "without a target, up to hydra.sweeper.n_trials", ["hydra.sweeper.target=null"]
    else:
        what, added = "with a harder target", [f"hydra.sweeper.target.value={harder:g}"]
    log.info("go on %s: %s", what, _typed([*_same_study(start, now), *added, *to_raise(now, Reason.TARGET)]))


def _typed(added: Sequence[str]) -> str:
    """Return the command of this process with these settings instead of those that it had."""
    keys = {bare(word) for word in added}
    if "hydra.sweeper.target" in keys:
        keys |= {f"hydra.sweeper.target.{key}" for key in ("metric", "value", "direction", "next")}
    kept = [without_password(word) for word in sys.argv[1:] if "=" not in word or bare(word) not in keys]
    return command.as_typed([*kept, *added])


def _same_study(start: Start, now: Standing) -> list[str]:
    """Return what must be added so that the command finds this study; nothing where it does so by itself."""
    if not start.has_dated_folder:
        return []
    if start.names_its_folder:
        return [override("hydra.sweeper.study_name", now.ledger.study.study_name)]
    return [override("hydra.sweep.dir", shown(now.sweep.root))]
