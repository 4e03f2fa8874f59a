"""From conf/ to checked dataclasses: the schemas are given to Hydra, and what it composed is checked.

`conf/` holds values, the files beside this one their types, meanings and limits. `register` hands the schemas to Hydra
so that a wrong name or type is refused while the config is composed; `parse` turns a composed config into these
dataclasses, whose `__post_init__` checks ranges and combinations before any data is read. Nothing heavy is imported.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from inksweep import extras
from inksweep.digits.config.schema import DIRECTIONS, SCHEMAS, Config, objective_names
from inksweep.errors import InputError, need, need_extra
from inksweep.paths import RunDir, typed


def register() -> None:
    """Give the schemas to Hydra, as `config_schema` and `schema/<group>/<option>`, and the resolvers of `conf/`."""
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config, replace=True)
    for group, options in SCHEMAS.items():
        for option, schema in options.items():
            store.store(group=f"schema/{group}", name=option, node=schema, replace=True)
    OmegaConf.register_resolver("inksweep.run_dir", _run_dir, replace=True)
    OmegaConf.register_resolver("inksweep.begun", _begun, replace=True)
    OmegaConf.register_resolver("inksweep.output_subdir", _output_subdir, replace=True)
    OmegaConf.register_resolver("inksweep.direction", _direction, replace=True)


def parse(cfg: DictConfig) -> Config:
    """Turn a composed config into typed dataclasses, checking every value.

    A group whose `_target_` has no schema stays a plain dict: the class that it names checks its values.

    Raises:
        InputError: a value is out of range, missing, of the wrong type or misspelt; the message names its key.
    """
    container = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(container, dict)
    container.pop("hydra", None)
    merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(container))
    assert isinstance(merged, DictConfig)
    for group, options in SCHEMAS.items():
        node = merged[group]
        if not isinstance(node, DictConfig) or "_target_" not in node:
            raise InputError(f"{group}={node}: must be a config group option with a _target_")
        schema = next((option for option in options.values() if vars(option)["_target_"] == node._target_), None)
        if schema is not None:
            merged[group] = OmegaConf.merge(OmegaConf.structured(schema), node)
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        raise InputError(f"{missing[0]}: has no value; set it on the command line or in conf/")
    conf = OmegaConf.to_object(merged)
    assert isinstance(conf, Config)
    return conf


def plain(node: Any) -> dict[str, Any]:
    """Return a dataclass or mapping as plain values, enums by their value: for model.pt, or for a call."""
    values = node if isinstance(node, Mapping) else vars(node)
    return {str(key): _plain_value(value) for key, value in values.items()}


def stored(run: RunDir) -> DictConfig:
    """Return the config that a run was made of, its `data.root` resolved against the folder it was typed in.

    Raises:
        InputError: a file of it is missing or no YAML.
    """
    cfg, hydra = (load_yaml(path) for path in (run.config, run.hydra))
    cwd = OmegaConf.select(hydra, "hydra.runtime.cwd")
    if cwd is not None and OmegaConf.select(cfg, "data.root") is not None:
        cfg.data.root = str(typed(cfg.data.root, "data.root", Path(cwd)))
    return cfg


def load_yaml(path: Path) -> DictConfig:
    """Read a config that was stored as YAML; InputError names a file that cannot be read or holds no keys."""
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # YAML and OmegaConf raise errors of many kinds for a broken file
        raise InputError(f"{path}: cannot be read ({error}); restore it or begin a new run") from error
    if not isinstance(loaded, DictConfig):
        raise InputError(f"{path}: is not the config of a run; restore it or begin a new run")
    return loaded


def resumable(path: str) -> RunDir:
    """Return the run directory to resume, or raise InputError if it is none or is already complete."""
    run = RunDir(typed(path, "trainer.resume"))
    if not run.config.is_file():
        raise InputError(f"trainer.resume={path}: no run directory (it has no .hydra/config.yaml)")
    if run.result.is_file():
        # Imported here: only a run that is resumed needs it, and each start imports this module.
        from inksweep.runs import result
        from inksweep.runs.result import Status

        try:
            ended = result.read(run.result)
        except InputError as error:
            raise InputError(f"{error}; delete it to resume this run") from error
        if ended.status is Status.FOREIGN:
            raise InputError(f"{run.result}: cannot be used ({ended.reason}); delete it to resume this run")
        if ended.status is Status.COMPLETED:
            raise InputError(f"trainer.resume={path}: this run is complete; nothing is left to do")
    return run


def compose(overrides: list[str]) -> Config:
    """Compose conf/ with `overrides` as train.py does, and check every value.

    Raises:
        InputError: a value is not usable.
    """
    import hydra

    register()
    with hydra.initialize_config_dir(str(find_conf())):
        return parse(hydra.compose("config", overrides))


def find_conf() -> Path:
    """Return the config folder: `conf` where the command is typed, else the one that `inksweep init` copies."""
    here = Path.cwd() / "conf"
    return here if (here / "config.yaml").is_file() else extras.source() / "conf"


def _run_dir(fresh: str, *, _root_: DictConfig) -> str:
    """Return where this run writes: the run that it resumes, or `fresh`.

    The config is checked here because Hydra asks for the folder first; a sweep asks for it to check its jobs.
    """
    if "trainer" not in _root_:  # `--cfg hydra` shows Hydra's part alone
        return fresh
    resumed = _resumed(_root_)
    return fresh if resumed is None else str(resumed.root)


def _resumed(root: DictConfig) -> RunDir | None:
    """Check every value; return the run that is to be resumed, if one is."""
    need_extra("train.py", "digits", ["torch"])
    resume = parse(root).trainer.resume
    if resume is None:
        return None
    others = [line for line in root.hydra.overrides.task if not line.startswith("trainer.resume=")]
    need(not others, "trainer.resume", resume, f"alone, the run keeps its own settings; leave out {' '.join(others)}")
    return resumable(resume)


def _begun(*, _root_: DictConfig) -> str:
    """Return the folder of the job that begins, which is now its own."""
    from inksweep.digits.config import start  # only where a run begins

    return start.begun(_root_, _resumed)


def _output_subdir(*, _root_: DictConfig) -> str:
    """Return Hydra's own folder in the run directory; a resumed run keeps its first one."""
    return ".hydra" if OmegaConf.select(_root_, "trainer.resume") is None else ".hydra/resumed"


def _direction(*, _root_: DictConfig) -> str | list[str]:
    """Return `maximize` or `minimize` for a sweep's objective; for several objectives, a list."""
    names = objective_names(OmegaConf.select(_root_, "objective")) or [""]
    directions = [DIRECTIONS.get(name, "maximize") for name in names]  # a wrong name is refused by `parse`
    return directions if len(directions) > 1 else directions[0]


def _plain_value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value
