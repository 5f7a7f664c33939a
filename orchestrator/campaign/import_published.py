"""The study's own table as a campaign folder, MLflow runs included."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from nrtune.analysis.sources.published import elements_of, read_published
from nrtune.analysis.store.records import FINISHED
from nrtune.orchestrator.campaign.track import track
from nrtune.orchestrator.state.ledger import open_ledger

COMMAND = "import-published"


def import_published(table: Path, out: Path, say: Callable[[str], None] = lambda sentence: None) -> int:
    """Make a campaign folder of the study's table, or complete one; returns how many trials it holds.

    say: told what MLflow can't store. Raises UserError for another table, for a folder that holds something else, and where
    MLflow can't be written: then all else is there.
    """
    records = read_published(table)
    digest = hashlib.sha256(table.read_bytes()).hexdigest()[:16]
    identity = {"command": COMMAND, "select_on": "challenge", "data": digest, "tracking_uri": None}
    about = {
        "settings": {},
        "data": {"name": table.name, "path": str(table.resolve())},
        "cagi5": {"matched": elements_of(records)},
    }
    folder = out.resolve()
    ledger = open_ledger(folder, folder.name, identity, about, must_exist=False)
    try:
        for record in records:
            if record.fingerprint not in ledger.records:
                ledger.append(record)
        ledger.write_status(FINISHED, COMMAND, [])
    finally:
        ledger.close()
    track(folder, None, say)
    return len(records)
