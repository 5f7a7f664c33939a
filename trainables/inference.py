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
from nrtune.trainables.evaluation.calibration import Calibration, why_unusable
from nrtune.trainables.evaluation.predictions import Predicted
from nrtune.trainables.evaluation.scoring import predict
from nrtune.trainables.models.model import Model
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig


class SequenceModel:
    """A trained model: `config`, `fingerprint`, the `length` of the sequences it was trained on, the torch `model`.

    `calibration` is from the output of `model` to log2(RNA/DNA), None where its checkpoint has none; with slope 0, for a
    model that gave every validation sequence one value, all sequences are predicted alike and all effects are 0.
    """

    def __init__(
        self, config: TrialConfig, fingerprint: str, length: int, model: Model, calibration: Calibration | None
    ) -> None:
        self.config = config
        self.fingerprint = fingerprint
        self.length = length
        self.model = model
        self.calibration = calibration

    def __repr__(self) -> str:
        scale = "not calibrated" if self.calibration is None else str(self.calibration)
        return f"SequenceModel({self.fingerprint}: {self.config.encoder.name()}, sequences of {self.length} bases, {scale})"

    def predict(self, sequences: Sequence[str], *, raw: bool = False, both_strands: bool | None = None) -> Predicted:
        """Predict log2(RNA/DNA) for n sequences of `length` bases (ACGTN, either case).

        Returned are `mean` (n,) and `log_variance` (n,), that of the noise, None for a point head. raw: the mean is the
        model's own output, on the scale that its loss gave it. both_strands: whether predictions are the mean of both strands';
        None: as those that the model was scored and calibrated by, which its configuration says.

        Raises UserError for another length or letter and, unless raw, for a model without a calibration or with a falling
        one.
        """
        tokens = to_tokens(sequences, "sequences")
        if len(tokens) and tokens.shape[1] != self.length:
            raise UserError(
                f"sequences have {tokens.shape[1]} bases and the model was trained on {self.length}; pad them with N"
            )
        return self.predict_tokens(tokens.reshape(-1, self.length), raw=raw, both_strands=both_strands)

    def predict_tokens(
        self, tokens: NDArray[np.uint8], *, raw: bool = False, both_strands: bool | None = None
    ) -> Predicted:
        """Predict for tokens (n, length), otherwise as `predict`."""
        calibration = None if raw else self._usable_calibration()
        device = next(self.model.parameters()).device
        strands = self.config.both_strands if both_strands is None else both_strands
        found = predict(self.model, torch.from_numpy(tokens).to(device), both_strands=strands)
        return found if calibration is None else found._replace(mean=calibration.apply(found.mean))

    def variant_effect(
        self, ref: Sequence[str], alt: Sequence[str], *, raw: bool = False, both_strands: bool | None = None
    ) -> NDArray[np.floating]:
        """Return prediction(alt) − prediction(ref) (n,), log2, for n pairs of sequences.

        raw: the difference of the model's own outputs. both_strands, and what raises UserError: as in `predict`.
        """
        if len(ref) != len(alt):
            raise UserError(f"there are {len(ref)} ref and {len(alt)} alt sequences; give one of each a variant")
        of_alt, of_ref = (self.predict(of, raw=raw, both_strands=both_strands).mean for of in (alt, ref))
        effect: NDArray[np.floating] = of_alt - of_ref
        return effect

    def _usable_calibration(self) -> Calibration | None:
        if why := why_unusable(self.calibration):
            raise UserError(f"model {self.fingerprint}: {why}; raw=True gives its own output")
        return self.calibration


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
    calibration = (
        Calibration(**content["calibration"]) if "calibration" in content else None
    )  # in older files there is none
    return SequenceModel(config, content["fingerprint"], content["length"], model, calibration)
