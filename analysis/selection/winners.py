"""Which trial is best at a use case."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas as pd

from nrtune.analysis.selection.baselines import best_baselines, compared_to, encoders_in
from nrtune.analysis.selection.candidates import Field, field_of, ranked, selection_values, without_fresh_candidates
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase


@dataclasses.dataclass(frozen=True, kw_only=True)
class Winner:
    """The best trial of a use case.

    selected_by: its selection value. reported: each reported metric of the winner. baseline, baseline_reported: the
    baseline trial on its encoder that is selected in the same way, on any encoder where none is on its own; None where there
    is none. candidates: how many trials it was picked from.
    without_metric: trials left out for want of a metric. aliases: further names of the winner. replicates: the seeds that
    its values are means over, 0 for those of a single training; trainings: their names. failed: trainings with further seeds
    that failed. confirmed: whether all candidates have seeds enough to be tested. barred: who could not win, being below the
    baseline at the use case's floor. better_baseline: a baseline that is better by its own training, and was not trained
    again. note: what a reader must know, or "".
    """

    use_case: str
    trial: str
    select_on: str
    selected_by: float
    reported: Mapping[str, float]
    baseline: str | None
    baseline_reported: Mapping[str, float]
    candidates: int
    without_metric: int
    aliases: tuple[str, ...]
    replicates: int
    trainings: tuple[str, ...]
    failed: int
    confirmed: bool
    barred: tuple[str, ...]
    better_baseline: str | None
    note: str


def find_winner(
    trials: pd.DataFrame,
    use_case: str,
    select_on: str,
    use_cases: Mapping[str, UseCase] = USE_CASES,
) -> Winner:
    """Pick the best trial of a use case from a table of trials (columns name, family, status, same_as and metrics).

    The baseline family is the reference, not a candidate, unless nothing else has finished. Who competes: `field_of`.

    Raises UserError for an unknown use case and where no finished trial has its metrics.
    """
    return winner_of(field_of(trials, use_case, select_on, use_cases), trials, use_case, select_on, use_cases)


def winner_of(
    field: Field, trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase] = USE_CASES
) -> Winner:
    """The best trial of a use case, of a table's trials that its field was made of."""
    rule = field.rule
    value = selection_values(field.compared, rule, select_on)
    best = ranked(field, select_on).iloc[0]
    against = dict(zip(field.compared["name"], compared_to(field, select_on), strict=True))[best["name"]]
    baseline = None if against is None else field.baselines[field.baselines["name"] == against].iloc[0]
    same = trials[trials["same_as"] == best["name"]] if "same_as" in trials else trials.iloc[:0]
    return Winner(
        use_case=use_case,
        trial=str(best["name"]),
        select_on=select_on,
        selected_by=float(value.loc[field.compared["name"] == best["name"]].iloc[0]),
        reported={name: float(best[name]) for name in rule.metrics},
        baseline=against,
        baseline_reported={} if baseline is None else {name: float(baseline[name]) for name in rule.metrics},
        candidates=len(field.candidates),
        without_metric=len(field.scored) - len(field.complete),
        aliases=tuple(map(str, same["name"])),
        replicates=int(best["replicates"]),
        trainings=tuple(best["trainings"]),
        failed=int(best["failed"]),
        confirmed=field.confirmed,
        barred=tuple(map(str, field.barred["name"])),
        better_baseline=_better_baseline(
            trials, field, encoders_in(best.to_frame().T)[0], use_case, select_on, use_cases
        ),
        note=field.note,
    )


def _better_baseline(
    trials: pd.DataFrame, field: Field, encoder: str, use_case: str, select_on: str, use_cases: Mapping[str, UseCase]
) -> str | None:
    """The best baseline of the search on an encoder, where the one compared to is another, with seeds of its own."""
    if not field.confirmed:
        return None
    own = trials[trials["replicate_of"].isna()] if "replicate_of" in trials else trials
    searched = best_baselines(own, use_case, select_on, use_cases)
    if not searched:
        return None
    best = searched.get(encoder, next(iter(searched.values())))
    return None if best in set(field.baselines["name"]) else best


def finalists(
    trials: pd.DataFrame, use_case: str, select_on: str, top: int, use_cases: Mapping[str, UseCase] = USE_CASES
) -> list[str]:
    """Names of the `top` best candidates of a use case, best first, each by its own trainings, replicated or not.

    Raises UserError where `find_winner` does.
    """
    field = field_of(without_fresh_candidates(trials), use_case, select_on, use_cases)
    return [str(name) for name in ranked(field, select_on)["name"].iloc[:top]]
