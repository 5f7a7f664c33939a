"""How a campaign was run: its settings, data and versions, what it took, and the command that runs it again."""

from __future__ import annotations

import datetime
import importlib.metadata
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nrtune.analysis.report.document import Block, Column, Heading, Paragraph, Step, Table, text_cell
from nrtune.analysis.report.summaries import blocks_sentence
from nrtune.analysis.sources.trials import CampaignFolder, Trials
from nrtune.analysis.store.records import TrialRecord, benchmarks_of
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.early_stopping import agreements
from nrtune.analysis.wording import argument, capital
from nrtune.trainables.core.secrets import redacted

SETTINGS = "settings.yaml"

_NOT_AGAIN = ("out", "name", "resume", "tracking_uri", "optuna_storage", "address")
"""Settings that a campaign that runs anew must not share, or that its user gives."""


def settings_of(source: Trials) -> str | None:
    """A settings file that gives the campaign's settings again but for its folder and its name; None where there are none."""
    if not isinstance(source, CampaignFolder) or not source.manifest.get("settings"):
        return None
    said = {key: value for key, value in source.manifest["settings"].items() if key not in _NOT_AGAIN}
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)


def _again(source: Trials, folder: Path | None) -> Step | None:
    if folder is None or not isinstance(source, CampaignFolder) or settings_of(source) is None:
        return None
    command = str(source.manifest["identity"].get("command"))
    new = argument(f"{source.folder}-again")
    said = shlex.join(["nrtune", command, argument(folder / SETTINGS), "--out", new])
    return Step("Run it again, in a folder of its own, with the settings that lie beside this report", said)


def _hours(records: Sequence[TrialRecord]) -> Mapping[str, str | None]:
    """From the first trial's begin to the last one's end, pauses between included, and what trials held meanwhile."""
    times = [datetime.datetime.fromisoformat(text) for one in records for text in (one.started, one.ended) if text]
    held = {
        name: [seconds for one in records if (seconds := getattr(one, f"{name}_seconds")) is not None]
        for name in ("cpu", "gpu")
    }
    return {
        "wall time": f"{(max(times) - min(times)).total_seconds() / 3600:.2f} h" if times else None,
        "training time": f"{sum(one.seconds for one in records) / 3600:.2f} h",
        **{f"{name.upper()} time": f"{sum(of) / 3600:.2f} h" if of else None for name, of in held.items()},
    }


def how_it_was_run(comparisons: Comparisons, folder: Path | None) -> Iterator[Block]:
    """Settings, data, versions, hours, and the command that runs it again; folder: where the report will lie."""
    yield Heading("How it was run", folded=True)
    if (again := _again(comparisons.source, folder)) is not None:
        yield again
    for agreement in agreements(comparisons.source):
        said = agreement.sentence()
        yield Paragraph(f"{capital(said)}.")
    facts: dict[str, Any] = {"campaign": comparisons.source.name}
    source = comparisons.source
    software: Mapping[str, str] = source.manifest.get("software", {}) if isinstance(source, CampaignFolder) else {}
    if isinstance(source, CampaignFolder):
        manifest = source.manifest
        identity = manifest["identity"]
        facts |= {"id": manifest.get("id"), "created": manifest.get("created"), "command": identity.get("command")}
        benchmarks = benchmarks_of(manifest)
        facts |= {"data digest": identity.get("data")} | {f"{name} digest": identity.get(name) for name in benchmarks}
        facts |= manifest.get("settings", {})
        parts = [("data", ("train", "val", "test")), *((name, ("cell_line", "matched")) for name in benchmarks)]
        for part, keys in parts:
            held = manifest.get(part) or {}
            facts |= {f"{part}: {key.replace('_', ' ')}": held[key] for key in keys if key in held}
    facts |= {
        "elements that means are over": ", ".join(source.matched) or None,
        "selected on": comparisons.select_on,
        "resampling": f"{comparisons.how.resamples} resamples, level {comparisons.how.level:g},"
        f" seed {comparisons.how.seed}",
        "blocks of positions": "; ".join(
            f"{name.replace('_', ' ')}: {blocks_sentence(one.blocks)}"
            for name, one in comparisons.compare_all()[0].items()
            if one.blocks
        )
        or None,
        **_hours(comparisons.records),
        **{f"run with: {name}": version for name, version in software.items()},
        "reported with nrtune": importlib.metadata.version("nrtune"),
        "report made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    rows = tuple((text_cell(str(key)), text_cell(_value(value))) for key, value in facts.items() if value is not None)
    yield Table("Settings, data and versions.", (Column("What"), Column("Value")), rows)
    if findings := source.audit.findings:
        columns = (Column("Severity"), Column("Finding"), Column("What"))
        found = tuple(tuple(map(text_cell, (one.severity, one.id, str(one)))) for one in findings)
        yield Table("What the audit of the data found before anything was trained.", columns, found)


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    return redacted(str(value))
