"""A campaign's trials as a table, its best trials, and what was predicted, wherever the campaign is kept."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.store import shapes
from nrtune.analysis.store.audit import Audit, findings_of
from nrtune.analysis.store.predictions import Predictions, read_predictions
from nrtune.analysis.store.records import (
    REFERENCE_LINES,
    TRIALS,
    TrialRecord,
    benchmarks_of,
    read_records,
    read_references,
)
from nrtune.analysis.store.table import table_of
from nrtune.trainables.core.files import BEST, HISTORY, TEST, predictions_file
from nrtune.trainables.core.inside import inside
from nrtune.trainables.core.shape import DamagedFile, read_json
from nrtune.trainables.data.benchmarks import BENCHMARKS


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestTrial:
    """The winner of a use case: how it was picked, its flat config, metrics, and where its model and predictions lie.

    published: the starting point that it is, if any, as in `TrialRecord`. checkpoint: None where the source of the trials has
    none. predictions: files by what they are of, `test` or a benchmark, as far as the source has them.
    """

    winner: Winner
    name: str
    family: str
    published: str | None
    fingerprint: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    checkpoint: Path | None
    predictions: Mapping[str, Path]


class Trials:
    """The trials of one source, read only.

    name: for people. select_on: the data that winners are selected on. matched: the elements that CAGI5 means are over.
    objectives: what the search made large or small, such as val/noise/corr:min; empty where it had its default, or unknown.
    encoders: what a search put its families on; empty where they are as the study had them.
    """

    name: str
    select_on: str
    matched: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()

    @property
    def loci(self) -> tuple[tuple[str, ...], ...]:
        """The same, those that overlap together."""
        return tuple((element,) for element in self.matched)

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """The names of the benchmarks that its trials may have been scored on."""
        return BENCHMARKS.names()

    @property
    def audit(self) -> Audit:
        """What was found in its data; empty where nobody looked."""
        return Audit()

    def records(self) -> list[TrialRecord]:
        """Every trial that ended, in that order."""
        raise NotImplementedError

    def references(self) -> dict[str, dict[str, float]]:
        """Metrics of the non-neural baselines, such as a k-mer ridge regression, by their names; empty where there are none."""
        return {}

    def reference_predictions(self, name: str) -> Predictions:
        """A non-neural baseline's predictions, as far as there are any."""
        return Predictions(None)

    def file(self, fingerprint: str, name: str) -> Path | None:
        """A trial's own file, such as its predictions; None where this source has none."""
        return None

    def history(self, fingerprint: str) -> list[dict[str, float]]:
        """A trial's metrics after each epoch; empty where this source has none, or they can't be read."""
        path = self.file(fingerprint, HISTORY)
        try:
            return (
                [] if path is None else list(read_json(path, "the history of a trial", shapes.HISTORY, not_finite=True))
            )
        except DamagedFile:
            return []

    def predictions(self, fingerprint: str) -> Predictions:
        """A trial's predictions for test sequences and variants, as far as there are any."""
        return read_predictions(functools.partial(self.file, fingerprint), self.benchmarks, fingerprint)

    def trials(self) -> pd.DataFrame:
        """One row a trial that ended, and one for each further name that it goes by.

        Columns: LEADING, parameters (such as `loss.k`), metrics (such as `test/spearman`).
        A parameter that a trial does not have, and a metric that is undefined for it, is missing.
        """
        return table_of(self.records())

    def best_of(self, winner: Winner, records: Sequence[TrialRecord]) -> BestTrial:
        """The trial that a winner is, among these records of this source."""
        record = next(record for record in records if record.name == winner.trial)
        return BestTrial(
            winner=winner,
            name=record.name,
            family=record.family,
            published=record.published,
            fingerprint=record.fingerprint,
            config=record.config,
            metrics=record.metrics,
            checkpoint=self.file(record.fingerprint, BEST),
            predictions={
                of: path
                for of in (TEST, *self.benchmarks)
                if (path := self.file(record.fingerprint, predictions_file(of))) is not None
            },
        )


class CampaignFolder(Trials):
    """A campaign folder, safe to read while a search is writing to it; `open_folder` opens one."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.name = str(manifest.get("name", folder.name))
        self.select_on = str(manifest["identity"]["select_on"])
        about = manifest.get("cagi5") or {}
        self.matched = tuple(about.get("matched", ()))
        self._loci = tuple(map(tuple, about.get("loci", ())))
        self.objectives = tuple(manifest["identity"].get("objective", ()))
        self.encoders = tuple(manifest["identity"].get("encoders", ()))

    @property
    def loci(self) -> tuple[tuple[str, ...], ...]:
        """As the benchmark's coordinates tell; each element is one in campaigns of before."""
        return self._loci or super().loci

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Those that the campaign was made with."""
        return benchmarks_of(self.manifest)

    @property
    def audit(self) -> Audit:
        """As the manifest tells."""
        return findings_of(self.manifest)

    def records(self) -> list[TrialRecord]:
        """As of now: a search may be going on."""
        return read_records(self.folder)

    def references(self) -> dict[str, dict[str, float]]:
        """As the campaign scored them."""
        return read_references(self.folder)

    def reference_predictions(self, name: str) -> Predictions:
        """As the campaign stored them."""
        return read_predictions(functools.partial(self._file, REFERENCE_LINES, name), self.benchmarks, name)

    def file(self, fingerprint: str, name: str) -> Path | None:
        """In the trial's own folder."""
        return self._file(TRIALS, fingerprint, name)

    def _file(self, *names: str) -> Path | None:
        path = inside(self.folder, *names)
        return path if path.exists() else None


class RecordedTrials(Trials):
    """Trials whose records are all that there is, such as those of the study's table."""

    def __init__(
        self,
        name: str,
        select_on: str,
        records: Sequence[TrialRecord],
        references: Mapping[str, Mapping[str, float]] | None = None,
        *,
        matched: Sequence[str] = (),
        objectives: Sequence[str] = (),
        encoders: Sequence[str] = (),
    ) -> None:
        self.name, self.select_on = name, select_on
        self.matched, self.objectives, self.encoders = tuple(matched), tuple(objectives), tuple(encoders)
        self._records, self._references = tuple(records), dict(references or {})

    def records(self) -> list[TrialRecord]:
        """As they were given."""
        return list(self._records)

    def references(self) -> dict[str, dict[str, float]]:
        """As they were given."""
        return {name: dict(metrics) for name, metrics in self._references.items()}
