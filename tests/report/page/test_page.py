"""The page: all that it needs is in it, and nothing in it can break out."""

import html
import json
import os
import random
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from tests.report.sweeps import make, read, usual

pytest.importorskip("plotly")

from inksweep.report import png
from inksweep.report.facts import facts
from inksweep.report.page import page
from inksweep.report.plots import drawing, history, importances, parts, sections

EVIL = "</script><script>alert(1)</script><b>&\"'"


class Reader(HTMLParser):
    """Collects what a browser would fetch or run, the text, and each plot's data."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.fetched, self.tags, self.text, self.plots, self.headings = [], [], "", {}, []
        self._inside = None

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.fetched += [
            v for k, v in found.items() if k in ("src", "srcset", "poster", "data", "action", "background")
        ]
        if tag == "link":
            self.fetched.append(found.get("href"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self._inside = found if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside is None:
            self.text += data
        elif "data-plot" in self._inside:
            self.plots[self._inside["data-plot"].removeprefix("plot-")] = json.loads(data)


def rendered(made, **more):
    text = page.render([read(made.root)], made.root, **more)
    reader = Reader()
    reader.feed(text)
    return text, reader


@pytest.fixture(autouse=True)
def least(monkeypatch):
    """Weigh parameters in sweeps as small as those here."""
    monkeypatch.setattr(importances, "LEAST_TO_WEIGH", 4)


def test_a_browser_fetches_nothing(tmp_path):
    text, reader = rendered(usual(tmp_path))
    assert [address for address in reader.fetched if not str(address).startswith("data:")] == []
    css = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert css
    assert not re.search(r"url\(|@import|@font-face", "".join(css))
    # Should a library try all the same, the browser refuses.
    policy = next(
        found["content"] for tag, found in reader.tags if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_every_plot_is_there_and_holds_the_numbers_of_the_study(tmp_path):
    made = usual(tmp_path)
    _, reader = rendered(made)
    assert {"history0", "curves", "importances0", "slots", "settings-parallel", "settings-slice0", "branch0-parallel",
            "branch0-contour0"} <= set(reader.plots)  # fmt: skip
    assert "could not be drawn" not in reader.text
    traces = {trace["name"]: trace for trace in reader.plots["history0"]["data"]}
    best = max(made.study.trials[:14], key=lambda trial: trial.value)
    assert traces["winner"]["x"] == [best.number]
    assert traces["winner"]["y"] == pytest.approx([100 * best.value])
    assert traces["target: test accuracy above 97.00 %"]["y"] == [97, 97]
    # Pruned ones are one entry in the legend, and end where they were ended.
    curves = {trace["name"]: trace for trace in reader.plots["curves"]["data"]}
    assert curves["pruned"]["y"] == [50.0, None]
    lengths = [value for trace in reader.plots["slots"]["data"] for value in trace["x"]]
    assert sorted(lengths) == pytest.approx(sorted([9 / 60] * 14 + [3 / 60, 1 / 60]))


def test_numbers_in_words_are_those_of_the_study(tmp_path):
    made = usual(tmp_path)
    _, reader = rendered(made)
    best = max(made.study.trials[:14], key=lambda trial: trial.value)
    text = " ".join(reader.text.split())
    assert f"{best.value:.2%}".replace("%", " %") in text
    assert f"Trial {best.number}, the best by validation accuracy." in text
    assert "ValueError: x < y & z" in text
    assert "14 complete" in text


def test_nothing_that_a_user_named_breaks_out_of_the_page(tmp_path):
    made = make(tmp_path, name=EVIL, command=f"python {EVIL}")
    space = {EVIL: FloatDistribution(0, 1), "c": CategoricalDistribution([EVIL, "b"])}
    for number in range(6):
        made.trial(number / 7, params={EVIL: number / 7, "c": (EVIL, "b")[number % 2]}, space=space, reports=[0.1])
    made.fail(EVIL)
    made.folder(6, {"status": "failed", "error": {"type": "E", "message": EVIL, "traceback": EVIL}})
    text, reader = rendered(made)
    assert "alert(1)</script>" not in text
    assert "<script>alert" not in text
    # plotly and ours; one more would be one that was smuggled in.
    assert [tag for tag, found in reader.tags if tag == "script" and "data-plot" not in found] == ["script", "script"]
    assert EVIL in reader.text
    assert "could not be drawn" not in reader.text
    # In plots plotly reads some tags: they get the text in escaped form.
    assert all('<b>&"' not in json.dumps(plot) for plot in reader.plots.values())
    said = [text for trace in reader.plots["history0"]["data"] for text in trace.get("hovertext", [])]
    assert any(html.escape(EVIL, quote=False) in text for text in said)


def test_a_section_is_shown_for_being_in_the_list(tmp_path, monkeypatch):
    # The template knows kinds of parts only: a new section is a file and a line.
    made = usual(tmp_path)
    (tmp_path / "notes").mkdir()

    def section(found):
        table = parts.Table(
            "oddities", [parts.Head("which")], [parts.Row([parts.Cell("seven", to=tmp_path / "notes")])]
        )
        folded = parts.Folded("more", [parts.Headed("deeper", [parts.Source("x < y"), parts.Command("ls", "it")])])
        return parts.Section("odd", "Oddities", [parts.Text(["see ", parts.Link(tmp_path / "notes")]), table, folded])

    monkeypatch.setattr(sections, "SECTIONS", [section, lambda found: None])
    text, reader = rendered(made)
    assert ("a", {"href": "#odd"}) in reader.tags
    assert ("section", {"id": "odd"}) in reader.tags
    assert reader.tags.count(("a", {"href": "notes/"})) == 2
    inside = " ".join(reader.text.split()).partition("Oddities Oddities")[2]
    assert inside.startswith(" see notes oddities which seven moredeeperx < y lscopy ")
    assert "Winner" not in text


def test_headings_are_in_order_and_the_page_names_its_language(tmp_path):
    _, reader = rendered(usual(tmp_path))
    assert reader.tags[0] == ("html", {"lang": "en"})
    assert reader.headings[0] == 1
    assert all(
        after <= before + 1 or (before, after) == (1, 3)
        for before, after in zip(reader.headings, reader.headings[1:], strict=False)
    )
    assert all(found.get("aria-label") for _, found in reader.tags if found.get("role") == "img")
    identifiers = [found["id"] for _, found in reader.tags if "id" in found]
    assert len(identifiers) == len(set(identifiers))
    targets = [found["href"][1:] for tag, found in reader.tags if tag == "a" and found["href"].startswith("#")]
    assert targets
    assert set(targets) <= set(identifiers)


def nothing(made):
    made.end("interrupted")


def only_failures(made):
    for _ in range(3):
        made.fail("ValueError: no")
    made.end("failures")


def one(made):
    made.trial(0.5, params={"x": 0.5}, space={"x": FloatDistribution(0, 1)})
    made.end("n_trials")


def all_equal(made):
    for _ in range(6):
        made.trial(0.5, params={"x": 0.5}, space={"x": FloatDistribution(0, 1)})
    made.end("n_trials")


def running(made):
    made.trial(None, TrialState.RUNNING, end=None)
    made.trial(None, TrialState.WAITING, begin=0, end=None, owner=None)


def without_owners(made):
    made.trial(0.5, owner=None)
    made.end("n_trials")


def without_parameters(made):
    for number in range(5):
        made.trial(number)
    made.end("n_trials")


@pytest.mark.parametrize(
    "fill, said",
    [
        (nothing, ["There are none yet.", "No trial is complete, so there is no winner."]),
        (only_failures, ["No trial is complete yet, so there is nothing to draw.", "ValueError: no"]),
        (one, ["Only one trial is complete, too few to compare settings: that takes 2."]),
        (all_equal, ["No parameter took more than one value.", "do not differ enough"]),
        (running, ["0 of 5 trials are done", "1 running", "1 waiting"]),
        (without_owners, ["No trial says which slot it ran in"]),
        (without_parameters, ["No parameter took more than one value."]),
    ],
)
def test_a_sweep_of_any_kind_has_a_page_that_says_what_is_missing(tmp_path, fill, said):
    made = make(tmp_path)
    fill(made)
    _, reader = rendered(made)
    text = " ".join(reader.text.split())
    assert "could not be drawn" not in text
    for sentence in said:
        assert sentence in text
    png.draw(read(tmp_path))


def test_what_cannot_be_read_in_the_settings_is_said(tmp_path):
    made = make(tmp_path, n_trials="many", target={"metric": None, "value": "x"}, command="python app.py it's")
    made.trial(0.5)
    _, reader = rendered(made)
    assert "sweep.yaml says nothing that can be read: n_trials=many, target.value=x." in reader.text


def test_a_plot_that_raises_does_not_stop_the_page(tmp_path, monkeypatch):
    made = usual(tmp_path)

    def broken(*arguments, **options):
        raise KeyError("inside plotly")

    monkeypatch.setattr(history.visualization, "plot_optimization_history", broken)
    _, reader = rendered(made)
    assert "This plot could not be drawn (KeyError: 'inside plotly')." in reader.text
    assert "curves" in reader.plots


@pytest.mark.parametrize(
    "directions", [("maximize", "minimize"), ("minimize", "minimize", "maximize"), ("minimize",) * 4]
)
def test_several_objectives_have_a_front_up_to_three_in_a_plot(tmp_path, directions):
    made, draw = make(tmp_path, directions), random.Random(1)
    for number in range(8):
        made.trial([draw.random() for _ in directions], params={"x": number / 8}, space={"x": FloatDistribution(0, 1)})
    made.end("n_trials")
    _, reader = rendered(made)
    assert "could not be drawn" not in reader.text
    if len(directions) > 3:
        assert "4 objectives cannot be drawn" in reader.text
        return
    on_front = next(trace for trace in reader.plots["pareto"]["data"] if trace.get("name") == "on the Pareto front")
    assert sorted(on_front["x"]) == pytest.approx(sorted(trial.values[0] for trial in made.study.best_trials))


def test_several_sweeps_are_compared(tmp_path):
    first, second = usual(tmp_path / "a", name="first"), usual(tmp_path / "b", trials=20, name="second")
    text = page.render([read(first.root), read(second.root)], tmp_path)
    reader = Reader()
    reader.feed(text)
    assert [trace["name"] for trace in reader.plots["together"]["data"]] == ["first", "second"]
    assert {"s0-curves", "s1-curves"} <= set(reader.plots)
    identifiers = [found["id"] for _, found in reader.tags if "id" in found]
    assert len(identifiers) == len(set(identifiers))
    assert ("a", {"href": "a/0/"}) in reader.tags


def test_links_lead_from_the_page_to_the_folders(tmp_path):
    made = usual(tmp_path / "my sweeps" / "night")
    page.write(tmp_path / "out" / "page.html", [read(made.root)])
    reader = Reader()
    reader.feed((tmp_path / "out" / "page.html").read_text())
    assert ("a", {"href": "../my%20sweeps/night/0/"}) in reader.tags


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_folder_whose_name_is_no_text_has_a_page(tmp_path):
    made = usual(tmp_path / os.fsdecode(b"n\xffght"))
    page.write(tmp_path / "page.html", [read(made.root)])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert r"n\udcffght" in text
    assert 'href="n%FFght/0/"' in text


def test_a_large_sweep_has_a_page_that_a_browser_can_hold(tmp_path):
    # A surface through all would hold a number for every two of them: 2.5 MB a plot.
    draw, space = random.Random(0), {name: FloatDistribution(0, 1) for name in "xyz"}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        create_trial(value=params["x"] * params["y"], params=params, distributions=space)
        for params in ({name: draw.random() for name in "xyz"} for _ in range(600))
    )
    settings = {"command": "python app.py", "sweeper": {"n_trials": 600}}
    text = page.render([facts.collect(tmp_path, study, settings)], tmp_path)
    reader = Reader()
    reader.feed(text)
    assert "could not be drawn" not in text
    sizes = {key: len(json.dumps(plot)) for key, plot in reader.plots.items()}
    assert max(sizes.values()) < 400_000, sizes
    surface = next(trace for trace in reader.plots["settings-contour0"]["data"] if trace["type"] == "contour")
    assert len(surface["z"]) <= drawing.MOST_IN_CONTOUR + 2  # and the rims
    points = reader.plots["settings-slice0"]["data"][0]["y"]
    assert sorted(points) == pytest.approx(sorted(trial.value for trial in study.trials)[-drawing.MOST_POINTS :])
    for said in ("The best 100 of 600 trials.", "The best 500 of 600 trials.", "The best 300 of 600 trials."):
        assert said in reader.text


def test_a_few_trials_do_not_say_what_mattered(tmp_path, monkeypatch):
    monkeypatch.setattr(importances, "LEAST_TO_WEIGH", 15)
    made = usual(tmp_path)
    _, reader = rendered(made)
    assert "Only 14 trials are complete, too few to say which parameters mattered: that takes 15." in reader.text
    assert "importances0" not in reader.plots
    assert "importances" not in {path.stem for path in png.draw(read(tmp_path))}


def test_a_trial_that_was_ended_early_is_listed_with_its_last_report(tmp_path):
    text, _ = rendered(usual(tmp_path))
    row = next(row for row in re.findall(r"<tr.*?</tr>", text, re.DOTALL) if ">14<" in row)
    assert "50.00" in row


def test_only_a_page_that_is_rewritten_loads_itself_again(tmp_path):
    made = usual(tmp_path)
    assert 'id="reload"' not in rendered(made)[0]
    assert 'id="reload"' in rendered(made, reload_s=30.0)[0]


def test_a_browser_shows_it_without_a_network_and_without_scrolling_sideways(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("there is no browser")
    made = usual(tmp_path)
    path = tmp_path / "report.html"
    page.write(path, [read(made.root)])
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 420, "height": 800}, offline=True)
        shown, asked, errors = context.new_page(), [], []
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        shown.goto(path.as_uri())
        shown.wait_for_selector("body[data-drawn]", timeout=60_000)
        assert shown.evaluate("document.documentElement.scrollWidth") == 420
        assert shown.locator("#plot-history0 .main-svg").count() > 0
        assert [address for address in asked if not address.startswith(("data:", "blob:", path.as_uri()))] == []
        assert errors == []
        browser.close()
