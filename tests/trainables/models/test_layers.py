"""The fast layers and DREAM-RNN against torch's own layers, composed as the descriptions read."""

from __future__ import annotations

import math

import pytest
import torch
from literal_networks import LiteralDreamRNN
from torch import nn
from torch.nn.functional import conv1d, max_pool1d

from nrtune.trainables.encoders.dream_rnn import DreamRNN
from nrtune.trainables.encoders.dream_rnn import _ConvPair as ConvPair
from nrtune.trainables.models.first_layer import FEW, MANY
from nrtune.trainables.models.kernels.lstm import BidirectionalLSTM
from nrtune.trainables.models.kernels.spectral_conv import convolve
from nrtune.trainables.models.layers import (
    BatchNorm,
    ChannelDropout,
    Convolution,
    Dropout,
    LimitedExp,
    MaxPool,
    ReluDropoutPool,
)

N, LENGTH, CHANNELS = 7, 61, 6
"""61 positions: the last window of 4 has one, of 7 five."""


def normal(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64)


def alike(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def same(mine: nn.Module, theirs: nn.Module, features: torch.Tensor) -> None:
    """Outputs, gradients of input and parameters, and buffers are alike on (n, length, c)."""
    mine.load_state_dict(theirs.state_dict())
    ours, plain = (features.clone().requires_grad_() for _ in range(2))
    found, expected = mine(ours), theirs(plain.transpose(1, 2)).transpose(1, 2)
    alike(found, expected)
    weights = normal(*found.shape)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    alike(ours.grad, plain.grad)
    for parameter, literal in zip(mine.parameters(), theirs.parameters(), strict=True):
        alike(parameter.grad, literal.grad)
    for buffer, literal in zip(mine.buffers(), theirs.buffers(), strict=True):
        alike(buffer, literal)


@pytest.mark.parametrize(("kernel", "padding", "dilation"), [(9, 4, 1), (8, 3, 1), (5, 4, 2), (1, 0, 1)])
def test_a_convolution_is_torchs_own(kernel, padding, dilation):
    made = [of(CHANNELS, 4, kernel, padding=padding, dilation=dilation).double() for of in (Convolution, nn.Conv1d)]
    same(*made, normal(N, LENGTH, CHANNELS))


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_norm_is_torchs_own(training):
    made = [of(CHANNELS).double().train(training) for of in (BatchNorm, nn.BatchNorm1d)]
    same(*made, normal(N, LENGTH, CHANNELS) * 3 + 1)


def test_a_batch_norms_statistics_are_right_in_float32():
    """Over as many positions as a large batch has."""
    features = (normal(1024, 230, 2) + torch.tensor([0.0, 5.0])).float()
    norm = BatchNorm(2, momentum=1)
    norm(features)
    torch.testing.assert_close(norm.running_mean.double(), features.double().mean(dim=(0, 1)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.running_var.double(), features.double().var(dim=(0, 1)), rtol=1e-4, atol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pool", [1, 4, 7, 100])
def test_without_dropout_it_is_relu_and_max_pool(pool, training):
    layer = ReluDropoutPool(0.0, pool).train(training)
    same(layer, nn.Sequential(nn.ReLU(), nn.MaxPool1d(pool, ceil_mode=True)), normal(N, LENGTH, CHANNELS))


@pytest.mark.parametrize("pool", [1, 3])
@pytest.mark.parametrize("probability", [0.2, 0.6])
def test_dropout_acts_before_the_pool(pool, probability):
    features = normal(N, 60, CHANNELS)
    torch.manual_seed(1)
    scaled = ReluDropoutPool(probability)(torch.ones_like(features))
    ours, plain = (features.clone().requires_grad_() for _ in range(2))
    torch.manual_seed(1)
    found = ReluDropoutPool(probability, pool)(ours)
    expected = max_pool1d((torch.relu(plain) * scaled).transpose(1, 2), pool).transpose(1, 2)
    alike(found, expected)
    weights = normal(*found.shape)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    alike(ours.grad, plain.grad)


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.68, 0.9975])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("of", [ReluDropoutPool, Dropout])
def test_each_element_is_kept_by_chance_of_its_own(of, probability, dtype):
    torch.manual_seed(0)
    ones = torch.ones(100, 61, 33, dtype=dtype)
    layer = of(probability)
    first, second = (layer(ones).double() for _ in range(2))
    for drawn in (first, second):
        assert drawn[drawn > 0].unique().tolist() == [pytest.approx(1 / (1 - probability), rel=1e-2)]
        error = 5 * (probability * (1 - probability) / ones.numel()) ** 0.5 + 1e-5
        assert (drawn > 0).double().mean().item() == pytest.approx(1 - probability, abs=error)
    kept = first.flatten() > 0
    share = (1 - probability) ** 2
    error = 5 * (share * (1 - share) / ones.numel()) ** 0.5 + 1e-4
    for shift in (1, 2, 4, 33):
        both = (kept[:-shift] & kept[shift:]).double().mean().item()
        assert both == pytest.approx(share, abs=error)
    again = (kept & (second.flatten() > 0)).double().mean().item()
    assert again == pytest.approx(share, abs=error)


def test_nothing_is_dropped_in_evaluation():
    features = normal(N, LENGTH, CHANNELS)
    alike(ReluDropoutPool(0.5).eval()(features), torch.relu(features))
    assert Dropout(0.5).eval()(features).equal(features)
    assert ChannelDropout(0.5).eval()(features).equal(features)


def test_a_dropout_scales_what_is_left_and_its_gradient():
    features = normal(N, LENGTH, CHANNELS).requires_grad_()
    for layer in (Dropout(0.3), ChannelDropout(0.3)):
        found = layer(features)
        factor = (found / features).detach()
        kept = factor != 0
        torch.testing.assert_close(factor[kept], torch.full_like(factor[kept], 1 / 0.7), rtol=1e-4, atol=0)
        (gradient,) = torch.autograd.grad(found.sum(), features)
        alike(gradient, factor)


def test_whole_channels_are_dropped_by_chance():
    torch.manual_seed(0)
    kept = ChannelDropout(0.3)(torch.ones(2000, 5, 7)) > 0
    assert (kept.all(dim=1) == kept.any(dim=1)).all()
    share = kept[:, 0].double()
    error = 5 * (0.3 * 0.7 / share.numel()) ** 0.5
    assert share.mean().item() == pytest.approx(0.7, abs=error)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pool", [1, 4, 7, 100])
def test_a_max_pool_is_torchs_own(pool, training):
    layer = MaxPool(pool).train(training)
    same(layer, nn.MaxPool1d(pool, ceil_mode=True), normal(N, LENGTH, CHANNELS) - 3)


def test_a_max_pool_shares_the_gradient_of_equally_large_positions():
    features = torch.tensor([[[-2.0], [-2.0], [-3.0], [1.0]]], requires_grad=True)
    for training in (True, False):
        (gradient,) = torch.autograd.grad(MaxPool(3).train(training)(features).sum(), features)
        assert gradient.flatten().tolist() == [0.5, 0.5, 0, 1]


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_a_grouped_convolution_is_torchs_own(groups):
    made = [of(CHANNELS, 12, 5, padding=2, groups=groups).double() for of in (Convolution, nn.Conv1d)]
    same(*made, normal(N, LENGTH, CHANNELS))


def test_one_position_is_normalised_as_in_evaluation():
    norm = BatchNorm(CHANNELS).double()
    norm(normal(N, LENGTH, CHANNELS) + 1)
    one = normal(1, 1, CHANNELS)
    alike(norm.train()(one), norm.eval()(one))


def test_an_exponential_is_clamped_above():
    features = torch.tensor([-200.0, 0.0, 1.0, 7.0, 1e30], requires_grad=True)
    found = LimitedExp()(features)
    assert found.tolist() == pytest.approx([0, 1, math.e, math.exp(6), math.exp(6)])
    (gradient,) = torch.autograd.grad(found.sum(), features)
    assert gradient.tolist() == pytest.approx([0, 1, math.e, 0, 0])


def test_the_gradient_of_equally_large_positions_is_shared():
    features = torch.tensor([[[2.0], [2.0], [1.0], [-1.0], [-1.0], [-1.0]]], requires_grad=True)
    for training in (True, False):
        (gradient,) = torch.autograd.grad(ReluDropoutPool(0.0, 3).train(training)(features).sum(), features)
        assert gradient.flatten().tolist() == [0.5, 0.5, 0, 0, 0, 0]


def copy_weights(mine: nn.Module, literal: LiteralDreamRNN) -> None:
    """From the literal encoder: its two norms a pair are one here, its 1×1 convolution a linear layer."""
    state = {}
    for pair in ("first", "second"):
        branches = getattr(literal, pair)
        for i, branch in enumerate(branches):
            state |= {f"{pair}.convs.{i}.{name}": value for name, value in branch.conv.state_dict().items()}
        first, second = (branch.norm.state_dict() for branch in branches)
        for name, value in first.items():
            state[f"{pair}.norm.{name}"] = torch.cat([value, second[name]]) if value.ndim else value
    state |= {f"lstm.{name}": value for name, value in literal.lstm.state_dict().items()}
    state |= {"project.weight": literal.project.weight.squeeze(2), "project.bias": literal.project.bias}
    mine.load_state_dict(state)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pool", [1, 4])
@pytest.mark.parametrize("activation", ["relu", "exp"])
def test_dream_rnn_is_its_description(activation, pool, training):
    """In training without dropout; in evaluation, where the norms' running statistics are used, with it."""
    chance = 0.0 if training else 0.3
    sizes = {"channels": 8, "lstm_units": 4, "pool": pool, "embedding": 5}
    spec = DreamRNN(**sizes, conv_dropout=chance, dropout=chance, first_activation=activation)
    literal = LiteralDreamRNN(spec, 1).double()
    literal(normal(N, 4, LENGTH))  # moves the running statistics away from 0 and 1
    mine = spec.module().double()
    copy_weights(mine, literal)
    one_hot = nn.functional.one_hot(torch.randint(0, 4, (N, LENGTH)), 4).transpose(1, 2).double()
    found = mine.train(training)(one_hot).embedding
    expected = literal.train(training)(one_hot).embedding
    alike(found, expected)
    weights = normal(*found.shape)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for i in range(2):
        alike(mine.first.convs[i].weight.grad, literal.first[i][0].weight.grad)
        alike(mine.second.convs[i].weight.grad, literal.second[i][0].weight.grad)
    for name, parameter in literal.lstm.named_parameters():
        alike(getattr(mine.lstm, name).grad, parameter.grad)


def test_the_two_dropouts_behind_the_second_pair_are_one():
    mine = DreamRNN(channels=4, lstm_units=2, conv_dropout=0.2, dropout=0.5).module()
    assert mine.second.rest.dropout == pytest.approx(1 - 0.8 * 0.5)


def gradients(found: torch.Tensor, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad((found * normal(*found.shape).to(found.dtype)).sum(), inputs)


@pytest.mark.parametrize(
    ("n", "length", "channels", "outputs", "taps"),
    [(3, 57, 10, 6, 15), (1, 57, 10, 6, 15), (5, 64, 4, 6, 9), (4, 230, 8, 4, 15), (3, 5, 4, 2, 15), (2, 3, 1, 1, 1)],
)
def test_a_product_of_spectra_is_the_convolution(n, length, channels, outputs, taps):
    features, weight = normal(n, length, channels).requires_grad_(), normal(outputs, channels, taps).requires_grad_()
    found = convolve(features, weight)
    exact = conv1d(features.transpose(1, 2), weight, padding=taps // 2).transpose(1, 2)
    alike(found, exact)
    for ours, right in zip(gradients(found, [features, weight]), gradients(exact, [features, weight]), strict=True):
        alike(ours, right)


@pytest.mark.parametrize("channels", [4, FEW + 1, MANY])
def test_two_convolutions_are_done_as_one(channels):
    pair, features = ConvPair(channels, 6, dropout=0.0).double(), normal(3, 31, channels).requires_grad_()
    one, two = pair.by_kernel(features), pair.by_torch(features)
    alike(one, two)
    inputs = [features, *pair.convs.parameters()]
    for ours, right in zip(gradients(one, inputs), gradients(two, inputs), strict=True):
        alike(ours, right)


def test_a_sequence_in_a_longer_row_is_convolved_alone():
    """What lies behind it, or between it and the next, doesn't count."""
    rows, weight = normal(3, 70, 4), normal(2, 4, 9)
    alike(convolve(rows[:, 5:66], weight), convolve(rows[:, 5:66].contiguous(), weight))


@pytest.mark.parametrize(("n", "length", "units"), [(1, 1, 8), (5, 1, 8), (1, 7, 8), (19, 5, 12)])
def test_an_lstm_by_steps_is_torchs_own(n, length, units):
    torch.manual_seed(0)
    lstm = BidirectionalLSTM(6, units)
    features = normal(n, length, 6).float().requires_grad_()
    found, exact = lstm.by_steps(features, torch.float32), nn.LSTM.forward(lstm, features)[0]
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-6)
    inputs = [features, *lstm.parameters()]
    for ours, right in zip(gradients(found, inputs), gradients(exact, inputs), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)


@pytest.mark.end_to_end
def test_the_operators_say_what_they_return():
    """To torch.compile, which lays out memory by it."""
    torch.library.opcheck(
        torch.ops.nrtune.spectral_convolution.default,
        (normal(3, 57, 10).requires_grad_(), normal(10, 16, 6).requires_grad_(), 15),
    )
    lstm = (normal(3, 5, 6), normal(8 * 4, 6), normal(2, 16, 4), normal(32))
    torch.library.opcheck(
        torch.ops.nrtune.bidirectional_lstm.default, tuple(values.float().requires_grad_() for values in lstm)
    )
