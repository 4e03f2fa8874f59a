"""`conf/tracker`: where a run is recorded besides `metrics.csv`."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from inksweep.errors import need


class WandbMode(Enum):
    """Whether Weights & Biases keeps a run on this machine or sends it away while it trains."""

    offline = "offline"
    online = "online"


@dataclass
class CsvConfig:
    """No tracker: metrics.csv is written in any case."""

    _target_: str = "inksweep.digits.tracker.Csv"


@dataclass
class TensorBoardConfig:
    """Event files in the run directory."""

    _target_: str = "inksweep.digits.tracker.tensorboard.TensorBoard"


@dataclass
class MLflowConfig:
    """A run in the MLflow experiment of its study."""

    _target_: str = "inksweep.digits.tracker.mlflow.MLflow"
    # Address of a tracking server (http://host:5000) or database (sqlite:///file.db); null: mlflow.db where the command
    # is typed.
    uri: str | None = MISSING

    def __post_init__(self) -> None:
        need(self.uri != "", "tracker.uri", self.uri, "null or an address such as http://localhost:5000")


@dataclass
class WandbConfig:
    """A run of Weights & Biases, in the group of its study."""

    _target_: str = "inksweep.digits.tracker.wandb.Wandb"
    mode: WandbMode = MISSING
    project: str = MISSING
    # User or team that the project belongs to; null: who is logged in.
    entity: str | None = MISSING

    def __post_init__(self) -> None:
        good = bool(self.project) and not set(self.project) & set("/\\#?%:")
        need(good, "tracker.project", self.project, "a name without any of / \\ # ? % :")


# By the name of the option, a file of conf/tracker.
OPTIONS: dict[str, type] = {
    "csv": CsvConfig,
    "tensorboard": TensorBoardConfig,
    "mlflow": MLflowConfig,
    "wandb": WandbConfig,
}
