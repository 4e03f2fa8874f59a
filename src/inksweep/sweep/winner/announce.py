"""The end of a sweep: the winner is saved, and the log says which it is and where everything lies."""

import logging
import shlex
import socket
from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial

from inksweep.command import typed_in
from inksweep.paths import SweepDir, WinnerDir, home, shown
from inksweep.runs.selection import Candidate
from inksweep.sweep.progress.wording import numbers, short
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.stopping import Target
from inksweep.sweep.study import signposts
from inksweep.sweep.study.trials import front
from inksweep.sweep.winner import choice, saving, selection
from inksweep.sweep.winner.choice import Choice
from inksweep.sweep.winner.commands import commands

log = logging.getLogger(__name__)


class Saving:
    """Saves the winner of a sweep, and says where it is.

    Args:
        study: of the search.
        sweep: its directory.
        conf: `hydra.sweeper.winner`.
        target: of the search.
        program: the words that start the app, before the overrides of a job.
    """

    def __init__(
        self, study: Study, sweep: SweepDir, conf: WinnerConf, target: Target | None, program: Sequence[str] = ()
    ):
        self.study, self.sweep, self.conf, self.target, self.program = study, sweep, conf, target, program
        saving.restore(sweep)

    def keep(self) -> None:
        """Save the winner of the search before the final stage, which may be killed; that of an earlier stage stays."""
        signposts.put_signposts(self.study, self.sweep)
        decided = choice.of_search(self.study, self.conf, self.sweep)
        if decided is not None and not self._has_final():
            self._save(decided)

    def announce(self, final: Choice | None) -> None:
        """Save the winner, of the final stage or else of the search; say which it is, and where everything is."""
        signposts.put_signposts(self.study, self.sweep)  # other processes may have found it
        decided = final or choice.of_search(self.study, self.conf, self.sweep)
        if decided is None:
            log.info("no trial is complete, so there is no winner")
        elif final is None and self.conf.runs_again and self._has_final():
            log.info("winner: that of the final stage before stays -> %s", shown(self.sweep.winner.root))
        else:
            if len(self.study.directions) > 1:
                log.info("Pareto front: trials %s", ", ".join(str(trial.number) for trial in front(self.study)))
            self._announce(decided)
        log.info("everything: %s", shown(self.sweep.root))
        log.info("look at it: inksweep compare %s", shlex.quote(shown(self.sweep.root)))

    def _announce(self, decided: Choice) -> None:
        saved, model = self._save(decided), decided.model
        where = f"-> {shown(saved.root)}" if saved is not None else _where(model.trial)
        which = f"trial {decided.trial.number}"
        if decided.is_final:
            which += f", seed {model.seed}" + (", all data" if decided.full_data else "")
        # One trained on all data was trained on the validation pictures: its objective measures nothing.
        measured = "" if decided.full_data else f", objective {numbers(model.trial)}"
        log.info("winner: %s%s %s", which, measured, where)
        if decided.members:
            log.info("an ensemble of %d: %s", len(decided.members), ", ".join(run.path for run in decided.members))
        if self.conf.ensemble > len(decided.trainings) and decided.is_final == self.conf.runs_again:
            few = len(decided.trainings)
            log.warning("hydra.sweeper.winner.ensemble=%d: models there are only %d", self.conf.ensemble, few)
        if saved is None:
            for command in commands(self.sweep, decided, self.program):
                log.info("train it here: %s", typed_in(home(), command))
        else:
            saved_selection = saving.saved_selection(self.sweep)
            for command in saved_selection.commands if saved_selection else ():
                log.info("train it again: %s", typed_in(home(), command))
            if self.conf.use is not None:
                command = self.conf.use.replace("{winner}", shlex.quote(shown(saved.root)))
                log.info("use it: %s", command)
            log.info("how to use it: %s", shown(saved.card))

    def _save(self, decided: Choice) -> WinnerDir | None:
        described = selection.describe(decided, self.study, self.sweep, self.conf, self.target)
        for candidate in described.candidates:
            log.info("%s", _ranked(candidate))
        return saving.save(self.sweep, decided, described, self.program)

    def _has_final(self) -> bool:
        """Whether the winner that is there was made by a final stage of this study."""
        saved = saving.saved_selection(self.sweep)
        return saved is not None and saved.study == self.study.study_name and saved.is_final


def _where(trial: FrozenTrial) -> str:
    """Return where a winner lies that is not on this disk, and so cannot be saved here."""
    machine, folder = signposts.host(trial), signposts.noted_folder(trial)
    which = "its folder" if folder is None else f"its folder, {folder / str(trial.number)},"
    gone = "is gone" if machine == socket.gethostname() else "is not on this disk"
    return f"on {machine}; {which} {gone}: it is not saved here"


def _ranked(candidate: Candidate) -> str:
    """Return a configuration that was trained again, as one line."""
    interval, p = candidate.interval, candidate.p
    parts = [
        f"{candidate.rank}. trial {candidate.trial}: mean {short(candidate.mean)} of {len(candidate.runs)} seeds",
        f"deviation {short(candidate.std)}",
        f"{short(candidate.searched_objective)} in the search",
        *([] if interval is None else [f"95 % {short(interval[0])} to {short(interval[1])}"]),
        *([] if p is None else [f"p {p:.2g} against the first"]),
        *([f"{candidate.lost} not complete"] if candidate.lost else []),
    ]
    return ", ".join(parts)
