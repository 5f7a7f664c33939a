"""Training: deterministic, resumable, honest about divergence, and able to learn."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST, HISTORY, LAST, predictions_file, write_atomically
from nrtune.trainables.data.sequences import reverse_complement, to_text
from nrtune.trainables.data.simulate import ADAPTERS, simulate
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.evaluation.calibration import Calibration
from nrtune.trainables.evaluation.metrics import affine_fit
from nrtune.trainables.inference import SequenceModel, load_model
from nrtune.trainables.losses import LOSSES, Progress
from nrtune.trainables.models.heads import HEADS, HEADS_WITH_LOG_VARIANCE
from nrtune.trainables.samplers import SAMPLERS
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.loop import Diverged, Training
from nrtune.trainables.training.opening import open_training
from nrtune.trainables.training.training_data import TrainingData

CHEAP = {"epochs": 3, "encoder.channels": 8}
TIMES = ("seconds", "samples_per_second")


def config(**flat: object) -> TrialConfig:
    encoder = str(flat.get("encoder", "dream_rnn"))
    small = {"encoder.lstm_units": 4} if encoder == "dream_rnn" else {}
    return TrialConfig.from_flat({**preset("small", encoder), **CHEAP, **small, **flat})


def without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in epoch.items() if name not in TIMES} for epoch in history]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("head", HEADS)
def test_every_encoder_works_with_every_head(encoder, head, simulated_data):
    loss = "mse" if head == "point" else "heteroscedastic"
    result = fit(config(encoder=encoder, head=head, loss=loss, epochs=1), simulated_data)
    assert np.isfinite(result.metrics["test/spearman"])
    assert ("noise/variance_spearman" in result.metrics) == (head != "point")


@pytest.fixture(scope="module")
def tiny_data() -> TrainingData:
    return TrainingData(simulate(60).dataset)


@pytest.mark.end_to_end
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_encoder_learns_by_every_loss_with_every_sampler(encoder, loss, tiny_data):
    heads = sorted(HEADS_WITH_LOG_VARIANCE) if LOSSES.get(loss).needs_log_variance else ["point"]
    for number, sampler in enumerate(SAMPLERS):
        head = heads[number % len(heads)]
        flat = {"encoder": encoder, "loss": loss, "head": head, "sampler": sampler, "epochs": 1, "batch_size": 16}
        (epoch,) = fit(config(**flat), tiny_data).history
        assert np.isfinite(epoch["train/loss"])


@pytest.mark.parametrize(
    "options", [{"encoder.vib_beta": 0.01}, {"encoder.gc_bins": 10}, {"encoder.vib_beta": 0.01, "encoder.gc_bins": 10}]
)
def test_factorized_options_have_their_own_losses(options, simulated_data):
    history = fit(config(encoder="factorized", epochs=1, **options), simulated_data).history
    assert ("train/vib_kl" in history[0]) == ("encoder.vib_beta" in options)
    assert ("train/gc_adversary" in history[0]) == ("encoder.gc_bins" in options)


@pytest.mark.end_to_end
@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_trial_gives_the_same_numbers(loss, simulated_data):
    head = "dual" if LOSSES.get(loss).needs_log_variance else "point"
    one = config(loss=loss, head=head, epochs=2)
    torch.manual_seed(1)
    first = fit(one, simulated_data)
    torch.manual_seed(2)
    second = fit(one, simulated_data)
    assert without_times(first.history) == without_times(second.history)
    assert {k: v for k, v in first.metrics.items() if np.isfinite(v)} == {
        k: v for k, v in second.metrics.items() if np.isfinite(v)
    }
    other = fit(config(loss=loss, head=head, epochs=2, seed=1), simulated_data)
    assert without_times(other.history) != without_times(first.history)


def test_the_callers_random_state_is_left_alone(simulated_data):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(config(epochs=1), simulated_data)
    assert (torch.rand(3) == expected).all()


def test_the_other_strand_is_trained_on_by_even_chance(simulated_data, monkeypatch):
    dataset, seen = simulated_data.dataset, []
    training = Training(config(reverse_complement=True, epochs=2), simulated_data)
    gather = training.resident.batch_of_strands

    def watched(rows):
        seen.append((rows, *gather(rows)))
        return seen[-1][1:]

    monkeypatch.setattr(training.resident, "batch_of_strands", watched)
    training.run_epoch()
    rows, tokens = (torch.cat([batch[i] for batch in seen]).numpy() for i in (0, 1))
    activity = torch.cat([batch[2].activity for batch in seen]).numpy()
    is_other = rows < 0
    row = np.where(is_other, ~rows, rows)
    assert abs(is_other.mean() - 0.5) < 5 * 0.5 / len(rows) ** 0.5
    assert (np.sort(row) == np.sort(dataset.rows("train"))).all()
    assert (activity == dataset.activity[row]).all()
    assert (tokens[~is_other] == dataset.tokens[row[~is_other]]).all()
    assert (tokens[is_other] == reverse_complement(dataset.tokens[row[is_other]])).all()
    first, seen[:] = rows, []
    training.run_epoch()
    again = torch.cat([batch[0] for batch in seen]).numpy()
    assert set(first.tolist()) != set(again.tolist())


COMPILED_AND_NOT = """
import json
from nrtune import TrainingData, TrialConfig, fit, preset, simulate
small = {**preset("small"), "epochs": 2, "encoder.channels": 8, "encoder.lstm_units": 4}
# Without dropout, whose random numbers differ.
small |= {"encoder.conv_dropout": 0.0, "encoder.dropout": 0.0}
data = TrainingData(simulate(400).dataset)
print(json.dumps([fit(TrialConfig.from_flat({**small, "compile": on}), data).history for on in (False, True)]))
"""


@pytest.mark.slow
def test_a_compiled_training_learns_the_same():
    """In a process of its own: torch can't compile functions whose arguments' types are checked, as all are here."""
    found = subprocess.run([sys.executable, "-c", COMPILED_AND_NOT], capture_output=True, text=True, check=True)
    plain, compiled = json.loads(found.stdout)
    for one, other in zip(plain, compiled, strict=True):
        assert other["train/loss"] == pytest.approx(one["train/loss"], rel=1e-3)
        assert other["val/spearman"] == pytest.approx(one["val/spearman"], abs=0.02)


@pytest.mark.end_to_end
@pytest.mark.parametrize("stop_after", [1, 2])
@pytest.mark.parametrize(
    "flat",
    [
        *({"sampler": name} for name in SAMPLERS),
        {"loss": "adaptive_noise_gated", "head": "distributional"},
        {"reverse_complement": True},
        *({"encoder": name} for name in ENCODERS if name != "dream_rnn"),
        {"encoder": "factorized", "encoder.vib_beta": 0.01, "encoder.gc_bins": 10, "encoder.embedding_dropout": 0.2},
    ],
    ids=lambda flat: "-".join(map(str, list(flat.values())[:2])),
)
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(flat, stop_after, simulated_data, tmp_path):
    one = config(**flat)
    whole = fit(one, simulated_data, folder=tmp_path / "whole")
    started = Training(one, simulated_data, folder=tmp_path / "cut")
    for _ in range(stop_after):
        started.run_epoch()
    del started
    resumed = open_training(one, simulated_data, folder=tmp_path / "cut")
    assert resumed.epoch == stop_after
    while not resumed.done:
        report = resumed.run_epoch()
    assert without_times(resumed.history) == without_times(whole.history)
    assert report.score.metrics == pytest.approx(whole.metrics, rel=0, abs=0, nan_ok=True)
    for name in map(predictions_file, ("test", "cagi5")):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert load_model(tmp_path / "cut").calibration == load_model(tmp_path / "whole").calibration == whole.calibration


def test_scoring_in_between_changes_nothing(simulated_data, tmp_path):
    plain = Training(config(), simulated_data)
    scored = Training(config(), simulated_data, folder=tmp_path, score_at=[1, 2])
    reports = [(plain.run_epoch(), scored.run_epoch()) for _ in range(3)]
    assert [b.score is not None for _, b in reports] == [True, True, True]
    assert [a.score is not None for a, _ in reports] == [False, False, True]
    assert without_times(plain.history) == without_times(scored.history)


def test_a_folder_belongs_to_one_trial(simulated_data, tmp_path):
    fit(config(epochs=1), simulated_data, folder=tmp_path)
    with pytest.raises(UserError, match="belongs to another trial"):
        open_training(config(epochs=2), simulated_data, folder=tmp_path)


def test_report_may_stop_the_training(simulated_data):
    result = fit(config(), simulated_data, lambda epoch: epoch.epoch == 2)
    assert len(result.history) == 2
    assert result.metrics["best_epoch"] in (1, 2)


def test_the_score_is_of_the_best_validation_epoch(simulated_data):
    result = fit(config(epochs=4), simulated_data)
    best = max(result.history, key=lambda epoch: epoch["val/spearman"])
    assert result.metrics["best_epoch"] == best["epoch"]
    assert result.metrics["val/spearman"] == pytest.approx(best["val/spearman"], abs=1e-12)


def test_a_loss_that_turns_nan_is_said(simulated_data):
    with pytest.raises(Diverged, match="training loss is nan in epoch 1"):
        fit(config(lr=1e30), simulated_data)


def test_a_constant_prediction_is_said(simulated_data):
    training = Training(config(), simulated_data)
    for parameter in training.model.head.parameters():
        parameter.data.zero_()
        parameter.requires_grad_(False)
    with pytest.raises(Diverged, match="predicted alike in epoch 1"):
        training.run_epoch()


def test_a_loss_that_needs_noise_refuses_data_without(simulated_data):
    bare = TrainingData(dataclasses.replace(simulated_data.dataset, aleatoric_std=None))
    with pytest.raises(UserError, match="no noise was measured, and loss rank_stability needs it"):
        fit(config(loss="rank_stability"), bare)
    metrics = fit(config(epochs=1), bare).metrics
    assert not any(name.startswith("noise/") for name in metrics)


def test_shared_arrays_may_be_read_only_and_stay_as_they_are(simulated_data):
    before = simulated_data.dataset.digest
    arrays = {f.name: getattr(simulated_data.dataset, f.name) for f in dataclasses.fields(simulated_data.dataset)}
    frozen = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in arrays.items()}
    for value in frozen.values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    data = TrainingData(dataclasses.replace(simulated_data.dataset, **frozen), simulated_data.benchmarks)
    fit(config(loss="rank_stability", epochs=1), data)
    assert data.dataset.digest == before


def test_a_model_is_saved_and_loaded(simulated_data, tmp_path):
    result = fit(config(head="dual", loss="distributional", seed=4), simulated_data, folder=tmp_path)
    model = load_model(tmp_path / BEST)
    assert model.config == result.config
    assert model.fingerprint == result.fingerprint
    sequences = sequences_of(simulated_data, "test")
    predicted = load_model(tmp_path).predict(sequences)
    assert (predicted.mean == result.test["calibrated_prediction"].to_numpy()).all()
    assert (predicted.log_variance == result.test["log_variance"].to_numpy()).all()
    effect = model.variant_effect(sequences[:2], sequences[1:3])
    raw = model.predict(sequences, raw=True)
    # Batches of other sizes differ in the last bits of the model's own output, which the calibration stretches.
    bits = float(8 * np.finfo(np.float32).eps * np.abs(raw.mean).max() * model.calibration.slope)
    assert effect == pytest.approx(predicted.mean[1:3] - predicted.mean[:2], abs=bits)
    assert (raw.mean == result.test["prediction"].to_numpy()).all()
    assert (raw.log_variance == predicted.log_variance).all()  # log2(RNA/DNA) already: it was compared with s²
    raw_effect = model.variant_effect(sequences[:2], sequences[1:3], raw=True)
    assert effect == pytest.approx(model.calibration.slope * raw_effect, rel=1e-5)
    assert model.predict([]).mean.tolist() == []
    with pytest.raises(UserError, match="trained on 230"):
        model.predict(["ACGT"])
    with pytest.raises(UserError, match=r"load best\.pt"):
        load_model(tmp_path / LAST)
    assert (tmp_path / HISTORY).exists()


RANKING = config(loss="rank_stability", seed=4)
"""One that learns something in three epochs, by chance: most fall short of it."""


def sequences_of(data: TrainingData, split: str) -> list[str]:
    return [to_text(data.dataset.tokens[row]) for row in data.dataset.rows(split)]


def line_of_activity(model: SequenceModel, data: TrainingData) -> tuple[float, float]:
    """Slope and intercept of validation activity on what the model predicts."""
    return affine_fit(model.predict(sequences_of(data, "val")).mean, data.dataset.activity[data.dataset.rows("val")])


def test_a_ranking_loss_predicts_activity_at_any_scale(simulated_data, tmp_path):
    """Its output six times as wide and 13 higher has the same order, and calibrated it is the same."""
    training = Training(RANKING, simulated_data, folder=tmp_path)
    while not training.done:
        report = training.run_epoch()
    sequences = sequences_of(simulated_data, "test")
    first = load_model(tmp_path)
    with torch.no_grad():
        for parameter, scale, shift in (("weight", 6, 0), ("bias", 6, 13)):
            training.best[f"head.mean.{parameter}"].mul_(scale).add_(shift)
    rescored = training.score()
    second = load_model(tmp_path)
    outputs = [model.predict(sequences, raw=True).mean for model in (first, second)]
    assert outputs[1] == pytest.approx(6 * outputs[0] + 13, abs=1e-4)
    for model in (first, second):
        assert line_of_activity(model, simulated_data) == pytest.approx((1, 0), abs=1e-9)
    predicted = [model.predict(sequences).mean for model in (first, second)]
    assert predicted[1] == pytest.approx(predicted[0], abs=1e-4)
    activity = report.score.test["activity"]
    assert abs(predicted[1].mean() - activity.mean()) < 4 * activity.std() / len(activity) ** 0.5
    assert predicted[1].std() < activity.std()
    ranks = ("test/spearman", "cagi5/challenge/spearman/all/mean")
    assert [rescored.metrics[name] for name in ranks] == pytest.approx(
        [report.score.metrics[name] for name in ranks], abs=0.01
    )


def test_each_stored_model_has_the_calibration_of_its_own_weights(simulated_data, tmp_path):
    training = Training(RANKING, simulated_data, folder=tmp_path, score_at=[1])
    training.run_epoch()
    early = load_model(tmp_path)
    assert line_of_activity(early, simulated_data) == pytest.approx((1, 0), abs=1e-9)
    resumed = open_training(RANKING, simulated_data, folder=tmp_path, score_at=[1])
    while not resumed.done:
        resumed.run_epoch()
    late = load_model(tmp_path)
    assert resumed.best_epoch > 1
    assert late.calibration != early.calibration
    assert line_of_activity(late, simulated_data) == pytest.approx((1, 0), abs=1e-9)


def test_a_model_of_before_gives_its_own_output_where_that_is_asked_for(simulated_data, tmp_path):
    result = fit(config(epochs=1), simulated_data, folder=tmp_path)
    content = checkpoint.load(tmp_path / BEST)
    del content["calibration"]
    checkpoint.save(tmp_path / BEST, content)
    model, sequences = load_model(tmp_path), sequences_of(simulated_data, "test")
    assert model.calibration is None
    assert "not calibrated" in repr(model)
    for ask in (model.predict, lambda of: model.variant_effect(of, of)):
        with pytest.raises(UserError, match=r"before models were calibrated: train it again .*raw=True gives its own"):
            ask(sequences)
    assert (model.predict(sequences, raw=True).mean == result.test["prediction"].to_numpy()).all()


def test_a_stored_model_knows_the_adapters_that_it_was_trained_with(simulated_data, tmp_path):
    fit(config(epochs=1), simulated_data, folder=tmp_path)
    model, sequences = load_model(tmp_path), sequences_of(simulated_data, "test")[:5]
    assert model.adapters == ADAPTERS
    inserts = [sequence[len(ADAPTERS[0]) : -len(ADAPTERS[1])] for sequence in sequences]
    assert (model.predict(inserts, raw=True).mean == model.predict(sequences, raw=True).mean).all()
    content = checkpoint.load(tmp_path / BEST)
    del content["adapters"]  # as before they were kept
    checkpoint.save(tmp_path / BEST, content)
    old = load_model(tmp_path)
    assert old.adapters is None
    assert (old.predict(sequences, raw=True).mean == model.predict(sequences, raw=True).mean).all()
    with pytest.raises(UserError, match=r"have 200 bases and the model was trained on 230; pad them with N$"):
        old.predict(inserts, raw=True)


def test_a_constant_has_effects_of_0_and_what_falls_predicts_nothing(simulated_data):
    result = fit(config(epochs=1), simulated_data)
    sequences = sequences_of(simulated_data, "test")

    def with_slope(slope: float) -> SequenceModel:
        return SequenceModel(result.config, result.fingerprint, 230, result.model, Calibration(slope, 0.25))

    assert set(with_slope(0).predict(sequences).mean) == {0.25}
    assert set(with_slope(0).variant_effect(sequences[:2], sequences[1:3])) == {0}
    with pytest.raises(UserError, match=r"falls as validation activity rises \(slope -2\).*raw=True gives its own"):
        with_slope(-2).predict(sequences)
    assert (with_slope(-2).predict(sequences, raw=True).mean == result.test["prediction"].to_numpy()).all()


def test_a_damaged_checkpoint_is_said(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a readable nrtune checkpoint"):
        load_model(tmp_path / "a.pt")
    with pytest.raises(UserError, match="no such checkpoint"):
        load_model(tmp_path / "b.pt")


class _Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), OSError(5, "Input/output error")])
def test_what_the_device_or_the_disk_says_is_no_damage(error, tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "last.pt", {"epoch": 1})

    def fails(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", fails)
        with pytest.raises(type(error)):
            checkpoint.load(tmp_path / "last.pt")
    assert checkpoint.load(tmp_path / "last.pt")["epoch"] == 1


def test_a_checkpoint_runs_no_code(tmp_path):
    torch.save({"format": 1, "state": _Evil()}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="not a readable nrtune checkpoint"):
        load_model(tmp_path / "a.pt")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_study_preset_has_the_published_size():
    model = TrialConfig.from_flat(preset("study")).encoder.module()
    assert 6.1e6 < sum(parameter.numel() for parameter in model.parameters()) < 6.3e6


def test_gradients_of_micro_batches_add_up(simulated_data):
    """Without what sees a batch as a whole (batch norm, dropout) they are those of the batch."""
    training = Training(config(), simulated_data, micro_batches=2)
    training.model.eval()
    rows, progress = torch.arange(33), Progress(0, 3)
    found = []
    for parts in (1, 2):
        training.optimiser.zero_grad()
        terms = [(part, training._backward(part, len(part) / 33, progress)) for part in rows.chunk(parts)]
        loss = sum(float(of["train/loss"]) * len(part) / 33 for part, of in terms)
        found.append([loss, *(parameter.grad.clone() for parameter in training.model.parameters())])
    for whole, added in zip(*found, strict=True):
        torch.testing.assert_close(torch.as_tensor(added), torch.as_tensor(whole), rtol=1e-4, atol=1e-6)


def test_micro_batches_take_as_many_steps_and_learn_alike(simulated_data):
    trained = [Training(config(epochs=2), simulated_data, micro_batches=parts) for parts in (1, 3)]
    for training in trained:
        while not training.done:
            training.run_epoch()
    whole, parted = trained
    assert whole.schedule.last_epoch == parted.schedule.last_epoch
    assert parted.history[-1]["train/loss"] < parted.history[0]["train/loss"]
    assert parted.history != whole.history
