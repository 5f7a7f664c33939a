"""What MLflow's own pages show of a campaign at first sight: descriptions of runs, and a view of its trials' table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.selection.use_cases import USE_CASES, selection_metric
from nrtune.analysis.sources.mlflow import CAMPAIGN_TAG, FINAL, STATUS_TAG
from nrtune.analysis.store.records import Proposal, benchmarks_of
from nrtune.analysis.wording import shell_path
from nrtune.trainables.data.benchmarks import reported_prefix

NOTE_TAG = "mlflow.note.content"
"""A run's description, in Markdown."""

EXPERIMENT_KIND = ("mlflow.experimentKind", "custom_model_development")
"""The experiment's tag by which pages are of models that are trained, and not of language models that are called."""

VIEW_TAG = "mlflow.sharedViewState."
"""Begins the tags of an experiment that keep views which a link opens: filter, order and columns."""

_CAMPAIGN = """A campaign of nrtune in `{folder}`; its trials are the runs below this one.

- `cagi5/challenge/spearman/all/mean`: Spearman correlation of predicted and measured variant effects, mean over the
  elements of the cell line; `hc` and `lc` of the variants of high and low confidence. Winners are reported by it.
- `cagi5/release/…` and `{final}val/…`: what they are selected by. `val/…` and `train/…`: curves, by epoch.
- `noise/corr`: correlation of a trial's errors with the measured noise.

`nrtune best {path}` names the winners and what is significant; `nrtune report` writes that into `report/`, here.
"""
_TRIAL = """A trial of the family {family} in the campaign {campaign}, whose folder has its files in `trials/{fingerprint}`. Its
scores are those of its best epoch (`best_epoch`); `val/…` and `train/…` are curves, by epoch.

{parameters}"""


def campaign_note(folder: Path) -> str:
    """The description of a campaign's run."""
    return _CAMPAIGN.format(folder=folder, path=shell_path(folder), final=FINAL)


def trial_note(proposal: Proposal, campaign: str) -> str:
    """The description of a trial's run: what it is, where its files are, and its parameters."""
    rows = [("parameter", "value"), ("---", "---"), *((f"`{key}`", f"`{of}`") for key, of in proposal.config.items())]
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    family = proposal.family.replace("_", " ")
    return _TRIAL.format(family=family, campaign=campaign, fingerprint=proposal.fingerprint, parameters=table)


def trials_view(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """The tag and its value of a view of a campaign's trials, best first by what they are selected by."""
    reported = next(iter(USE_CASES["overall"].metrics))
    order = selection_metric(reported, manifest["identity"]["select_on"])
    order = f"{FINAL}{order}" if order.startswith("val/") else order
    metrics = [order, "test/spearman", "noise/corr"]
    if manifest.get("cagi5"):
        metrics.insert(1, reported)
    for name in benchmarks_of(manifest):
        if name != "cagi5":
            metrics.insert(1, f"{reported_prefix(name)}/spearman/all/mean")
    columns = [*(f"metrics.`{name}`" for name in dict.fromkeys(metrics)), "params.`loss`", "params.`encoder`"]
    state = {
        "searchFilter": f"tags.`{CAMPAIGN_TAG}` = '{manifest['id']}' and tags.family != ''",
        "orderByKey": f"metrics.`{order}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": ["attributes.`Duration`", "tags.`family`", f"tags.`{STATUS_TAG}`", *columns],
    }
    return f"{VIEW_TAG}{manifest['id']}", json.dumps(state)


def trials_page(experiment_id: str, manifest: Mapping[str, Any]) -> str:
    """The path of the page that shows a campaign's trials in their view: MLflow itself opens on another."""
    return f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={manifest['id']}"
