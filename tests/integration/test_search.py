"""A whole tiny search: three families through Ray Tune, Optuna and MLflow, and the answers from it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import optuna
import pandas as pd
import pytest
from campaign_records import check_agreement, copied, mlflow_runs, steps

from nrtune import load_model
from nrtune.analysis.selection.use_cases import USE_CASES
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import read_references
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.cli.answers import print_best
from nrtune.orchestrator.cli.formats import Format
from nrtune.orchestrator.search.optuna_storage import open_storage
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.orchestrator.views import status
from nrtune.search_spaces import FAMILIES
from nrtune.trainables.core.errors import UserError

FAMILY_NAMES = ("baseline", "rank_stability", "distributional")
EPOCHS = 3


@pytest.fixture(scope="module")
def campaign(shared_ray, simulated_folder, tmp_path_factory) -> tuple[Settings, Path]:
    folder = tmp_path_factory.mktemp("search") / "campaign"
    from nrtune.trainables.data.simulate import HDF5_NAME

    settings = Settings(
        families=FAMILY_NAMES,
        data=simulated_folder / HDF5_NAME,
        cagi5=simulated_folder / "cagi5",
        out=folder,
        trials=2,
        epochs=EPOCHS,
        confirm="none",
    )
    outcome = run_campaign(prepare(settings))
    assert outcome.state == "finished"
    return settings, folder


def test_every_trial_ends_with_every_metric(campaign):
    _, folder = campaign
    records = open_campaign(folder).records()
    assert {r.status for r in records} <= {"finished", "pruned"}
    expected = {"val/spearman", "test/spearman", "test/pearson", "test/mse", "noise/corr", "noise/corr_calibrated",
                "noise/corr_constant", "noise/gap", "best_epoch", "cagi5/release/spearman/all/mean",
                "cagi5/challenge/spearman/all/mean", "cagi5/challenge/pearson/all/SIM1", "cagi5/challenge/n/hc/SIM2",
                "test/noise_free_spearman"}  # fmt: skip
    for record in records:
        assert expected <= set(record.metrics)
        assert ("noise/variance_spearman" in record.metrics) == (record.family == "distributional")
        assert all(math.isfinite(value) for value in record.metrics.values())


def test_the_books_agree(campaign):
    check_agreement(campaign[1], FAMILY_NAMES, 2)


def test_published_values_come_first_and_are_never_stopped(campaign):
    records = open_campaign(campaign[1]).records()
    for family in FAMILY_NAMES:
        first = next(r for r in records if r.family == family and r.name.endswith("-001"))
        assert first.published == f"{FAMILIES.get(family).published[0].name} (on motif_cnn)"
        assert first.status == "finished"
    assert all(r.status == "finished" for r in records if r.published)


def test_mlflow_holds_parameters_tags_curves_and_artifacts(campaign):
    _, folder = campaign
    parents, children = mlflow_runs(folder)
    assert parents[0].data.params["families"] == "baseline,rank_stability,distributional"
    assert parents[0].info.status == "FINISHED"
    records = {r.fingerprint: r for r in open_campaign(folder).records()}
    for run in children:
        record = records[run.data.tags["nrtune.fingerprint"]]
        assert run.info.run_name == record.name
        assert run.data.params == {key: str(value) for key, value in record.config.items()}
        for tag in ("family", "encoder", "loss", "sampler", "head", "preset", "seed"):
            assert tag in run.data.tags
        assert steps(folder, run, "train/loss") == list(range(1, record.epochs_trained + 1))
        for name in ("test/spearman", "cagi5/challenge/spearman/all/mean", "noise/corr"):
            assert run.data.metrics[name] == pytest.approx(record.metrics[name])
        artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
        assert {p.name for p in artifacts.iterdir()} == {"predictions_test.parquet", "predictions_cagi5.parquet"}


def test_predictions_give_the_metrics_again(campaign):
    import numpy as np

    from nrtune.trainables.evaluation.metrics import spearman, stratified_metrics

    _, folder = campaign
    for record in open_campaign(folder).records():
        of_trial = folder / "trials" / record.fingerprint
        test = pd.read_parquet(of_trial / "predictions_test.parquet")
        assert spearman(test["prediction"], test["activity"]) == pytest.approx(record.metrics["test/spearman"])
        variants = pd.read_parquet(of_trial / "predictions_cagi5.parquet")
        one = variants[(variants["element"] == "SIM1") & (variants["part"] == "challenge")]
        high = one["confidence"].to_numpy() >= 0.1
        strata = {"all": np.ones(len(one), bool), "hc": high, "lc": ~high}
        found = stratified_metrics(one["variant_effect"].to_numpy(), one["value"].to_numpy(), strata)
        assert found["spearman/all"] == pytest.approx(record.metrics["cagi5/challenge/spearman/all/SIM1"])


def test_reference_lines_are_scored_like_trials_and_on_the_campaigns_run(campaign):
    _, folder = campaign
    references = read_references(folder)
    assert references.keys() == {"constant", "spectrum_ridge"}
    trial = next(r for r in open_campaign(folder).records() if r.family == "baseline")
    assert references["spectrum_ridge"].keys() == trial.metrics.keys() - {"best_epoch"}
    assert references["constant"].keys() < references["spectrum_ridge"].keys()
    # What is the same for every model of these data is the same for them.
    for name in ("noise/corr_constant", "cagi5/challenge/n/hc/SIM2"):
        assert {of[name] for of in references.values()} == {trial.metrics[name]}
    for table in ("predictions_test.parquet", "predictions_cagi5.parquet"):
        of_trial = pd.read_parquet(folder / "trials" / trial.fingerprint / table)
        for name in references:
            stored = pd.read_parquet(folder / "references" / name / table)
            assert list(stored) == list(of_trial)
            assert len(stored) == len(of_trial)
    (parent,), _ = mlflow_runs(folder)
    expected = {f"reference/{line}/{name}": value for line, of in references.items() for name, value in of.items()}
    found = {name: value for name, value in parent.data.metrics.items() if name.startswith("reference/")}
    assert found == pytest.approx(expected)


def test_optuna_maximises_what_selection_may_see(campaign):
    _, folder = campaign
    records = {(r.family, r.number): r for r in open_campaign(folder).records()}
    storage = open_storage(folder, None)
    for family in FAMILY_NAMES:
        for trial in optuna.load_study(study_name=family, storage=storage).get_trials(
            states=(optuna.trial.TrialState.COMPLETE,)
        ):
            record = records[family, trial.number]
            assert trial.value == record.metrics["cagi5/release/spearman/all/mean"]
            assert {1, EPOCHS} <= set(trial.intermediate_values) <= set(range(1, EPOCHS + 1))


def test_the_best_trial_can_be_used(campaign):
    _, folder = campaign
    best = Comparisons(open_campaign(folder)).find("overall")
    assert best.family != "baseline"
    assert best.winner.baseline.startswith("BASE-")
    model = load_model(best.checkpoint)
    assert model.config.to_flat() == dict(best.config)
    stored = pd.read_parquet(best.predictions["test"])
    assert len(stored) == 40
    assert len(model.predict(["ACGTN" * 46], raw=True).mean) == 1  # so short a training may have the sign wrong
    assert (model.calibration.apply(stored["prediction"]) == stored["calibrated_prediction"]).all()


def test_the_same_again_trains_nothing(campaign):
    settings, folder = campaign
    before = (folder / "trials.jsonl").read_bytes()
    scored = {path: path.stat().st_mtime_ns for path in folder.glob("references/*/*")}
    assert len(scored) == 6
    outcome = run_campaign(prepare(settings))
    assert outcome.state == "finished"
    assert (folder / "trials.jsonl").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in folder.glob("references/*/*")} == scored
    (parent,), _ = mlflow_runs(folder)
    assert steps(folder, parent, "reference/spectrum_ridge/test/spearman") == [0]
    check_agreement(folder, FAMILY_NAMES, 2)


@pytest.fixture
def copy(campaign, tmp_path) -> tuple[Settings, Path]:
    """The campaign in another folder, to be changed."""
    settings, folder = campaign
    to = copied(folder, tmp_path / "copy")
    return settings.model_copy(update={"out": to}), to


def test_a_campaign_of_before_gets_its_reference_lines(copy):
    settings, folder = copy
    before = read_references(folder)
    shutil.rmtree(folder / "references")
    assert run_campaign(prepare(settings)).state == "finished"
    assert read_references(folder) == before


def test_resume_knows_the_settings(campaign, monkeypatch, tmp_path):
    settings, folder = campaign
    monkeypatch.chdir(tmp_path)
    loaded = load_settings(None, {"out": folder, "resume": True}, Settings)
    assert loaded.model_copy(update={"resume": False}) == settings
    assert run_campaign(prepare(loaded)).state == "finished"


def test_answers_on_the_command_line(campaign, capsys):
    _, folder = campaign
    print_best(folder, "all", Format.json)
    winners = json.loads(capsys.readouterr().out)
    assert set(winners) == set(USE_CASES) - {"saturation_mutagenesis", "table"}
    assert winners["overall"]["trial"] == Comparisons(open_campaign(folder)).find("overall").name
    print_best(folder, "overall")
    assert "winner" in capsys.readouterr().out
    print_best(folder, "all")
    out = " ".join(capsys.readouterr().out.split())
    assert "overall" in out
    assert "selected on validation data and the CAGI5 release part" in out
    text = status.status_text(folder)
    assert "finished" in text
    assert "rank_stability: 2 finished" in text or "1 pruned" in text
    table = status.trials_table(folder, family="baseline", sort="test/spearman", ascending=False)
    assert table["test/spearman"].is_monotonic_decreasing
    for form in ("table", "csv", "json"):
        status.write_trials(folder, table, form)
        assert "BASE-001" in capsys.readouterr().out


def test_more_trials_extend_the_campaign(copy):
    settings, folder = copy
    more = settings.model_copy(update={"trials": 3, "families": ("baseline",)})
    assert run_campaign(prepare(more)).state == "finished"
    records = open_campaign(folder).records()
    assert sum(r.family == "baseline" for r in records) == 3
    assert sum(r.family == "rank_stability" for r in records) == 2


def test_a_campaign_without_variants_selects_on_validation(shared_ray, settings):
    bare = settings.model_copy(update={"cagi5": None})
    assert run_campaign(prepare(bare)).state == "finished"
    campaign = open_campaign(bare.out)
    assert campaign.select_on == "val"
    best = Comparisons(campaign).find("in_distribution")
    assert "cagi5" not in best.predictions
    with pytest.raises(UserError, match="overall"):
        Comparisons(campaign).find("overall")
