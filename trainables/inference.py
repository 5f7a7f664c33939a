"""A trained model, or an ensemble of several, for people: sequences as strings in, predictions out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.core.shape import EACH, DamagedFile, check_shape
from nrtune.trainables.data.adapters import Adapters
from nrtune.trainables.data.sequences import taken, to_tokens
from nrtune.trainables.evaluation.calibration import Calibration, why_unusable
from nrtune.trainables.evaluation.predictions import Predicted
from nrtune.trainables.evaluation.scoring import predict
from nrtune.trainables.models.model import Model
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.trained import ENSEMBLE, Trained, check_trained, trained_of

_ENSEMBLE_SHAPE = {
    "members": [dict],
    "about": {
        "campaign": str,
        "campaign_id": str,
        "use_case": str,
        "select_on": str,
        "what": str,
        "members": [{"name": str, "fingerprint": str, "seed": int}],
        "best_single_trial?": str,
        "metrics?": {EACH: {EACH: float}},
        "intervals?": str,
    },
}


class _OfSequences:
    """What predicts for sequences of `length` bases.

    adapters: what all training sequences shared at their ends; None for models of before that was kept.
    """

    length: int
    adapters: Adapters | None

    def predict(self, sequences: Sequence[str], *, raw: bool = False, both_strands: bool | None = None) -> Predicted:
        """Predict log2(RNA/DNA) for n sequences of `length` bases (ACGTN, either case).

        Inserts alone, shorter by both adapters that the model was trained with, are put between them. U is taken for T and the
        letters of IUPAC that stand for several bases for N, with a warning.

        Returned are `mean` (n,) and `log_variance` (n,), that of the noise, None for a point head. raw: the mean is the
        model's own output, on the scale that its loss gave it. both_strands: whether predictions are the mean of both strands';
        None: as those that the model was scored and calibrated by, which its configuration says. Of an ensemble: see
        `SequenceEnsemble`.

        Raises UserError for another length or letter and, unless raw, for a model without a calibration or with a falling
        one.
        """
        letters = [taken(sequence) for sequence in sequences]
        for count, what in (
            (sum(one.uracils > 0 for one in letters), "U, which was taken for T"),
            (sum(one.ambiguous > 0 for one in letters), "letters for several bases, which were taken for N"),
        ):
            if count:
                warnings.warn(f"{count} of {len(letters)} sequences have {what}", stacklevel=2)
        tokens = to_tokens([self._whole(one.text) for one in letters], "sequences")
        return self.predict_tokens(tokens.reshape(-1, self.length), raw=raw, both_strands=both_strands)

    def _whole(self, sequence: str) -> str:
        """A sequence of the model's length: as it is, or an insert between its adapters. Raises UserError."""
        if len(sequence) == self.length:
            return sequence
        missing = self.length - len(sequence)
        whole = self.adapters.around(sequence, self.length) if self.adapters and missing > 0 else None
        if whole is None:
            insert = self.adapters.insert(self.length) if self.adapters else self.length
            other = f", or give inserts of {insert}, which go between its adapters" if insert < self.length else ""
            raise UserError(
                f"sequences have {len(sequence)} bases and the model was trained on {self.length}; pad them with N{other}"
            )
        return whole

    def predict_tokens(
        self, tokens: NDArray[np.uint8], *, raw: bool = False, both_strands: bool | None = None
    ) -> Predicted:
        """Predict for tokens (n, length), otherwise as `predict`."""
        raise NotImplementedError

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


class SequenceModel(_OfSequences):
    """A trained model: `config`, `fingerprint`, the `length` and `adapters` of what it was trained on, the torch `model`.

    `calibration` is from the output of `model` to log2(RNA/DNA), None where its checkpoint has none; with slope 0, for a
    model that gave every validation sequence one value, all sequences are predicted alike and all effects are 0.
    """

    def __init__(
        self,
        config: TrialConfig,
        fingerprint: str,
        length: int,
        model: Model,
        calibration: Calibration | None,
        adapters: Adapters | None = None,
    ) -> None:
        self.config = config
        self.fingerprint = fingerprint
        self.length = length
        self.model = model
        self.calibration = calibration
        self.adapters = adapters

    def __repr__(self) -> str:
        scale = "not calibrated" if self.calibration is None else str(self.calibration)
        return f"SequenceModel({self.fingerprint}: {self.config.encoder.name()}, sequences of {self.length} bases, {scale})"

    @property
    def members(self) -> tuple[SequenceModel, ...]:
        """The networks that it is: this one."""
        return (self,)

    def predict_tokens(
        self, tokens: NDArray[np.uint8], *, raw: bool = False, both_strands: bool | None = None
    ) -> Predicted:
        """Predict for tokens (n, length), otherwise as `predict`."""
        calibration = None if raw else self._usable_calibration()
        device = next(self.model.parameters()).device
        strands = self.config.both_strands if both_strands is None else both_strands
        found = predict(self.model, torch.from_numpy(tokens).to(device), both_strands=strands)
        return found if calibration is None else found._replace(mean=calibration.apply(found.mean))

    def _usable_calibration(self) -> Calibration | None:
        if why := why_unusable(self.calibration):
            raise UserError(f"model {self.fingerprint}: {why}; raw=True gives its own output")
        return self.calibration


class SequenceEnsemble(_OfSequences):
    """Networks that predict as one: the mean of what its `members` predict, each calibrated to log2(RNA/DNA) first.

    log_variance: that of the mixture, by the law of total variance: the members' mean variance plus the variance of their
    calibrated means (Lakshminarayanan et al. 2017, arXiv:1612.01474); None unless all members have one. raw: the mean of the
    members' own outputs, whatever their scales; the log_variance is what it was. length: bases of a sequence. about: where the
    members come from, as `nrtune ensemble --save` wrote it.

    Raises UserError for fewer than two members, members of other lengths or adapters, and one without a calibration or with a
    falling one.
    """

    def __init__(self, members: Sequence[SequenceModel], about: Mapping[str, Any]) -> None:
        check_members([(member.fingerprint, member.length, member.calibration) for member in members])
        self.members, self.about, self.length = tuple(members), about, members[0].length
        self.adapters = common_adapters(members)

    def __repr__(self) -> str:
        names = ", ".join(member.fingerprint for member in self.members)
        return f"SequenceEnsemble({len(self.members)} networks: {names}; sequences of {self.length} bases)"

    def predict_tokens(
        self, tokens: NDArray[np.uint8], *, raw: bool = False, both_strands: bool | None = None
    ) -> Predicted:
        """Predict for tokens (n, length), otherwise as `predict`."""
        found = [member.predict_tokens(tokens, raw=raw, both_strands=both_strands) for member in self.members]
        mean: NDArray[np.float64] = np.mean([one.mean for one in found], axis=0, dtype=np.float64)
        log_variances = [one.log_variance for one in found if one.log_variance is not None]
        if len(log_variances) < len(found):
            return Predicted(mean, None)
        within = np.exp(np.array(log_variances, np.float64)).mean(axis=0)
        between = np.var([self._activity(number, one.mean, raw) for number, one in enumerate(found)], axis=0)
        return Predicted(mean, np.log(within + between).astype(np.float32))

    def _activity(self, number: int, mean: NDArray[np.floating], raw: bool) -> NDArray[np.floating]:
        """What a member predicts in log2(RNA/DNA)."""
        calibration = self.members[number].calibration
        assert calibration is not None  # check_members
        return calibration.apply(mean) if raw else mean


def load_model(path: str | os.PathLike[str], *, device: str = "cpu") -> SequenceModel | SequenceEnsemble:
    """Load the best.pt of a trial, or of the folder that holds it, or what `nrtune ensemble --save` wrote.

    Raises UserError for anything else.
    """
    path = Path(path)
    if path.is_dir():
        path = path / BEST
    content = checkpoint.load(path)
    if content.get("kind") == ENSEMBLE:
        try:
            check_shape(content, _ENSEMBLE_SHAPE)
            if len(content["members"]) != len(content["about"]["members"]):
                raise ValueError("members: are not those that it tells of")
        except ValueError as error:
            raise DamagedFile(f"{path}: is damaged ({error})") from error
        told = zip(content["members"], content["about"]["members"], strict=True)
        members = [_member(path, one, about, device) for one, about in told]
        return SequenceEnsemble(members, content["about"])
    return _model_of(check_trained(path, content), device)


def ensemble_content(paths: Mapping[str, Path], about: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of an ensemble holds, for `checkpoint`: the whole best.pt of each member, and where they come from.

    paths: of their checkpoints, by the members' names. about: texts, numbers, lists and mappings alone. Raises UserError for
    what is no best.pt, and as `SequenceEnsemble`.
    """
    contents = {name: checkpoint.load(path) for name, path in paths.items()}
    trained = {name: check_trained(path, contents[name]) for name, path in paths.items()}
    check_members([(name, one.length, one.calibration) for name, one in trained.items()])
    return {"kind": ENSEMBLE, "about": dict(about), "members": list(contents.values())}


def check_members(members: Sequence[tuple[str, int, Calibration | None]]) -> None:
    """Refuse what can't be averaged: names, lengths of sequences and calibrations. Raises UserError."""
    if len(members) < 2:
        raise UserError(f"an ensemble has two members or more, not {len(members)}")
    first, length, _ = members[0]
    for name, other, calibration in members:
        if other != length:
            raise UserError(
                f"{name} was trained on sequences of {other} bases and {first} on {length}: they make no ensemble"
            )
        if why := why_unusable(calibration):
            raise UserError(f"{name} can be no member of an ensemble: {why}")


def common_adapters(models: Sequence[SequenceModel]) -> Adapters | None:
    """The adapters that models were trained with; None where no checkpoint says it. Raises UserError where they differ."""
    known = {model.adapters: model.fingerprint for model in models if model.adapters is not None}
    if len(known) > 1:
        (first, one), (other, another) = list(known.items())[:2]
        raise UserError(
            f"{another} was trained with adapters {other} and {one} with {first}: no sequence can be shown to both"
        )
    return next(iter(known), None)


def _member(path: Path, content: Mapping[str, Any], about: Mapping[str, Any], device: str) -> SequenceModel:
    """A network of an ensemble's file. Raises UserError where it is not the one that the file tells of."""
    found = trained_of(content, f"{path}: {about['name']}")
    if found.fingerprint != about["fingerprint"]:
        raise DamagedFile(f"{path}: {about['name']}: is another trial ({found.fingerprint}) than it tells of")
    return _model_of(found, device)


def _model_of(found: Trained, device: str) -> SequenceModel:
    model = found.model().to(device)
    return SequenceModel(found.config, found.fingerprint, found.length, model, found.calibration, found.adapters)
