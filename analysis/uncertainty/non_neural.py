"""Winners against the non-neural baselines: paired on the same variants and test sequences, tested as against the baseline.

A winner is compared to the one that is best on the reported data, in its use case's metric and in test Spearman and Pearson.
Blocks of positions, or clusters of test sequences, are drawn for both alike, seeds for the winner alone. Every candidate is
tested, and p is corrected for their number (Holm), as against the baseline; a claim about two metrics at once needs both.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.sources.trials import Trials
from nrtune.analysis.uncertainty.compared import NOT_TESTED, AgainstNonNeural, word_for
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.student import holm
from nrtune.analysis.uncertainty.tested import OTHERS_LACK_SEEDS, SELECTED_ON_IT, too_few

ALWAYS = ("test/spearman", "test/pearson")
"""What every winner is compared in, beside its use case's metric."""


class NonNeuralBaselines:
    """The non-neural baselines of a source: which is best, and how far its values could have come out otherwise."""

    def __init__(self, source: Trials, how: Resampling) -> None:
        self.source, self.how = source, how

    @functools.cached_property
    def metrics(self) -> Mapping[str, Mapping[str, float]]:
        """Those of each baseline, by its name."""
        return self.source.references()

    def best(self, rule: UseCase, metric: str) -> str | None:
        """The baseline that is best in one of a use case's metrics on the reported data; None where none has it."""
        values = {name: of[metric] for name, of in self.metrics.items() if math.isfinite(of.get(metric, math.nan))}
        return max(values, key=lambda name: rule.oriented(metric, values[name]), default=None)

    @functools.cache  # noqa: B019 - lives as long as the comparisons do
    def interval(self, name: str, metric: str) -> tuple[float, float] | None:
        """The interval of a baseline's value; None where its stored predictions do not tell it."""
        found = self._alone(name).values(metric)
        if found is None or not (math.isfinite(found.low[0]) and math.isfinite(found.high[0])):
            return None
        return float(found.low[0]), float(found.high[0])

    def configuration(self, name: str) -> Configuration:
        """A baseline's predictions, for a resampler: no seed changes them."""
        return Configuration(name, (0,), (self.source.reference_predictions(name),))

    @functools.cache  # noqa: B019 - lives as long as the comparisons do
    def _alone(self, name: str) -> Resampler:
        return Resampler([self.configuration(name)], self.source.matched, self.how)


def against_non_neural(
    baselines: NonNeuralBaselines,
    winner: Winner,
    rule: UseCase,
    beside: Callable[[str], Resampler | None],
) -> tuple[AgainstNonNeural, ...]:
    """A winner against the best non-neural baseline in its use case's metric, where it has one alone, and in those of ALWAYS.

    beside: gives the candidates' resampler with the baseline of a name as its last configuration; None where no predictions
    are stored. A metric that no baseline has is left out.
    """
    own = {} if rule.composite else dict(rule.metrics)
    asked = dataclasses.replace(rule, metrics=dict.fromkeys(ALWAYS, "max") | own)
    found = []
    for metric in dict.fromkeys([*own, *ALWAYS]):
        if (name := baselines.best(asked, metric)) is None:
            continue
        why_not = SELECTED_ON_IT if metric in rule.selection(winner.select_on) else _lacks_seeds(winner)
        found.append(against(baselines, name, metric, winner.trial, asked, None if why_not else beside(name), why_not))
    return tuple(found)


def against(
    baselines: NonNeuralBaselines,
    name: str,
    metric: str,
    candidate: str,
    rule: UseCase,
    resampler: Resampler | None,
    why_not: str = "",
) -> AgainstNonNeural:
    """A candidate of a resampler against the non-neural baseline of a name, which is its last configuration.

    why_not: why they are not tested, "" where they are. rule: a use case that has the metric, which tells what is better.
    """
    if not why_not and (resampler is None or resampler.drawn(metric) is None):
        why_not = f"no predictions of {name} are stored"
    value, interval = baselines.metrics[name][metric], baselines.interval(name, metric) or (None, None)
    row = AgainstNonNeural(
        metric=metric, baseline=name, value=value, low=interval[0], high=interval[1],
        verdict=f"{NOT_TESTED}: {why_not}" if why_not else "",
    )  # fmt: skip
    return row if resampler is None or why_not else _tested(row, resampler, candidate, rule)


def with_p(row: AgainstNonNeural, adjusted: float) -> AgainstNonNeural:
    """The same with another correction of its p-value, and what that makes of the verdict."""
    assert row.improvement is not None
    return dataclasses.replace(row, p_adjusted=adjusted, verdict=word_for(row.improvement, adjusted))


def _lacks_seeds(winner: Winner) -> str:
    if winner.confirmed:
        return ""
    return too_few([winner.trial]) if winner.replicates < MIN_SEEDS else OTHERS_LACK_SEEDS


def _tested(row: AgainstNonNeural, resampler: Resampler, winner: str, rule: UseCase) -> AgainstNonNeural:
    """The row with what the resampler's last configuration is compared to: all candidates, for the correction is for them."""
    drawn = resampler.drawn(row.metric)
    assert drawn is not None
    names = [configuration.name for configuration in resampler.configurations]
    last = len(names) - 1
    over = drawn.differences([last], functools.partial(rule.oriented, row.metric))[last]
    at, corrected = names.index(winner), holm(over.p[:-1])
    if not math.isfinite(corrected[at]):
        return dataclasses.replace(row, verdict=f"{NOT_TESTED}: its p-value is undefined")
    return dataclasses.replace(
        row,
        improvement=float(over.estimate[at]),
        improvement_low=float(over.low[at]),
        improvement_high=float(over.high[at]),
        p=float(over.p[at]),
        p_adjusted=float(corrected[at]),
        verdict=word_for(float(over.estimate[at]), float(corrected[at])),
    )
