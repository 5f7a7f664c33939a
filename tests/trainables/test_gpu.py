"""Training on a CUDA device: resident data, bf16 and float32, resuming, models that load on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nrtune.trainables.core.files import BEST
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.inference import load_model
from nrtune.trainables.losses import LOSSES, Progress, Target
from nrtune.trainables.models.kernels.lstm import BidirectionalLSTM
from nrtune.trainables.models.kernels.proof import KERNELS, TORCH, TRITON, USED
from nrtune.trainables.models.kernels.spectral_conv import convolve
from nrtune.trainables.models.prediction import Prediction
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.opening import open_training
from nrtune.trainables.training.training_data import TrainingData

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
        {"encoder": "dream_rnn", "encoder.first_activation": "exp"},
        *({"encoder": name} for name in ENCODERS if name not in ("dream_rnn", "factorized")),
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
    predicted = load_model(tmp_path / BEST, device="cpu").predict(sequences, raw=True).mean
    assert predicted == pytest.approx(result.test["prediction"].to_numpy(), abs=1e-3)


def test_a_training_resumes_on_the_device(simulated_data: TrainingData, tmp_path):
    started = Training(config(), simulated_data, folder=tmp_path)
    started.run_epoch()
    resumed = open_training(config(), simulated_data, folder=tmp_path)
    assert resumed.epoch == 1
    assert np.isfinite(resumed.run_epoch().metrics["train/loss"])


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_in_an_epoch_waits_for_the_device(loss, simulated_data: TrainingData, monkeypatch):
    """Between the draw of its rows and its sums. What reads a tensor of the device, or waits for a copy, raises."""
    head = "dual" if LOSSES.get(loss).needs_log_variance else "point"
    asked = {
        "reverse_complement": True,
        "max_shift": 15,
        "mutation_rate": 0.05,
        "standardise": True,
        "decay_norms": False,
    }
    training = Training(config(loss=loss, head=head, ema=0.9, **asked), simulated_data)
    training.run_epoch()  # the first use of a kernel may wait
    step = training._step

    def watched(*arguments):
        torch.cuda.set_sync_debug_mode("error")
        try:
            training.average.update(1)
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


def off_by(found: torch.Tensor, exact: torch.Tensor) -> float:
    """The root mean square of the error over that of what is right."""
    found, exact = found.detach().double(), exact.detach()
    return float((found - exact).square().mean().sqrt() / exact.square().mean().sqrt())


def test_a_product_of_spectra_is_the_convolution():
    features = torch.randn(33, 230, 128, device="cuda", requires_grad=True)
    weight = torch.randn(64, 128, 15, device="cuda", requires_grad=True)
    gradient = torch.randn(33, 230, 64, device="cuda")
    exact = torch.nn.functional.conv1d(features.double().transpose(1, 2), weight.double(), padding=7).transpose(1, 2)
    found = convolve(features.bfloat16(), weight)
    assert off_by(found, exact) < 0.01
    for ours, right in zip(
        torch.autograd.grad(found, [features, weight], gradient.bfloat16()),
        torch.autograd.grad(exact, [features, weight], gradient.double()),
        strict=True,
    ):
        assert off_by(ours, right) < 0.01


@pytest.mark.filterwarnings("ignore:the kernel")
@pytest.mark.parametrize("kernels", KERNELS)
def test_kernels_prove_themselves_before_a_training(kernels, simulated_data: TrainingData):
    flat = {"encoder.channels": 128, "encoder.lstm_units": 64, "batch_size": 64}
    training = Training(config(precision="bf16", **flat), simulated_data, kernels=kernels)
    assert {*training.kernels} == (set() if kernels == TORCH else {"lstm", "spectral_convolution"})
    assert not any("off by" in verdict or "can't" in verdict for verdict in training.kernels.values())
    if kernels == TRITON:
        assert {*training.kernels.values()} == {USED}
    training.run_epoch()


@pytest.mark.parametrize(("n", "length", "units"), [(1, 2, 64), (19, 7, 320), (1024, 230, 320), (3000, 3, 320)])
def test_the_kernels_of_an_lstm_are_an_lstm(n, length, units):
    torch.manual_seed(0)
    lstm = BidirectionalLSTM(48, units).cuda()
    lstm.proven = True
    features = torch.randn(n, length, 48, device="cuda", requires_grad=True)
    inputs, gradient = [features, *lstm.parameters()], torch.randn(n, length, 2 * units, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        found = lstm(features)
    assert "nrtune" in found.grad_fn.name()
    of_found = torch.autograd.grad(found, inputs, gradient.to(found.dtype))
    exact = torch.nn.LSTM.forward(lstm.double(), features.double())[0]
    of_exact = torch.autograd.grad(exact, [features, *lstm.parameters()], gradient.double())
    assert off_by(found, exact) < 0.01
    for ours, right in zip(of_found, of_exact, strict=True):
        assert off_by(ours, right) < 0.02


@pytest.mark.filterwarnings("ignore")  # the compiler's, about torch's own parts
def test_a_compiled_training_is_the_training(simulated_data: TrainingData):
    """With the kernels, and the products of spectra, that a wide network is trained by."""
    flat = {"encoder.channels": 128, "encoder.lstm_units": 64, "encoder.conv_dropout": 0, "encoder.dropout": 0}
    losses = []
    for compiled in (False, True):
        training = Training(config(precision="bf16", compile=compiled, **flat), simulated_data)
        losses.append([training.run_epoch().metrics["train/loss"] for _ in range(2)])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
