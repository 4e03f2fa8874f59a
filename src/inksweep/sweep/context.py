"""A study that this process runs trials of, with all that belongs to it: one object for engine, report and session."""

from dataclasses import dataclass

from optuna.study import Study

from inksweep.paths import SweepDir
from inksweep.sweep.stopping import Rules
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.storage import Address


@dataclass(frozen=True)
class Context:
    """A study, of a search or of a final stage, that this process runs trials of.

    Args:
        ledger: of the study.
        sweep: where its trials leave their files.
        address: where the study is kept.
        owner: this process.
        rules: when to end.
    """

    ledger: Ledger
    sweep: SweepDir
    address: Address
    owner: Owner
    rules: Rules

    @property
    def study(self) -> Study:
        """The study."""
        return self.ledger.study

    @property
    def is_alone(self) -> bool:
        """Whether no other process runs trials of the study."""
        return self.address.exclusive
