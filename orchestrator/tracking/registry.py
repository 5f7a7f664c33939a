"""The campaign in MLflow after its end: a winner or an ensemble in the model registry, the report on the campaign's own run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from nrtune.analysis.report.report import WINNERS
from nrtune.analysis.report.summaries import winner_record
from nrtune.analysis.sources.mlflow import CAMPAIGN_TAG, FINGERPRINT_TAG, KIND_TAG, search_runs
from nrtune.analysis.sources.mlflow_client import FAULTS, open_client
from nrtune.analysis.sources.trials import CampaignFolder, Trials
from nrtune.analysis.uncertainty.compared import Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import not_kept, number, shell_path
from nrtune.orchestrator.state.copies import ids_of
from nrtune.orchestrator.tracking.anchor import anchored
from nrtune.orchestrator.tracking.models import (
    CALIBRATED,
    log_ensemble,
    log_model,
    logged_model,
    output_of,
    writing_to,
)
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.data.benchmarks import BENCHMARKS
from nrtune.trainables.inference import SequenceEnsemble, load_model

USE_CASE_TAG, VERDICT_TAG = "use_case", "verdict."
"""Tags of a winner's run: the use cases that it wins; and, by each one's name, what was found against the baseline."""


def register(comparisons: Comparisons, use_case: str, name: str, uri: str | None = None) -> str:
    """Put the winner of a use case into the registry as the next version of a model; returns a sentence.

    uri: of the MLflow store; None: where the campaign is tracked. Raises
    UserError where there is no winner, no checkpoint of it, or no MLflow store.
    """
    campaign = comparisons.source
    if not isinstance(campaign, CampaignFolder):
        raise UserError(f"{campaign.name}: give the campaign's folder, which has its checkpoints")
    comparison = comparisons.compare(use_case)
    best = comparisons.best(comparison.winner)
    uri = anchored(campaign.folder, uri, to_write=True)
    try:
        client = open_client(uri)
        run = _run_with(client, campaign, {FINGERPRINT_TAG: best.fingerprint})
        model_uri = logged_model(client, run.info.experiment_id, run.info.run_id)
        if model_uri is None:
            if best.checkpoint is None:
                raise UserError(not_kept(campaign.folder, {best.name: best.fingerprint}))
            length = campaign.manifest["data"]["length"]
            model_uri = log_model(client, uri, run, best.checkpoint, length)
        output = output_of(client, model_uri)
        warning = "" if output == CALIBRATED else f" It predicts {output}."
        _make_registered(client, name)
        with writing_to(uri):
            version = client.create_model_version(
                name,
                source=model_uri,
                run_id=run.info.run_id,
                tags={
                    **_version_tags(winner_record(comparisons, comparison), use_case, campaign.manifest["identity"]),
                    "output": output,
                },
                description=_description(comparisons, comparison, best.name, campaign.manifest["name"]) + warning,
            )
    except FAULTS as error:
        raise UserError(f"{uri}: {one_line(error, 300)}") from error
    where = f"models:/{name}/{version.version}"
    return f"{name} version {version.version}: {best.name} of {campaign.manifest['name']} ({where}){warning and f'.{warning}'}"


def register_ensemble(campaign: Trials, file: Path, name: str, uri: str | None = None) -> str:
    """Put what `nrtune ensemble --save` wrote of a campaign into the registry as the next version of a model; returns a sentence.

    uri: as of `register`. Raises UserError for another file, another campaign's, and where there is no MLflow store.
    """
    if not isinstance(campaign, CampaignFolder):
        raise UserError(f"{campaign.name}: give the campaign's folder")
    model = None if file.is_dir() else load_model(file)
    if not isinstance(model, SequenceEnsemble):
        raise UserError(f"--ensemble {file}: is none; give a file that nrtune ensemble --save wrote")
    about = model.about
    if about["campaign_id"] not in ids_of(campaign.manifest):
        raise UserError(
            f"--ensemble {file}: is of campaign {about['campaign']} ({about['campaign_id']}), not of {campaign.folder}"
        )
    uri = anchored(campaign.folder, uri, to_write=True)
    try:
        client = open_client(uri)
        run_id = _run_of(client, campaign).info.run_id
        model_uri = log_ensemble(client, uri, run_id, file, model.length, f"ensemble_{about['use_case']}")
        _make_registered(client, name)
        with writing_to(uri):
            version = client.create_model_version(
                name,
                source=model_uri,
                run_id=run_id,
                tags=_ensemble_tags(about, campaign.manifest["identity"]),
                description=f"{about['campaign']}: {about['what']}. {about['intervals']}",
            )
    except FAULTS as error:
        raise UserError(f"{uri}: {one_line(error, 300)}") from error
    return (
        f"{name} version {version.version}: {about['what']}, of {about['campaign']} (models:/{name}/{version.version})"
    )


def _ensemble_tags(about: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, str]:
    """What a version says of itself: its members, its metrics with their intervals, and which data."""
    members = about["members"]
    known = {
        **{key: about[key] for key in ("use_case", "select_on", "campaign_id", "best_single_trial")},
        "members": ", ".join(member["name"] for member in members),
        "fingerprints": ", ".join(member["fingerprint"] for member in members),
        "seeds": ", ".join(str(member["seed"]) for member in members),
        **_data_tags(identity),
        "verdict": "not tested: an ensemble is one predictor, without replicates",
        "output": CALIBRATED,
    }
    for metric, values in about["metrics"].items():
        known |= {metric if key == "value" else f"{metric}.{key}": value for key, value in values.items()}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in known.items()}


def _data_tags(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {"data_digest": identity["data"], **{f"{name}_digest": identity.get(name) for name in BENCHMARKS}}


def _make_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _run_with(client: MlflowClient, campaign: CampaignFolder, tags: Mapping[str, str]) -> Any:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
    found = client.search_runs(experiments, query, max_results=1)
    if not found:
        raise UserError(f"MLflow has no run with {query}; nrtune track {shell_path(campaign.folder)} writes it")
    return found[0]


def _run_of(client: MlflowClient, campaign: CampaignFolder) -> Any:
    """The campaign's own run."""
    return _run_with(client, campaign, {CAMPAIGN_TAG: campaign.manifest["id"], KIND_TAG: "campaign"})


def _version_tags(record: Mapping[str, Any], use_case: str, identity: Mapping[str, Any]) -> dict[str, str]:
    """What a version says of itself: the use case's metrics, the interval, and which data."""
    interval = {f"interval.{key}": record["interval"][key] for key in ("value", "low", "high", "improvement", "p_holm")}
    known = {
        "use_case": use_case,
        "trial": record["trial"],
        "fingerprint": record["fingerprint"],
        "select_on": record["select_on"],
        "replicates": record["replicates"],
        **_data_tags(identity),
        "verdict": record["verdict"],
        **record["reported"],
        **interval,
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in known.items()}


def _description(comparisons: Comparisons, comparison: Comparison, trial: str, campaign: str) -> str:
    winner, row = comparison.winner, comparison.of(comparison.winner.trial)
    metric = "mean percentile rank" if len(winner.reported) > 1 else next(iter(winner.reported))
    sure = f" (95 % interval {number(row['low'])} to {number(row['high'])})" if not comparison.why_not else ""
    said = verdict_of(comparisons, comparison).sentence()
    return f"Winner of {winner.use_case} in {campaign}: {trial}, {metric} {number(row['value'])}{sure}. {said}."


def _tag_winners(client: MlflowClient, parent: Any, winners: Mapping[str, Any]) -> None:
    """Tag runs with the use cases that they win and what was found of each; those of an earlier report go."""
    tags: dict[str, dict[str, str]] = {}
    for name, record in winners.items():
        if record is not None:
            said = str(record["verdict"]["against_baseline"])
            tags.setdefault(record["fingerprint"], {})[f"{VERDICT_TAG}{name}"] = said
    campaign = f"tags.`{CAMPAIGN_TAG}` = '{parent.data.tags[CAMPAIGN_TAG]}'"
    for run in search_runs(client, parent.info.experiment_id, campaign):
        new = dict(tags.get(run.data.tags.get(FINGERPRINT_TAG, ""), {}))
        if new:
            new[USE_CASE_TAG] = ", ".join(key.removeprefix(VERDICT_TAG) for key in new)
        for key in run.data.tags:
            if key.startswith((VERDICT_TAG, USE_CASE_TAG)) and key not in new:
                client.delete_tag(run.info.run_id, key)
        for key, value in new.items():
            if run.data.tags.get(key) != value:
                client.set_tag(run.info.run_id, key, value)


def log_report(campaign: CampaignFolder, folder: Path) -> None:
    """Put a report's folder onto the campaign's run, and tag the winners' runs with their use cases and verdicts.

    Raises UserError where MLflow does not answer.
    """
    uri = anchored(campaign.folder, to_write=True)
    try:
        client = open_client(uri)
        run = _run_of(client, campaign)
        client.log_artifacts(run.info.run_id, str(folder), "report")
        _tag_winners(client, run, json.loads((folder / WINNERS).read_text("utf-8")))
    except FAULTS as error:
        raise UserError(f"{uri}: {one_line(error, 300)}") from error
