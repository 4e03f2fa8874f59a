"""Words of the command line mean in a sweep what they mean in a single run: order, repetition, signs, quotes, globs.

The specification is Hydra's own composition of a single run: the config of a trial must be that one.
"""

import optuna
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from inksweep.errors import InputError
from inksweep.sweep.job.runner import JobRunner
from inksweep.sweep.space.declare import declare

FILES = {
    "config.yaml": """
defaults: [_self_, db: mysql, db@second: mysql]
x: 1
text: plain
opt: {lr: 0.1, m: 0.9}
extra: {a: 1, b: 2}
many: [1, 2]
nothing: null
hydra: {sweep: {dir: night}}
""",
    "db/mysql.yaml": "port: 1",
    "db/pg.yaml": "{port: 2, pool: 3}",
    "db/pgx.yaml": "port: 4",
    "server/small.yaml": "cores: 1",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """What Hydra gives a sweeper, and its own composition of a single run."""
    root = tmp_path_factory.mktemp("words")
    for name, text in FILES.items():
        path = root / "conf" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    before = HydraConfig.instance().cfg
    with initialize_config_dir(config_dir=str(root / "conf")), pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        hydra = GlobalHydra.instance().hydra
        cfg = hydra.compose_config("config", [], run_mode=RunMode.MULTIRUN)
        HydraConfig.instance().set_config(cfg)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=None, execution_whitelist=())
        yield App(hydra, cfg, JobRunner(context, cfg, lambda cfg: 0.0))
    HydraConfig.instance().cfg = before


class App:
    def __init__(self, hydra, cfg, runner):
        self.hydra, self.cfg, self.runner, self.loader = hydra, cfg, runner, hydra.config_loader

    def single(self, words):
        return plain(self.hydra.compose_config("config", list(words), run_mode=RunMode.RUN))

    def trials(self, words, params=None, when=None):
        """Return the config of a trial, as Hydra composes it and as our workers do."""
        overrides = declare(params, when, words, loader=self.loader).overrides(optuna.create_study().ask())
        return [
            plain(self.loader.load_sweep_config(self.cfg, overrides)),
            *(plain(self.runner.compose(overrides)) for _ in range(2)),  # composed, then remembered
        ]


def plain(cfg):
    return {key: value for key, value in OmegaConf.to_container(cfg).items() if key != "hydra"}


# As typed for a sweep; the same for a single run, where a sweep of one value is that value.
WORDS = [
    # Order and repetition.
    ["x=2", "x=3"],
    ["x=choice(2)", "x=3"],
    ["x=2", "x=choice(3)"],
    ["x=choice(2)", "x=choice(3)"],
    ["opt={lr: 3}", "opt={m: 2}"],
    ["opt={lr: 3}", "opt.lr=choice(4)"],
    ["opt.lr=choice(4)", "opt={lr: 3}"],
    ["db=pg", "db=mysql"],
    ["db=choice(pg)", "db=mysql", "db.port=7"],
    ["db=mysql", "db=choice(pg)", "db.port=7"],
    # Taken away, then added; added, then taken away.
    ["~extra", "+extra={c: 3}"],
    ["+new=choice(1)", "~extra", "+extra.c=choice(3)", "+extra.d=4"],
    ["~x", "+x=choice(5)"],
    ["~x", "+x=5", "x=6"],
    ["+new=1", "~new"],
    ["+new=choice(1)", "~new"],
    ["~extra.a", "~extra.b=2", "extra=null"],
    ["~db", "+db=pg"],
    ["~db", "+db=choice(pg)"],
    ["db=pg", "~db"],
    ["~db=mysql", "+server@db=small"],
    ["~extra.a", "++extra.a=choice([1])"],
    # Signs.
    ["+new=1", "new=2"],
    ["+new=choice(1)", "new=2"],
    ["+new=choice(1)", "new=choice(2)"],
    ["+new=1", "++new=3"],
    ["++x=3", "x=choice(4)"],
    ["+new={a: 1}", "+new={b: 2}"],
    ["+new.deep.er=choice(1)", "new.deep.er=2", "+new.deep.too=null"],
    # Groups and packages.
    ["db@second=choice(pg)"],
    ["db@second=pg", "second.pool=choice(9)"],
    ["~db@second"],
    ["+server@one=small", "+server@two=choice(small)", "one.cores=4"],
    ["+db@third=pg", "third.port=choice(8)"],
    ["+server=choice(small)", "+server.ram=2"],
    # Text.
    ["text='a, b=1'"],
    ['text="say \\"hi\\""'],
    ["text='it\\'s'"],
    ["text=a b", "nothing=''"],
    ["text='${x}'", "nothing=${x}"],
    ["text=${oc.decode:'3'}", "nothing='${oc.env:HOME,\"a b\"}'"],
    ["text='null'", "nothing=null", "x='1'"],
    ["text=a\\,b", "nothing=\\ c"],
    ["text=/a/b:c@d", "nothing=a%b"],
    ["text=choice('a, b')", "nothing=choice('1')", "x=choice('true')"],
    ["text=choice('${x}')", 'nothing=choice("a\'b")'],
    # Lists, dictionaries, numbers.
    ["many=[]", "extra={}"],
    ["many=choice([3, 'a,b'])", "nothing=choice({a: [1], b: {c: null}})"],
    ["many[0]=choice(7)"],
    ["x=1e-3", "nothing=choice(1e-05)", "opt.m=choice(-0.0)"],
    ["x=choice(1_000)", "text=choice(inf)"],
    ["text=tag(a, choice(1))"],
    ["text=sort(choice(1))", "x=shuffle(choice(2))"],
    ["text=str(choice(1))", "x=int(choice('3'))", "nothing=bool(choice(1))"],
    ["x=range(3, 4)", "opt.lr=range(0.5, 0.6, 0.5)"],
    ["db=glob(pgx)"],
    ["db@second=glob(p*, exclude=*x)"],
    ["+db@third=glob([pg])"],
]
SINGLE = {
    "text=tag(a, choice(1))": "text=1",
    "text=sort(choice(1))": "text=1",
    "x=shuffle(choice(2))": "x=2",
    "text=str(choice(1))": "text='1'",
    "x=int(choice('3'))": "x=3",
    "nothing=bool(choice(1))": "nothing=true",
    "x=range(3, 4)": "x=3",
    "opt.lr=range(0.5, 0.6, 0.5)": "opt.lr=0.5",
    "db=glob(pgx)": "db=pgx",
    "db@second=glob(p*, exclude=*x)": "db@second=pg",
    "+db@third=glob([pg])": "+db@third=pg",
}


def as_single(word):
    key, _, text = word.partition("=")
    is_choice = text.startswith("choice(") and text.endswith(")")
    return SINGLE.get(word, f"{key}={text[7:-1]}" if is_choice else word)


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_trial_has_the_config_of_a_single_run(app, words):
    expected = app.single(map(as_single, words))
    for got in app.trials(words):
        assert got == expected


@pytest.mark.parametrize("words", WORDS[:40:3], ids=" ".join)
def test_so_it_has_beside_a_space_in_yaml(app, words):
    typed = {word.lstrip("+~").partition("=")[0] for word in words}
    space = {key: text for key, text in {"opt.m": "choice(0.5)", "x": "choice(9)"}.items() if key not in typed}
    yaml_words = [*(as_single(f"{key}={text}") for key, text in space.items()), "+more=a", "+of_a=1"]
    expected = app.single([*yaml_words, *map(as_single, words)])
    for got in app.trials(words, {**space, "+more": "choice(a)"}, {"more": {"a": {"+of_a": 1}}}):
        assert got == expected


@pytest.mark.parametrize(
    "words", [["+x=choice(3)"], ["typo=1"], ["~typo"], ["+new=1", "+new=choice(2)"], ["+db=choice(pg)"], ["db=missing"]]
)
def test_what_a_single_run_refuses_a_trial_refuses(app, words):
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever Hydra raises
        app.single(map(as_single, words))
    with pytest.raises(type(expected.value)) as raised:
        app.trials(words)
    assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["new=3"], 3),
        (["new=choice(3)"], 3),
        (["++new=3"], 3),
        (["+new=3"], 3),
        (["new=2", "new=3"], 3),
        (["new=2", "new=choice(3)"], 3),
        (["~new", "+new=3"], 3),
        (["~new"], None),
    ],
)
def test_a_word_replaces_what_the_config_adds(app, words, new):
    for got in app.trials(words, {"+new": "interval(0,1)"}):
        assert got.get("new") == new


def test_a_glob_that_matches_nothing_is_named(app):
    with pytest.raises(InputError, match=r"^db=glob\(z\*\): cannot be searched \(no option of db matches\)"):
        app.trials(["db=glob(z*)"])


def test_a_glob_may_stand_in_yaml(app):
    space = declare({"db": "glob(pg*)"}, {"db": {"pg": {"db.pool": "range(1,3)"}}}, loader=app.loader)
    assert space.block["db"].choices == ("pg", "pgx")
