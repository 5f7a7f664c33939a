"""A tiny search with two objectives, random proposals and the median rule, and its Pareto front from every source."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pyarrow.parquet as pq
import pytest
from campaign_records import check_agreement, copied
from in_process import run

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.sources.parquet import open_parquet, to_arrow
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.lifecycle.stopping import STOPPING
from nrtune.orchestrator.search.optuna_storage import open_storage
from nrtune.orchestrator.state.locations import default_uri
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.orchestrator.views.pareto import front_of, pareto_json
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.simulate import HDF5_NAME

CAGI5, NOISE = "cagi5/release/spearman/all/mean", "val/noise/corr"
TRIALS, EPOCHS, RUNG = 5, 3, 2


@pytest.fixture(scope="module")
def campaign(shared_ray, simulated_folder, tmp_path_factory) -> Settings:
    settings = Settings(
        families=("baseline",),
        data=simulated_folder / HDF5_NAME,
        cagi5=simulated_folder / "cagi5",
        out=tmp_path_factory.mktemp("objectives") / "campaign",
        trials=TRIALS,
        epochs=EPOCHS,
        max_concurrent=1,
        scheduler="median",
        sampler="random",
        objective=(f"{CAGI5}:max", f"{NOISE}:min"),
    )
    assert run_campaign(prepare(settings)).state == "finished"
    return settings


def folder_of(settings: Settings) -> Path:
    assert settings.out is not None
    return settings.out


def test_the_books_agree_and_optuna_has_both_values(campaign):
    check_agreement(folder_of(campaign), ("baseline",), TRIALS)
    records = {record.number: record for record in open_campaign(folder_of(campaign)).records()}
    study = optuna.load_study(study_name="baseline", storage=open_storage(folder_of(campaign), None))
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    for trial in complete:
        metrics = records[trial.number].metrics
        assert trial.values == [metrics[CAGI5], metrics[NOISE]]
    for record in records.values():
        assert record.status == "finished" or record.epochs_trained == RUNG
        assert record.status == "finished" or not record.published
        assert {CAGI5, NOISE, "test/spearman"} <= set(record.metrics)
    fronts = {trial.number for trial in study.best_trials}
    found = {record["trial"] for record in front(campaign)["front"]}
    assert found == {records[number].name for number in fronts}


def front(settings: Settings, source: object = None) -> dict:
    trials = open_campaign(source or folder_of(settings))
    return json.loads(pareto_json(trials, front_of(trials, ())))


def test_every_source_has_the_same_front(campaign, tmp_path):
    folder = folder_of(campaign)
    expected = front(campaign)
    assert [objective["metric"] for objective in expected["objectives"]] == [CAGI5, NOISE]
    of_mlflow = front(campaign, default_uri(folder))
    source = open_campaign(folder)
    pq.write_table(to_arrow(source, source.trials()), tmp_path / "t.parquet")
    assert open_parquet(tmp_path / "t.parquet").objectives == campaign.objective
    for other in (of_mlflow, front(campaign, tmp_path / "t.parquet")):
        assert [t["trial"] for t in other["front"]] == [t["trial"] for t in expected["front"]]
        for mine, theirs in zip(expected["front"], other["front"], strict=True):
            assert theirs["values"] == pytest.approx(mine["values"])


def test_the_front_on_the_command_line(campaign, monkeypatch, capsys):
    folder = folder_of(campaign)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(monkeypatch, capsys, "best", folder, "--pareto")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    names = [trial["trial"] for trial in front(campaign)["front"]]
    assert [line.split()[0] for line in out.splitlines()[1 : len(names) + 1]] == names
    assert f"({NOISE})" in out
    code, out, _ = run(
        monkeypatch, capsys, "best", folder, "--pareto", "val/spearman:max", "test/spearman:max", "--json"
    )
    assert code == 0
    assert [objective["metric"] for objective in json.loads(out)["objectives"]] == ["val/spearman", "test/spearman"]


def test_a_campaign_keeps_its_scheduler_sampler_and_objectives(campaign):
    folder = folder_of(campaign)
    resumed = load_settings(None, {"out": folder, "resume": True}, Settings)
    assert resumed.model_copy(update={"resume": False}) == campaign
    for change, message in (
        ({"scheduler": "asha"}, 'with scheduler "median", not "asha"'),
        ({"sampler": "tpe"}, 'with sampler "random", not "tpe"'),
        ({"objective": (f"{CAGI5}:max",)}, "with objective"),
    ):
        with pytest.raises(UserError, match=message):
            run_campaign(prepare(load_settings(None, {"out": folder, "resume": True, **change}, Settings)))


def test_more_trials_are_judged_by_those_of_before(campaign, tmp_path):
    """After a restart the median rule has every stored curve, also of a campaign that noted no arrivals."""
    campaign = campaign.model_copy(update={"out": copied(folder_of(campaign), tmp_path / "copy")})
    arrivals = folder_of(campaign) / STOPPING
    before, noted = open_campaign(folder_of(campaign)).records(), arrivals.read_text().splitlines()
    arrivals.unlink()
    assert run_campaign(prepare(campaign.model_copy(update={"trials": TRIALS + 1}))).state == "finished"
    added = open_campaign(folder_of(campaign)).records()[-1]
    lines = [json.loads(line) for line in arrivals.read_text().splitlines()]
    assert len(lines) > len(noted)
    found = {line["epoch"]: line["others"] for line in lines if line.get("fingerprint") == added.fingerprint}
    assert found
    assert found == {epoch: sum(r.epochs_trained >= epoch for r in before) for epoch in found}
    check_agreement(folder_of(campaign), ("baseline",), TRIALS + 1)
