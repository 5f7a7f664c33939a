"""A campaign whose trials start from trained weights: who does, what is said of the others, and what the folder keeps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest

from nrtune.analysis.store.records import MANIFEST, WARM_START
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.warm_start import SPLIT_UNKNOWN, keep_start
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.settings import Settings, StudySettings, load_settings
from nrtune.trainables.core.component import NONE
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.audit.start import START_SAW
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.simulate import HDF5_NAME, simulate, write_simulated
from nrtune.trainables.inference import load_model
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.training_data import TrainingData
from nrtune.trainables.training.warm_start import read_warm_start

SIZES = {"encoder.channels": 8, "encoder.kernel": 5, "encoder.depth": 1, "encoder.pool": 8}


def train(data: Path, folder: Path, encoder: str = "motif_cnn", **flat: object) -> Path:
    flat = {**preset("small", encoder), "encoder.channels": 8, "epochs": 1, "batch_size": 64, **flat}
    fit(TrialConfig.from_flat(flat), TrainingData(read_dataset(data)), folder=folder, device="cpu")
    return folder / BEST


@pytest.fixture(scope="module")
def checkpoint(simulated_folder, tmp_path_factory) -> Path:
    return train(simulated_folder / HDF5_NAME, tmp_path_factory.mktemp("trained"), **SIZES)


@pytest.fixture
def settings(simulated_folder, tmp_path, checkpoint) -> Settings:
    return Settings(
        data=simulated_folder / HDF5_NAME,
        out=tmp_path / "out",
        families=("baseline", "distributional"),
        warm_start=checkpoint,
        freeze="first",
        trials=2,
    )


def updated(settings: Settings, **fields: object) -> Settings:
    return settings.model_copy(update=fields)


def begin(plan) -> Path:
    open_ledger(plan.folder, "c", plan.identity(), plan.about(), must_exist=False).close()
    keep_start(plan.folder, plan.data.start)
    return plan.folder


def test_every_family_the_baseline_among_them_starts_from_the_weights_at_their_sizes(settings, checkpoint):
    plan = prepare(settings)
    digest = read_warm_start(checkpoint).digest
    for name, family in plan.searched.items():
        searched = {parameter.name for parameter in family.space}
        assert {"encoder.dropout", "encoder.pool"} <= searched
        assert not searched & {"encoder.channels", "encoder.kernel", "encoder.depth"}
        for values in family.representatives():
            config = plan.recipe.config_of(name, family.flat(values), 0)
            assert (config.warm_start, config.freeze) == (digest, "first")
            assert {key: config.to_flat()[key] for key in SIZES if key != "encoder.pool"}.items() <= SIZES.items()
    (pool,) = (p for p in plan.searched["baseline"].space if p.name == "encoder.pool")
    assert pool.default == 8
    said = " ".join(plan.notes())
    assert f"trials on motif_cnn start from {checkpoint} (weights {digest}, its first layer frozen)" in said
    assert "distributional: from it, but with a new head, as the head there is point, not distributional" in said
    assert "not from it" not in said


def test_what_cannot_start_from_them_is_said(settings, checkpoint):
    plan = prepare(updated(settings, encoders=("motif_cnn", "dilated_resnet"), families=("baseline", "factorized")))
    notes = [note for note in plan.notes() if "not from it" in note]
    assert notes == [
        "some of baseline: not from it, but untrained, as it is of encoder motif_cnn, not dilated_resnet",
        "factorized: not from it, but untrained, as it is of encoder motif_cnn, not factorized",
    ]
    started = {
        plan.recipe.config_of("baseline", plan.searched["baseline"].flat(values), 0).to_flat()["encoder"]: values
        for values in plan.searched["baseline"].representatives()
    }
    assert started.keys() == {"motif_cnn", "dilated_resnet"}
    other = plan.recipe.config_of("baseline", plan.searched["baseline"].flat(started["dilated_resnet"]), 0)
    assert (other.warm_start, other.freeze) == (NONE, NONE)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"encoders": ("dilated_resnet",)},
            "no trial can start from it: it is of encoder motif_cnn, not dilated_resnet",
        ),
        ({"set": {"encoder.channels": 16}}, r"has a motif_cnn of another shape \(channels 8, not 16\)"),
        ({"warm_start": Path("missing.pt")}, r"--warm-start missing\.pt: no such file"),
        ({"warm_start": None}, "--freeze first: would keep random weights; give --warm-start too"),
        ({"set": {"warm_start": "abc"}}, "--set warm_start: belongs to the whole campaign; give --warm-start"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(fields, said, settings):
    with pytest.raises(UserError, match=said):
        prepare(updated(settings, **fields))
    assert not settings.out.exists()


def test_an_encoder_of_ones_own_needs_a_first_layer_to_be_frozen(settings, monkeypatch):
    monkeypatch.setattr("nrtune.trainables.models.encoding.EncoderModule.first_layer", lambda self: ())
    with pytest.raises(UserError, match="encoder motif_cnn: has no first layer to freeze"):
        prepare(settings)
    prepare(updated(settings, freeze="none"))


def test_a_study_starts_from_weights_where_its_encoder_is_theirs(simulated_folder, tmp_path):
    data = simulated_folder / HDF5_NAME
    path = train(data, tmp_path / "trained", "dream_rnn", **{"encoder.lstm_units": 4})
    study = StudySettings(data=data, out=tmp_path / "study", only=("B1", "FE1"), warm_start=path)
    plan = prepare(study)
    digest = read_warm_start(path).digest
    starts = {
        one.config["encoder"]: (one.config["warm_start"], one.config["encoder.channels"])
        for one in plan.chosen.values()
    }
    assert starts == {"dream_rnn": (digest, 8), "factorized": (NONE, 32)}
    assert any(note.startswith("factorized: not from it, but untrained") for note in plan.notes())
    assert (plan.identity()["warm_start"], plan.identity()["freeze"]) == (digest, None)


def test_a_folder_is_of_the_weights_and_not_of_their_path(settings, checkpoint, tmp_path, simulated_folder):
    folder = begin(prepare(settings))
    kept = folder / WARM_START
    assert read_warm_start(kept).digest == read_warm_start(checkpoint).digest
    moved = shutil.copy(checkpoint, tmp_path / "moved.pt")
    begin(prepare(updated(settings, warm_start=moved)))
    other = train(simulated_folder / HDF5_NAME, tmp_path / "other", seed=1, **SIZES)
    for fields in ({"warm_start": other}, {"warm_start": None, "freeze": "none"}, {"freeze": "none"}):
        with pytest.raises(UserError, match=r"holds a campaign with (warm_start|freeze) "):
            begin(prepare(updated(settings, **fields)))


@pytest.mark.parametrize("resume", [True, False])
def test_a_campaign_goes_on_without_the_original_file(resume, settings, checkpoint, tmp_path):
    gone = shutil.copy(checkpoint, tmp_path / "gone.pt")
    folder = begin(prepare(updated(settings, warm_start=gone)))
    begun = json.loads((folder / MANIFEST).read_text())
    gone.unlink()
    moved = folder.rename(tmp_path / "elsewhere")
    given = {"out": moved, "resume": True} if resume else {**dict(updated(settings, warm_start=gone)), "out": moved}
    plan = prepare(load_settings(None, given, Settings))
    assert plan.identity()["warm_start"] == begun["identity"]["warm_start"]
    begin(plan)
    assert plan.findings == tuple(prepare(load_settings(None, given, Settings)).findings)


def campaign_with(checkpoint: Path, data: Path, folder: Path) -> Path:
    """A checkpoint where a campaign on these data has its trials'."""
    open_plan = prepare(Settings(data=data, out=folder, families=("baseline",), accept=()))
    open_ledger(folder, "c", open_plan.identity(), open_plan.about(), must_exist=False).close()
    path = folder / "trials" / load_model(checkpoint).fingerprint / BEST
    path.parent.mkdir(parents=True)
    shutil.copy(checkpoint, path)
    return path


def test_weights_that_saw_the_test_split_are_refused_unless_accepted(settings, checkpoint, simulated_folder, tmp_path):
    """Another cell line's assay of the same library, split in another way."""
    other = tmp_path / HDF5_NAME
    shutil.copy(simulated_folder / HDF5_NAME, other)
    with h5py.File(other, "r+") as file:
        here, there = file["Test"]["X"][:3], file["Train"]["X"][:3]
        file["Train"]["X"][:3], file["Test"]["X"][:3] = here, there
    saw = campaign_with(checkpoint, other, tmp_path / "of_another")
    with pytest.raises(UserError, match=rf"test: sequences were trained on in .* \(3 of \d+\).*--accept {START_SAW}"):
        prepare(updated(settings, warm_start=saw))
    plan = prepare(updated(settings, warm_start=saw, accept=(START_SAW,)))
    assert any(note.startswith(f"error {START_SAW}: test") for note in plan.notes())


def test_weights_of_the_same_split_or_of_other_sequences_are_taken_without_a_word(
    settings, checkpoint, simulated_folder, tmp_path
):
    write_simulated(simulate(200, seed=5), tmp_path / "others")
    for name, data in (("same", simulated_folder / HDF5_NAME), ("other", tmp_path / "others" / HDF5_NAME)):
        path = campaign_with(checkpoint, data, tmp_path / name)
        assert not prepare(updated(settings, warm_start=path)).findings


def test_what_weights_were_trained_on_that_is_not_known_is_a_warning(settings, simulated_folder, checkpoint, tmp_path):
    (found,) = prepare(settings).findings
    assert (found.id, found.severity) == (SPLIT_UNKNOWN, "warning")
    assert "can't be told" in found.what
    begun = read_warm_start(checkpoint)
    data = TrainingData(read_dataset(simulated_folder / HDF5_NAME), start=begun)
    fit(begun.config_of(begun.config), data, folder=tmp_path / "second", device="cpu")
    (found,) = prepare(updated(settings, warm_start=tmp_path / "second")).findings
    assert "it started from other weights itself" in found.what
