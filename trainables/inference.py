"""A trained model for people: sequences as strings in, predictions out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.sequences import to_tokens
from nrtune.trainables.evaluation.predictions import Predicted
from nrtune.trainables.evaluation.scoring import predict
from nrtune.trainables.models.model import Model
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig


class SequenceModel:
    """A trained model: `config`, `fingerprint`, the `length` of the sequences it was trained on, the torch `model`."""

    def __init__(self, config: TrialConfig, fingerprint: str, length: int, model: Model) -> None:
        self.config = config
        self.fingerprint = fingerprint
        self.length = length
        self.model = model

    def __repr__(self) -> str:
        return f"SequenceModel({self.fingerprint}: {self.config.encoder.name()}, sequences of {self.length} bases)"

    def predict(self, sequences: Sequence[str]) -> Predicted:
        """Predict log2(RNA/DNA) for n sequences of `length` bases (ACGTN, either case).

        Returned are `mean` (n,) and `log_variance` (n,), that of the noise, None for a point head. Raises UserError for
        another length or letter.
        """
        tokens = to_tokens(sequences, "sequences")
        if len(tokens) and tokens.shape[1] != self.length:
            raise UserError(
                f"sequences have {tokens.shape[1]} bases and the model was trained on {self.length}; pad them with N"
            )
        if not len(tokens):
            return Predicted(np.empty(0, np.float32), None)
        device = next(self.model.parameters()).device
        return predict(self.model, torch.from_numpy(tokens).to(device))

    def variant_effect(self, ref: Sequence[str], alt: Sequence[str]) -> NDArray[np.float32]:
        """Return prediction(alt) − prediction(ref) (n,), log2, for n pairs of sequences. Raises UserError as `predict`."""
        if len(ref) != len(alt):
            raise UserError(f"there are {len(ref)} ref and {len(alt)} alt sequences; give one of each a variant")
        effect: NDArray[np.float32] = self.predict(alt).mean - self.predict(ref).mean
        return effect


def load_model(path: str | os.PathLike[str], *, device: str = "cpu") -> SequenceModel:
    """Load the best.pt of a trial, or of the folder that holds it. Raises UserError for anything else."""
    path = Path(path)
    if path.is_dir():
        path = path / BEST
    content = checkpoint.load(path, device)
    if "state" not in content:
        raise UserError(f"{path}: is a training checkpoint, not a trained model; load best.pt")
    config = TrialConfig.from_flat(content["config"])
    model = config.build_model().to(device)
    model.load_state_dict(content["state"])
    model.eval()
    return SequenceModel(config, content["fingerprint"], content["length"], model)
