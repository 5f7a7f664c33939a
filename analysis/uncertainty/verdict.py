"""What is claimed of a use case's winner: one record, which whoever shows a winner shows."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.uncertainty.compared import BETTER, NOT_TESTED, SAME, WORSE, AgainstNonNeural, Comparison, word_for
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.tested import OTHERS_LACK_SEEDS, lacking_seeds, no_baseline_on, too_few
from nrtune.analysis.wording import listed, p_value, replicate_command
from nrtune.trainables.training.fingerprint import RECIPE_VERSION


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """A use case's winner against the baseline, a non-neural baseline and its rivals; what is not known is None.

    against_baseline, against_non_neural: "better", "not significantly different", "worse", or "not tested: " and why.
    non_neural: the last of these in the use case's metric and in test Spearman and Pearson, each with its numbers.
    seeds: how many trainings winner and baseline are means of. improvement: over the baseline, + is better; interval: its ends.
    interval_across_elements: those of the interval that holds for elements like the `elements` loci of the metric's mean.
    p_adjusted: for the number of candidates (Holm). significantly_worse, not_significantly_different, significantly_better:
    the other candidates against the winner, on the reported data.
    minimum_detectable_improvement: what would be significant in 80 of 100 such campaigns. seeds_needed: of either, for the
    improvement, were it real, to be significant in as many; None where it is none, or no number of seeds would do.
    recommended_trial: None where nothing carries a recommendation.
    """

    use_case: str
    winner: str
    baseline: str | None
    against_baseline: str
    against_non_neural: str
    non_neural: tuple[AgainstNonNeural, ...]
    seeds: dict[str, int]
    improvement: float | None
    interval: tuple[float, float] | None
    interval_across_elements: tuple[float, float] | None
    elements: int | None
    p: float | None
    p_adjusted: float | None
    significantly_worse: tuple[str, ...]
    not_significantly_different: tuple[str, ...]
    significantly_better: tuple[str, ...]
    minimum_detectable_improvement: float | None
    seeds_needed: int | None
    recommendation: str
    recommended_trial: str | None

    @property
    def is_tested(self) -> bool:
        """Whether the winner was tested against the baseline."""
        return not self.against_baseline.startswith(NOT_TESTED)

    def sentence(self) -> str:
        """Its verdict against the baseline, with the adjusted p-value, for people."""
        if not self.is_tested or self.p_adjusted is None:
            return self.against_baseline
        return f"{_AGAINST_BASELINE[self.against_baseline]} (adjusted p {p_value(self.p_adjusted)})"

    def power_sentence(self) -> str:
        """What could have been found, and how many seeds what was seen would need; "" where nothing was tested."""
        if self.minimum_detectable_improvement is None or self.improvement is None:
            return ""
        said = f"minimum detectable improvement (80 % power): {self.minimum_detectable_improvement:.3f}"
        if self.against_baseline != SAME or self.improvement <= 0:
            return said
        if self.seeds_needed is not None and self.seeds_needed <= min(self.seeds.values()):
            return said  # they vary more than others, which the next ones need not
        needed = f"needs {self.seeds_needed} seeds" if self.seeds_needed else "needs more variants, whatever the seeds"
        return f"{said}; {self.improvement:+.3f} {needed} (has {self.seeds['winner']})"

    def to_dict(self) -> dict[str, Any]:
        """What JSON has of it."""
        return dataclasses.asdict(self)


_AGAINST_BASELINE = {
    BETTER: "significantly better than the baseline",
    SAME: "not significantly different from the baseline",
    WORSE: "significantly worse than the baseline",
}


def verdict_of(comparisons: Comparisons, comparison: Comparison) -> Verdict:
    """What a comparison carries."""
    winner, row = comparison.winner, comparison.of(comparison.winner.trial)
    against, power = _against_baseline(comparison), comparison.power
    seeds = {"winner": max(winner.replicates, 1)}
    if winner.baseline is not None:
        seeds["baseline"] = max(int(comparison.of(winner.baseline)["replicates"]), 1)
    better = comparison.against_winner(BETTER)
    recommendation, trial = _recommended(comparisons, comparison, against, better)
    return Verdict(
        use_case=winner.use_case,
        winner=winner.trial,
        baseline=winner.baseline,
        against_baseline=against,
        against_non_neural=comparison.against_non_neural,
        non_neural=comparison.non_neural,
        seeds=seeds,
        improvement=_known(row["improvement"]),
        interval=_ends(row, "improvement"),
        interval_across_elements=_ends(row, "improvement_elements"),
        elements=int(row["elements"]) or None,
        p=_known(row["p"]),
        p_adjusted=_known(row["p_holm"]),
        significantly_worse=comparison.against_winner(WORSE),
        not_significantly_different=comparison.against_winner(SAME),
        significantly_better=better,
        minimum_detectable_improvement=None if power is None else power.minimum_detectable(),
        seeds_needed=None if power is None else power.seeds_for(float(row["improvement"])),
        recommendation=recommendation,
        recommended_trial=trial,
    )


def _ends(row: pd.Series[Any], name: str) -> tuple[float, float] | None:
    low, high = _known(row[f"{name}_low"]), _known(row[f"{name}_high"])
    return None if low is None or high is None else (low, high)


def _against_baseline(comparison: Comparison) -> str:
    if comparison.not_tested:
        return f"{NOT_TESTED}: {comparison.not_tested}"
    row = comparison.of(comparison.winner.trial)
    if math.isnan(row["p_holm"]):
        return f"{NOT_TESTED}: its p-value is undefined"
    return word_for(float(row["improvement"]), float(row["p_holm"]))


def _recommended(
    comparisons: Comparisons, comparison: Comparison, against: str, better: tuple[str, ...]
) -> tuple[str, str | None]:
    """A sentence, and the trial that it recommends."""
    winner = comparison.winner
    lacking = lacking_seeds(comparison.table, winner)
    if comparison.not_tested in (OTHERS_LACK_SEEDS, too_few(lacking)):
        return replicate_first(comparisons, [winner.use_case]), None
    if comparison.not_tested == no_baseline_on(comparison.of(winner.trial)["encoder"]):
        return f"none: {comparison.not_tested}{_going_on(comparisons)}", None
    if against.startswith(NOT_TESTED):
        return f"none: {against.partition(': ')[2]}", None
    if against == BETTER and winner.better_baseline is not None:  # than one that the search has bettered itself
        return replicate_first(comparisons, [winner.use_case]), None
    trial = winner.trial if against == BETTER else winner.baseline
    said = f"use {trial}" if against == BETTER else f"keep the baseline {trial}"
    if better:
        above = f"{listed(better)} {'is' if len(better) == 1 else 'are'} significantly better than {winner.trial}"
        said = f"{above} on the reported data; {said}, or select anew and replicate"
    if comparison.against_non_neural == WORSE:
        said += f"; a non-neural baseline is significantly better than {winner.trial}"
    return said, trial


def _going_on(comparisons: Comparisons) -> str:
    """How the search itself trains what is missing, if it has not ended."""
    if not isinstance(comparisons.source, CampaignFolder):
        return ""
    return f"; to go on with the search: {shlex.join(['nrtune', 'search', '--out', str(comparisons.source.folder), '--resume'])}"


def replicate_first(comparisons: Comparisons, use_cases: Sequence[str]) -> str:
    """The advice for use cases whose winner or baseline has too few seeds; none in particular stand for all."""
    if not isinstance(comparisons.source, CampaignFolder):
        return f"train winner and baseline with {MIN_SEEDS} seeds first"
    if comparisons.source.manifest["identity"].get("recipe", RECIPE_VERSION) != RECIPE_VERSION:
        return (
            f"replicate first, with the version of nrtune that trained it, or search anew: {MIN_SEEDS} seeds are needed"
        )
    select_on = None if comparisons.select_on == comparisons.source.select_on else comparisons.select_on
    command = replicate_command(comparisons.source.folder, use_cases, own=comparisons.own, select_on=select_on)
    return f"replicate first: {command}"


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
