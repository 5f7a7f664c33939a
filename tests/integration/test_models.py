"""Trained trials as MLflow models: they predict without nrtune, and a winner goes into the registry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import in_process
import numpy as np
import pytest
from campaign_records import copied
from elsewhere import predict_elsewhere
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from typer.testing import CliRunner

from nrtune import load_model, read_dataset
from nrtune.analysis.sources.open import open_campaign
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.cli.main import app
from nrtune.orchestrator.state.locations import default_uri
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.orchestrator.tracking.models import CALIBRATED, OUTPUT_TAG, UNCALIBRATED
from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.data.simulate import HDF5_NAME


@pytest.fixture(scope="module")
def campaign(shared_ray, learnable_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "campaign"
    settings = Settings(
        families=("baseline", "distributional"),
        data=learnable_folder / HDF5_NAME,
        cagi5=learnable_folder / "cagi5",
        out=folder,
        trials=1,
        epochs=4,
        set={"batch_size": 32},
        max_concurrent=1,
    )
    assert run_campaign(prepare(settings)).state == "finished"
    return folder


@pytest.fixture
def client(campaign: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=default_uri(campaign), registry_uri=default_uri(campaign))


@pytest.fixture
def sequences(learnable_folder: Path) -> list[str]:
    dataset = read_dataset(learnable_folder / HDF5_NAME)
    return [to_text(row) for row in dataset.tokens[:5]]


def test_each_trial_has_a_model_that_predicts_without_nrtune(campaign, client, sequences):
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    models = {model.tags["nrtune.fingerprint"]: model for model in client.search_logged_models(experiments)}
    records = {record.fingerprint: record for record in open_campaign(campaign).records()}
    assert set(models) == set(records)
    uris = [model.model_uri for model in models.values()]
    predicted = predict_elsewhere(default_uri(campaign), uris, sequences)
    outputs = predict_elsewhere(default_uri(campaign), uris, sequences, raw=True)
    for (fingerprint, model), found, output in zip(models.items(), predicted, outputs, strict=True):
        record = records[fingerprint]
        assert model.status == LoggedModelStatus.READY
        assert model.name == record.name
        assert model.params["loss"] == record.config["loss"]
        run = client.get_run(model.source_run_id)
        assert run.info.run_name == record.name
        assert [out.model_id for out in run.outputs.model_outputs] == [model.model_id]
        own = load_model(campaign / "trials" / fingerprint)
        expected, raw = own.predict(sequences), own.predict(sequences, raw=True)
        assert found["prediction"].to_numpy() == pytest.approx(expected.mean, abs=1e-5)
        assert output["prediction"].to_numpy() == pytest.approx(raw.mean, abs=1e-6)
        assert found["prediction"].to_numpy() == pytest.approx(own.calibration.apply(output["prediction"]), abs=1e-5)
        assert model.tags["nrtune.output"] == "log2(RNA/DNA)"
        if expected.log_variance is None:
            assert list(found) == ["prediction"]
        else:
            assert found["log_variance"].to_numpy() == pytest.approx(expected.log_variance, abs=1e-6)


def test_a_model_says_what_it_needs(campaign, client):
    (folder, *_) = (campaign / "artifacts").glob("models/*/artifacts")
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert all("==" in line and "+" not in line for line in lines)
    assert {line.partition("==")[0] for line in lines} >= {"torch", "numpy", "pandas", "jaxtyping", "mlflow"}
    example = json.loads((folder / "input_example.json").read_text())
    assert example["columns"] == ["sequence"]
    by_readers = {"registered_model_meta"}
    files = {file.name for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"} - by_readers
    assert len(files) == 9, files  # each is a request to a server


@pytest.mark.slow
def test_a_model_predicts_in_a_fresh_environment(campaign, client, sequences, tmp_path):
    """Made of what the model says that it needs, and of nothing else."""
    (folder, *_) = (campaign / "artifacts").glob("models/*/artifacts")
    python = tmp_path / "fresh" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", folder / "requirements.txt"], check=True)
    (found,) = predict_elsewhere(default_uri(campaign), [f"models:/{folder.parent.name}"], sequences, python)
    fingerprint = client.get_logged_model(folder.parent.name).tags["nrtune.fingerprint"]
    expected = load_model(campaign / "trials" / fingerprint).predict(sequences)
    assert found["prediction"].to_numpy() == pytest.approx(expected.mean, abs=1e-5)


def test_going_on_logs_no_model_twice(campaign, client):
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    before = {model.model_id for model in client.search_logged_models(experiments)}
    manifest = json.loads((campaign / "campaign.json").read_text())
    settings = Settings.model_validate({**manifest["settings"], "out": str(campaign)})
    assert run_campaign(prepare(settings)).state == "finished"
    assert {model.model_id for model in client.search_logged_models(experiments)} == before


def run(*arguments: object) -> str:
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert found.exit_code == 0, found.output
    return found.output


def test_a_winner_is_registered_with_what_is_known_of_it(campaign, client):
    winner = json.loads(run("best", campaign, "--use-case", "in_distribution", "--json"))
    told = run("register", campaign, "--use-case", "in_distribution", "--name", "activity")
    assert told.startswith(f"activity version 1: {winner['trial']} of ")
    run("register", campaign, "--name", "activity")
    first, second = sorted(client.search_model_versions("name='activity'"), key=lambda version: int(version.version))
    assert (first.tags["use_case"], second.tags["use_case"]) == ("in_distribution", "overall")
    manifest = json.loads((campaign / "campaign.json").read_text())["identity"]
    assert first.tags["data_digest"] == manifest["data"]
    assert first.tags["cagi5_digest"] == manifest["cagi5"]
    assert first.tags["trial"] == winner["trial"]
    assert float(first.tags["test/spearman"]) == pytest.approx(winner["reported"]["test/spearman"])
    for bound in ("low", "high"):
        assert float(first.tags[f"interval.{bound}"]) == pytest.approx(winner["interval"][bound])
    assert winner["trial"] in first.description
    assert client.get_run(first.run_id).info.run_name == winner["trial"]
    assert first.tags["output"] == "log2(RNA/DNA)"
    (found,) = predict_elsewhere(default_uri(campaign), ["models:/activity/1"], ["ACGTN" * 46])
    assert np.isfinite(found["prediction"]).all()


def test_a_model_that_was_logged_before_models_were_calibrated_is_said_to_be_one(campaign, client):
    """Its code predicts its own output, whatever is installed now."""
    winner = json.loads(run("best", campaign, "--use-case", "in_distribution", "--json"))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (model,) = [one for one in client.search_logged_models(experiments) if one.name == winner["trial"]]
    client.delete_logged_model_tag(model.model_id, OUTPUT_TAG)
    try:
        told = run("register", campaign, "--use-case", "in_distribution", "--name", "of-before")
    finally:
        client.set_logged_model_tags(model.model_id, {OUTPUT_TAG: CALIBRATED})
    (version,) = client.search_model_versions("name='of-before'")
    assert " ".join(told.split()).endswith(f"It predicts {UNCALIBRATED}.")
    assert version.description.endswith(f"It predicts {UNCALIBRATED}.")
    assert version.tags["output"] == UNCALIBRATED


def test_a_checkpoint_that_was_not_kept_is_trained_again(campaign, sequences, tmp_path, monkeypatch, capsys):
    """By the command that is said: bitwise the same network, back in its place."""
    monkeypatch.chdir(tmp_path)
    copy = copied(campaign, tmp_path / "copy")
    name = json.loads(run("best", campaign, "--use-case", "in_distribution", "--json"))["trial"]
    (path,) = (copy / "trials" / record.fingerprint for record in open_campaign(copy).records() if record.name == name)
    before = load_model(path).predict(sequences).mean
    (path / "best.pt").unlink()
    Path("some.fa").write_text(f">s\n{sequences[0]}\n")
    code, _, err = in_process.run(monkeypatch, capsys, "predict", copy, "--trial", name, "--fasta-sequences", "some.fa")
    assert code == 2
    best, search, put_back = err.strip().partition("this trains it again: ")[2].split(" && ")
    command, _, file = best.partition(" > ")
    Path(file).write_text(run(*command.split()[1:]))
    _, _, again, *options, out = search.split()
    assert (again, options) == (file, ["--confirm", "none", "--out"])
    settings = load_settings(Path(file), {"out": Path(out), "confirm": "none", "max_concurrent": 1}, Settings)
    assert run_campaign(prepare(settings)).state == "finished"
    subprocess.run(put_back, shell=True, check=True)
    assert load_model(path).predict(sequences).mean.tolist() == before.tolist()


def test_the_report_is_on_the_campaigns_run(campaign, client, few_figures):
    run("report", campaign)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.`nrtune.kind` = 'campaign'")
    there = {file.path for file in client.list_artifacts(parent.info.run_id, "report")}
    assert "report/report.html" in there


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--use-case", "overal", "--name", "m"], "did you mean 'overall'?"),
        (["--name", "a/b"], "Invalid model name"),
    ],
)
def test_what_cannot_be_registered_is_said(arguments, sentence, campaign, monkeypatch, capsys):
    code, _, err = in_process.run(monkeypatch, capsys, "register", campaign, *arguments)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
