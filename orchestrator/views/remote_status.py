"""How far a campaign is, as MLflow has it: for those who reach the tracking server and not the campaign's folder."""

from __future__ import annotations

from collections import Counter

from nrtune.analysis.sources.mlflow import STATUS_TAG, read_runs
from nrtune.analysis.store.records import STATUSES
from nrtune.orchestrator.views.tables import by_status
from nrtune.trainables.core.secrets import without_password

NONE = "none has ended"


def remote_status_text(source: str) -> str:
    """State, counts by family and running trials of the campaign at URI[#NAME]. Raises UserError where there is none."""
    uri, _, name = source.partition("#")
    parent, runs = read_runs(uri, name)
    state = parent.data.tags.get(STATUS_TAG, "running")
    if state == "running":
        state = "running, or cut off: MLflow can't tell"
    lines = [f"{parent.info.run_name}: {state}", f"selects on {parent.data.params['select_on']}"]
    counts: dict[str, Counter[str]] = {}
    replicates: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for run in sorted(runs, key=lambda run: run.info.start_time):
        tags = run.data.tags
        status = tags.get(STATUS_TAG, "running")
        of = replicates if tags.get("replicate_of") else counts.setdefault(tags["family"], Counter())
        of[status] += status in STATUSES
        failures[tags.get("failure_class", "")] += status in STATUSES
    for family, of_family in counts.items():
        lines.append(f"  {family}: {by_status(of_family) or NONE}")
    if replicates.total():
        lines.append(f"replicates: {by_status(replicates) or NONE}")
    del failures[""]
    if failures:
        lines.append("failures: " + ", ".join(f"{count} {kind}" for kind, count in failures.most_common() if count))
    for run in runs:
        if run.data.tags.get(STATUS_TAG) == "running":
            value = run.data.metrics.get("val/spearman")
            seen = "" if value is None else f": validation Spearman {value:.3f}"
            lines.append(f"  running {run.info.run_name}{seen}")
    return "\n".join([*lines, f"MLflow: {without_password(uri)}"])
