"""What is computed of a winner and its rivals: intervals always, p-values and ranks where there are seeds enough to test."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.analysis.selection.baselines import compared_to, encoders_in
from nrtune.analysis.selection.candidates import MIN_SEEDS, Field, selection_values
from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.uncertainty.across_loci import difference_across_loci, loci_of_metric, value_across_loci
from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.analysis.uncertainty.compared import word_for
from nrtune.analysis.uncertainty.intervals import Drawn, Resampler
from nrtune.analysis.uncertainty.power import Power
from nrtune.analysis.uncertainty.student import Interval, Resampled, holm, placed
from nrtune.analysis.wording import listed
from nrtune.trainables.core.randomness import derive_generator
from nrtune.trainables.evaluation.metrics import ranks

SELECTED_ON_IT = "it was selected on the very data that it is reported on"
"""Why nothing is tested where winners are selected on what is reported, as by the study's protocol."""

OF_SEVERAL = "a mean rank over several metrics has no test that holds"
"""Why nothing is tested of several metrics: resampled ranks call identical configurations different (docs/LOG.md)."""

OTHERS_LACK_SEEDS = f"other candidates have fewer than {MIN_SEEDS} seeds"
"""Why a winner with seeds enough is not tested: it was picked among values that are means over fewer."""


def selected_on_it(rule: UseCase, select_on: str) -> bool:
    """Whether a use case's winner is selected on a metric that it reports."""
    return not set(rule.metrics).isdisjoint(rule.selection(select_on))


def not_tested_because(table: pd.DataFrame, winner: Winner, rule: UseCase, *, same_encoder: bool) -> str:
    """Why a winner that has intervals is not tested against the baseline, or "".

    same_encoder: whether a difference to a baseline on another encoder would be the encoder's.
    """
    if selected_on_it(rule, winner.select_on):
        return SELECTED_ON_IT
    if winner.baseline is None:
        return "no baseline has finished with values of its metrics in every training"
    if winner.note:
        return winner.note
    encoder = table.set_index("name")["encoder"]
    if same_encoder and encoder[winner.trial] != encoder[winner.baseline]:
        return no_baseline_on(encoder[winner.trial])
    if few := lacking_seeds(table, winner):
        return too_few(few)
    return "" if winner.confirmed else OTHERS_LACK_SEEDS


def lacking_seeds(table: pd.DataFrame, winner: Winner) -> list[str]:
    """Which of winner and baseline have fewer seeds than a test takes."""
    seeds = table.set_index("name")["replicates"]
    return [name for name in (winner.trial, winner.baseline) if name is not None and seeds[name] < MIN_SEEDS]


def no_baseline_on(encoder: str) -> str:
    """That a gain could be the encoder's."""
    return f"no baseline on its encoder {encoder} has finished"


def too_few(names: Sequence[str]) -> str:
    """That these have fewer seeds than a test takes."""
    return f"{listed(names)} {'has' if len(names) == 1 else 'have'} fewer than {MIN_SEEDS} seeds"


def plain_table(field: Field, select_on: str) -> pd.DataFrame:
    """What needs no resampling; the columns that do are there, and missing."""
    rule, compared = field.rule, field.compared
    metric = next(iter(rule.metrics))
    value = selection_values(compared, rule, "challenge") if rule.composite else compared[metric].astype(float)
    table = pd.DataFrame(
        {
            "name": compared["name"].to_numpy(),
            "family": compared["family"].to_numpy(),
            "encoder": encoders_in(compared),
            "baseline": compared_to(field, select_on),
            "candidate": compared.index.isin(field.candidates.index),
            "replicates": compared["replicates"].to_numpy(),
            "selected_by": selection_values(compared, rule, select_on).to_numpy(),
            "value": value.to_numpy(),
        }
    )
    undefined = ("low", "high", "improvement", "improvement_low", "improvement_high", "p", "p_holm", "behind", "behind_low",
                 "behind_high", "elements_low", "elements_high",
                 "improvement_elements_low", "improvement_elements_high", "rank", "rank_low", "rank_high",
                 "probability_best")  # fmt: skip
    return table.assign(against_winner="", elements=0, **dict.fromkeys(undefined, np.nan))


class Values(NamedTuple):
    """A use case's values: as they are shown, and turned so that larger is better; what draws them; what turns them."""

    shown: Resampled
    oriented: Resampled
    drawn: Drawn
    orient: Callable[[Floats], Floats]


def values_of(resampler: Resampler, rule: UseCase) -> Values | None:
    """Of a use case of one metric; None where the predictions do not tell it."""
    ((name, _),) = rule.metrics.items()
    if (drawn := resampler.drawn(name)) is None:
        return None
    orient = functools.partial(rule.oriented, name)
    return Values(drawn.resampled, drawn.resampled.map(orient), drawn, orient)


def _lowest_where_undefined(samples: Floats) -> Floats:
    return np.where(np.isfinite(samples), samples, -np.inf)


def _each_over(baselines: Sequence[int], differences: Callable[[int], Interval | None]) -> Interval | None:
    """The interval of each configuration's value less that of its own baseline, whose index is at its place; paired."""
    found = {at: differences(at) for at in dict.fromkeys(baselines)}
    kept = {at: one for at, one in found.items() if one is not None}
    if len(kept) < len(found):
        return None
    fields = range(len(Interval._fields))
    return Interval(*(np.array([kept[at][field][row] for row, at in enumerate(baselines)]) for field in fields))


def _places(values: Values, candidate: NDArray[np.bool_], generator: np.random.Generator) -> Iterator[Floats]:
    """What the candidates' values could have been, turned, (c, resamples) of some of them at a time."""
    for chunk in values.drawn.draws:
        could_be = placed(values.shown, generator, chunk)
        yield values.orient(could_be[candidate[chunk.numbers.start : chunk.numbers.stop]])


def fill_in(table: pd.DataFrame, resampler: Resampler, values: Values, winner: Winner, *, tested: bool) -> Power | None:
    """Fill in the table's intervals and, where they are tested, p-values and ranks; return the test's power."""
    names, candidate = list(table["name"]), table["candidate"].to_numpy(bool)
    own = resampler.interval(values.shown)
    table["low"], table["high"] = own.low, own.high
    table["elements"] = loci_of_metric(values.shown)
    if (across := value_across_loci(values.shown, resampler.how.level)) is not None:
        table["elements_low"], table["elements_high"] = across.low, across.high
    baselines = [] if winner.baseline is None else [names.index(name) for name in table["baseline"]]
    differences = values.drawn.differences([names.index(winner.trial), *baselines], values.orient)
    behind = differences[names.index(winner.trial)]
    table["behind"], table["behind_low"], table["behind_high"] = -behind.estimate, -behind.high, -behind.low
    if winner.baseline is None:
        return None
    over = _each_over(baselines, differences.get)
    assert over is not None
    table["improvement"] = over.estimate
    table["improvement_low"], table["improvement_high"] = over.low, over.high
    level = resampler.how.level
    across = _each_over(baselines, lambda at: difference_across_loci(values.oriented, at, level))
    if across is not None:
        table["improvement_elements_low"], table["improvement_elements_high"] = across.low, across.high
    if not tested:
        return None
    table["p"] = np.where(candidate, over.p, np.nan)
    table["p_holm"] = holm(table["p"].to_numpy(np.float64))
    rivals = candidate & (table["name"] != winner.trial).to_numpy(bool)
    corrected = holm(np.where(rivals, behind.p, np.nan))
    table["against_winner"] = [
        word_for(difference, p) if rival and math.isfinite(p) else ""
        for difference, p, rival in zip(behind.estimate, corrected, rivals, strict=True)
    ]
    tail = (1 - resampler.how.level) / 2
    could_be = np.concatenate(list(_places(values, candidate, derive_generator(resampler.how.seed, "ranks"))))
    place = ranks(-_lowest_where_undefined(could_be), "min")
    low, high = np.quantile(place, [tail, 1 - tail], axis=1, method="inverted_cdf")
    table.loc[candidate, "rank"] = ranks(-values.oriented.estimate[candidate], "min")
    table.loc[candidate, ["rank_low", "rank_high"]] = np.stack([low, high], axis=1).astype(float)
    first = place == 1  # aliases share the first rank
    table.loc[candidate, "probability_best"] = (first / first.sum(axis=0)).mean(axis=1)
    return _power(values, over, names, winner, int(candidate.sum()))


def _power(values: Values, over: Interval, names: list[str], winner: Winner, comparisons: int) -> Power | None:
    """Of the winner's test against the baseline; None where neither variants nor seeds tell the two apart."""
    assert winner.baseline is not None
    at, beside = names.index(winner.trial), names.index(winner.baseline)
    variances = values.oriented.seed_variance
    of_blocks = max(float(over.error[at] ** 2 - over.of_seeds[at]), 0.0)
    if variances is None or not variances[[at, beside], 1].all() or not 0 < of_blocks + variances[at, 0] < math.inf:
        return None
    return Power(
        winner_variance=float(variances[at, 0]),
        winner_freedom=float(variances[at, 1]),
        winner_seeds=len(values.oriented.seeds[at]),
        baseline_variance=float(variances[beside, 0]),
        baseline_freedom=float(variances[beside, 1]),
        baseline_seeds=len(values.oriented.seeds[beside]),
        of_blocks=of_blocks,
        block_freedom=max(values.drawn.draws.freedom, 1),
        comparisons=comparisons,
    )
