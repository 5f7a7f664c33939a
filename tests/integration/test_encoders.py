"""A search on two encoders: the baseline on each, with seeds on the finalists', and winners compared with the one on theirs."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from in_process import run

from nrtune.analysis.sources.open import open_campaign
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.settings import Settings

ENCODERS = ("factorized", "motif_cnn")


@pytest.mark.slow
def test_a_search_confirms_on_the_winners_encoder(shared_ray, settings: Settings, monkeypatch, capsys):
    chosen = settings.model_copy(
        update={
            "families": ("baseline", "rank_stability"),
            "encoders": ENCODERS,
            "trials": 3,
            "epochs": 1,
            "confirm": 0.65,
            "set": {"encoder.channels": 8},
            "use_case": ("overall",),
        }
    )
    outcome = run_campaign(prepare(chosen))
    assert outcome.confirmed == ["overall"]
    records = open_campaign(str(chosen.out)).records()
    own = {record.name: record for record in records if record.replicate_of is None}
    assert {(r.family, r.config["encoder"]) for r in own.values()} == {
        (family, encoder) for family in ("baseline", "rank_stability") for encoder in ENCODERS
    }
    published = {r.config["encoder"]: r.name for r in own.values() if r.family == "baseline" and r.published}
    assert published.keys() == set(ENCODERS)
    fresh = Counter(record.replicate_of for record in records if record.replicate_of is not None)
    confirmed = {own[str(name)].config["encoder"] for name in fresh if own[str(name)].family != "baseline"}
    assert {encoder for encoder, name in published.items() if fresh[name] >= 3} == confirmed
    assert {record.config["encoder.channels"] for record in records} == {8}
    code, out, _ = run(monkeypatch, capsys, "best", chosen.out, "--use-case", "overall", "--json")
    assert code == 0
    verdict = json.loads(out)["verdict"]
    assert verdict["against_baseline"] in ("better", "not significantly different", "worse")
    assert own[verdict["baseline"]].config["encoder"] == own[verdict["winner"]].config["encoder"]
    code, out, _ = run(monkeypatch, capsys, "best", chosen.out)
    assert "improvement over the baseline on the same encoder" in " ".join(out.split())
