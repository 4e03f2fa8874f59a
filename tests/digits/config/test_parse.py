"""What the door lets in, and what it says to the rest."""

from collections.abc import Callable

import pytest
import yaml
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from inksweep.digits.config import model, optimizer, parse, scheduler
from inksweep.digits.config.schema import SCHEMAS, Config
from inksweep.errors import InputError, explain
from tests.conftest import CONF

Compose = Callable[[list[str]], Config]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize("group", ["data", "model", "optimizer", "scheduler", "augment", "trainer", "experiment"])
def test_every_option_of_every_group_composes_and_passes_the_checks(compose: Compose, group: str) -> None:
    assert options(group)
    for option in options(group):
        assert isinstance(compose([f"{group}={option}"]), Config), option


def test_the_groups_hold_what_is_promised() -> None:
    assert options("data") == ["emnist_digits", "fashion_mnist", "kmnist", "mnist", "qmnist", "usps"]
    assert options("model") == ["cnn", "mlp"]
    assert options("optimizer") == ["adam", "adamw", "sgd"]
    assert options("scheduler") == ["cosine", "none", "onecycle", "step"]
    assert options("augment") == ["affine", "elastic", "erasing", "handwriting", "ink", "none", "stroke"]
    assert options("experiment") == ["accurate", "accurate_mlp", "lht_mnist", "quick", "record", "robust"]


def test_what_data_sets_share_is_no_option() -> None:
    with pytest.raises(MissingConfigException) as refused:
        parse.compose(["data=base"])
    listed = str(refused.value).partition("Available options")[2].split("\n\t")
    assert "mnist" in listed
    listed = [option.partition("\n")[0] for option in listed]  # the search path follows
    assert not [option for option in listed if "base" in option or "data_set" in option]


@pytest.mark.parametrize("group", SCHEMAS)
def test_every_option_has_a_schema_and_every_schema_an_option(group: str) -> None:
    assert sorted(SCHEMAS[group]) == options(group)


def test_a_group_becomes_its_dataclass(compose: Compose) -> None:
    conf = compose(["model=cnn", "optimizer=sgd", "scheduler=cosine", "augment=affine"])
    kinds = [type(node).__name__ for node in (conf.model, conf.optimizer, conf.scheduler, conf.augment)]
    assert kinds == ["CNNConfig", "SGDConfig", "CosineConfig", "AffineConfig"]


# one bad value a line: what is typed, and what the message must contain
BAD = [
    ("optimizer.lr=-1", "optimizer.lr=-1.0: must be above 0"),
    ("optimizer.lr=0", "optimizer.lr=0.0: must be above 0"),
    ("optimizer.lr=nan", "optimizer.lr=nan: must be above 0"),
    ("optimizer.lr=inf", "optimizer.lr=inf: must be above 0"),
    ("optimizer.weight_decay=-0.1", "optimizer.weight_decay=-0.1: must be 0 or above"),
    ("model.hidden=[]", "model.hidden=[]: must be a list of at least one width"),
    ("model.hidden=[0]", "model.hidden=[0]: must be widths of at least 1"),
    ("model.dropout=1", "model.dropout=1.0: must be at least 0 and below 1"),
    ("trainer.epochs=0", "trainer.epochs=0: must be at least 1"),
    ("trainer.evaluate_every_epochs=0", "trainer.evaluate_every_epochs=0.0: must be above 0"),
    ("trainer.evaluate_every_epochs=6", "at most trainer.epochs=3"),
    ("trainer.label_smoothing=1", "trainer.label_smoothing=1.0: must be"),
    ("trainer.clip_norm=0", "trainer.clip_norm=0.0: must be null or above 0"),
    ("trainer.ema_decay=1", "trainer.ema_decay=1.0: must be null or between 0 and 1"),
    ("trainer.patience=0", "trainer.patience=0: must be null or at least 1"),
    ("trainer.threads=0", "trainer.threads=0: must be null or at least 1"),
    ("data.batch_size=100000", "data.batch_size=100000: must be at most 55000, the number of training images"),
    ("data.batch_size=0", "data.batch_size=0: must be at least 1"),
    ("data.val_size=60000", "data.val_size=60000: must be from 1 to 59999"),
    ("data.train_limit=55001", "data.train_limit=55001: must be null or from 1 to 55000"),
    ("data.std=0", "data.std=0.0: must be a finite number above 0"),
    ("data.name=../up", "data.name=../up: must be a plain folder name"),
    ("data.styles=1.5", "data.styles=1.5: must be from 0 to 1"),
    ("data.styles=nan", "data.styles=nan: must be from 0 to 1"),
    ("data.title=' '", "data.title=' ': must be null or words on one line"),
    ("data.about=''", "data.about='': must be null or words on one line"),
    ("seed=-1", "seed=-1: must be from 0"),
    ("objective=test/accuracy", "must be one of val/accuracy, val/loss, val/warped_accuracy, alone or first"),
    ("objective=val/acuracy", "first in a list; did you mean 'val/accuracy'?"),
    ("objective=parameters", "objective=parameters: must be one of val/accuracy, val/loss, val/warped"),
    ("objective=null", "objective=None: must be one of"),
    ("objective=3", "objective=3: must be one of"),
    ("objective={a:1}", "objective={'a': 1}: must be one of"),
    ("objective=[]", "objective=[]: must be one of"),
    ("objective=[parameters,val/loss]", "=['parameters', 'val/loss']: must be one of val/accuracy, val/loss,"),
    ("objective=[val/loss,paramters]", "'paramters' is none of them; did you mean 'parameters'?"),
    ("objective=[val/loss,test/accuracy]", "must be made of val/accuracy, val/loss, val/warped_accuracy, parameters,"),
    ("objective=[val/loss,val/accuracy,val/loss]", "must be without repetition, and 'val/loss' stands twice"),
]
BAD_WITH_GROUP = [
    (["data=fashion_mnist", "data.styles=0.5"], "data.styles=0.5: must be 0: fashion_mnist has no classes 1 and 7"),
    (["optimizer=adamw", "optimizer.betas=[0.9]"], "optimizer.betas=[0.9]: must be two numbers"),
    (["optimizer=adam", "optimizer.betas=[0.9,1]"], "optimizer.betas=[0.9, 1.0]: must be two numbers"),
    (["model=cnn", "model.channels=[]"], "model.channels=[]: must be a list of at least one number"),
    (["model=cnn", "model.kernel=4"], "model.kernel=4: must be an odd number"),
    (["model=cnn", "model.stem_kernel=0"], "model.stem_kernel=0: must be null or above 0"),
    (["model=cnn", "model.stem_kernel=29"], "model.stem_kernel=29: must be at most data.size=28"),
    (["model=cnn", "model.stem_kernel=27", "model.channels=[1,1,1]"], "model.channels=[1, 1, 1]: must be fewer blocks"),
    (
        ["model=cnn", "model.channels=[1,1,1,1,1,1]"],
        "each halves the picture of 28 pixels, of which block 6 has only one",
    ),
    (
        ["model=cnn", "model.padding=valid", "model.pooling=none", "model.kernel=7", "model.channels=[1,1,1,1,1]"],
        "must be fewer blocks, convolutions or smaller kernels: of 28 pixels none is left after block 5",
    ),
    (["model=cnn", "model.padding=valid", "model.kernel=9"], "of 28 pixels none is left after block 3"),
    (["model=cnn", "model.padding=valid", "model.convolutions=[14,1,1]"], "of 28 pixels none is left after block 1"),
    (["data.batch_size=1", "model.norm=batch"], "data.batch_size=1: must be at least 2 with model.norm=batch"),
    (["optimizer=sgd", "optimizer.momentum=0"], "optimizer.nesterov=True: must be false while optimizer.momentum=0"),
    (["scheduler=cosine", "scheduler.warmup_epochs=5"], "scheduler.warmup_epochs=5.0: must be below trainer.epochs=3"),
    (["augment=affine", "augment.scale=1"], "augment.scale=1.0: must be at least 0 and below 1"),
    (["augment=elastic", "augment.pixels=-1"], "augment.pixels=-1.0: must be from 0 to 10"),
    (["augment=elastic", "augment.cells=1"], "augment.cells=1: must be from 2 to 28"),
    (["augment=stroke", "augment.amount=2"], "augment.amount=2.0: must be from 0 to 1"),
    (["augment=erasing", "augment.probability=1.5"], "augment.probability=1.5: must be from 0 to 1"),
    (["augment=erasing", "augment.size=0"], "augment.size=0.0: must be above 0 and at most 1"),
    (["augment=handwriting", "augment.scale=1"], "augment.scale=1.0: must be at least 0 and below 1"),
    (["augment=handwriting", "augment.elastic_pixels=11"], "augment.elastic_pixels=11.0: must be from 0 to 10"),
    (["augment=handwriting", "augment.elastic_cells=0"], "augment.elastic_cells=0: must be from 2 to 28"),
    (["augment=handwriting", "augment.stroke_amount=-0.1"], "augment.stroke_amount=-0.1: must be from 0 to 1"),
    (["augment=handwriting", "augment.erasing_probability=2"], "augment.erasing_probability=2.0: must be from 0"),
    (["augment=handwriting", "augment.erasing_size=2"], "augment.erasing_size=2.0: must be above 0 and at most 1"),
    (["augment=ink", "augment.aspect=2"], "augment.aspect=2.0: must be from 0 to 1"),
    (["augment=ink", "augment.scale=1"], "augment.scale=1.0: must be at least 0 and below 1"),
    (["augment=ink", "augment.elastic_cells=1"], "augment.elastic_cells=1: must be from 2 to 28"),
    (["augment=ink", "augment.pen_pixels=3.5"], "augment.pen_pixels=3.5: must be from 0 to 3"),
    (["augment=ink", "augment.pen_uneven=2"], "augment.pen_uneven=2.0: must be from 0 to 1"),
    (["augment=ink", "augment.pen_hardness=1"], "augment.pen_hardness=1.0: must be at least 0 and below 1"),
    (["augment=ink", "augment.coarse_probability=2"], "augment.coarse_probability=2.0: must be from 0 to 1"),
    (["augment=ink", "augment.coarse_pixels=0.5"], "augment.coarse_pixels=0.5: must be from 1 to 7"),
    (["augment=ink", "augment.fade=-0.1"], "augment.fade=-0.1: must be from 0 to 1"),
    (["augment=ink", "augment.grain=nan"], "augment.grain=nan: must be from 0 to 1"),
    (["augment=ink", "augment.clutter=1.1"], "augment.clutter=1.1: must be from 0 to 1"),
    (["augment=ink", "augment.gap=-1"], "augment.gap=-1.0: must be from 0 to 1"),
    (["data.train_on_all=true"], "trainer.keep=best: must be last with data.train_on_all=true"),
    (
        ["data.train_on_all=true", "trainer.keep=last", "trainer.patience=2"],
        "trainer.patience=2: must be null with data.train_on_all=true",
    ),
    (
        ["data.train_on_all=true", "trainer.keep=last", "data.train_limit=100"],
        "data.train_limit=100: must be null with data.train_on_all=true",
    ),
    (["model=cnn", "model.convolutions=0"], "model.convolutions=0: must be a number of at least 1"),
    (["model=cnn", "model.convolutions=two"], "model.convolutions=two: must be a number of at least 1"),
    (
        ["model=cnn", "model.convolutions=[1,2]"],
        "model.convolutions=[1, 2]: must be a number of at least 1, or a list of 3",
    ),
    (["trainer.precision=float16", "trainer.device=cpu"], "trainer.precision=float16: must be bfloat16 or float32"),
]


@pytest.mark.parametrize("overrides, message", [([typed], said) for typed, said in BAD] + BAD_WITH_GROUP)
def test_a_bad_value_is_refused_with_its_key_and_what_is_allowed(
    compose: Compose, overrides: list[str], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        compose(overrides)
    assert message in str(caught.value)


# what Hydra refuses while it composes, and the line that is left of its paragraph
REFUSED = [
    ("optimizer.lrr=1", "optimizer.lrr: Key 'lrr' not in 'AdamWConfig'. Did you mean: 'lr'?"),
    ("model=cnnn", "model=cnnn: there is no such option; did you mean 'cnn'? (there are: cnn, mlp)"),
    ("mdoel=cnn", "mdoel: Key 'mdoel' not in 'Config'. Did you mean: 'model'?"),
    ("trainer.epochs=abc", "trainer.epochs=abc: Value 'abc' of type 'str' could not be converted to Integer"),
    ("model.activation=rlu", "model.activation=rlu: Invalid value 'rlu', expected one of [relu, gelu, silu, tanh]"),
    ("model.hidden=3", "model.hidden=3: Invalid value assigned: int is not a ListConfig"),
    ("+foo=1", "foo: Key 'foo' not in 'Config'"),
    # Of another option of its group.
    (
        "model.channels=[8]",
        "model.channels: Key 'channels' not in 'MLPConfig'; if another option of model has it, choose that too "
        "(model=...)",
    ),
    (
        "trainer.epochs=choice(null,5)",
        "trainer.epochs=choice(null,5): choice() takes no null; write trainer.epochs=null,5",
    ),
    ("optimizer=[", "optimizer=[: cannot be read (no viable alternative at input '['); quote special characters"),
    ("optimizer.lr=${nope}", "optimizer.lr: Interpolation key 'nope' not found"),
]


@pytest.mark.parametrize("typed, message", REFUSED)
def test_what_hydra_refuses_becomes_one_line(compose: Compose, typed: str, message: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (Hydra's and OmegaConf's classes vary)
        compose([typed])
    line = explain(caught.value)
    assert line is not None
    assert line.startswith(message)
    assert "\n" not in line


def test_the_neighbours_of_the_limits_are_let_in(compose: Compose) -> None:
    for typed in [
        "data.batch_size=55000",
        "data.val_size=59872",
        "model.dropout=0",
        "trainer.evaluate_every_epochs=3",
        "trainer.ema_decay=0.5",
        "optimizer.weight_decay=0",
        "seed=0",
        "objective=[val/loss,val/accuracy,seconds/train,parameters]",
    ]:
        compose([typed])
    compose(["model=cnn", "model.channels=[1,1,1,1,1]", "model.kernel=1"])


def test_a_group_of_ones_own_is_passed_through_as_it_is() -> None:
    composed = OmegaConf.create(yaml.safe_load(OmegaConf.to_yaml(plain_default())))
    composed.model = {"_target_": "mypackage.MyNet", "width": 3}
    assert parse.parse(composed).model == {"_target_": "mypackage.MyNet", "width": 3}


def test_a_group_without_a_target_is_refused() -> None:
    composed = plain_default()
    composed.model = {"width": 3}
    with pytest.raises(InputError, match=r"model=.*must be a config group option with a _target_"):
        parse.parse(composed)


def test_a_config_read_back_from_yaml_is_the_same(compose: Compose) -> None:
    read_back = parse.parse(OmegaConf.create(OmegaConf.to_yaml(plain_default())))
    assert read_back == compose([])


@pytest.mark.parametrize(
    "typed, names, directions",
    [
        ("val/accuracy", ["val/accuracy"], "maximize"),
        ("val/loss", ["val/loss"], "minimize"),
        ("[val/loss]", ["val/loss"], "minimize"),  # a list of one is the name
        ("[val/accuracy,val/loss]", ["val/accuracy", "val/loss"], ["maximize", "minimize"]),
        (
            "[val/accuracy,parameters,seconds/train]",
            ["val/accuracy", "parameters", "seconds/train"],
            ["maximize", "minimize", "minimize"],
        ),
    ],
)
def test_an_objective_or_several_and_the_way_each_should_go(
    compose: Compose, typed: str, names: list[str], directions: str | list[str]
) -> None:
    assert compose([f"objective={typed}"]).objectives == names
    composed = plain_default(f"objective={typed}")
    composed.direction = "${inksweep.direction:}"
    assert OmegaConf.to_container(composed, resolve=True)["direction"] == directions


@pytest.mark.parametrize("objective", [None, [], 3, "val/acuracy"])
def test_a_direction_leaves_it_to_the_check_to_refuse_an_objective(objective: object) -> None:
    parse.register()
    composed = OmegaConf.create({"objective": objective, "direction": "${inksweep.direction:}"})
    assert composed.direction == "maximize"


def test_the_lightning_hydra_template_experiment_is_its_example(compose: Compose) -> None:
    conf = compose(["experiment=lht_mnist"])
    assert (conf.model.hidden, conf.model.norm, conf.model.activation) == (
        [64, 128, 64],
        model.Norm.batch,
        model.Activation.relu,
    )
    assert (type(conf.optimizer), conf.optimizer.lr, conf.optimizer.weight_decay) == (optimizer.AdamConfig, 0.001, 0.0)
    assert isinstance(conf.scheduler, scheduler.ConstantConfig)
    assert (conf.data.batch_size, conf.data.val_size, conf.data.train_size) == (128, 5000, 55000)
    assert conf.trainer.epochs == 10


def test_the_width_of_one_layer_can_be_set_alone(compose: Compose) -> None:
    conf = compose(["experiment=lht_mnist", "model.hidden.0=256", "model.hidden.2=32"])
    assert conf.model.hidden == [256, 128, 32]


def plain_default(*overrides: str):
    """The default config as a run directory stores it: plain YAML, no types."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    parse.register()
    with initialize_config_dir(str(CONF)):
        return OmegaConf.create(OmegaConf.to_yaml(hydra_compose("config", list(overrides))))


def test_enums_leave_as_the_words_that_were_typed(compose: Compose) -> None:
    described = parse.plain(compose(["model=cnn", "model.pooling=max"]).model)
    assert described["pooling"] == "max"
    assert described["_target_"] == "inksweep.digits.models.CNN"
