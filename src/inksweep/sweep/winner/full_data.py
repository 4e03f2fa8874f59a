"""All that the engine knows of our own app: its keys, the objective that its answers tell, how its model is loaded.

An app of another kind is swept without any of it: a key that it does not have is not set, a file that it does not
write is not looked for. Only `hydra.sweeper.winner.full_data` needs an app with these keys.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from inksweep.errors import InputError
from inksweep.runs import result
from inksweep.sweep.space.grammar import bare
from inksweep.sweep.space.space import Space, can_be

# With this a training has the validation pictures among those it trains on.
ALL_KEY = "data.train_on_all"
# The overrides that a training on all of the train files gets besides.
ON_ALL = (f"{ALL_KEY}=true", "trainer.keep=last", "trainer.patience=null")
# What of it a search may have had otherwise, and found its length of training by.
LENGTH = {"trainer.keep": "last", "trainer.patience": None}
# How many threads a training has: its slot's, if nobody typed a number.
THREADS_KEY = "trainer.threads"
# The objective whose interval the stored answers to the validation pictures tell.
ACCURACY = "val/accuracy"

HOW_TO_LOAD = """\
```python
import inksweep

model = inksweep.load({model})
probabilities = model(pixels)  # uint8 (n, size, size), background 0 -> (n, classes); model.classes has the names
```
"""


def is_ours(model: Path, result_file: Path) -> bool:
    """Whether a model.pt is one of ours, which can be loaded and described: the result.json beside it says so."""
    return model.is_file() and result.read_or_empty(result_file).is_ours


def check_ranking(space: Space, config: DictConfig, compose: Callable[[list[str]], DictConfig]) -> None:
    """Compose jobs that together take every branch; refuse a search that ranks by pictures which it trains on.

    Args:
        space: what is searched.
        config: what Hydra composed for the sweep.
        compose: composes the config of a job, and raises if that cannot be done.

    Raises:
        InputError: some trial may train on the validation pictures.
    """
    # First what needs no job: with such a value the app may refuse a job for other reasons.
    leaves = [leaf for block in space.blocks for key, leaf in block.items() if bare(key) == ALL_KEY]
    refused = any(can_be(leaf, "true") for leaf in leaves) or (not leaves and value_of(config, ALL_KEY) is True)
    if refused or any(value_of(compose(overrides), ALL_KEY) is True for overrides in space.examples()):
        raise InputError(
            f"{ALL_KEY}=true: a sweep ranks by the validation pictures, so no trial may train on them; leave it out, "
            "hydra.sweeper.winner.full_data=true trains the winner on all"
        )


def value_of(config: DictConfig, key: str) -> Any:
    """Return the value of a dotted key; None if there is none, or nobody can tell before a job runs.

    The config may be of any app: what is one key in ours may be a list in it, or made by a resolver.
    """
    try:
        return OmegaConf.select(config, key, default=None)
    except OmegaConfBaseException:
        return None
