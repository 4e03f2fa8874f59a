"""The pruner of a study, built from its config group; the same in the sweep and in its jobs."""

from collections.abc import Sequence

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.study import StudyDirection

from inksweep.errors import InputError

# What `hydra.sweeper.pruner._target_` may name.
TRUSTED = ("optuna.pruners.*",)


def build(conf: DictConfig, directions: Sequence[StudyDirection]) -> optuna.pruners.BasePruner:
    """Build the pruner. With several objectives there is no better and worse half-way: nothing is pruned.

    Raises:
        InputError: it cannot be built like this.
    """
    if len(directions) > 1:
        return optuna.pruners.NopPruner()
    try:
        pruner = instantiate(conf, _execution_whitelist_=TRUSTED)
    except Exception as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise InputError(f"hydra.sweeper.pruner={conf.get('_target_')}: cannot be built ({reason})") from error
    if not isinstance(pruner, optuna.pruners.BasePruner):
        raise InputError(f"hydra.sweeper.pruner._target_={conf.get('_target_')}: is no Optuna pruner")
    return pruner
