"""Ensembles as files: trials that were trained for it, saved, predicted with, registered, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from elsewhere import predict_elsewhere
from in_process import run
from mlflow import MlflowClient

from nrtune.analysis.report.summaries import non_neural_sentence
from nrtune.analysis.sources.open import open_folder
from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.uncertainty.compared import AgainstNonNeural
from nrtune.analysis.uncertainty.ensemble import COVERS, EnsembleComparison
from nrtune.orchestrator.campaign.reference_lines import add_references
from nrtune.orchestrator.inference.ensemble import check_place, save_ensemble
from nrtune.orchestrator.inference.predictor import predictor_of
from nrtune.orchestrator.state.ledger import Ledger, open_ledger
from nrtune.orchestrator.state.locations import default_uri
from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.data.simulate import HDF5_NAME
from nrtune.trainables.inference import SequenceEnsemble, load_model
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.training_data import TrainingData

pytestmark = pytest.mark.end_to_end

FAMILIES = {
    "RS-001": ("rank_stability", {"loss": "rank_stability"}),
    "DH-001": ("distributional", {"loss": "distributional", "head": "distributional"}),
}
METRIC = "test/spearman"


class Saved(NamedTuple):
    """A campaign, its winner in distribution, and two files: of its two best trials and of the winner's three trainings."""

    folder: Path
    winner: str
    best: Path
    replicates: Path


def trained(ledger: Ledger, data: TrainingData, name: str, seed: int = 0) -> None:
    """Train and score a trial, and write down how it ended."""
    of = name.partition("/")[0]
    family, parts = FAMILIES[of]
    config = TrialConfig.from_flat(
        {**preset("small", "factorized"), "epochs": 4, "batch_size": 32, "seed": seed, **parts}
    )
    fingerprint = data.fingerprint_of(config)
    result = fit(config, data, device="cpu", folder=ledger.trial_folder(fingerprint))
    when = "2026-01-01T00:00:00+00:00"
    ledger.append(
        TrialRecord.from_flat(
            name=name, family=family, number=0, fingerprint=fingerprint, status="finished", config=config.to_flat(),
            metrics={key: value for key, value in result.metrics.items() if math.isfinite(value)}, epochs_trained=4,
            seconds=1.0, started=when, ended=when, replicate_of=None if of == name else of,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(learnable_folder, tmp_path_factory) -> Saved:
    variants = read_cagi5(learnable_folder / "cagi5", cell_line="simulated")
    data = TrainingData(read_dataset(learnable_folder / HDF5_NAME), (variants,))
    folder = tmp_path_factory.mktemp("ensemble") / "campaign"
    identity = {"command": "search", "select_on": "val", "tracking_uri": None, "data": data.dataset.digest,
                "cagi5": variants.digest}  # fmt: skip
    about = {"settings": {}, "benchmarks": ["cagi5"], "data": {"name": "d", "length": data.dataset.length},
             "cagi5": {"matched": list(variants.matched)}}  # fmt: skip
    ledger = open_ledger(folder, "campaign", identity, about, must_exist=False)
    for name in FAMILIES:
        trained(ledger, data, name)
    winner = open_folder(folder).trials().sort_values("val/spearman").iloc[-1]["name"]
    for seed in (1, 2):
        trained(ledger, data, f"{winner}/s{seed}", seed)
    ledger.close()
    add_references(folder, data, lambda said: None)
    campaign = open_folder(folder)
    paths = {}
    for name, replicates in (("best", False), ("replicates", True)):
        comparison = EnsembleComparison(campaign, "in_distribution", top=2, replicates=replicates)
        paths[name], _ = save_ensemble(comparison, campaign, folder.parent / f"{name}.pt")
    return Saved(folder, str(winner), **paths)


@pytest.fixture
def sequences(learnable_folder) -> list[str]:
    return [to_text(row) for row in read_dataset(learnable_folder / HDF5_NAME).tokens[:5]]


def alone(saved: Saved, name: str) -> Path:
    fingerprints = {record.name: record.fingerprint for record in open_folder(saved.folder).records()}
    return saved.folder / "trials" / fingerprints[name]


def test_who_its_members_are(saved):
    best, replicates = load_model(saved.best), load_model(saved.replicates)
    assert isinstance(best, SequenceEnsemble)
    assert isinstance(replicates, SequenceEnsemble)
    (other,) = FAMILIES.keys() - {saved.winner}
    assert [one["name"] for one in best.about["members"]] == [saved.winner, other]
    members = replicates.about["members"]
    assert [one["name"] for one in members] == [saved.winner, f"{saved.winner}/s1", f"{saved.winner}/s2"]
    assert [one["seed"] for one in members] == [0, 1, 2]
    assert [one["fingerprint"] for one in members] == [model.fingerprint for model in replicates.members]
    assert [tuple(one["calibration"].values()) for one in members] == [
        model.calibration for model in replicates.members
    ]
    manifest = open_folder(saved.folder).manifest
    assert replicates.about["campaign_id"] == manifest["id"]
    assert (replicates.about["use_case"], replicates.about["select_on"]) == ("in_distribution", "val")
    assert json.loads(saved.best.with_suffix(".json").read_text()) == best.about


def test_it_predicts_the_mean_of_its_members(saved, sequences):
    for path in (saved.best, saved.replicates):
        ensemble = load_model(path)
        members = [load_model(alone(saved, one["name"])) for one in ensemble.about["members"]]
        for raw in (False, True):
            own = [member.predict(sequences, raw=raw).mean for member in members]
            assert ensemble.predict(sequences, raw=raw).mean == pytest.approx(np.mean(own, axis=0), abs=1e-6)
    gives_variance = [member.predict(sequences).log_variance is not None for member in members]
    assert (ensemble.predict(sequences).log_variance is not None) == all(gives_variance)


def test_its_metrics_are_those_of_the_model_that_is_saved(saved, learnable_folder):
    """Compared were stored predictions; here the file itself predicts the test split."""
    dataset = read_dataset(learnable_folder / HDF5_NAME)
    test = dataset.rows("test")
    model = load_model(saved.replicates)
    predicted = pd.Series(model.predict_tokens(dataset.tokens[test]).mean)
    found = model.about["metrics"][METRIC]
    assert found["value"] == pytest.approx(
        predicted.corr(pd.Series(dataset.activity[test]), method="spearman"), abs=1e-4
    )
    records = {record.name: record for record in open_folder(saved.folder).records()}
    assert model.about["best_single_trial"] == saved.winner
    assert found["single"] == pytest.approx(records[saved.winner].metrics[METRIC], abs=1e-9)
    assert found["improvement"] == pytest.approx(found["value"] - found["single"], abs=1e-9)
    assert found["low"] < found["value"] < found["high"]
    assert found["improvement_low"] < found["improvement"] < found["improvement_high"]
    assert {"test/pearson", "cagi5/challenge/spearman/all/mean", "noise/corr_calibrated"} <= model.about[
        "metrics"
    ].keys()


def test_the_command_says_what_it_compared_and_where_it_is(saved, tmp_path, monkeypatch, capsys):
    path = tmp_path / "e.pt"
    code, out, _ = run(monkeypatch, capsys, "ensemble", saved.folder, "--use-case", "in_distribution", "--replicates",
                       "--save", path)  # fmt: skip
    said = " ".join(out.split())
    assert code == 0
    assert out.endswith(f"{path}\n{path.with_suffix('.json')}\n")
    assert f"the 3 trainings of {saved.winner}, the winner for in_distribution, selected on validation data" in said
    assert COVERS in said
    against = load_model(path).about["against_non_neural"]
    assert [one["metric"] for one in against] == ["test/spearman", "test/pearson"]
    for one in against:
        assert f"The mean against {non_neural_sentence(AgainstNonNeural(**one))}." in said
    assert checkpoint.load(path)["about"] == checkpoint.load(saved.replicates)["about"]
    value = load_model(path).about["metrics"][METRIC]["value"]
    assert f"{METRIC} " in out
    assert f"{value:.3f}" in out


def test_predict_takes_it_for_sequences_and_variants(saved, sequences, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("some.fa").write_text("".join(f">s{n}\n{sequence}\n" for n, sequence in enumerate(sequences)))
    Path("genome.fa").write_text(f">chr1\n{sequences[0]}{sequences[1]}\n")
    ref = sequences[0][200]
    alt = "ACGT"["ACGT".index(ref) - 1]
    Path("in.vcf").write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
                              f"chr1\t201\t.\t{ref}\t{alt}\t.\t.\t.\n")  # fmt: skip
    own = [load_model(alone(saved, name)) for name in FAMILIES]
    for flags in ((), ("--raw",), ("--both-strands",)):
        code, out, err = run(
            monkeypatch, capsys, "predict", saved.best, "--fasta-sequences", "some.fa", "--out", "s.csv", *flags
        )
        assert (code, out) == (0, "s.csv\n")
        assert err.startswith(
            "best.pt, mean of the 2 best trials for in_distribution, selected on val: 5 sequences predicted"
        )
        for name in FAMILIES:
            assert f"{name} (seed 0, {alone(saved, name).name})" in err
        assert f"of campaign campaign ({open_folder(saved.folder).manifest['id']})" in err
        raw = "--raw" in flags
        forward = np.mean([model.predict(sequences, raw=raw).mean for model in own], axis=0)
        other = [sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1] for sequence in sequences]
        backward = np.mean([model.predict(other, raw=raw).mean for model in own], axis=0)
        expected = (forward + backward) / 2 if "--both-strands" in flags else forward
        assert pd.read_csv("s.csv")["prediction"].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    code, _, _ = run(monkeypatch, capsys, "predict", saved.best, "--vcf", "in.vcf", "--fasta", "genome.fa")
    assert code == 0
    genome = sequences[0] + sequences[1]
    window = genome[200 - 115 : 200 + 115]
    effects = [model.variant_effect([window], [window[:115] + alt + window[116:]])[0] for model in own]
    table = pd.read_parquet("in.nrtune.parquet")
    assert table["variant_effect"].tolist() == pytest.approx([np.mean(effects)], abs=1e-5)
    about = json.loads(pq.read_schema("in.nrtune.parquet").metadata[b"nrtune"])["ensemble"]
    assert about["campaign_id"] == open_folder(saved.folder).manifest["id"]
    assert {one["name"] for one in about["members"]} == set(FAMILIES)


def test_predict_takes_a_checkpoint(saved, sequences, tmp_path, monkeypatch, capsys):
    Path(tmp_path / "some.fa").write_text(f">s\n{sequences[0]}\n")
    path = alone(saved, saved.winner) / BEST
    code, _, err = run(
        monkeypatch, capsys, "predict", path, "--fasta-sequences", tmp_path / "some.fa", "--out", tmp_path / "s.csv"
    )
    assert (code, err) == (0, "checkpoint best.pt: 1 sequences predicted (log2(RNA/DNA))\n")
    expected = load_model(path).predict(sequences[:1]).mean
    assert pd.read_csv(tmp_path / "s.csv")["prediction"].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize(
    "flags", [("--use-case", "overall"), ("--trial", "RS-001"), ("--ensemble", 2), ("--select-on", "val")]
)
def test_a_file_leaves_nothing_to_choose(saved, flags, monkeypatch, capsys):
    code, _, err = run(monkeypatch, capsys, "predict", saved.best, "--fasta-sequences", "some.fa", *flags)
    assert code == 2
    assert err == f"nrtune: {saved.best}: is one model; {flags[0]} chooses from a campaign's folder, leave it out\n"


def test_what_is_no_model_is_refused(saved, tmp_path, monkeypatch, capsys):
    (tmp_path / "table.csv").write_text("name,prediction\n")
    for source, message in (
        (tmp_path / "table.csv", "table.csv: is not a readable nrtune checkpoint"),
        (saved.folder / "campaign.json", "campaign.json: is not a readable nrtune checkpoint"),
        (saved.folder / "trials", "holds no campaign"),
        (tmp_path / "nothing.pt", "no such campaign folder"),
    ):
        code, _, err = run(monkeypatch, capsys, "predict", source, "--fasta-sequences", "some.fa")
        assert (code, err.count("\n")) == (2, 1), err
        assert message in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--save", "{folder}"), "is a folder; give a file's name that ends in .pt"),
        (("--save", "{tmp}/e"), "give a name that ends in .pt"),
        (("--save", "{tmp}/there.pt"), "there.pt exists already; give another name"),
        (("--save", "{tmp}/text.pt"), "text.json exists already; give another name"),
        (("--save", "{tmp}/table.csv/e.pt"), "can't be written"),
        (("--save", "{tmp}/e.pt", "--select-on", "challenge"), "give --select-on release or val"),
        (("--replicates", "--top", 2), "--replicates takes all trainings of the winner; leave --top out"),
        (("--save", "{tmp}/e.pt", "--use-case", "in_distributio"), "did you mean 'in_distribution'"),
    ],
)
def test_what_can_not_be_saved(saved, flags, message, tmp_path, monkeypatch, capsys):
    for name in ("there.pt", "text.json", "table.csv"):
        (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.iterdir())
    given = [str(flag).format(folder=saved.folder, tmp=tmp_path) for flag in flags]
    code, out, err = run(monkeypatch, capsys, "ensemble", saved.folder, "--use-case", "in_distribution", *given)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert message in err
    assert sorted(tmp_path.iterdir()) == before
    assert {path.read_text() for path in before} == {"mine"}


def test_an_export_has_no_checkpoints(tmp_path):
    with pytest.raises(UserError, match="export: give the campaign's folder, which has its checkpoints"):
        check_place(tmp_path / "e.pt", RecordedTrials("export", "val", []), None)


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    """The campaign in another folder, to be changed."""
    return Path(shutil.copytree(saved.folder, tmp_path / "copy"))


def refused(copy: Path, tmp_path: Path, monkeypatch, capsys, *flags: object) -> str:
    code, out, err = run(monkeypatch, capsys, "ensemble", copy, "--use-case", "in_distribution", *flags, "--save",
                         tmp_path / "e.pt")  # fmt: skip
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    return str(err)


def test_members_whose_checkpoints_went_are_named(saved, copy, tmp_path, monkeypatch, capsys):
    for name in FAMILIES:
        (copy / "trials" / alone(saved, name).name / BEST).unlink()
    (other,) = FAMILIES.keys() - {saved.winner}
    said = refused(copy, tmp_path, monkeypatch, capsys, "--top", 2)
    assert (
        f"the checkpoints of {saved.winner} and {other} were not kept; this trains {saved.winner} again, and so the others"
        in said
    )
    assert f": nrtune best {copy} --trial {saved.winner} --as-settings > {saved.winner}.yaml && nrtune search " in said
    said = refused(copy, tmp_path, monkeypatch, capsys, "--replicates")
    assert f"the checkpoint of {saved.winner} was not kept; this trains it again: nrtune best " in said


def test_checkpoints_that_can_not_be_members(saved, copy, tmp_path, monkeypatch, capsys):
    path = copy / "trials" / alone(saved, saved.winner).name / BEST
    content = checkpoint.load(path)
    for change, message in (
        ({"length": 200}, "and RS-001 on |on sequences of 200 bases"),
        (
            {"calibration": {"slope": -1.0, "intercept": 0.0}},
            f"{saved.winner} can be no member of an ensemble: its output falls",
        ),
        ({"fingerprint": "f" * 16}, "is the checkpoint of another trial (ffffffffffffffff)"),
    ):
        checkpoint.save(path, content | change)
        said = refused(copy, tmp_path, monkeypatch, capsys, "--top", 2)
        assert any(part in said for part in message.split("|")), said


def test_a_winner_that_was_trained_once(saved, tmp_path):
    """It has no replicates to put together; the command that trains some is said."""
    campaign = open_folder(saved.folder)
    once = [record for record in campaign.records() if record.replicate_of is None]
    campaign.records = lambda: once  # type: ignore[method-assign]
    command = f"nrtune replicate {saved.folder} --use-case in_distribution"
    with pytest.raises(
        UserError, match=f"{saved.winner}, the winner .*, was trained with one seed; {command} adds more"
    ):
        EnsembleComparison(campaign, "in_distribution", replicates=True)


def test_an_interrupt_leaves_nothing(saved, tmp_path, monkeypatch):
    """Wherever it comes: while either file is written, or renamed."""
    campaign = open_folder(saved.folder)
    comparison = EnsembleComparison(campaign, "in_distribution", top=2)
    for name in ("write_bytes", "write_text", "replace"):
        with monkeypatch.context() as patched:

            def interrupted(*_: object) -> None:
                raise KeyboardInterrupt

            patched.setattr(Path, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                save_ensemble(comparison, campaign, tmp_path / "e.pt")
        assert list(tmp_path.iterdir()) == []
    assert save_ensemble(comparison, campaign, tmp_path / "e.pt") == [tmp_path / "e.pt", tmp_path / "e.json"]


def test_predict_needs_no_campaign(saved, sequences, tmp_path):
    """A file may go anywhere."""
    path = Path(shutil.copy(saved.replicates, tmp_path / "given.pt"))
    found = predictor_of(path, device="cpu")
    assert found.trials == (saved.winner, f"{saved.winner}/s1", f"{saved.winner}/s2")
    assert found.campaign == "campaign"
    assert load_model(path).predict(sequences).mean == pytest.approx(
        load_model(saved.replicates).predict(sequences).mean
    )


@pytest.fixture(scope="module")
def client(saved) -> MlflowClient:
    """The campaign's own run, as a search opens it."""
    MlflowTracker.open(None, saved.folder, open_folder(saved.folder).manifest, {"families": "some"})
    return MlflowClient(tracking_uri=default_uri(saved.folder), registry_uri=default_uri(saved.folder))


def test_it_is_registered_and_predicts_elsewhere(saved, client, sequences, monkeypatch, capsys):
    for path in (saved.replicates, saved.best, saved.replicates):
        code, out, _ = run(monkeypatch, capsys, "register", saved.folder, "--ensemble", path, "--name", "activity")
        assert code == 0
        assert out.startswith("activity version ")
    versions = sorted(client.search_model_versions("name='activity'"), key=lambda version: int(version.version))
    assert versions[0].source == versions[2].source != versions[1].source  # each file is logged once
    about = load_model(saved.replicates).about
    tags = versions[0].tags
    assert tags["members"] == f"{saved.winner}, {saved.winner}/s1, {saved.winner}/s2"
    assert (tags["seeds"], tags["select_on"], tags["output"]) == ("0, 1, 2", "val", "log2(RNA/DNA)")
    assert float(tags[METRIC]) == pytest.approx(about["metrics"][METRIC]["value"])
    assert float(tags[f"{METRIC}.improvement_low"]) == pytest.approx(about["metrics"][METRIC]["improvement_low"])
    assert tags["data_digest"] == open_folder(saved.folder).manifest["identity"]["data"]
    assert versions[0].description.endswith(COVERS)
    models = ["models:/activity/1", "models:/activity/2"]
    for raw in (False, True):
        found = predict_elsewhere(default_uri(saved.folder), models, sequences, raw=raw)
        for path, table in zip((saved.replicates, saved.best), found, strict=True):
            expected = load_model(path).predict(sequences, raw=raw)
            assert table["prediction"].to_numpy() == pytest.approx(expected.mean, abs=1e-5)
            assert ("log_variance" in table) == (expected.log_variance is not None)


def test_what_is_not_registered(saved, client, copy, monkeypatch, capsys):
    manifest = json.loads((copy / "campaign.json").read_text())
    (copy / "campaign.json").write_text(json.dumps({**manifest, "id": "another"}))
    best = alone(saved, saved.winner) / BEST
    for folder, flags, message in (
        (saved.folder, (saved.folder,), "is none; give a file that nrtune ensemble --save wrote"),
        (saved.folder, (best,), "is none; give a file that nrtune ensemble --save wrote"),
        (saved.folder, (saved.best, "--use-case", "overall"), "was chosen when it was saved; leave --use-case out"),
        (copy, (saved.best,), f"is of campaign campaign ({manifest['id']}), not of {copy}"),
    ):
        code, out, err = run(monkeypatch, capsys, "register", folder, "--name", "m", "--ensemble", *flags)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert message in err
