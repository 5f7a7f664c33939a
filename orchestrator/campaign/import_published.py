"""The study's own table as a campaign folder, MLflow runs included."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from nrtune.analysis.sources.published import elements_of, read_published
from nrtune.analysis.store.records import FINISHED
from nrtune.orchestrator.state.ledger import open_ledger

COMMAND = "import-published"


def import_published(table: Path, out: Path) -> int:
    """Make a campaign folder of the study's table, or complete one; returns how many trials it holds.

    Raises UserError for another table, and for a folder that holds something else.
    """
    records = read_published(table)
    from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker  # MLflow takes seconds to import

    digest = hashlib.sha256(table.read_bytes()).hexdigest()[:16]
    identity = {"command": COMMAND, "select_on": "challenge", "data": digest, "tracking_uri": None}
    matched = elements_of(records)
    about = {"settings": {}, "data": {"name": table.name, "path": str(table.resolve())}, "cagi5": {"matched": matched}}
    folder = out.resolve()
    ledger = open_ledger(folder, folder.name, identity, about, must_exist=False)
    try:
        parameters = {"select_on": "challenge", "data": table.name, "data_digest": digest, "matched": ",".join(matched)}
        tracker = MlflowTracker.open(None, folder, ledger.manifest, parameters)
        for record in records:
            if record.fingerprint not in ledger.records:
                ledger.append(record)
            if not tracker.is_closed(record.fingerprint):
                tracker.start(
                    record.proposal, {key: str(value) for key, value in record.config.items() if "." not in key}
                )
                tracker.finish(record, (), [], None)
        counts = Counter(record.status for record in records)
        ledger.write_status(FINISHED, COMMAND, [])
        tracker.close(FINISHED, {f"trials/{status}": float(n) for status, n in counts.items()})
        return len(records)
    finally:
        ledger.close()
