"""The config of one run as a whole: its groups, the schemas of their options, and the checks between groups.

What one option may hold is said in the file of its group, whose OPTIONS this file only joins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from inksweep.digits.config import augment, model, optimizer, scheduler, tracker
from inksweep.digits.config.data import DataConfig
from inksweep.digits.config.model import ModelConfig
from inksweep.digits.config.trainer import Keep, TrainerConfig
from inksweep.errors import nearest, need

# The groups whose schema depends on the option chosen: group -> option -> schema.
SCHEMAS: dict[str, dict[str, type]] = {
    "model": model.OPTIONS,
    "optimizer": optimizer.OPTIONS,
    "scheduler": scheduler.OPTIONS,
    "augment": augment.OPTIONS,
    "tracker": tracker.OPTIONS,
}

# What a `_target_` in a config may name. Extend it in train.py: a config file cannot extend it by itself.
TRUSTED = (
    "inksweep.digits.models.*",
    "inksweep.digits.augment.*",
    "inksweep.digits.augment_ink.*",
    "inksweep.digits.optim.*",
    "inksweep.digits.tracker.*",
    "torch.nn.*",
    "torch.optim.*",
    "torchvision.datasets.*",
    "torchvision.models.*",
    "optuna.samplers.*",
    "optuna.pruners.*",
)

WARPED = "val/warped_accuracy"
# What a run may be judged by, and whether more or less of it is better. The first are measured at every evaluation:
# one of them stands alone or first, because it decides which weights are kept, when patience ends and what a pruner
# compares.
DIRECTIONS = {
    "val/accuracy": "maximize",
    "val/loss": "minimize",
    WARPED: "maximize",
    "parameters": "minimize",
    "seconds/train": "minimize",
}
FIRST_OBJECTIVES = ("val/accuracy", "val/loss", WARPED)


@dataclass
class Config:
    """One run."""

    data: DataConfig = MISSING
    model: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    augment: Any = MISSING
    trainer: TrainerConfig = MISSING
    # Where a run is recorded besides metrics.csv.
    tracker: Any = MISSING
    # What a run returns and a sweep ranks by: val/accuracy, val/loss or val/warped_accuracy, of the validation split,
    # or a list that begins with one of them and goes on with others, `parameters` (their number) and `seconds/train`.
    # Never the test split.
    objective: Any = MISSING
    # Seed of weights, order of pictures, dropout and augmentation.
    seed: int = MISSING
    # Whether to draw the run into its figures/.
    figures: bool = MISSING

    def __post_init__(self) -> None:
        need(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2**63 - 1")
        _check_objectives(self.objective)
        if self.data.train_on_all:
            # Both would choose by the validation pictures, which are then among those trained on.
            keep, patience = self.trainer.keep, self.trainer.patience
            need(keep is Keep.last, "trainer.keep", keep.value, "last with data.train_on_all=true")
            need(patience is None, "trainer.patience", patience, "null with data.train_on_all=true")
        warmup = getattr(self.scheduler, "warmup_epochs", 0)
        need(
            warmup < self.trainer.epochs,
            "scheduler.warmup_epochs",
            warmup,
            f"below trainer.epochs={self.trainer.epochs}",
        )
        if isinstance(self.model, ModelConfig):
            self.model.check_data(self.data.size, self.data.batch_size)

    @property
    def objectives(self) -> list[str]:
        """Names of all objectives, the one that decides first."""
        return objective_names(self.objective)

    @property
    def measures_warped(self) -> bool:
        """Whether the warped validation digits are measured: asked for, or an objective."""
        return self.data.warped_validation or WARPED in self.objectives


def objective_names(objective: object) -> list[str]:
    """Return the names in `objective`, a name or a list of names; not checked."""
    if isinstance(objective, Sequence) and not isinstance(objective, str):
        return [str(name) for name in objective]
    return [str(objective)]


def _check_objectives(objective: object) -> None:
    names = objective_names(objective)
    first = names[0] if names else ""
    allowed = f"one of {', '.join(FIRST_OBJECTIVES)}, alone or first in a list"
    need(first in FIRST_OBJECTIVES, "objective", objective, allowed + nearest(first, FIRST_OBJECTIVES))
    for number, name in enumerate(names):
        allowed = f"made of {', '.join(DIRECTIONS)}, and {name!r} is none of them{nearest(name, DIRECTIONS)}"
        need(name in DIRECTIONS, "objective", objective, allowed)
        need(name not in names[:number], "objective", objective, f"without repetition, and {name!r} stands twice")
