"""Comparisons that a campaign's folder keeps: they take seconds, and several commands show them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.uncertainty.compared import AgainstNonNeural, Comparison
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.analysis.uncertainty.power import Power
from nrtune.trainables.core.files import write_atomically

FORMAT = 9
KEPT = 8
"""Comparisons that a campaign's folder keeps: those of other options, or of before further trials, are made again."""

_CACHE, _PREFIX = "analysis", "comparison-"


def kept_in(
    source: CampaignFolder,
    select_on: str,
    use_cases: Mapping[str, UseCase],
    how: Resampling,
    records: Sequence[TrialRecord],
) -> Path:
    """Where comparisons of these trials under these options are kept."""
    rules = {
        name: [rule.title, dict(rule.metrics), rule.ties, sorted(rule.magnitude), rule.floor]
        for name, rule in use_cases.items()
    }
    trials = [[r.name, r.fingerprint, r.status, r.replicate_of, r.aliases] for r in records]
    key = json.dumps(
        [FORMAT, select_on, rules, dataclasses.astuple(how), trials, source.matched, source.loci, source.references()]
    )
    return source.folder / _CACHE / f"{_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def read_kept(path: Path) -> tuple[dict[str, Comparison], dict[str, str]] | None:
    """Comparisons by use case, and for those without a winner the reason; None where the file is missing or damaged."""
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    found = {}
    for name, fields in stored["found"].items():
        winner = fields["winner"] | {key: tuple(fields["winner"][key]) for key in ("aliases", "trainings", "barred")}
        read = {"winner": Winner(**winner), "table": pd.DataFrame(fields["table"])}
        read["blocks"] = fields["blocks"] and tuple(fields["blocks"])
        read["non_neural"] = tuple(AgainstNonNeural(**row) for row in fields["non_neural"])
        power = None if fields["power"] is None else Power(**fields["power"])
        found[name] = Comparison(**fields | read | {"power": power})
    return found, stored["missing"]


def keep(path: Path, found: Mapping[str, Comparison], missing: Mapping[str, str]) -> None:
    """Store comparisons in a campaign's folder, and let go of the oldest; a folder that can't be written keeps none."""
    stored = {}
    for name, comparison in found.items():
        table = comparison.table.to_dict("records")
        fields = {field.name: getattr(comparison, field.name) for field in dataclasses.fields(comparison)}
        power = None if comparison.power is None else dataclasses.asdict(comparison.power)
        non_neural = [dataclasses.asdict(row) for row in comparison.non_neural]
        winner = dataclasses.asdict(comparison.winner)
        stored[name] = fields | {"winner": winner, "table": table, "power": power, "non_neural": non_neural}
    text = json.dumps({"found": stored, "missing": missing})
    try:
        write_atomically(path, lambda temporary: temporary.write_text(text))
        kept = sorted(path.parent.glob(f"{_PREFIX}*.json"), key=lambda other: other.stat().st_mtime)
        for old in kept[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return
