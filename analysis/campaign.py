"""A campaign as a program asks it: trials, winners with how sure they are, figures, comparisons.

import nrtune

campaign = nrtune.open_campaign("out")
campaign.trials()
campaign.best("overall").config
"""

from __future__ import annotations

import dataclasses
import functools
import html
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import yaml

from nrtune.analysis.sources.open import open_campaign as open_source
from nrtune.analysis.sources.trials import BestTrial, CampaignFolder, Trials
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.uncertainty.campaigns import compare_winners
from nrtune.analysis.uncertainty.compared import Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import Verdict, verdict_of
from nrtune.analysis.wording import count, number
from nrtune.trainables.core.component import NONE
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.outside_text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGET = ("epochs", "seed", "precision", "warm_start", "freeze")
"""What of a configuration belongs to the campaign that trains it."""


class ValueInterval(NamedTuple):
    """A value with the ends of its interval, 95 % unless another level was asked for; NaN where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.value)} ({number(self.low)} to {number(self.high)})"


class FlatConfig(dict[str, Any]):
    """The flat parameters of a trial, such as `loss.k`; family: the one that it is of."""

    def __init__(self, family: str, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.family = family

    def to_yaml(self, **data: Any) -> str:
        """A settings file for `nrtune search` that trains this configuration again, with its seed, on whatever data are given.

        data: settings of the file that say which, such as data="lentiMPRA.h5"; none for those of the command.

        Raises UserError for a training that started from weights, where `warm_start`, their file, is not among them.
        """
        if self.get("warm_start", NONE) != NONE and "warm_start" not in data:
            raise UserError(f"the training started from the weights {self['warm_start']}: give warm_start, their file")
        settings = {
            "families": [self.family],
            "trials": 1,
            **{name: self[name] for name in BUDGET if name in self and name not in ("warm_start", "freeze")},
            "scheduler": "none",
            "recipe": "study",  # adds nothing to the parameters below, which are all
            "set": {name: value for name, value in self.items() if name not in BUDGET},
            **({"freeze": self["freeze"]} if self.get("freeze", NONE) != NONE else {}),
            **data,
        }
        return str(yaml.safe_dump(settings, sort_keys=False))


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Best:
    """The best trial of a use case; what takes resampling is worked out when it is asked for.

    title: what the use case asks. config: its flat parameters. metrics: by full name. checkpoint: of its best epoch, None where
    it was not kept. predictions: files by what they are of, `test` or a benchmark.
    """

    use_case: str
    title: str
    trial: BestTrial
    comparisons: Comparisons

    @property
    def name(self) -> str:
        """The trial's."""
        return self.trial.name

    @property
    def family(self) -> str:
        """The trial's."""
        return self.trial.family

    @property
    def fingerprint(self) -> str:
        """The trial's."""
        return self.trial.fingerprint

    @functools.cached_property
    def config(self) -> FlatConfig:
        """The trial's flat parameters, which `to_yaml` makes a settings file of."""
        return FlatConfig(self.trial.family, self.trial.config)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The trial's metrics by their full names."""
        return self.trial.metrics

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint of its best epoch, for `nrtune.load_model`."""
        return self.trial.checkpoint

    @property
    def predictions(self) -> Mapping[str, Path]:
        """Files of predictions by what they are of; `prediction` and `variant_effect` are the model's own output."""
        return self.trial.predictions

    @functools.cached_property
    def comparison(self) -> Comparison:
        """The winner among all that it was picked from."""
        return self.comparisons.compare(self.use_case)

    @property
    def interval(self) -> ValueInterval:
        """Its value at the use case with a 95 % interval."""
        row = self.comparison.of(self.name)
        return ValueInterval(*(float(row[column]) for column in ("value", "low", "high")))

    @property
    def improvement(self) -> ValueInterval:
        """Its improvement over the baseline, + is better, with a 95 % interval."""
        row = self.comparison.of(self.name)
        return ValueInterval(*(float(row[column]) for column in ("improvement", "improvement_low", "improvement_high")))

    @property
    def verdict(self) -> Verdict:
        """What is claimed of it: against the baseline, a non-neural baseline and its rivals, and what is recommended."""
        return verdict_of(self.comparisons, self.comparison)

    def __repr__(self) -> str:
        return visible(f"Best({self.use_case}: {self.name}, {self._value()})")

    def _repr_html_(self) -> str:
        rows = {
            "trial": self.name,
            "family": self.family,
            self.title: str(self.interval),
            "verdict": self.verdict.sentence(),
        }
        cells = "".join(
            f"<tr><th>{html.escape(k)}</th><td>{html.escape(visible(v))}</td></tr>" for k, v in rows.items()
        )
        return f"<table>{cells}</table>"

    def _value(self) -> str:
        ((metric, value), *others) = self.trial.winner.reported.items()
        return f"mean rank over {len(others) + 1} metrics" if others else f"{metric} {number(value)}"


class Campaign:
    """A campaign, or another source of trials, read only; it may go on while it is asked."""

    def __init__(self, source: Trials) -> None:
        self.source = source
        self._cached: tuple[object, Comparisons] | None = None

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.source.name

    @property
    def folder(self) -> Path | None:
        """Its folder; None for another source."""
        return self.source.folder if isinstance(self.source, CampaignFolder) else None

    @property
    def select_on(self) -> str:
        """What winners are selected on: release, val or challenge."""
        return self.source.select_on

    def trials(self) -> pd.DataFrame:
        """One row a trial that ended: names and how it ended, then parameters, then metrics."""
        return self.source.trials()

    def records(self) -> list[TrialRecord]:
        """Every trial that ended, in that order."""
        return self.source.records()

    def references(self) -> dict[str, dict[str, float]]:
        """Metrics of the non-neural baselines, by their names."""
        return self.source.references()

    def best(self, use_case: str = "overall", select_on: str | None = None) -> Best:
        """The best trial of a use case. Raises UserError where there is none."""
        comparisons = self._comparisons(select_on)
        trial = comparisons.find(use_case)
        title = comparisons.use_cases[use_case].title
        return Best(use_case=use_case, title=title, trial=trial, comparisons=comparisons)

    def winners(self, select_on: str | None = None) -> pd.DataFrame:
        """One row a use case that has a winner.

        Columns: use_case, trial, family, value with low and high, improvement over the baseline (+ is better) with
        improvement_low and improvement_high, p_holm (corrected for the number of candidates), verdict.
        """
        comparisons = self._comparisons(select_on)
        rows = []
        for use_case, comparison in comparisons.compare_all()[0].items():
            row = comparison.of(comparison.winner.trial)
            columns = ("value", "low", "high", "improvement", "improvement_low", "improvement_high", "p_holm")
            rows.append(
                {"use_case": use_case, "trial": comparison.winner.trial, "family": row["family"]}
                | {column: float(row[column]) for column in columns}
                | {"verdict": verdict_of(comparisons, comparison).sentence()}
            )
        return pd.DataFrame.from_records(rows)

    def plot(self, name: str) -> Figure:
        """A figure of the report by its name, such as fig08_families, or what comes behind the number: families.

        Raises UserError for an unknown name, and where the trials have nothing for it.
        """
        from nrtune.analysis.figures import draw, figure_names
        from nrtune.analysis.report.report import figure_data

        short = {figure.partition("_")[2]: figure for figure in figure_names()}
        drawn = draw(short.get(name, name), figure_data(self._comparisons(None)))
        if drawn is None:
            raise UserError(f"{self.name}: has nothing for figure {name}")
        return drawn.figure

    def compare(self, other: Campaign, select_on: str | None = None) -> pd.DataFrame:
        """The winners of two campaigns that were scored on the same variants and test sequences, paired.

        One row a use case of a single metric that both have a winner for: use_case, metric, trial, other_trial, value,
        other_value, difference (of this campaign's less the other's) with low and high, p (not corrected for the number of use
        cases). Raises UserError where they were not scored on the same rows.
        """
        return compare_winners(self._comparisons(select_on), other._comparisons(select_on))

    def _comparisons(self, select_on: str | None) -> Comparisons:
        """Kept until another trial has ended."""
        key = select_on, len(self.source.records())
        if self._cached is None or self._cached[0] != key:
            self._cached = key, Comparisons(self.source, select_on=select_on)
        return self._cached[1]

    def __repr__(self) -> str:
        records = self.source.records()
        families = {record.family for record in records}
        return visible(f"Campaign({self.name}: {count(len(records), 'trial')} of {count(len(families), 'family')})")

    def _repr_html_(self) -> str:
        winners = self.winners()
        table = winners.to_html(index=False, float_format=lambda v: "–" if math.isnan(v) else number(v), border=0)
        return f"<p>{html.escape(repr(self))}</p>" + (table if len(winners) else "")


def open_campaign(source: str | os.PathLike[str]) -> Campaign:
    """Open a campaign for reading.

    source: a campaign's folder; a Parquet file of `nrtune trials --format parquet`; the study's CSV table; or an MLflow
    tracking URI, followed by `#NAME` (or its id) where that holds several campaigns. Raises UserError for anything else.
    """
    return Campaign(open_source(source))
