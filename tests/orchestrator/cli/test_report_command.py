"""`nrtune report` as a user calls it: its options, and the browser that it opens."""

from __future__ import annotations

import json
import sys

import pytest

from nrtune.orchestrator.campaign.import_published import import_published
from nrtune.orchestrator.cli import main as cli

pytestmark = pytest.mark.end_to_end

OWN = """
hbg1:
  title: HBG1 alone
  metrics: {cagi5/challenge/spearman/all/HBG1: max}
"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["nrtune", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def folder(real_data, tmp_path_factory):
    """The published table as a campaign."""
    folder = tmp_path_factory.mktemp("report") / "published"
    import_published(real_data / "study" / "published_trials.csv", folder)
    return folder


def test_a_report_with_own_use_cases_opens_in_the_browser(folder, few_figures, tmp_path, monkeypatch, capsys):
    seen = tmp_path / "seen.txt"
    browser = tmp_path / "browser.sh"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    own = tmp_path / "own.yaml"
    own.write_text(OWN)

    assert run(monkeypatch, "report", folder, "--open", "--use-cases", own) == 0
    page = folder / "report" / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert seen.read_text().strip() == page.resolve().as_uri()
    assert json.loads((folder / "report" / "winners.json").read_text())["hbg1"]["trial"].startswith("DH7")
    assert "HBG1 alone" in page.read_text()


def test_bad_input_to_a_report(folder, tmp_path, monkeypatch, capsys):
    for arguments, message in (
        (["--use-cases", tmp_path / "none.yaml"], "none.yaml"),
        (["--select-on", "relase"], "did you mean 'release'"),
    ):
        assert run(monkeypatch, "report", folder, *arguments) == 2
        assert message in capsys.readouterr().err
