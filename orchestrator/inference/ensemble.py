"""An ensemble as one file, a model like a trial's checkpoint: which networks it holds, and what is known of it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.selection.configurations import SEED
from nrtune.analysis.sources.trials import CampaignFolder, Trials
from nrtune.analysis.uncertainty.ensemble import COVERS, Ensemble, EnsembleComparison
from nrtune.orchestrator.inference.predictor import checkpoints_of
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.inference import ensemble_content
from nrtune.trainables.training import checkpoint

SUFFIX = ".pt"


def check_place(path: Path, source: Trials, select_on: str | None) -> CampaignFolder:
    """See that an ensemble of a source's trials can be written to `path`, whoever its members are. Raises UserError."""
    if not isinstance(source, CampaignFolder):
        raise UserError(f"{source.name}: give the campaign's folder, which has its checkpoints")
    if (select_on or source.select_on) == "challenge":
        raise UserError(
            f"--save {path}: members that are chosen by the CAGI5 challenge would be measured on what they were chosen by;"
            " give --select-on release or val"
        )
    if path.is_dir():
        raise UserError(f"--save {path}: is a folder; give a file's name that ends in {SUFFIX}")
    if path.suffix != SUFFIX:
        raise UserError(f"--save {path}: give a name that ends in {SUFFIX}")
    for there in (path, about_path(path)):
        if there.exists():
            raise UserError(f"--save {path}: {there} exists already; give another name")
    return source


def about_path(path: Path) -> Path:
    """The text beside an ensemble's file, of where it comes from and how good it is."""
    return path.with_suffix(".json")


def save_ensemble(comparison: EnsembleComparison, source: Trials, path: Path) -> list[Path]:
    """Write an ensemble's members as one model, and beside it as JSON what the file itself says of it; returns both paths.

    Both are written whole or not at all. Raises UserError as `check_place`, where a member's checkpoint was not kept, is another
    trial's or can't be averaged, and where a file can't be written.
    """
    campaign = check_place(path, source, comparison.select_on)
    files = checkpoints_of(campaign, comparison.members)
    content = ensemble_content(files, _about(comparison, campaign))
    for member, one in zip(content["about"]["members"], content["members"], strict=True):
        if one["fingerprint"] != member["fingerprint"]:
            raise UserError(f"{files[member['name']]}: is the checkpoint of another trial, not of {member['name']}")
        member["calibration"] = one["calibration"]
    text = json.dumps(content["about"], indent=1)
    whole = checkpoint.serialised(content)
    try:
        write_atomically(
            path,
            lambda file: write_atomically(
                about_path(path), lambda about: (file.write_bytes(whole), about.write_text(text))
            ),
        )
    except OSError as error:
        raise UserError(f"--save {path}: can't be written ({one_line(error)})") from error
    return [path, about_path(path)]


def _about(comparison: EnsembleComparison, campaign: CampaignFolder) -> dict[str, Any]:
    records = {record.name: record for record in campaign.records()}
    members = [
        {"name": name, "fingerprint": records[name].fingerprint, "seed": int(records[name].config[SEED])}
        for name in comparison.members
    ]
    return {
        "campaign": campaign.name,
        "campaign_id": str(campaign.manifest["id"]),
        "use_case": comparison.use_case,
        "select_on": comparison.select_on,
        "what": f"mean of {comparison.what}, selected on {comparison.select_on}",
        "members": members,
        "best_single_trial": comparison.best,
        "metrics": {one.metric: _metric(one) for one in comparison.of_all()},
        "against_non_neural": [dataclasses.asdict(one) for one in comparison.against_non_neural()],
        "intervals": COVERS,
        "nrtune": importlib.metadata.version("nrtune"),
    }


def _metric(one: Ensemble) -> Mapping[str, float]:
    """What is known of a metric; what is undefined is left out."""
    shown = ("value", "low", "high", "single", "improvement", "improvement_low", "improvement_high")
    return {name: getattr(one, name) for name in shown if math.isfinite(getattr(one, name))}
