"""What a trial may be trained and scored with beside its parts: each option as its sentence says it, in plain steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.sequences import reverse_complement, to_text
from nrtune.trainables.evaluation.metrics import affine_fit, spearman
from nrtune.trainables.evaluation.scoring import predict
from nrtune.trainables.inference import load_model
from nrtune.trainables.losses import LOSSES
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.opening import open_training
from nrtune.trainables.training.training_data import TrainingData


def config(**flat: object) -> TrialConfig:
    small = {"epochs": 2, "encoder.channels": 8, "encoder.lstm_units": 4}
    return TrialConfig.from_flat({**preset("small"), **small, **flat})


def to_the_end(training: Training) -> Training:
    while not training.done:
        training.run_epoch()
    return training


def test_a_trial_without_them_is_what_it_was():
    """Fingerprints of before there were any of these options."""
    assert TrialConfig().fingerprint("a") == "8d34b624e8204797"
    both = TrialConfig.from_flat({**preset("small"), "reverse_complement": True})
    assert both.fingerprint("a") == "8029ad847b8039b2"
    for name, value in {"both_strands": True, "standardise": True, "max_shift": 1, "mutation_rate": 0.1, "ema": 0.9,
                        "decay_norms": False}.items():  # fmt: skip
        assert TrialConfig.from_flat({name: value}).fingerprint("a") != TrialConfig().fingerprint("a")


@pytest.mark.parametrize("loss", LOSSES)
def test_standardised_labels_are_labels_standardised_by_hand(loss, simulated_data):
    """Bitwise the same weights and loss, of pairs and of variances too; what is said is on the scale of activity."""
    dataset = dataclasses.replace(simulated_data.dataset, activity=simulated_data.dataset.activity + 1)
    head = "dual" if LOSSES.get(loss).needs_log_variance else "point"
    of_train = dataset.activity[dataset.rows("train")].astype(np.float64)
    mean, std = of_train.mean(), of_train.std()
    assert mean > 0.9
    assert std > 1.1
    by_hand = dataclasses.replace(
        dataset,
        activity=(dataset.activity - np.float32(mean)) / np.float32(std),
        aleatoric_std=dataset.aleatoric_std / np.float32(std),
    )
    found = to_the_end(Training(config(loss=loss, head=head, standardise=True), TrainingData(dataset)))
    expected = to_the_end(Training(config(loss=loss, head=head), TrainingData(by_hand)))
    for one, other in zip(found.history, expected.history, strict=True):
        assert one["train/loss"] == other["train/loss"]
    assert all(map(torch.equal, found.model.parameters(), expected.model.parameters()))
    tokens = found.val_tokens
    spoken, learned = predict(found.model, tokens), predict(expected.model, tokens)
    assert spoken.mean == pytest.approx(mean + std * learned.mean, abs=1e-5)
    if head == "dual":
        assert spoken.log_variance == pytest.approx(learned.log_variance + 2 * np.log(std), abs=1e-5)


def test_what_a_standardised_model_says_is_activity_wherever_it_is_asked(simulated_data, tmp_path):
    """A mean squared error fits the mean, so the calibration on validation data has little left to do."""
    shifted = dataclasses.replace(simulated_data.dataset, activity=simulated_data.dataset.activity + 20)
    data = TrainingData(shifted)
    result = fit(config(standardise=True, head="dual", loss="heteroscedastic"), data, folder=tmp_path)
    assert abs(result.test["prediction"].mean() - 20 - simulated_data.dataset.activity.mean()) < 1
    rows = shifted.rows("test")
    model = load_model(tmp_path / BEST)
    again = model.predict([to_text(row) for row in shifted.tokens[rows]], raw=True)
    assert (again.mean == result.test["prediction"].to_numpy()).all()
    assert (again.log_variance == result.test["log_variance"].to_numpy()).all()


def test_labels_without_spread_cannot_be_standardised(simulated_data):
    flat = dataclasses.replace(simulated_data.dataset, activity=np.ones_like(simulated_data.dataset.activity))
    with pytest.raises(UserError, match="every training sequence has one activity, so it can't be standardised"):
        Training(config(standardise=True), TrainingData(flat))


def test_predictions_are_means_of_both_strands(simulated_data, tmp_path):
    """Of validation in each epoch, of test, of variants, in the calibration and later; of the log-variance too."""
    dataset = simulated_data.dataset
    one = config(both_strands=True, head="dual", loss="heteroscedastic")
    result = fit(one, simulated_data, folder=tmp_path)

    def mean_of_strands(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        strands = [predict(result.model, torch.from_numpy(of)) for of in (tokens, reverse_complement(tokens))]
        return (strands[0].mean + strands[1].mean) / 2, (strands[0].log_variance + strands[1].log_variance) / 2

    mean, log_variance = mean_of_strands(dataset.tokens[dataset.rows("test")])
    assert (result.test["prediction"] == mean).all()
    assert (result.test["log_variance"] == log_variance).all()
    assert (mean != predict(result.model, torch.from_numpy(dataset.tokens[dataset.rows("test")])).mean).any()
    val, activity = mean_of_strands(dataset.tokens[dataset.rows("val")])[0], dataset.activity[dataset.rows("val")]
    best = result.history[int(result.metrics["best_epoch"]) - 1]
    assert best["val/spearman"] == result.metrics["val/spearman"] == spearman(val, activity)
    assert tuple(result.calibration) == affine_fit(val, activity)
    variants = simulated_data.benchmark("cagi5")
    of_window = mean_of_strands(variants.windows)[0]
    effect = of_window[variants.alt_window] - of_window[variants.ref_window]
    assert (result.effects["cagi5"]["variant_effect"] == effect).all()

    model, sequences = load_model(tmp_path), [to_text(row) for row in dataset.tokens[dataset.rows("test")]]
    assert (model.predict(sequences, raw=True).mean == mean).all()
    assert (model.predict(sequences).mean == result.test["calibrated_prediction"]).all()
    other = [to_text(reverse_complement(row)) for row in dataset.tokens[dataset.rows("test")]]
    assert (model.predict(other).mean == model.predict(sequences).mean).all()
    forward, reverse = (model.predict(of, raw=True, both_strands=False).mean for of in (sequences, other))
    assert (mean == (forward + reverse) / 2).all()
    effect = model.variant_effect(sequences[:1], sequences[1:2], raw=True)
    assert effect == pytest.approx(mean[1:2] - mean[:1], abs=1e-6)


def test_each_window_is_predicted_once_a_strand(simulated_data, monkeypatch):
    training = Training(config(both_strands=True), simulated_data)
    asked = 0
    forward = training.model.forward

    def counting(tokens, **how):
        nonlocal asked
        asked += 0 if training.model.training else len(tokens)
        return forward(tokens, **how)

    monkeypatch.setattr(training.model, "forward", counting)
    training.run_epoch()
    assert asked == 2 * len(training.val_rows)
    asked = 0
    training.score()
    held_out = sum(len(simulated_data.dataset.rows(split)) for split in ("val", "test"))
    assert asked == 2 * (held_out + len(simulated_data.benchmark("cagi5").windows))


def test_the_average_of_weights_is_what_its_sum_says(simulated_data, monkeypatch):
    """A step at a time in double precision, norms' statistics too; it is what validation sees and what is kept."""
    decay = 0.5
    training = Training(config(ema=decay), simulated_data)
    names = [name for name, value in training.model.state_dict().items() if value.is_floating_point()]
    literal = {name: training.model.state_dict()[name].double() for name in names}
    steps, step = 0, training.schedule.step

    def stepped():
        nonlocal steps
        steps += 1
        kept = min(decay, (1 + steps) / (10 + steps))
        for name, average in literal.items():
            average.mul_(kept).add_((1 - kept) * training.model.state_dict()[name].double())
        step()

    monkeypatch.setattr(training.schedule, "step", stepped)
    while not training.done:
        report = training.run_epoch()
        best = report.metrics["val/spearman"] == max(epoch["val/spearman"] for epoch in training.history)
        assert training.best_epoch == training.epoch if best else training.best_epoch < training.epoch
        if best:
            for name, average in literal.items():
                torch.testing.assert_close(training.best[name].double(), average, rtol=1e-4, atol=1e-6)
    assert (1 + steps) / (10 + steps) > decay  # the warm-up of the average is over
    assert report.score.metrics["val/spearman"] == training.best_spearman


@pytest.mark.parametrize("decay_norms", [True, False])
@pytest.mark.parametrize("encoder", ["dream_rnn", "factorized"])
def test_which_weights_decay(encoder, decay_norms, simulated_data):
    """With gradients of 0 a step of AdamW is its weight decay: each weight times 1 - lr · weight_decay."""
    flat = {"encoder": encoder, "weight_decay": 0.1, "decay_norms": decay_norms}
    training = Training(TrialConfig.from_flat({**preset("small", encoder), "epochs": 2, **flat}), simulated_data)
    before = {name: value.detach().clone() for name, value in training.model.named_parameters()}
    for parameter in training.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    lr = training.optimiser.param_groups[0]["lr"]
    training.optimiser.step()
    norms = [name for name, module in training.model.named_modules() if isinstance(module, torch.nn.BatchNorm1d)]
    spared = 0
    for name, value in training.model.named_parameters():
        module, _, last = name.rpartition(".")
        is_spared = not decay_norms and (last.startswith("bias") or module in norms)
        spared += is_spared
        torch.testing.assert_close(value, before[name] * (1 if is_spared else 1 - lr * 0.1), rtol=1e-6, atol=0)
    assert (spared > 0) == (not decay_norms)


EVERYTHING = {"reverse_complement": True, "both_strands": True, "standardise": True, "max_shift": 15, "mutation_rate": 0.05,
              "ema": 0.8, "decay_norms": False, "loss": "adaptive_noise_gated", "head": "distributional",
              "sampler": "quantile_curriculum", "epochs": 3}  # fmt: skip


@pytest.mark.parametrize("stop_after", [1, 2])
def test_with_every_option_a_resumed_training_is_bitwise_the_same(stop_after, simulated_data, tmp_path):
    one = config(**EVERYTHING)
    whole = fit(one, simulated_data, folder=tmp_path / "whole")
    started = Training(one, simulated_data, folder=tmp_path / "cut", score_at=[1])
    for _ in range(stop_after):
        started.run_epoch()
    resumed = to_the_end(open_training(one, simulated_data, folder=tmp_path / "cut"))
    for found, expected in zip(resumed.history, whole.history, strict=True):
        assert {k: v for k, v in found.items() if "second" not in k} == {
            k: v for k, v in expected.items() if "second" not in k
        }
    assert all(torch.equal(value, whole.model.state_dict()[name]) for name, value in resumed.best.items())
    assert resumed.score().metrics == pytest.approx(whole.metrics, rel=0, abs=0, nan_ok=True)
    assert (load_model(tmp_path / "cut").calibration) == whole.calibration


def test_micro_batches_go_with_every_option(simulated_data):
    parted = to_the_end(Training(config(**EVERYTHING), simulated_data, micro_batches=3))
    assert np.isfinite(parted.score().metrics["test/spearman"])
