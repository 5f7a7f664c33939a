"""The report's page in a headless browser: its first screen, its width, what axe finds, what the pointer does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import QUIET, axe, chromium
from playwright.sync_api import Browser, Page, sync_playwright

from nrtune.analysis.report.report import write_report
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.cli.main import __file__ as CLI

pytestmark = pytest.mark.ui

WIDTHS = (1280, 800, 400)

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search on simulated data that ended with verdicts, alone in a folder: it must need no other file."""
    chromium()
    out = tmp_path_factory.mktemp("demo") / "demo"
    subprocess.run([sys.executable, CLI, "demo", "--out", out], check=True, capture_output=True, timeout=280)
    campaign = next(path.parent for path in out.rglob("campaign.json"))
    return _alone(write_report(Comparisons(open_campaign(campaign)), out / "report"))


@pytest.fixture(scope="module")
def published(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the study's own table, of many trials and no predictions."""
    found = Comparisons(open_campaign(real_data / "study" / "published_trials.csv"))
    return _alone(write_report(found, tmp_path_factory.mktemp("published") / "report"))


def _alone(page: Path) -> Path:
    alone = page.parent.parent / "alone" / page.name
    alone.parent.mkdir()
    return page.rename(alone)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file in a window without a network; at the end nothing was asked for and no script has failed."""
    errors: list[str] = []
    contexts = []

    def open_page(path: Path, width: int = 1280, height: int = 900, **how: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
        page.on(
            "request", lambda asked: errors.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def unfold(page: Page) -> None:
    """Show all details, as a reader may."""
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")


TOO_WIDE = """() => [...document.querySelectorAll("body *")].filter(one =>
  one.checkVisibility() && !one.closest(".table *") && one.getBoundingClientRect().right > innerWidth + 0.5
).map(one => one.outerHTML.slice(0, 120))"""

TABLES_THAT_SCROLL = """() => [...document.querySelectorAll(".table")].filter(one =>
  one.checkVisibility() && one.scrollWidth > one.clientWidth + 1
).map(one => `${one.ariaLabel}: ${one.scrollWidth} of ${one.clientWidth}`)"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["report", "published"])
def test_nothing_is_wider_than_the_page(which, width, open_page, request) -> None:
    page = open_page(request.getfixturevalue(which), width)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TOO_WIDE) == []
    if width >= 800:  # on a telephone a table scrolls within its own box
        assert page.evaluate(TABLES_THAT_SCROLL) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["report", "published"])
def test_axe_finds_no_barrier(which, scheme, open_page, request, pytestconfig) -> None:
    script = axe(pytestconfig.cache.mkdir("npm"))
    page = open_page(request.getfixturevalue(which), color_scheme=scheme)
    unfold(page)
    page.add_script_tag(path=script)
    found = page.evaluate("axe.run()")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20


def test_the_first_screen_answers_what_next(report, open_page) -> None:
    page = open_page(report, 1280, 900)
    for what in ("h1", ".verdict", ".opening figure img", ".steps .command >> nth=0", "#caveats + ul"):
        place = page.locator(what).bounding_box()
        assert place is not None, what
        assert place["width"] > 0
        assert place["y"] + place["height"] <= 900, what
    assert "nrtune " in page.locator(".steps code").first.inner_text()
    before = page.evaluate("document.querySelector('nav').compareDocumentPosition(document.querySelector('.opening'))")
    assert before == 2  # the opening comes before the contents


def test_images_are_there_and_named(published, open_page) -> None:
    page = open_page(published)
    unfold(page)
    images = page.evaluate("[...document.images].map(i => [i.alt, i.complete && i.naturalWidth > 0])")
    assert len(images) > 10
    assert [alt for alt, shown in images if not shown or not alt] == []


def test_a_click_on_a_head_sorts(published, open_page) -> None:
    page = open_page(published)
    table = page.locator("table[aria-label^='Every trial']")
    heads = table.locator("thead th")
    titles = heads.all_inner_texts()
    column = titles.index("CAGI5 Spearman")

    def shown(index: int) -> list[str]:
        return table.locator(f"tbody tr > :nth-child({index + 1})").all_text_contents()

    def click(index: int) -> str | None:
        heads.nth(index).locator("button").click()
        return heads.nth(index).get_attribute("aria-sort")

    before = shown(0)
    assert click(column) == "descending"
    assert _numbers(shown(column)) == sorted(_numbers(shown(column)), reverse=True)
    assert click(column) == "ascending"
    assert _numbers(shown(column)) == sorted(_numbers(shown(column)))
    assert click(0) == "ascending"
    assert heads.nth(column).get_attribute("aria-sort") == "none"
    assert shown(0) != before
    assert sorted(shown(0)) == sorted(before)


POINT = """kind => {
  const canvas = document.querySelector(`figure[data-chart=${kind}] canvas`), chart = Chart.getChart(canvas);
  canvas.scrollIntoView({block: "center"});
  const box = canvas.getBoundingClientRect(), all = chart.data.datasets.flatMap((set, at) => chart.getDatasetMeta(at).data
    .map((point, index) => ({x: box.x + point.x, y: box.y + point.y, trial: set.data[index].trial})).filter(one => one.trial));
  const alone = one => Math.min(...all.filter(other => other !== one).map(other => Math.hypot(other.x - one.x, other.y - one.y)));
  const best = all.reduce((a, b) => alone(a) >= alone(b) ? a : b);  // the one farthest from all others
  return {x: best.x, y: best.y, id: best.trial.id, name: best.trial.name, parameters: best.trial.parameters};
}"""

TOOLTIP = """kind => {
  const tooltip = Chart.getChart(document.querySelector(`figure[data-chart=${kind}] canvas`)).tooltip;
  return tooltip.opacity ? [...tooltip.title, ...tooltip.body.flatMap(one => one.lines)] : [];
}"""


@pytest.mark.parametrize(
    ("which", "kind"),
    [
        ("report", "scatter"),
        ("report", "ranking"),
        ("report", "curves"),
        ("published", "scatter"),
        ("published", "ranking"),
    ],
)
def test_hovering_names_a_trial_and_a_click_goes_to_its_row(which, kind, open_page, request) -> None:
    page = open_page(request.getfixturevalue(which))
    point = page.evaluate(POINT, kind)
    page.mouse.move(point["x"], point["y"])
    page.wait_for_function(f"kind => ({TOOLTIP})(kind).length", arg=kind)
    told = page.evaluate(TOOLTIP, kind)
    assert told[0] == point["name"]
    assert point["parameters"]
    assert set(point["parameters"]) <= set(told)
    page.mouse.click(point["x"], point["y"])
    page.wait_for_url(f"**/*#{point['id']}")
    row = page.locator(f"#{point['id']}")
    assert row.locator("th").inner_text() in point["name"].split(" = ") or which == "published"  # there, names are cut
    assert row.evaluate("row => row.matches(':target')")
    place = row.bounding_box()
    assert place is not None
    assert 0 <= place["y"] < 900
    page.go_back()
    assert page.evaluate("scrollY") > 0


def test_another_metric_can_be_chosen(published, open_page) -> None:
    page = open_page(published)
    figure = page.locator("figure[data-chart=scatter]")
    chosen = figure.get_by_label("Vertical").select_option(label="Noise correlation, test")
    assert chosen == ["noise/corr"]
    titles = "Chart.getChart(document.querySelector('figure[data-chart=scatter] canvas')).options.scales.y.title.text"
    assert page.evaluate(titles) == "Noise correlation, test"


def test_without_scripts_the_figures_for_papers_are_there(report, open_page) -> None:
    page = open_page(report, java_script_enabled=False)
    figures = page.locator("figure[data-chart]")
    assert figures.count() == 3
    assert all(image.bounding_box() for image in figures.locator("img").all())
    assert page.locator("canvas").count() == 0


def test_on_paper_the_figures_for_papers_are_shown(report, open_page) -> None:
    page = open_page(report)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert all(image.is_visible() for image in page.locator("figure img").all())
    assert not any(canvas.is_visible() for canvas in page.locator("canvas").all())


def _numbers(shown: list[str]) -> list[float]:
    values = [None if text == "–" else float(text.replace("−", "-")) for text in shown]
    told = [value for value in values if value is not None]
    assert values[: len(told)] == told, "what is undefined goes last"
    return told
