"""What the reading commands print: status, trials, best, and the MLflow UI."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from nrtune.analysis.sources.open import open_campaign, open_folder
from nrtune.analysis.store.duplicates import find_duplicates
from nrtune.analysis.store.records import read_manifest, read_status
from nrtune.analysis.uncertainty.early_stopping import agreements
from nrtune.orchestrator.lifecycle.time_left import pace
from nrtune.orchestrator.state.given import is_given
from nrtune.orchestrator.state.locations import MLFLOW, tracker_of, tracking_uri
from nrtune.orchestrator.views.failures import failure_causes
from nrtune.orchestrator.views.status_record import counts_by_family, leaders_of, record_of
from nrtune.orchestrator.views.tables import by_status, cell, fitted, print_table
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.outside_text import visible
from nrtune.trainables.core.secrets import without_password

SHORT_COLUMNS = {
    "name": "trial",
    "family": "family",
    "status": "status",
    "epochs_trained": "ep.",
    "val/spearman": "val",
    "test/spearman": "test",
    "cagi5/release/spearman/all/mean": "rel.",
    "cagi5/challenge/spearman/all/mean": "chal.",
    "noise/corr": "noise",
}
"""What `nrtune trials` shows in 80 columns: Spearman on validation, test, CAGI5 release and challenge; noise_corr."""

LEGEND = {
    "val/spearman": "val, test: Spearman on validation and test (↑ better)",
    "cagi5/release/spearman/all/mean": "rel., chal.: mean Spearman on CAGI5's release and challenge variants (↑ better)",
    "noise/corr": "noise: noise correlation (↓ better)",
}
"""What the short headings stand for, and which direction is better."""


def tracker_line(folder: Path) -> str:
    """What a campaign's trials can be seen in, and where that is."""
    if (name := tracker_of(folder)) != MLFLOW:
        return f"{name}: {read_manifest(folder)['identity'].get('tracking_uri') or folder}"
    if not is_given(folder, "tracking_uri", stored := read_manifest(folder)["identity"].get("tracking_uri")):
        return f"MLflow: left aside, as {stored} was never given by this account for a campaign at this place"
    return f"MLflow: {without_password(tracking_uri(folder))}"


def status_text(source: str | Path) -> str:
    """State, counts by family, running trials, and where MLflow is, of a campaign's folder or as MLflow has it."""
    if "://" in str(source):
        from nrtune.orchestrator.views.remote_status import remote_status_text

        return remote_status_text(str(source))
    folder = Path(source)
    campaign = open_folder(folder)
    status, records = read_status(folder), campaign.records()
    leaders = leaders_of(folder, records)
    told = record_of(campaign, status, records, leaders)
    state = told["state"]
    if state == "interrupted" and status.get("state") == "running":
        state = "interrupted (its process died; the same command goes on)"
    lines = [
        visible(" ".join(filter(None, [f"{told['name']}:", told["phase"], state]))),
        f"created {visible(told['created'])}, selects on {told['select_on']}",
    ]
    if told["elapsed"] is not None:
        lines.append(pace(told["elapsed"], told["left"], told["trials_per_hour"]))
    lines += filter(None, [leaders.sentence()])
    replicates = [record for record in records if record.replicate_of is not None]
    for family, of_family in counts_by_family(records).items():
        lines.append(f"  {family}: {by_status(of_family)}")
    if replicates:
        configurations = len({record.replicate_of for record in replicates})
        ended = by_status(Counter(record.status for record in replicates))
        lines.append(f"replicates: {ended} of {configurations} configuration{'s' * (configurations > 1)}")
    failures = Counter(record.failure_class for record in records if record.failure_class)
    if failures:
        lines.append("failures: " + ", ".join(f"{count} {name}" for name, count in failures.most_common()))
        lines += [f"  {cause}" for cause in failure_causes(records)]
    for trial in told["running"]:
        value = trial["val_spearman"]
        seen = f", validation Spearman {value:.3f}" if value is not None else ""
        lines.append(f"  running {trial['name']}: epoch {trial['epoch']} of {trial['epochs']}{seen}")
    return "\n".join([*lines, *remarks(folder), tracker_line(folder)])


def remarks(folder: Path) -> list[str]:
    """What a user should know of trials that are one, or might as well be, and of what early stopping looked at."""
    campaign = open_campaign(folder)
    # Replicates of trials that are alike are alike too: that is said once.
    records = [record for record in campaign.records() if record.replicate_of is None]
    shared = [f"{name} is {record.name}" for record in records for name in record.aliases]
    sentences = [f"trained once, under two names: {'; '.join(shared)}"] if shared else []
    sentences += [f"warning: {alike.sentence()}" for alike in find_duplicates(records)]
    return sentences + [agreement.sentence() for agreement in agreements(campaign)]


def trials_table(source: str, *, family: str | None, sort: str | None, ascending: bool) -> pd.DataFrame:
    """The campaign's trials, filtered and sorted. Raises UserError for an unknown family or column."""
    table = open_campaign(source).trials()
    if family is not None:
        known = table["family"].unique().tolist()
        if family not in known:
            hint = suggest(family, known) if known else "; none has ended yet"
            raise UserError(f"{source}: no trial of family {family!r} has ended{hint}")
        table = table[table["family"] == family]
    if sort is not None:
        if sort not in table:
            hint = suggest(sort, table.columns, "; `nrtune trials DIR --format csv` lists them all")
            raise UserError(f"{source}: trials have no column {sort!r}{hint}")
        table = table.sort_values(sort, ascending=ascending, na_position="last", kind="stable")
    return table.reset_index(drop=True)


def write_trials(source: str, table: pd.DataFrame, form: str) -> None:
    """Write a table of a source's trials to standard output."""
    if form == "csv":
        table.to_csv(sys.stdout, index=False)
    elif form == "json":
        sys.stdout.write(table.to_json(orient="records", indent=1) + "\n")
    elif form == "parquet":
        if sys.stdout.isatty():
            raise UserError(
                "parquet is not for a terminal; write it to a file: nrtune trials DIR --format parquet > FILE"
            )
        import pyarrow.parquet as pq

        from nrtune.analysis.sources.parquet import to_arrow

        pq.write_table(to_arrow(open_campaign(source), table), sys.stdout.buffer)
    else:
        _print_trials(table)


def _print_trials(table: pd.DataFrame) -> None:
    columns = [name for name in SHORT_COLUMNS if name in table]
    own = table[table["replicate_of"].isna()]
    if len(own) and (own["name"] == own["published"]).all():  # the study's names say the family
        columns.remove("family")
    rows = [
        [_name(row) if name == "name" else _status(row) if name == "status" else cell(row[name]) for name in columns]
        for row in table.to_dict("records")
    ]
    texts = sum(name in ("name", "family", "status") for name in columns)
    print_table([SHORT_COLUMNS[name] for name in columns], rows, texts)
    if table.empty:
        typer.echo("no trial has ended yet", err=True)
    elif any(name in table for name in LEGEND):
        said = [text for name, text in LEGEND.items() if name in table]
        typer.echo(fitted(f"ep.: epochs trained; {'; '.join(said)}."))


def _name(row: Mapping[Any, Any]) -> str:
    """The trial's name; of a replicate of RS3_bilstm_rs it is RS3/s0: cut in a narrow terminal, it would lose its seed."""
    if not isinstance(row["replicate_of"], str):
        return str(row["name"])
    return f"{row['replicate_of'].partition('_')[0]}/{row['name'].rpartition('/')[2]}"


def _status(row: Mapping[Any, Any]) -> str:
    if isinstance(row["same_as"], str):  # what is missing may be None or NaN
        return f"= {row['same_as'].partition('_')[0]}"
    return f"{row['status']}:{row['failure_class']}" if isinstance(row["failure_class"], str) else str(row["status"])
