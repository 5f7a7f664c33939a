"""Networks as their descriptions read, in plain modules on (n, channels, length): what the fast ones are held against."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from nrtune.trainables.encoders.dream_rnn import KERNELS, DreamRNN
from nrtune.trainables.models.prediction import Prediction


class Exponential(nn.Module):
    """e to the power of the input, or of 6 where that is less."""

    def forward(self, features: Tensor) -> Tensor:
        """Return numbers up to exp 6."""
        return torch.exp(torch.clamp(features, max=6.0))


class LiteralDreamRNN(nn.Module):
    """DREAM-RNN: a norm, a ReLU and a dropout a branch, a 1×1 convolution, a mean over positions; with a linear head."""

    def __init__(self, spec: DreamRNN, outputs: int) -> None:
        super().__init__()
        half = spec.channels // 2

        def branches(inputs: int, pool: int, activation: type[nn.Module]) -> nn.ModuleList:
            """A pool is behind a ReLU and its dropout, and ahead of the norm and an exponential."""
            pooled = nn.MaxPool1d(pool, ceil_mode=True)
            first, last = (pooled, nn.Identity()) if activation is Exponential else (nn.Identity(), pooled)
            return nn.ModuleList(
                nn.Sequential(OrderedDict(
                    conv=nn.Conv1d(inputs, half, kernel, padding="same"), ahead=first, norm=nn.BatchNorm1d(half),
                    activation=activation(), dropout=nn.Dropout(spec.conv_dropout), behind=last,
                ))
                for kernel in KERNELS
            )  # fmt: skip

        activation = Exponential if spec.first_activation == "exp" else nn.ReLU
        self.first, self.second = branches(4, spec.pool, activation), branches(2 * spec.lstm_units, 1, nn.ReLU)
        self.lstm = nn.LSTM(spec.channels, spec.lstm_units, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(spec.dropout)
        self.project = nn.Conv1d(spec.channels, spec.embedding, 1)
        self.head = nn.Linear(spec.embedding, outputs)

    def forward(self, one_hot: Tensor) -> Prediction:
        """Predict for (n, 4, length)."""
        features = torch.cat([branch(one_hot) for branch in self.first], dim=1)
        recurrent, _ = self.lstm(features.transpose(1, 2))
        recurrent = recurrent.transpose(1, 2)
        features = self.dropout(torch.cat([branch(recurrent) for branch in self.second], dim=1))
        embedding = self.project(features).mean(dim=2)
        found = self.head(embedding)
        return Prediction(found[:, 0], found[:, 1] if found.shape[1] > 1 else None, embedding, {})
