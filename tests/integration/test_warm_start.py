"""A search from trained weights: resumed without their file, replicated, and its winner as a settings file."""

from __future__ import annotations

import shutil

import pytest
import yaml
from in_process import run

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import WARM_START
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.replication import prepare_replication
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.settings import Settings, load_replication
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.inference import load_model
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.training_data import TrainingData
from nrtune.trainables.training.warm_start import read_warm_start


@pytest.mark.slow
def test_a_search_from_weights_is_resumed_and_replicated_without_their_file(
    shared_ray, settings: Settings, tmp_path, monkeypatch, capsys
):
    flat = {**preset("small", "motif_cnn"), "encoder.channels": 8, "epochs": 1}
    fit(TrialConfig.from_flat(flat), TrainingData(read_dataset(settings.data)), folder=tmp_path / "other", device="cpu")
    digest = read_warm_start(tmp_path / "other").digest
    chosen = settings.model_copy(
        update={"warm_start": tmp_path / "other" / BEST, "freeze": "first", "families": ("baseline", "rank_stability")}
    )
    assert run_campaign(prepare(chosen)).state == "finished"
    shutil.rmtree(tmp_path / "other")
    assert run_campaign(prepare(chosen.model_copy(update={"trials": 2}))).state == "finished"
    replication = load_replication(chosen.out, {"top": 1, "seeds": 1, "use_case": ("in_distribution",)})
    assert run_campaign(prepare_replication(replication)).state == "finished"
    campaign = open_campaign(str(chosen.out))
    records = campaign.records()
    assert len([record for record in records if record.replicate_of is None]) == 4
    assert {(r.config["warm_start"], r.config["freeze"], r.config["encoder.channels"]) for r in records} == {
        (digest, "first", 8)
    }
    for record in records:
        if record.replicate_of is not None:
            original = next(one for one in records if one.name == record.replicate_of)
            assert record.metrics != original.metrics
    kept = [path for record in records if (path := campaign.file(record.fingerprint, BEST)) is not None]
    start = read_warm_start(chosen.out / WARM_START)
    for path in kept:
        weight = load_model(path).model.encoder.first.convs[0].weight
        assert (weight.detach().numpy() == start.state["encoder.first.convs.0.weight"]).all()
    code, out, _ = run(monkeypatch, capsys, "best", chosen.out, "--trial", records[0].name, "--as-settings")
    assert code == 0
    written = yaml.safe_load(out)
    assert (written["warm_start"], written["freeze"]) == (str(chosen.out.resolve() / WARM_START), "first")
    assert not {"warm_start", "freeze"} & written["set"].keys()
