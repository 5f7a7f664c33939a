"""The report's page in a headless browser: no error, no missing image, tables that sort on a click."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest
from browser import QUIET, chromium

from nrtune.analysis.report.report import write_report
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.uncertainty.comparison import Comparisons

pytestmark = pytest.mark.ui

FLAGS = (*QUIET, "--headless", "--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom")

WATCH = """<script>window.seen = []; addEventListener("error", e => seen.push(String(e.message)), true);
console.error = (...said) => seen.push(said.join(" "));</script>"""

PROBE = """<script>
addEventListener("load", () => {
  const table = [...document.querySelectorAll("table")].find(t => t.ariaLabel.startsWith("Every trial"));
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex(h => h.textContent === "CAGI5 Spearman");
  const values = () => [...table.tBodies[0].rows].map(r => r.cells[column].textContent);
  const names = () => [...table.tBodies[0].rows].map(r => r.cells[0].textContent);
  const click = i => { heads[i].querySelector("button").click(); return heads.map(h => h.getAttribute("aria-sort")); };
  const out = {before: names(), column};
  out.firstSort = click(column); out.descending = values();
  out.secondSort = click(column); out.ascending = values();
  out.thirdSort = click(0); out.byName = names();
  const images = [...document.images];
  out.images = images.length;
  out.broken = images.filter(i => !i.complete || i.naturalWidth === 0 || !i.alt).map(i => i.alt);
  out.wide = document.documentElement.scrollWidth > innerWidth;
  out.errors = seen;
  const place = document.createElement("pre");
  place.id = "probe"; place.textContent = JSON.stringify(out); document.body.append(place);
});
</script>"""


def test_the_page_works(real_data, tmp_path: Path) -> None:
    browser = chromium()
    page = write_report(Comparisons(open_campaign(real_data / "study" / "published_trials.csv")), tmp_path / "report")
    text = page.read_text().replace("<head>", f"<head>{WATCH}", 1)
    text = text.replace("</body>", f"{PROBE}</body>", 1)
    alone = tmp_path / "alone" / "page.html"  # without its folder: it must need no other file
    alone.parent.mkdir()
    alone.write_text(text)
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", alone.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    match = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stderr[-2000:]
    seen = json.loads(unescape(match[1]))
    assert seen["errors"] == []
    assert seen["images"] > 10
    assert seen["broken"] == []
    assert not seen["wide"]

    def numbers(shown: list[str]) -> list[float]:
        values = [None if text == "–" else float(text.replace("−", "-")) for text in shown]
        told = [value for value in values if value is not None]
        assert values[: len(told)] == told, "what is undefined goes last"
        return told

    assert numbers(seen["descending"]) == sorted(numbers(seen["descending"]), reverse=True)
    assert numbers(seen["ascending"]) == sorted(numbers(seen["ascending"]))
    column = seen["column"]
    assert seen["firstSort"][column] == "descending"
    assert seen["secondSort"][column] == "ascending"
    assert seen["thirdSort"][column] == "none"
    assert seen["thirdSort"][0] == "ascending"
    assert seen["byName"] != seen["before"]
    assert sorted(seen["byName"]) == sorted(seen["before"])
