"""Where early stopping is judged: under what a search prints at its end, in `nrtune status` and in `nrtune best`."""

from __future__ import annotations

import numpy as np
import pytest
from in_process import run
from trial_records import record

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.uncertainty.early_stopping import LOOKED_AT, agreements
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.views.status import remarks

RELEASE, CHALLENGE = (f"cagi5/{part}/spearman/all/mean" for part in ("release", "challenge"))


@pytest.fixture
def campaign(tmp_path):
    """Twelve finished trials whose validation says nothing of the release part, and one that was stopped."""
    ledger = open_ledger(
        tmp_path / "c", "c", {"command": "search", "select_on": "release", "tracking_uri": None}, {}, must_exist=False
    )
    generator = np.random.default_rng(3)
    for number in range(12):
        validation, release = generator.random(2)
        metrics = {LOOKED_AT: validation, RELEASE: release, CHALLENGE: release}
        family = "baseline" if number == 0 else "rank_stability"
        ledger.append(record(f"T{number}", number=number, family=family, metrics=metrics))
    ledger.append(record("P", family="rank_stability", number=12, status="pruned", metrics={LOOKED_AT: 0.1}))
    ledger.close()
    return tmp_path / "c"


def test_it_is_said_wherever_trials_are_judged(campaign, monkeypatch, capsys):
    (agreement,) = agreements(open_campaign(campaign))
    said = agreement.sentence()
    assert said.startswith(
        "warning: early stopping looked at val/spearman, the objective is cagi5/release/spearman/all/mean:"
    )
    assert said in remarks(campaign)
    for words in (("status", campaign), ("best", campaign), ("best", campaign, "--use-case", "overall")):
        code, out, _ = run(monkeypatch, capsys, *words)
        assert code == 0
        assert said in " ".join(out.split())
