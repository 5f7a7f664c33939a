"""The campaign in MLflow after its end: the winner in the model registry, the report on the campaign's own run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from nrtune.analysis.report.summaries import winner_record
from nrtune.analysis.sources.mlflow import CAMPAIGN_TAG, FINGERPRINT_TAG, KIND_TAG
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.uncertainty.compared import Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import number
from nrtune.orchestrator.state.locations import tracking_uri
from nrtune.orchestrator.tracking.models import CALIBRATED, log_model, logged_model, output_of, writing_to
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.data.benchmarks import BENCHMARKS


def register(comparisons: Comparisons, use_case: str, name: str) -> str:
    """Put the winner of a use case into the registry as the next version of a model; returns a sentence.

    Raises UserError where there is no winner, no checkpoint of it, or no MLflow store.
    """
    campaign = comparisons.source
    if not isinstance(campaign, CampaignFolder):
        raise UserError(f"{campaign.name}: give the campaign's folder, which has its checkpoints")
    comparison = comparisons.compare(use_case)
    best = comparisons.best(comparison.winner)
    uri = tracking_uri(campaign.folder)
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        run = _run_with(client, {FINGERPRINT_TAG: best.fingerprint})
        model_uri = logged_model(client, run.info.experiment_id, run.info.run_id)
        if model_uri is None:
            if best.checkpoint is None:
                raise UserError(
                    f"{campaign.folder}: the checkpoint of {best.name} was not kept; search again with --keep {best.name}"
                )
            length = campaign.manifest["data"]["length"]
            model_uri = log_model(client, uri, run.info.run_id, best.checkpoint, length)
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
    except MlflowException as error:
        raise UserError(f"{uri}: {one_line(error, 300)}") from error
    where = f"models:/{name}/{version.version}"
    return f"{name} version {version.version}: {best.name} of {campaign.manifest['name']} ({where}){warning and f'.{warning}'}"


def _make_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _run_with(client: MlflowClient, tags: Mapping[str, str]) -> Any:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
    found = client.search_runs(experiments, query, max_results=1)
    if not found:
        raise UserError(f"MLflow has no run with {query}; go on with the campaign (--resume), which mends that")
    return found[0]


def _version_tags(record: Mapping[str, Any], use_case: str, identity: Mapping[str, Any]) -> dict[str, str]:
    """What a version says of itself: the use case's metrics, the interval, and which data."""
    interval = {f"interval.{key}": record["interval"][key] for key in ("value", "low", "high", "improvement", "p_holm")}
    known = {
        "use_case": use_case,
        "trial": record["trial"],
        "fingerprint": record["fingerprint"],
        "select_on": record["select_on"],
        "replicates": record["replicates"],
        "data_digest": identity["data"],
        **{f"{name}_digest": identity.get(name) for name in BENCHMARKS},
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


def log_report(campaign: CampaignFolder, folder: Path) -> None:
    """Put a report's folder onto the campaign's run. Raises UserError where MLflow does not answer."""
    uri = tracking_uri(campaign.folder)
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        run = _run_with(client, {CAMPAIGN_TAG: campaign.manifest["id"], KIND_TAG: "campaign"})
        client.log_artifacts(run.info.run_id, str(folder), "report")
    except MlflowException as error:
        raise UserError(f"{uri}: {one_line(error, 300)}") from error
