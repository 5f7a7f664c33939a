"""A search that is scored on the saturation mutagenesis study's table, without CAGI5: no registration is needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from campaign_records import mlflow_runs
from in_process import run
from satmut_files import from_cagi5, write_table

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.settings import Settings, load_replication
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks.satmut import TABLE, read_satmut
from nrtune.trainables.data.simulate import HDF5_NAME
from nrtune.trainables.evaluation.predictions import variant_metrics

SPEARMAN = "satmut/spearman/all/mean"
USE_CASE = "saturation_mutagenesis"


@pytest.fixture(scope="module")
def table(simulated_folder, tmp_path_factory) -> Path:
    return from_cagi5(simulated_folder / "cagi5", tmp_path_factory.mktemp("satmut") / "satmut")


@pytest.fixture(scope="module")
def campaign(shared_ray, simulated_folder, table, tmp_path_factory) -> Path:
    settings = Settings(
        families=("baseline", "rank_stability"),
        data=simulated_folder / HDF5_NAME,
        satmut=table,
        out=tmp_path_factory.mktemp("scored") / "campaign",
        trials=1,
        epochs=2,
        max_concurrent=1,
    )
    search = prepare(settings)
    assert any("means are over SIM1, SIM2, SIM3, SIM4" in note for note in search.notes())
    assert run_campaign(search).state == "finished"
    return Path(str(settings.out))


def test_its_metrics_are_those_of_the_stored_predictions(campaign, table):
    variants = read_satmut(table, cell_line="simulated")
    for record in open_campaign(campaign).records():
        path = open_campaign(campaign).file(record.fingerprint, "predictions_satmut.parquet")
        stored = pd.read_parquet(path)
        assert (stored["alt"] == "-").sum() == variants.counts()["deletions"].sum() > 40
        expected = variant_metrics(variants, stored["variant_effect"].to_numpy())
        assert {name: v for name, v in record.metrics.items() if name.startswith("satmut/")} == pytest.approx(expected)
        assert not any(name.startswith("cagi5/") for name in record.metrics)


def test_the_winner_is_named_with_an_interval_and_selected_on_validation(campaign, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "best", campaign, "--use-case", USE_CASE, "--json")
    found = json.loads(out)
    assert code == 0
    best = Comparisons(open_campaign(campaign)).find(USE_CASE)
    assert best.winner.selected_by == best.metrics["val/spearman"]
    assert str(best.metrics[SPEARMAN])[:8] in out
    code, out, _ = run(monkeypatch, capsys, "best", campaign)
    assert USE_CASE in out
    line = next(line for line in out.splitlines() if line.startswith(USE_CASE))
    assert "to" in line.split()  # the interval of the improvement over the baseline
    assert found


def test_report_and_books_have_it(campaign, tmp_path, monkeypatch, capsys, few_figures):
    code, _, _ = run(monkeypatch, capsys, "report", campaign, "--out", tmp_path / "report")
    assert code == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Saturation mutagenesis Spearman" in text
    assert f" sequences of {HDF5_NAME}" in text.partition("## Winners")[0]
    _, children = mlflow_runs(campaign)
    assert all(SPEARMAN in child.data.metrics for child in children)


def test_another_table_is_another_campaign(campaign, table, simulated_folder, tmp_path):
    other = from_cagi5(simulated_folder / "cagi5", tmp_path / "other")
    rows = pd.read_csv(other / TABLE, sep="\t", dtype={"Chrom": str})
    references = json.loads((other / "references.json").read_text())
    write_table(other, rows.assign(Coefficient=-rows["Coefficient"]).to_dict("records"), references)
    settings = Settings(
        families=("baseline",), data=simulated_folder / HDF5_NAME, satmut=other, out=campaign, trials=1, epochs=2
    )
    with pytest.raises(UserError, match="holds a campaign with satmut"):
        run_campaign(prepare(settings))
    again = load_replication(campaign, {"top": 1, "seeds": 1, "use_case": (USE_CASE,)})
    before = (table / TABLE).read_bytes()
    shutil.copy(other / TABLE, table / TABLE)
    try:
        with pytest.raises(UserError, match=r"satmut: is not what .* was trained and scored on any more"):
            prepare(again)
    finally:
        (table / TABLE).write_bytes(before)


def test_the_objective_can_not_be_what_is_reported(simulated_folder, table, tmp_path):
    settings = Settings(
        families=("baseline",), data=simulated_folder / HDF5_NAME, satmut=table, out=tmp_path / "out", trials=1,
        objective=(f"{SPEARMAN}:max",),
    )  # fmt: skip
    with pytest.raises(UserError, match=SPEARMAN):
        prepare(settings)
