"""Kernels are used once they have proven right and fast: here where there is no GPU, by layers that claim to have one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nrtune.trainables.models.first_layer import MANY, ParallelConvolutions
from nrtune.trainables.models.kernels import proof
from nrtune.trainables.models.kernels.lstm import BidirectionalLSTM
from nrtune.trainables.models.kernels.proof import AUTO, KERNELS, TORCH, TRITON, USED, prove

TOKENS = torch.zeros(40, 24, dtype=torch.uint8)
LENGTH = TOKENS.shape[1]


CLOCK = [0.0]
"""What layers say that they take, whatever this machine does meanwhile."""


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was found before, and time passes where a layer says so."""
    monkeypatch.setattr(proof, "_found", {})
    monkeypatch.setattr(proof, "perf_counter", lambda: CLOCK[0])


class LSTM(BidirectionalLSTM):
    """One whose kernels are torch's steps on a CPU."""

    def applies(self, features: Tensor) -> bool:
        return True

    def by_torch(self, input: Tensor) -> Tensor:
        CLOCK[0] += 1
        return super().by_torch(input)

    def by_kernel(self, input: Tensor) -> Tensor:
        CLOCK[0] += 1
        return super().by_kernel(input)


class Convolutions(ParallelConvolutions):
    """One that takes products of spectra on a CPU too, in half the time."""

    def applies(self, features: Tensor) -> bool:
        return True

    def by_torch(self, features: Tensor) -> Tensor:
        CLOCK[0] += 2
        return super().by_torch(features.float())

    def by_kernel(self, features: Tensor) -> Tensor:
        CLOCK[0] += 1
        return super().by_kernel(features)


class Slow(Convolutions):
    def by_kernel(self, features: Tensor) -> Tensor:
        CLOCK[0] += 2
        return super().by_kernel(features)


class WrongOutput(Convolutions):
    def by_kernel(self, features: Tensor) -> Tensor:
        return 1.1 * super().by_kernel(features)


class WrongGradient(Convolutions):
    def by_kernel(self, features: Tensor) -> Tensor:
        return super().by_kernel(features + (features - features.detach()))


class Infinite(Convolutions):
    def by_kernel(self, features: Tensor) -> Tensor:
        return super().by_kernel(features) * float("nan")


class Broken(Convolutions):
    def by_kernel(self, features: Tensor) -> Tensor:
        raise RuntimeError("no compiler\nwas found")


class Network(nn.Module):
    """Tokens to features, and a layer."""

    def __init__(self, layer: nn.Module, channels: int = MANY) -> None:
        super().__init__()
        self.channels, self.layer = channels, layer
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        features = tokens[:, :, None].float().expand(-1, -1, self.channels)
        return self.layer(self.dropout(features))


def convolutions(kind: type[ParallelConvolutions]) -> ParallelConvolutions:
    return kind(MANY, 16, (5, 3))


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_kernel_that_is_right_is_used_where_it_is_faster_or_asked_for(kernels: str):
    layer = convolutions(Convolutions)
    assert prove(Network(layer), TOKENS, kernels) == ({} if kernels == TORCH else {"spectral_convolution": USED})
    assert layer.proven == (kernels != TORCH)


def test_the_kernels_of_both_kinds_of_layers_are_right_on_a_cpu():
    torch.manual_seed(0)
    network = nn.Sequential(Network(convolutions(Convolutions)), LSTM(16, 64))
    assert prove(network, TOKENS, TRITON) == {"spectral_convolution": USED, "lstm": USED}
    assert 0 < max(found.error for found in proof._found.values()) < proof.ALLOWED


@pytest.mark.parametrize(
    ("kind", "kernels", "why"),
    [
        (Slow, AUTO, "0.67 times as fast as PyTorch's own"),
        (WrongOutput, AUTO, "off by 0.1 of what PyTorch gives"),
        (WrongOutput, TRITON, "off by 0.1 of what PyTorch gives"),
        (WrongGradient, TRITON, "off by 1 of what PyTorch gives"),
        (Infinite, TRITON, "off by nan of what PyTorch gives"),
        (Broken, TRITON, r"it can't be run \(no compiler\)"),
    ],
)
def test_another_is_not_and_that_is_said(kind, kernels: str, why: str):
    layer = convolutions(kind)
    with pytest.warns(UserWarning, match=f"the kernel spectral_convolution is not used: .*{why}"):
        said = prove(Network(layer), TOKENS, kernels)
    assert not layer.proven
    assert why.replace("\\", "") in said["spectral_convolution"]


def test_a_comparison_is_made_once(monkeypatch: pytest.MonkeyPatch):
    prove(Network(convolutions(Convolutions)), TOKENS)
    monkeypatch.setattr(proof, "_compared", lambda *_: pytest.fail("compared again"))
    again = convolutions(Convolutions)
    assert prove(Network(again), TOKENS) == {"spectral_convolution": USED}
    assert again.proven


def test_a_comparison_changes_nothing():
    network = Network(nn.Sequential(convolutions(Convolutions), nn.BatchNorm1d(LENGTH)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.random.get_rng_state()
    prove(network, TOKENS)
    assert network.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_layers_have_no_kernel_on_a_cpu():
    layer = convolutions(ParallelConvolutions)
    assert prove(nn.Sequential(Network(layer), BidirectionalLSTM(16, 64)), TOKENS, TRITON) == {}
    assert not layer.proven
