"""The published configurations from one command: names, seeds, sharing, resuming."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from campaign_records import copied, mlflow_runs
from command_line import CommandLine

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import read_records
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.settings import StudySettings, load_settings
from nrtune.orchestrator.views import best as best_view
from nrtune.orchestrator.views import status
from nrtune.search_spaces import published_by_name
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.simulate import HDF5_NAME


def study_settings(data: Path, out: Path, **more: object) -> StudySettings:
    return StudySettings(data=data / HDF5_NAME, cagi5=data / "cagi5", out=out, epochs=1, max_concurrent=1, **more)


@pytest.fixture(scope="module")
def study(shared_ray, simulated_folder, tmp_path_factory) -> tuple[StudySettings, Path]:
    """The ablations and the baseline: nine names, nine trainings, of which two have a further name."""
    folder = tmp_path_factory.mktemp("study") / "study"
    settings = study_settings(simulated_folder, folder, only=("B1", "ablation"))
    assert run_campaign(prepare(settings)).state == "finished"
    return settings, folder


def test_names_and_seeds_are_the_studys(study):
    _, folder = study
    records = {record.name: record for record in read_records(folder)}
    known = published_by_name()
    assert set(records) == {"B1_baseline_mse", *(name for name, (family, _) in known.items() if family == "ablation")}
    for name, record in records.items():
        family, published = known[name]
        assert (record.status, record.family, record.published) == ("finished", family, name)
        assert record.config["seed"] == published.seed
        assert record.config["epochs"] == record.epochs_trained == 1
        assert math.isfinite(record.metrics["cagi5/challenge/spearman/all/mean"])


def test_one_training_is_shown_under_both_names(study, capsys):
    _, folder = study
    assert {r.name: dict(r.aliases) for r in read_records(folder) if r.aliases} == {
        "ABL1_ng_a01": {"NG9_ng_alpha01": "noise_gated"},
        "ABL4_ng_a05": {"NG8_ng_alpha05": "noise_gated"},
    }
    table = open_campaign(folder).trials().set_index("name")
    assert len(table) == 11
    assert table.loc["NG8_ng_alpha05", "same_as"] == "ABL4_ng_a05"
    assert table.loc["NG8_ng_alpha05", "family"] == "noise_gated"
    assert table.loc["NG8_ng_alpha05", "test/spearman"] == table.loc["ABL4_ng_a05", "test/spearman"]
    assert table["fingerprint"].nunique() == 9
    status.write_trials(folder, status.trials_table(folder, family=None, sort=None, ascending=False), "table")
    shown = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "= ABL4" in shown["NG8_ng_alpha05"]
    assert "finished" in shown["ABL4_ng_a05"]
    assert all(len(line) <= 80 for line in shown.values())
    assert "NG8_ng_alpha05 is ABL4_ng_a05" in status.status_text(folder)
    assert Comparisons(open_campaign(folder)).find("in_distribution").winner.candidates == 8
    best_view.best_table(Comparisons(open_campaign(folder)))
    out = capsys.readouterr().out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80
    _, children = mlflow_runs(folder)
    assert len(children) == 9
    tags = {run.info.run_name: run.data.tags for run in children}
    assert tags["ABL4_ng_a05"]["also_published"] == "NG8_ng_alpha05"


def test_another_name_of_what_was_trained_trains_nothing(study):
    settings, folder = study
    before = (folder / "trials.jsonl").read_bytes()
    assert run_campaign(prepare(settings.model_copy(update={"only": ("NG8", "NG9", "B1")}))).state == "finished"
    assert (folder / "trials.jsonl").read_bytes() == before


def test_more_names_extend_a_study(study, monkeypatch, tmp_path):
    folder = copied(study[1], tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    before = len(read_records(folder))
    resumed = load_settings(None, {"out": folder, "resume": True, "only": ("HN1", "HN5")}, StudySettings)
    assert run_campaign(prepare(resumed)).counts["finished"] == before + 2
    metrics = {r.name: dict(r.metrics) for r in read_records(folder)}
    # The temperature, which reached nothing in the study, reaches the sampler.
    assert metrics["HN1_hard_negative"] != metrics["HN5_hn_temp2"]


def test_a_study_is_no_search(study):
    from nrtune.orchestrator.state.settings import Settings

    settings, folder = study
    with pytest.raises(UserError, match="is a study, not a search; go on with nrtune study --resume"):
        load_settings(None, {"out": folder, "resume": True}, Settings)
    with pytest.raises(UserError, match="holds a campaign with epochs 1, not 2"):
        run_campaign(prepare(settings.model_copy(update={"epochs": 2})))


def test_data_without_noise_leave_out_what_needs_it(simulated_folder, tmp_path):
    import h5py

    with h5py.File(simulated_folder / HDF5_NAME) as old, h5py.File(tmp_path / HDF5_NAME, "w") as new:
        for group in old:
            new[f"{group}/X"], new[f"{group}/y"] = old[group]["X"][:], old[group]["y"][:, :1]
    settings = StudySettings(data=tmp_path / HDF5_NAME, out=tmp_path / "out", epochs=1, cell_line="simulated")
    with pytest.raises(UserError, match="no noise was measured"):
        prepare(settings)
    bare = prepare(settings.model_copy(update={"only": ("B1", "FE", "QC", "QS1")}))
    assert bare.families == ("baseline", "curriculum", "factorized", "quantile_sampling")


@pytest.mark.parametrize(
    ("only", "names", "when"),
    [
        (("QS1", "QS2", "B1"), 3, 1),
        pytest.param(("RS1", "RS2", "QS", "B1"), 9, 2, marks=pytest.mark.slow),
    ],
)
def test_a_killed_study_goes_on(only, names: int, when: int, shared_ray, simulated_folder, tmp_path):
    settings = study_settings(simulated_folder, tmp_path / "out", only=only)
    command = CommandLine(settings.model_copy(update={"address": shared_ray}), tmp_path)
    command.kill(lambda: len(read_records(tmp_path / "out")) >= when)
    before = read_records(tmp_path / "out")
    assert run_campaign(prepare(settings)).state == "finished"
    records = read_records(tmp_path / "out")
    assert records[: len(before)] == before
    assert Counter(r.status for r in records) == {"finished": names}
    assert len({r.name for r in records}) == names


@pytest.mark.slow
def test_the_whole_study_runs_to_its_end(shared_ray, simulated_folder, tmp_path):
    """75 configurations and the baseline: none fails, 74 trainings."""
    assert run_campaign(prepare(study_settings(simulated_folder, tmp_path / "out"))).counts == {"finished": 74}
    table = open_campaign(tmp_path / "out").trials()
    assert len(table) == 76
    assert table["fingerprint"].nunique() == 74
    metrics = ["test/spearman", "noise/corr", "cagi5/release/spearman/all/mean", "cagi5/challenge/pearson/hc/mean"]
    assert table[metrics].notna().all(axis=None)
    gives_variance = table["head"] != "point"
    assert (table["noise/variance_spearman"].notna() == gives_variance).all()
