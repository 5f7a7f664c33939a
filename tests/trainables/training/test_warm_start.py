"""A start from trained weights: what is taken, what is refused, and that a training that began so is one like others."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from nrtune.trainables.core.component import NONE
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST, LAST
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.evaluation.calibration import Calibration
from nrtune.trainables.inference import ensemble_content, load_model
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.opening import open_training
from nrtune.trainables.training.training_data import TrainingData
from nrtune.trainables.training.warm_start import WarmStart, read_warm_start

GAUSSIAN = {"head": "distributional", "loss": "heteroscedastic"}


def config(encoder: str = "motif_cnn", **flat: object) -> TrialConfig:
    small = {"encoder.lstm_units": 4} if encoder == "dream_rnn" else {}
    cheap = {"epochs": 2, "batch_size": 16, "encoder.channels": 8}
    return TrialConfig.from_flat({**preset("small", encoder), **cheap, **small, **flat})


@pytest.fixture(scope="module")
def of_one_line() -> TrainingData:
    return TrainingData(simulate(80, seed=1).dataset)


@pytest.fixture(scope="module")
def of_another() -> TrainingData:
    """Other sequences, whose activities have another mean and spread."""
    dataset = simulate(80, seed=2).dataset
    std = dataset.aleatoric_std
    assert std is not None
    return TrainingData(
        dataclasses.replace(dataset, activity=3 * dataset.activity + 2, aleatoric_std=3 * std, name="another")
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, of_one_line):
    """The folder of a training of a configuration, made once; its output rises with activity, as a calibration must."""
    made: dict[TrialConfig, Path] = {}

    def train(**flat: object) -> Path:
        of = config(**flat)
        if of not in made:
            made[of] = tmp_path_factory.mktemp("trained")
            fit(of, of_one_line, folder=made[of], device="cpu")
            rising(made[of] / BEST)
        return made[of]

    return train


def rising(path: Path) -> None:
    """Two epochs on eighty sequences decide by chance whether predictions rise or fall with activity."""
    rewrite(path, calibration=Calibration(1.5, -0.25)._asdict())


def rewrite(path: Path, **changed: object) -> Path:
    content = checkpoint.load(path)
    del content["format"]
    checkpoint.save(path, {**content, **changed})
    return path


def copy_of(folder: Path, to: Path, **changed: object) -> Path:
    to.write_bytes((folder / BEST).read_bytes())
    return rewrite(to, **changed)


def begun(start: WarmStart, of: TrialConfig, data: TrainingData, **options: bool) -> Training:
    return Training(start.config_of(of, **options), data._replace(start=start), device="cpu")


def weights(training: Training, part: str = "") -> dict[str, torch.Tensor]:
    return {name: value for name, value in training.model.state_dict().items() if name.startswith(part)}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_starts_from_its_weights_and_learns_on(encoder, trained, of_another):
    start = read_warm_start(trained(encoder=encoder))
    training = begun(start, config(encoder, seed=3), of_another)
    for name, value in weights(training, "encoder.").items():
        np.testing.assert_array_equal(value.numpy(), start.state[name])
    training.run_epoch()
    assert any(not value.equal(torch.from_numpy(start.state[n])) for n, value in weights(training, "encoder.").items())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_frozen_first_layer_stays_as_it_is(encoder, trained, of_another):
    """Its weights, and the statistics of its norms; what lies behind it learns."""
    start = read_warm_start(trained(encoder=encoder))
    training = begun(start, config(encoder, ema=0.9), of_another, freeze=True)
    layers = training.model.encoder.first_layer()
    assert layers
    before = [{n: v.clone() for n, v in layer.state_dict().items()} for layer in layers]
    whole = {name: value.clone() for name, value in weights(training).items()}
    training.run_epoch()
    for layer, old in zip(layers, before, strict=True):
        assert all(value.equal(old[name]) for name, value in layer.state_dict().items())
    learned = {name for name, value in weights(training).items() if not value.equal(whole[name])}
    assert any(name.startswith("encoder.") for name in learned)
    assert any(name.startswith("head.") for name in learned)


@pytest.mark.parametrize("before", [{}, {"standardise": True}, GAUSSIAN, {**GAUSSIAN, "standardise": True}])
@pytest.mark.parametrize("standardise", [False, True])
def test_a_head_predicts_at_first_what_it_predicted_calibrated(before, standardise, trained, of_another):
    path = trained(**before) / BEST
    sequences = of_another.dataset.tokens[:20]
    expected = load_model(path).predict_tokens(sequences)
    training = begun(read_warm_start(path), config(**{**before, "standardise": standardise}), of_another)
    found = training.model.eval()(torch.from_numpy(sequences))
    np.testing.assert_allclose(found.mean.detach().numpy(), expected.mean, rtol=1e-4, atol=1e-4)
    assert (found.log_variance is None) == (expected.log_variance is None)
    if expected.log_variance is not None:
        np.testing.assert_allclose(found.log_variance.detach().numpy(), expected.log_variance, rtol=1e-4, atol=1e-4)
    if standardise:
        centre, spread = training.model.activity_scale.tolist()
        assert (centre, spread) == pytest.approx(of_another.activity_scale)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "the head there is point, not distributional"),
        ({"calibration": Calibration(-1.0, 0.0)._asdict()}, "its output falls as validation activity rises"),
        ({"calibration": Calibration(0.0, 1.0)._asdict()}, "it predicts one value for all sequences"),
    ],
)
def test_a_head_that_cannot_be_taken_is_new(changed, said, trained, of_another, tmp_path):
    start = read_warm_start(copy_of(trained(), tmp_path / "other.pt", **changed))
    of = config(seed=4, **({} if changed else GAUSSIAN))
    assert said in str(start.why_not_head(of))
    fresh, training = Training(of, of_another, device="cpu"), begun(start, of, of_another)
    assert all(value.equal(weights(fresh, "head.")[name]) for name, value in weights(training, "head.").items())
    np.testing.assert_array_equal(training.model.encoder.first.norm.weight.detach(), start.state[NORM])


NORM = "encoder.first.norm.weight"


@pytest.mark.parametrize("freeze", [False, True])
def test_it_resumes_bitwise(freeze, trained, of_another, tmp_path):
    start = read_warm_start(trained())
    of = start.config_of(config(epochs=3, seed=1), freeze=freeze)
    data = of_another._replace(start=start)
    whole = fit(of, data, folder=tmp_path / "whole", device="cpu")
    open_training(of, data, folder=tmp_path / "cut", device="cpu").run_epoch()
    assert (tmp_path / "cut" / LAST).exists()
    again = fit(of, data, folder=tmp_path / "cut", device="cpu")
    assert again.metrics == whole.metrics
    for name, value in whole.model.state_dict().items():
        assert value.equal(again.model.state_dict()[name])


def test_trials_are_told_apart_by_weights_freezing_and_seed(trained, of_another):
    data = of_another
    starts = [read_warm_start(trained(seed=seed)) for seed in (0, 1)]
    configs = [config()]
    configs += [one.config_of(config(seed=s), freeze=f) for one in starts for s in (0, 1) for f in (False, True)]
    assert len({data.fingerprint_of(of) for of in configs}) == len(configs)
    one, other = (begun(starts[0], config(seed=seed), data).run_epoch().metrics for seed in (0, 1))
    assert one["train/loss"] != other["train/loss"]


def test_weights_are_the_same_wherever_they_lie(trained, tmp_path):
    start = read_warm_start(trained())
    assert read_warm_start(copy_of(trained(), tmp_path / "elsewhere.pt", fingerprint="0" * 16)).digest == start.digest
    name, value = next(iter(checkpoint.load(trained() / BEST)["state"].items()))
    state = {**checkpoint.load(trained() / BEST)["state"], name: value + 1e-3}
    assert read_warm_start(copy_of(trained(), tmp_path / "other.pt", state=state)).digest != start.digest


def test_weights_are_sent_to_other_processes_without_classes(trained):
    """A plug-in's encoder is of a module that another process has not loaded yet."""
    start = read_warm_start(trained())
    assert start.config.encoder.name() == "motif_cnn"
    sent = pickle.dumps(start)
    assert b"MotifCNN" not in sent
    assert b"TrialConfig" not in sent
    there = pickle.loads(sent)
    assert (there.digest, there.config) == (start.digest, start.config)


def test_a_model_that_began_so_is_read_without_the_weights(trained, of_another, tmp_path):
    start = read_warm_start(trained())
    fit(start.config_of(config(epochs=1)), of_another._replace(start=start), folder=tmp_path, device="cpu")
    assert load_model(tmp_path).config.warm_start == start.digest


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (config("dilated_resnet"), "is of encoder motif_cnn, not dilated_resnet"),
        (config(**{"encoder.channels": 16}), r"has a motif_cnn of another shape \(channels 8, not 16\)"),
        (
            config(**{"encoder.channels": 16, "encoder.depth": 1, "encoder.pool": 8}),
            r"has a motif_cnn of another shape \(channels 8, not 16, depth 2, not 1\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(other, said, trained):
    with pytest.raises(UserError, match=rf"best\.pt: {said}"):
        read_warm_start(trained()).config_of(other)


def test_what_decides_about_weights_is_known(trained):
    assert read_warm_start(trained()).shaping == {"channels", "kernel", "depth", "embedding"}
    assert "layers" in read_warm_start(trained(encoder="dilated_resnet")).shaping
    assert {"vib_beta", "gc_bins"} <= read_warm_start(trained(encoder="factorized")).shaping


def test_weights_that_are_not_given_are_asked_for(trained, of_another):
    start, other = (read_warm_start(trained(seed=seed)) for seed in (0, 1))
    of = start.config_of(config())
    for data, said in ((of_another, "none are given"), (of_another._replace(start=other), f"has {other.digest}")):
        with pytest.raises(UserError, match=f"starts from the weights {start.digest}, and .*{said}"):
            Training(of, data, device="cpu")


def test_random_weights_are_not_frozen():
    with pytest.raises(UserError, match="freeze first would keep random weights"):
        config(freeze="first")
    assert config().warm_start == NONE


def test_files_that_hold_no_trained_network_are_refused(trained, tmp_path, of_one_line):
    folder = trained()
    Training(config(), of_one_line, device="cpu", folder=tmp_path / "begun").run_epoch()
    ensemble = tmp_path / "ensemble.pt"
    checkpoint.save(ensemble, ensemble_content({"a": folder / BEST, "b": trained(seed=1) / BEST}, {}))
    (tmp_path / "code.pt").write_bytes(pickle.dumps(Path.home, protocol=2))
    (tmp_path / "torn.pt").write_bytes((folder / BEST).read_bytes()[:-100])
    broken = {name: value.clone() for name, value in checkpoint.load(folder / BEST)["state"].items()}
    broken[NORM][0] = float("nan")
    copy_of(folder, tmp_path / "nan.pt", state=broken)
    lacking = {name: value for name, value in broken.items() if name != NORM}
    copy_of(folder, tmp_path / "lacking.pt", state=lacking)
    copy_of(folder, tmp_path / "unknown.pt", config={**config().to_flat(), "encoder": "of_a_plugin"})
    for name, said in {
        "missing.pt": "no such file; give a trial's best.pt",
        "begun/last.pt": "is a training checkpoint, not a trained model",
        "ensemble.pt": "is an ensemble, and trials start from one network",
        "code.pt": "is not a readable nrtune checkpoint",
        "torn.pt": "is not a readable nrtune checkpoint",
        "nan.pt": rf"its weights are not finite \({NORM}\)",
        "lacking.pt": "its weights are not those of its encoder motif_cnn any more",
        "unknown.pt": "unknown encoder 'of_a_plugin'",
    }.items():
        with pytest.raises(UserError, match=rf"{name}: .*{said}"):
            read_warm_start(tmp_path / name)
