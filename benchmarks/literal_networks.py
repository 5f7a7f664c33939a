"""Networks as their descriptions read, in plain modules on (n, channels, length): what the fast ones are held against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nrtune.trainables.encoders.dream_rnn import KERNELS, DreamRNN
from nrtune.trainables.models.prediction import Prediction


class LiteralDreamRNN(nn.Module):
    """DREAM-RNN: a norm, a ReLU and a dropout a branch, a 1×1 convolution, a mean over positions; with a linear head."""

    def __init__(self, spec: DreamRNN, outputs: int) -> None:
        super().__init__()
        half = spec.channels // 2

        def branches(inputs: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(nn.Conv1d(inputs, half, kernel, padding="same"), nn.BatchNorm1d(half), nn.ReLU(),
                              nn.Dropout(spec.conv_dropout))
                for kernel in KERNELS
            )  # fmt: skip

        self.first, self.second = branches(4), branches(2 * spec.lstm_units)
        self.pool = nn.MaxPool1d(spec.pool, ceil_mode=True)
        self.lstm = nn.LSTM(spec.channels, spec.lstm_units, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(spec.dropout)
        self.project = nn.Conv1d(spec.channels, spec.embedding, 1)
        self.head = nn.Linear(spec.embedding, outputs)

    def forward(self, one_hot: Tensor) -> Prediction:
        """Predict for (n, 4, length)."""
        features = self.pool(torch.cat([branch(one_hot) for branch in self.first], dim=1))
        recurrent, _ = self.lstm(features.transpose(1, 2))
        recurrent = recurrent.transpose(1, 2)
        features = self.dropout(torch.cat([branch(recurrent) for branch in self.second], dim=1))
        embedding = self.project(features).mean(dim=2)
        found = self.head(embedding)
        return Prediction(found[:, 0], found[:, 1] if found.shape[1] > 1 else None, embedding, {})
