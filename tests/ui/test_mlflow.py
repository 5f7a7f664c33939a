"""`nrtune ui` in a headless browser: the campaign's trials are listed, best first, and a trial's page shows its curves."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import QUIET, chromium
from playwright.sync_api import Page, expect, sync_playwright

from nrtune.analysis.sources.open import open_campaign
from nrtune.orchestrator.cli.main import __file__ as CLI
from nrtune.trainables.data.simulate import HDF5_NAME

pytestmark = pytest.mark.ui

METRIC = "cagi5/release/spearman/all/mean"
EPOCHS = 3


def nrtune(*arguments: object) -> list[str]:
    return [sys.executable, CLI, *map(str, arguments)]


@pytest.fixture(scope="module")
def campaign(simulated_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium()
    out = tmp_path_factory.mktemp("ui") / "campaign"
    subprocess.run(
        nrtune("search", "--families", "baseline,rank_stability", "--data", simulated_folder / HDF5_NAME,
               "--cagi5", simulated_folder / "cagi5", "--trials", 2, "--epochs", EPOCHS, "--out", out),
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def address(campaign: Path) -> Iterator[str]:
    """Where `nrtune ui` says that the trials are."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(nrtune("ui", campaign, "--port", port), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r"open (\S+) in a browser", process.stderr.readline())
        assert found
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        page = browser.new_page(viewport={"width": 2400, "height": 1000})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(address)
        yield page
        browser.close()


def names(page: Page) -> list[str]:
    """The runs that the table shows, from the top."""
    page.wait_for_selector("[role=row] a[href*='/runs/']")
    rows = page.locator("[role=row]").filter(has=page.locator("a[href*='/runs/']")).all()
    placed = sorted((row.bounding_box()["y"], row.locator("a[href*='/runs/']").first.inner_text()) for row in rows)  # type: ignore[index]
    return list(dict.fromkeys(name for _, name in placed))


def test_the_trials_are_listed_best_first_with_what_matters(campaign: Path, page: Page) -> None:
    trials = open_campaign(campaign).trials().sort_values(METRIC, ascending=False)
    assert len(trials) == 4
    assert names(page) == list(trials["name"])
    heads = page.locator("[role=columnheader]").all_inner_texts()
    for column in (METRIC, "cagi5/challenge/spearman/all/mean", "test/spearman", "noise/corr", "family", "loss"):
        assert any(column in head for head in heads), column
    shown = page.locator("[role=gridcell]").all_inner_texts()
    assert any(text.startswith(f"{trials[METRIC].iloc[0]:.8f}"[:8]) for text in shown)


def test_a_click_on_another_metric_sorts_by_it(campaign: Path, page: Page) -> None:
    by_test = list(open_campaign(campaign).trials().sort_values("test/spearman", ascending=False)["name"])
    page.get_by_test_id("sort-header-test/spearman").last.click()
    page.wait_for_url(re.compile("orderByKey=metrics.%60test%2Fspearman"))
    first = page.locator("[role=row][row-index='0'] a[href*='/runs/']")
    expect(first).to_have_text(by_test[0])
    assert names(page) == by_test


def test_a_trials_page_has_its_note_its_values_and_its_curves(campaign: Path, page: Page) -> None:
    best = open_campaign(campaign).trials().sort_values(METRIC, ascending=False).iloc[0]
    page.get_by_role("link", name=str(best["name"]), exact=True).first.click()
    expect(page.get_by_text(f"of the family {best['family'].replace('_', ' ')}")).to_be_visible()
    expect(page.get_by_text(METRIC).first).to_be_visible()
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill("val/spearman")
    lines = page.locator(".js-plotly-plot path.js-line")
    a_point_an_epoch = re.compile("^M[^L]*" + "L[^L]*" * (EPOCHS - 1) + "$")
    page.wait_for_function(
        "pattern => [...document.querySelectorAll('.js-plotly-plot path.js-line')].some(p => p.getAttribute('d').match(pattern))",
        arg=a_point_an_epoch.pattern,
    )
    assert lines.count() > 1
