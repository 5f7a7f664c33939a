"""Where a campaign's trials can be read from: its folder, MLflow, a Parquet export, the study's table."""

from __future__ import annotations

import os
from pathlib import Path

from nrtune.analysis.sources.trials import CampaignFolder, Trials
from nrtune.analysis.store.records import read_manifest
from nrtune.trainables.core.errors import UserError


def open_campaign(source: str | os.PathLike[str]) -> Trials:
    """Open a campaign for reading.

    source: a campaign's folder; a Parquet file of `nrtune trials --format parquet`; the study's CSV table; or an MLflow
    tracking URI, followed by `#NAME` (or its id) where that holds several campaigns. Raises UserError for anything else.
    """
    text = str(source)
    if "://" in text:
        from nrtune.analysis.sources.mlflow import open_mlflow

        return open_mlflow(*text.partition("#")[::2])
    path = Path(source)
    if path.suffix == ".parquet":
        from nrtune.analysis.sources.parquet import open_parquet

        return open_parquet(path)
    if path.suffix == ".csv":
        from nrtune.analysis.sources.published import open_published

        return open_published(path)
    return CampaignFolder(path, read_manifest(path))


def open_folder(folder: str | os.PathLike[str]) -> CampaignFolder:
    """Open a campaign's folder. Raises UserError for any other source."""
    campaign = open_campaign(folder)
    if not isinstance(campaign, CampaignFolder):
        raise UserError(f"{folder}: give a campaign's folder (a search's --out)")
    return campaign
