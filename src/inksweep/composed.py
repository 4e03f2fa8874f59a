"""What Hydra composed for a job, as files of its run directory."""

from pathlib import Path
from typing import Any

from inksweep.files import replacing
from inksweep.paths import RunDir


def keep(cfg: Any) -> None:
    """Write `.hydra/` into the run directory of the present job, if Hydra was told to write it elsewhere or nowhere.

    With `hydra.output_subdir=null`, or under another name, a run could not be read, evaluated or trained again.

    Args:
        cfg: what the task is given.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    hydra = HydraConfig.get()
    run = RunDir(Path(hydra.runtime.output_dir))
    if run.config.is_file():  # as nearly always; also that of a run which is resumed
        return
    for path, content in ((run.hydra, HydraConfig.instance().cfg), (run.overrides, hydra.overrides.task)):
        with replacing(path, durable=False) as file:
            file.write(OmegaConf.to_yaml(content))
    with replacing(run.config, durable=False) as file:
        file.write(OmegaConf.to_yaml(cfg))
