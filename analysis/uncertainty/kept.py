"""Comparisons that are kept, a file a use case: they take seconds, with many trials minutes, and several commands show them.

They lie in the campaign's folder, or where that can't be written in the user's cache folder. What a file was made of is in its
name and in it: the trials' records, the settings of the analysis, and the analysis itself. One that was made of anything else, or
is damaged, does not count.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.store.shapes import any_number
from nrtune.analysis.uncertainty.compared import AgainstNonNeural, Comparison
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.analysis.uncertainty.power import Power
from nrtune.trainables.core.files import user_cache, write_atomically
from nrtune.trainables.core.shape import EACH, read_json

KEPT = 64
"""Comparisons that a folder keeps, the latest: those of other options, or of before further trials, are made again."""

_CACHE, _PREFIX = "analysis", "comparison-"
_ROOMS = ("analysis/selection", "analysis/store", "analysis/uncertainty", "trainables/evaluation", "trainables/data")
"""Whose code decides what a comparison says."""


_NUMBERS, _TEXT = {EACH: any_number}, (str, None)
_SHAPE = {
    "made_of": str,
    "sha256": str,
    "comparison": {
        "winner": {
            "use_case": str, "trial": str, "select_on": str, "selected_by": any_number, "reported": _NUMBERS,
            "baseline": _TEXT, "baseline_reported": _NUMBERS, "candidates": int, "without_metric": int, "aliases": [str],
            "replicates": int, "trainings": [str], "failed": int, "confirmed": bool, "barred": [str],
            "better_baseline": _TEXT, "note": str,
        },
        "table": {"name": [str], EACH: [(any_number, str, bool, None)]},
        "power": (None, {EACH: (any_number, bool)}),
        "left_out": {EACH: str},
        "why_not": str,
        "not_tested": str,
        "against_non_neural": str,
        "non_neural": [{"metric": str, "baseline": str, "value": any_number, "verdict": str, EACH: (any_number, None)}],
        "blocks": (None, [int]),
    },
}  # fmt: skip


class KeptComparisons:
    """Comparisons of a campaign's trials under some options."""

    def __init__(self, source: CampaignFolder, select_on: str, how: Resampling, records: Sequence[TrialRecord]) -> None:
        self._folder = source.folder / _CACHE
        self._made_of = _digest(
            [
                analysis_version(),
                select_on,
                dataclasses.astuple(how),
                [source.matched, source.loci, source.encoders, source.benchmarks, source.references()],
                [record.to_flat() for record in records],
            ]
        )

    def read(self, use_case: str, rule: UseCase) -> Comparison | None:
        """The comparison of a use case; None where none is kept that is whole and made of the same."""
        key = self._key(use_case, rule)
        for folder in self._folders():
            try:
                stored = read_json(_path(folder, key), "a comparison", _SHAPE, not_finite=True)
                if stored["made_of"] == key and stored["sha256"] == _digest(stored["comparison"]):
                    return _comparison(stored["comparison"])
            except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, damaged, or somebody else's
                continue
        return None

    def keep(self, use_case: str, rule: UseCase, comparison: Comparison) -> None:
        """Store a comparison where that can be, and let go of the oldest."""
        key, fields = self._key(use_case, rule), _fields(comparison)
        # What is read has been text: numbers are the same, what is a tuple here is a list there.
        text = json.dumps({"made_of": key, "sha256": _digest(fields), "comparison": fields})
        for folder in self._folders():
            try:
                write_atomically(_path(folder, key), lambda temporary: temporary.write_text(text))
            except OSError:
                continue
            _let_go(folder)
            return

    def _key(self, use_case: str, rule: UseCase) -> str:
        said = [rule.title, dict(rule.metrics), rule.ties, sorted(rule.magnitude), rule.floor]
        return _digest([self._made_of, use_case, said])

    def _folders(self) -> Iterator[Path]:
        yield self._folder
        if (elsewhere := user_cache()) is not None:
            yield elsewhere / "comparisons"


@functools.cache
def analysis_version() -> str:
    """What of this installation decides what a comparison says: code, and the libraries that it computes with."""
    versions = [importlib.metadata.version(name) for name in ("numpy", "scipy", "pandas")]
    package = Path(__file__).parents[2]
    sources = [path for room in _ROOMS for path in sorted((package / room).rglob("*.py"))]
    found = hashlib.sha256(json.dumps(versions).encode())
    for path in sources:
        found.update(path.read_bytes())
    return found.hexdigest() if sources else importlib.metadata.version("nrtune")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _path(folder: Path, key: str) -> Path:
    return folder / f"{_PREFIX}{key[:16]}.json"


def _let_go(folder: Path) -> None:
    """Delete all but the latest; another process may be doing the same."""
    found: list[tuple[float, str]] = []
    try:
        for path in folder.glob(f"{_PREFIX}*.json"):
            found.append((path.stat().st_mtime, path.name))
        for _, name in sorted(found)[:-KEPT]:
            os.unlink(folder / name)
    except OSError:
        return


def _fields(comparison: Comparison) -> dict[str, Any]:
    """What JSON has of a comparison."""
    fields = {field.name: getattr(comparison, field.name) for field in dataclasses.fields(comparison)}
    return fields | {
        "winner": dataclasses.asdict(comparison.winner),
        "table": comparison.table.to_dict("list"),
        "power": None if comparison.power is None else dataclasses.asdict(comparison.power),
        "non_neural": [dataclasses.asdict(row) for row in comparison.non_neural],
    }


def _comparison(fields: Mapping[str, Any]) -> Comparison:
    """The comparison that `_fields` had."""
    winner = fields["winner"] | {key: tuple(fields["winner"][key]) for key in ("aliases", "trainings", "barred")}
    read = {
        "winner": Winner(**winner),
        "table": pd.DataFrame(fields["table"]),
        "blocks": fields["blocks"] and tuple(fields["blocks"]),
        "non_neural": tuple(AgainstNonNeural(**row) for row in fields["non_neural"]),
        "power": None if fields["power"] is None else Power(**fields["power"]),
    }
    if fields["winner"]["trial"] not in fields["table"]["name"]:
        raise LookupError(fields["winner"]["trial"])
    return Comparison(**(dict(fields) | read))
