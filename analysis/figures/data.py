"""What figures are drawn from, and what they are when drawn."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, asked_of, selection_metric
from nrtune.analysis.selection.winners import Winner, find_winner
from nrtune.analysis.store.records import FAILED, FINISHED, SCORED
from nrtune.analysis.uncertainty.verdict import Verdict
from nrtune.analysis.wording import count, listed, phrase, short_names
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.outside_text import visible

CAGI5 = "cagi5/challenge"
SPEARMAN, PEARSON = f"{CAGI5}/spearman/all/mean", f"{CAGI5}/pearson/all/mean"
GAP, NOISE, CALIBRATED = f"{CAGI5}/hc_lc_gap", "noise/corr", "noise/corr_calibrated"
STRATA = ("all", "hc", "lc")
LOWER_IS_BETTER = (NOISE, CALIBRATED, GAP)
CURVE = "val/spearman"
"""What learning curves are of."""


class Drawn(NamedTuple):
    """A figure: its name (that of its file), a short heading, and a caption made from the data."""

    name: str
    figure: Figure
    title: str
    caption: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureData:
    """What figures are drawn from.

    title: the campaign's name. trials: a table as of `nrtune.analysis.store.table.table_of`. select_on: what
    winners are selected on. intervals: 95 % intervals, columns name, metric, low, high; may be empty. references: lines
    such as `constant` and `spectrum_ridge`, each with metrics by their full names; may be empty. use_cases: those of the
    summary. verdicts: of a use case, what is claimed of its winner; may be empty. in_training: of an element, how many training
    sequences overlap it. curves: of a trial, by its name, pairs of an epoch and its `CURVE`; may be empty.
    """

    title: str
    trials: pd.DataFrame
    select_on: str
    intervals: pd.DataFrame
    references: Mapping[str, Mapping[str, float]]
    use_cases: Mapping[str, UseCase] = dataclasses.field(default_factory=lambda: USE_CASES)
    verdicts: Mapping[str, Verdict] = dataclasses.field(default_factory=dict)
    in_training: Mapping[str, int] = dataclasses.field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def ended(self) -> pd.DataFrame:
        """Every trial once, however it ended, with a `label`: further names of a trial stand in its label."""
        table = self.trials.copy()
        for name in ("same_as", "replicate_of", "failure_class", "seconds", "ended"):
            if name not in table:
                table[name] = None
        table["label"] = short_names([visible(str(name)) for name in table["name"]])
        aliases: dict[str, list[str]] = {}
        for original, label in zip(table["same_as"], table["label"], strict=True):
            if isinstance(original, str):
                aliases.setdefault(original, []).append(label)
        table = table[table["same_as"].isna()].reset_index(drop=True)
        labels = [
            " = ".join([label, *aliases.get(name, ())])
            for name, label in zip(table["name"], table["label"], strict=True)
        ]
        return table.assign(label=labels)

    @functools.cached_property
    def scored(self) -> pd.DataFrame:
        """The trials that are drawn: finished, or cut off and scored; without seed replicates."""
        table = self.ended
        return table[table["status"].isin((FINISHED, SCORED)) & table["replicate_of"].isna()]

    @functools.cached_property
    def baseline(self) -> pd.Series[Any] | None:
        """The best baseline trial on selection data, None where none is scored."""
        rows = self.of((BASELINE,))
        if rows.empty:
            return None
        value = self.values(rows, self.objective)
        return rows.iloc[0 if value.isna().all() else int(value.argmax())]

    @functools.cached_property
    def objective(self) -> str:
        """What a search maximises: the overall use case's selection metric, or the nearest that the table has."""
        return self.first(self.scored, selection_metric(SPEARMAN, self.select_on), SPEARMAN) or SPEARMAN

    @functools.cached_property
    def winners(self) -> tuple[list[Winner], list[str]]:
        """The winners in the order of the use cases, and in words the use cases that have none."""
        winners, missing = [], []
        for name in asked_of(self.trials, self.use_cases):
            try:
                winners.append(find_winner(self.trials, name, self.select_on, self.use_cases))
            except (UserError, KeyError):
                missing.append(name.replace("_", " "))
        return winners, missing

    def of(self, families: Iterable[str]) -> pd.DataFrame:
        """The drawn trials of these families."""
        return self.scored[self.scored["family"].isin(list(families))]

    def values(self, rows: pd.DataFrame, metric: str) -> pd.Series[float]:
        """A metric of these trials, NaN where undefined."""
        if metric not in rows:
            return pd.Series(math.nan, index=rows.index, dtype=float)
        numbers = pd.to_numeric(rows[metric], errors="coerce").astype(float)
        return numbers.where(np.isfinite(numbers))

    def having(self, rows: pd.DataFrame, *metrics: str) -> pd.DataFrame:
        """Those of these trials that have all the metrics."""
        keep = pd.Series(True, index=rows.index)
        for metric in metrics:
            keep &= self.values(rows, metric).notna()
        return rows[keep]

    def first(self, rows: pd.DataFrame, *metrics: str) -> str | None:
        """The first metric that some of these trials have; after the given ones test and validation Spearman."""
        found = (m for m in (*metrics, "test/spearman", "val/spearman") if self.values(rows, m).notna().any())
        return next(found, None)

    def selection(self, metric: str) -> str:
        """What stands for a reported metric when trials are picked: its counterpart on selection data if there is one."""
        try:
            counterpart = selection_metric(metric, self.select_on)
        except UserError:
            return metric
        return counterpart if self.values(self.scored, counterpart).notna().any() else metric

    def agreement(self, rows: pd.DataFrame, one: str, other: str) -> float:
        """The rank correlation over trials of two metrics; NaN for under three trials, or where one metric is constant."""
        values = self.having(rows, one, other)
        first, second = self.values(values, one), self.values(values, other)
        if len(values) < 3 or first.nunique() < 2 or second.nunique() < 2:
            return math.nan
        return float(first.corr(second, method="spearman"))

    def best(self, rows: pd.DataFrame, metric: str) -> pd.Series[Any] | None:
        """The best of these trials by a metric, None where none has it; smaller is better for noise and gaps."""
        value = self.values(rows, metric).dropna()
        if value.empty:
            return None
        return rows.loc[value.index].iloc[int(value.argmin() if metric in LOWER_IS_BETTER else value.argmax())]

    def ranked(self, families: Iterable[str], metric: str, limit: int = 24) -> pd.DataFrame:
        """The best trials of these families and the baseline, the highest metric first; empty where the families have none."""
        rows = self.having(self.of(families), metric)
        if rows.empty:
            return rows
        rows = rows.loc[self.values(rows, metric).sort_values(ascending=False, kind="stable").index[:limit]]
        if self.baseline is not None and self.baseline.name not in rows.index:
            rows = pd.concat([rows, self.having(self.scored.loc[[self.baseline.name]], metric)])
        return rows.loc[self.values(rows, metric).sort_values(ascending=False, kind="stable").index]

    def replicates(self, name: str, metric: str) -> list[float]:
        """A metric of a trial's seed replicates."""
        rows = self.ended[(self.ended["replicate_of"] == name) & self.ended["status"].isin((FINISHED, SCORED))]
        return [float(value) for value in self.values(rows, metric).dropna()]

    def interval(self, name: str, metric: str) -> tuple[float, float] | None:
        """The 95 % interval of a trial's metric, if known."""
        found = self._intervals.get((name, metric))
        return found if found and all(map(math.isfinite, found)) else None

    @functools.cached_property
    def _intervals(self) -> dict[tuple[str, str], tuple[float, float]]:
        if self.intervals.empty:
            return {}
        columns = (self.intervals[name] for name in ("name", "metric", "low", "high"))
        return {
            (str(name), str(metric)): (float(low), float(high))
            for name, metric, low, high in zip(*columns, strict=True)
        }

    def reference_values(self, metric: str) -> dict[str, float]:
        """The reference lines that have a metric; a table knows its constant predictor's noise correlation itself."""
        known = {name: float(metrics[metric]) for name, metrics in self.references.items() if metric in metrics}
        if metric in (NOISE, CALIBRATED):
            constant = self.values(self.scored, "noise/corr_constant").median()
            known = {"constant": float(constant), **known}
        return {name: value for name, value in known.items() if math.isfinite(value)}

    def without(self, families: Iterable[str] | None, *metrics: str) -> str:
        """A sentence on the trials that are not drawn, or "": how many failed or were stopped, how many lack a metric."""
        rows = self.ended if families is None else self.ended[self.ended["family"].isin(list(families))]
        rows = rows[rows["replicate_of"].isna()]
        scored = rows[rows["status"].isin((FINISHED, SCORED))]
        reasons = []
        if failed := int((rows["status"] == FAILED).sum()):
            reasons.append(f"{failed} failed")
        if stopped := len(rows) - len(scored) - failed:
            reasons.append(f"{stopped} stopped early")
        if lacking := len(scored) - len(self.having(scored, *metrics)):
            reasons.append(f"{lacking} without {listed([phrase(m) for m in metrics])}")
        return f"Not drawn of {count(len(rows), 'trial')}: {', '.join(reasons)}." if reasons else ""


def sentences(*parts: str) -> str:
    """Join what is not empty."""
    return " ".join(part for part in parts if part)
