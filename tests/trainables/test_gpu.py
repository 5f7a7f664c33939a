"""Training on a CUDA device: resident data, bf16 and float32, resuming, models that load on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.config import TrialConfig, preset
from trainables.files import BEST
from trainables.inference import load_model
from trainables.losses import LOSSES, Progress, Target
from trainables.model import Prediction
from trainables.training import Training, TrainingData, fit

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def config(**flat: object) -> TrialConfig:
    encoder = str(flat.get("encoder", "dream_rnn"))
    return TrialConfig.from_flat({**preset("small", encoder), "epochs": 3, **flat})


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(
    "flat",
    [
        {"loss": "rank_stability"},
        {"loss": "heteroscedastic", "head": "dual"},
        {"encoder": "factorized", "encoder.vib_beta": 0.01, "encoder.gc_bins": 10},
    ],
)
def test_trials_run_on_the_device(flat, precision, simulated_data: TrainingData):
    training = Training(config(precision=precision, **flat), simulated_data)
    assert training.resident.tokens.is_cuda
    assert training.resident.tokens.dtype == torch.uint8
    assert training.bf16 == (precision == "bf16")
    while not training.done:
        report = training.run_epoch()
    assert np.isfinite(report.score.metrics["test/spearman"])


def test_device_and_cpu_agree_on_a_trained_model(simulated_data: TrainingData, tmp_path):
    result = fit(config(precision="float32"), simulated_data, folder=tmp_path)
    rows = simulated_data.dataset.rows("test")
    sequences = ["".join("ACGTN"[token] for token in simulated_data.dataset.tokens[row]) for row in rows]
    predicted = load_model(tmp_path / BEST, device="cpu").predict(sequences).mean
    assert predicted == pytest.approx(result.test["prediction"].to_numpy(), abs=1e-3)


def test_a_training_resumes_on_the_device(simulated_data: TrainingData, tmp_path):
    started = Training(config(), simulated_data, folder=tmp_path)
    started.run_epoch()
    resumed = Training(config(), simulated_data, folder=tmp_path)
    assert resumed.epoch == 1
    assert np.isfinite(resumed.run_epoch().metrics["train/loss"])


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_in_an_epoch_waits_for_the_device(loss, simulated_data: TrainingData, monkeypatch):
    """Between the draw of its rows and its sums. What reads a tensor of the device, or waits for a copy, raises."""
    head = "dual" if LOSSES.get(loss).needs_log_variance else "point"
    training = Training(config(loss=loss, head=head, reverse_complement=True), simulated_data)
    training.run_epoch()  # the first use of a kernel may wait
    step = training._step

    def watched(*arguments):
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(training, "_step", watched)
    training.run_epoch()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n", [1, 7, 1024])
def test_losses_are_those_of_the_cpu(name, n):
    """On a device all pairs are one block, and no band of like activities is cut out of them."""
    made = [torch.randn(shape) for shape in ((n,), (n,), (n, 16))]
    activity, std = torch.randn(n), torch.rand(n)
    found = []
    for device in ("cpu", "cuda"):
        inputs = [values.to(device).requires_grad_() for values in made]
        loss = LOSSES.get(name).build({})(
            Prediction(*inputs, {}), Target(activity.to(device), std.to(device)), Progress(3, 4)
        )
        gradients = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
        found.append([loss.detach().cpu(), *(gradient.cpu() for gradient in gradients)])
    for of_cpu, of_cuda in zip(*found, strict=True):
        torch.testing.assert_close(of_cuda, of_cpu, rtol=1e-3, atol=1e-5)
