"""The models behind a campaign's answer, as one: a use case's winner with its replicates, the best few trials, or a file's."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit

from nrtune.analysis.selection.use_cases import USE_CASES, UseCase
from nrtune.analysis.selection.winners import finalists
from nrtune.analysis.sources.open import open_folder
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.wording import not_kept
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.files import BEST
from nrtune.trainables.core.given import check_file, list_files
from nrtune.trainables.data.adapters import Adapters
from nrtune.trainables.evaluation.calibration import why_unusable
from nrtune.trainables.inference import SequenceModel, common_adapters, load_model

LEVEL = 0.95
NOT_OF_PREDICTIONS = ("metrics", "against_non_neural", "intervals")
"""What an ensemble's file tells of itself that its predictions need not repeat."""


class Means(NamedTuple):
    """A mean over models with the ends of its interval, (n,) each; NaN where one model alone says nothing of its spread."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictor:
    """One model or several: `trials` names them, `what` says in words how they were chosen, `length` bases are shown them.

    both_strands: whether a prediction is the mean of a sequence's and its reverse complement's; None: as each model was
    scored. raw: predictions are the models' own output, not log2(RNA/DNA). ensemble: where its members come from, as their file
    says; empty for what is of no such file.
    """

    campaign: str
    what: str
    trials: tuple[str, ...]
    models: tuple[SequenceModel, ...]
    both_strands: bool | None = None
    raw: bool = False
    ensemble: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def length(self) -> int:
        """Bases of a sequence."""
        return self.models[0].length

    @property
    def adapters(self) -> Adapters | None:
        """What all training sequences shared at their ends; None for models of before that was kept."""
        return common_adapters(self.models)

    @property
    def scale(self) -> str:
        """What the predictions are, in words."""
        return "raw model output" if self.raw else "log2(RNA/DNA)"

    @property
    def on_both_strands(self) -> tuple[bool, ...]:
        """Of each model whether its predictions are means of both strands'."""
        asked = self.both_strands
        return tuple(model.config.both_strands if asked is None else asked for model in self.models)

    @property
    def strands(self) -> str:
        """What the predictions are of, in words: one strand, both, or of how many models both."""
        both = sum(self.on_both_strands)
        if 0 < both < len(self.models):
            return f"both strands with {both} of {len(self.models)} models"
        return "both strands" if both else "one strand"

    @property
    def about(self) -> dict[str, Any]:
        """Where the predictions come from, for the files that hold them.

        both_strands and calibrations, (slope, intercept), have one entry a model.
        """
        return {"campaign": self.campaign, "what": self.what, "trials": self.trials, "level": LEVEL,
                "both_strands": self.on_both_strands, "scale": self.scale,
                "calibrations": [model.calibration for model in self.models],
                "version": importlib.metadata.version("nrtune"),
                **({"ensemble": self.ensemble} if self.ensemble else {})}  # fmt: skip

    @property
    def constant(self) -> tuple[str, ...]:
        """The trials that predict one activity for every sequence, whatever their own output is."""
        slopes = (None if model.calibration is None else model.calibration.slope for model in self.models)
        return () if self.raw else tuple(trial for trial, slope in zip(self.trials, slopes, strict=True) if slope == 0)

    def predict(self, tokens: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Predictions of each model, (models, n), for tokens (n, length)."""
        found = [model.predict_tokens(tokens, raw=self.raw, both_strands=self.both_strands) for model in self.models]
        means = [predicted.mean for predicted in found]
        return np.stack(means).astype(np.float64)


def means_of(values: NDArray[np.float64]) -> Means:
    """Means over models of values (models, n), with Student's t interval: how far other trainings could have been off.

    It holds the spread between trainings alone, not the error that they share.
    """
    count, mean = len(values), values.mean(axis=0)
    if count < 2:
        return Means(mean, np.full(len(mean), np.nan), np.full(len(mean), np.nan))
    half = stdtrit(count - 1, (1 + LEVEL) / 2) * values.std(axis=0, ddof=1) / np.sqrt(count)
    return Means(mean, mean - half, mean + half)


def predictor_of(
    source: Path,
    use_case: str | None = None,
    *,
    trial: str | None = None,
    ensemble: int | None = None,
    select_on: str | None = None,
    use_cases: Mapping[str, UseCase] = USE_CASES,
    both_strands: bool | None = None,
    raw: bool = False,
    device: str | None = None,
) -> Predictor:
    """The models of a campaign's folder that answer a use case, `overall` unless named, or those of a file.

    Its winner, as `nrtune best` names it: the mean of the trainings that its values there are means over. Each model is
    calibrated to log2(RNA/DNA), then they are averaged. trial: that trial's own training instead; ensemble: the mean of so
    many of the best trials instead; both_strands, raw: as in `Predictor`. device: a torch device, by default a GPU if there
    is one. A file is one of `nrtune ensemble --save`, or a trial's best.pt, and nothing is left to choose.

    Raises UserError where there is no winner, no such trial, or no checkpoint and, unless raw, for a model without a
    calibration or with a falling one.
    """
    if device not in (None, "cpu", "cuda"):
        raise UserError(f"--device {device}: is neither cpu nor cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no GPU is to be had here; leave it out, or give cpu")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    _check_source(source)
    if source.is_file():
        own = None if use_cases is USE_CASES else use_cases
        options = {"--use-case": use_case, "--trial": trial, "--ensemble": ensemble, "--select-on": select_on,
                   "--use-cases": own}  # fmt: skip
        if chosen := next((name for name, value in options.items() if value is not None), None):
            raise UserError(f"{source}: is one model; {chosen} chooses from a campaign's folder, leave it out")
        found = _of_file(source, device)
    else:
        found = _of_folder(source, use_case or "overall", trial, ensemble, select_on, use_cases, device)
    elsewhere = "" if source.is_file() else ", --trial takes another"
    for name, model in zip(found.trials, found.models, strict=True):
        if not raw and (why := why_unusable(model.calibration)):
            raise UserError(f"{name}: {why}; --raw gives its own output{elsewhere}")
    return dataclasses.replace(found, both_strands=both_strands, raw=raw)


def _check_source(source: Path) -> None:
    """Raise UserError for what is there and can't be read; what is not there is said where it is opened."""
    what = "a campaign's folder, or the file of an ensemble or a trial's best.pt"
    if os.path.isdir(source):
        list_files(source, what)
        return
    try:
        os.lstat(source)
    except FileNotFoundError:
        return
    except OSError:
        pass
    check_file(source, what)


def _of_file(path: Path, device: str) -> Predictor:
    model = load_model(path, device=device)
    if isinstance(model, SequenceModel):
        names, campaign, what, about = [model.fingerprint], "", f"checkpoint {path.name}", {}
    else:
        about = {key: value for key, value in model.about.items() if key not in NOT_OF_PREDICTIONS}
        campaign = about["campaign"]
        names, what = [member["name"] for member in about["members"]], f"{path.name}, {about['what']}"
    return Predictor(campaign=campaign, what=what, trials=tuple(names), models=model.members, ensemble=about)


def _of_folder(
    folder: Path,
    use_case: str,
    trial: str | None,
    ensemble: int | None,
    select_on: str | None,
    use_cases: Mapping[str, UseCase],
    device: str,
) -> Predictor:
    campaign = open_folder(folder)
    chosen_on = select_on or campaign.select_on
    if trial is not None:
        names, what = [trial], f"trial {trial}"
    elif ensemble is not None:
        names = finalists(campaign.trials(), use_case, chosen_on, ensemble, use_cases)
        what = f"mean of the {len(names)} best trials for {use_case}"
    else:
        winner = Comparisons(campaign, select_on=select_on, use_cases=use_cases).find(use_case).winner
        names, what = list(winner.trainings), f"winner for {use_case}"
        if len(names) > 1:
            what += f" ({winner.trial}), mean of its {len(names)} trainings"
    models = [load_model(path, device=device) for path in checkpoints_of(campaign, names).values()]
    networks = tuple(network for model in models for network in model.members)
    return Predictor(campaign=campaign.name, what=what, trials=tuple(names), models=networks)


def checkpoints_of(campaign: CampaignFolder, names: Sequence[str]) -> dict[str, Path]:
    """The best.pt of trials, by their names. Raises UserError for an unknown trial, and where some were not kept."""
    fingerprints = {
        name: record.fingerprint for record in campaign.records() for name in (record.name, *record.aliases)
    }
    found = {}
    for name in names:
        if name not in fingerprints:
            raise UserError(f"{campaign.folder}: has no trial {name}{suggest(name, fingerprints, '')}")
        if (path := campaign.file(fingerprints[name], BEST)) is not None:
            found[name] = path
    if lost := {name: fingerprints[name] for name in names if name not in found}:
        raise UserError(not_kept(campaign.folder, lost))
    return found
