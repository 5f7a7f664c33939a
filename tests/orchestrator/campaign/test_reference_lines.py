"""Reference lines in a campaign's folder: whole or not there, and never the end of a campaign."""

from __future__ import annotations

import pandas as pd
import pytest

from nrtune.analysis.store.records import read_references
from nrtune.orchestrator.campaign import reference_lines as references
from nrtune.orchestrator.campaign.reference_lines import add_references
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.evaluation.reference_lines import constant


@pytest.fixture(autouse=True)
def _constant_alone(monkeypatch):
    monkeypatch.setattr(references, "REFERENCES", {"constant": constant})


def test_they_are_scored_once(simulated_data, tmp_path):
    said: list[str] = []
    assert read_references(tmp_path) == {}
    add_references(tmp_path, simulated_data, said.append)
    found = read_references(tmp_path)
    assert found.keys() == {"constant"}
    stored = pd.read_parquet(tmp_path / "references" / "constant" / "predictions_test.parquet")
    assert found["constant"]["test/mse"] == pytest.approx(((stored["prediction"] - stored["activity"]) ** 2).mean())
    assert len(pd.read_parquet(tmp_path / "references/constant/predictions_cagi5.parquet")) == len(
        simulated_data.benchmark("cagi5")
    )
    add_references(tmp_path, simulated_data, said.append)
    assert said == ["scoring the non-neural baselines constant, once for these data"]


def test_a_crash_in_between_leaves_none(simulated_data, tmp_path, monkeypatch):
    def crash(path, write):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(references, "write_atomically", crash)  # after the predictions, before the metrics
        with pytest.raises(KeyboardInterrupt):
            add_references(tmp_path, simulated_data, print)
    assert (tmp_path / "references" / "constant" / "predictions_test.parquet").exists()
    assert read_references(tmp_path) == {}
    add_references(tmp_path, simulated_data, lambda text: None)
    assert read_references(tmp_path).keys() == {"constant"}


def test_one_that_cannot_be_had_is_said(simulated_data, tmp_path):
    (tmp_path / "references").write_text("in the way")
    said: list[str] = []
    add_references(tmp_path, simulated_data, said.append)
    assert said[1].startswith("no non-neural baseline constant (")
    assert said[1].endswith("the campaign goes on without it")
    assert read_references(tmp_path) == {}


def test_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "references" / "constant" / "metrics.json"
    path.parent.mkdir(parents=True)
    for text in ("{", "[]", '{"test/mse": null}'):
        path.write_text(text)
        with pytest.raises(UserError, match=r"metrics\.json: is damaged .* remove it"):
            read_references(tmp_path)
