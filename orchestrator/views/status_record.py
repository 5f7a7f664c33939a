"""How far a campaign is, as its folder tells it, for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.sources.open import open_folder
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.store.records import FINISHED, STATUSES, TrialRecord, read_references, read_status
from nrtune.orchestrator.lifecycle.leaders import Leaders
from nrtune.orchestrator.lifecycle.time_left import CONFIRMING
from nrtune.orchestrator.state.ledger import is_running


def leaders_of(folder: Path, records: Iterable[TrialRecord]) -> Leaders:
    """The best of a campaign's own trials so far, replicates aside, and what they are compared to."""
    leaders = Leaders(record for record in records if record.replicate_of is None)
    leaders.take(read_references(folder))
    return leaders


def status_record(folder: Path) -> dict[str, Any]:
    """How far a campaign is; what is unknown is null. Times are in seconds, values are Spearman on validation.

    phase: what of a campaign is in the state, unless it is all of it. elapsed, trials_per_hour: of the last start. left: about
    how long it will still run. Raises UserError where the folder holds no campaign.
    """
    campaign = open_folder(folder)
    records = campaign.records()
    return record_of(campaign, read_status(folder), records, leaders_of(folder, records))


def record_of(
    campaign: CampaignFolder, status: Mapping[str, Any], records: Sequence[TrialRecord], leaders: Leaders
) -> dict[str, Any]:
    """The same of what has been read."""
    alive = is_running(campaign.folder)
    state = str(status.get("state", "new"))
    return {
        "name": campaign.manifest["name"],
        "state": "running" if alive else "interrupted" if state == "running" else state,
        "phase": _phase(status),
        "created": campaign.manifest["created"],
        "select_on": campaign.select_on,
        **_times(status, records, alive=alive),
        "families": _families(status, records, leaders),
        "replicates": dict(Counter(record.status for record in records if record.replicate_of is not None)),
        "failures": dict(Counter(record.failure_class for record in records if record.failure_class)),
        "running": list(status.get("running", ())) if alive else [],
        "best": _named(leaders.best()),
        "baseline": _named(leaders.best(BASELINE)),
        "non_neural": leaders.non_neural,
    }


def counts_by_family(records: Iterable[TrialRecord]) -> dict[str, Counter[str]]:
    """How many of each family's own trials, replicates aside, ended how."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        if record.replicate_of is None:
            counts.setdefault(record.family, Counter())[record.status] += 1
    return counts


def _phase(status: Mapping[str, Any]) -> str | None:
    if status.get("command") == "replicate":
        return "replication"
    return status["phase"] if status.get("phase") and status["state"] != FINISHED else None


def _named(best: tuple[str, float] | None) -> dict[str, Any] | None:
    return None if best is None else {"trial": best[0], "value": best[1]}


def _families(status: Mapping[str, Any], records: Iterable[TrialRecord], leaders: Leaders) -> list[dict[str, Any]]:
    """A row a family: trials that it shall have, how many ended how, and its best value."""
    counts = counts_by_family(records)
    wanted = status.get("wanted", {}) if status.get("command") != "replicate" else {}
    return [
        {"family": family, "wanted": wanted.get(family), **{one: counts.get(family, Counter())[one] for one in STATUSES},
         "best": None if (best := leaders.best(family)) is None else best[1]}
        for family in dict.fromkeys([*wanted, *counts])
        if family != CONFIRMING
    ]  # fmt: skip


def _times(status: Mapping[str, Any], records: Iterable[TrialRecord], *, alive: bool) -> dict[str, float | None]:
    try:
        started, updated = (datetime.fromisoformat(status[name]) for name in ("started", "updated"))
    except (KeyError, ValueError):  # of an nrtune that did not note it
        return dict.fromkeys(("elapsed", "trials_per_hour", "left"))
    now = datetime.now(started.tzinfo) if alive else updated
    elapsed, left = (now - started).total_seconds(), status.get("left")
    ended = sum(record.ended >= status["started"] for record in records)
    return {
        "elapsed": elapsed,
        "trials_per_hour": ended / elapsed * 3600 if ended and elapsed > 0 else None,
        "left": max(0.0, left - (now - updated).total_seconds()) if alive and left is not None else None,
    }
