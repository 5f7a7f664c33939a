"""The part of a report that is read first: what is significant, the winners, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from nrtune.analysis.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Heading,
    Table,
    interval_cell,
    number_cell,
    p_cell,
    text_cell,
)
from nrtune.analysis.report.non_neural import non_neural_part
from nrtune.analysis.report.summaries import (
    barred_sentence,
    baseline_sentence,
    failed_sentence,
    shown_of,
    the_baseline,
    winners_sentence,
)
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.store.records import STATUSES, benchmarks_of
from nrtune.analysis.uncertainty.compared import SAME, Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import Verdict, verdict_of
from nrtune.analysis.wording import capital, count, label, listed, number, phrase, use_case_name
from nrtune.trainables.data.benchmarks import BENCHMARKS
from nrtune.trainables.evaluation.covered import NOT_STRATA, uneven_means


def winners_part(comparisons: Comparisons) -> Iterator[Block]:
    """Winners and their configurations, what else could have won, non-neural baselines, selection data."""
    found, missing = comparisons.compare_all()
    yield Heading("What was done")
    yield from _summary(comparisons, found)
    yield from _winners(comparisons, found, missing)
    yield from _configurations(comparisons, found)
    yield from _robustness(comparisons, found)
    yield from non_neural_part(comparisons, found)
    yield from _selection(comparisons, found)


def _summary(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    table = comparisons.table
    own = table[table["same_as"].isna() & table["replicate_of"].isna()]
    statuses = own["status"].value_counts()
    ended = ", ".join(f"{statuses[status]} {status}" for status in STATUSES if status in statuses)
    items = [f"{count(len(own), 'trial')} of {count(own['family'].nunique(), 'family')}"
             + (f": {ended}." if ended else ".")]  # fmt: skip
    items += _data(comparisons)
    if found:
        items.append(winners_sentence(comparisons, found))
    yield Bullets(tuple(items))


def _data(comparisons: Comparisons) -> Iterator[str]:
    """What was trained on, and what it was scored on, as far as the source knows."""
    source = comparisons.source
    if not isinstance(source, CampaignFolder):
        return
    data, cagi5 = source.manifest.get("data") or {}, source.manifest.get("cagi5") or {}
    if {"name", "train"} <= data.keys():
        on = f", and scored on CAGI5 elements of cell line {cagi5['cell_line']}" if "cell_line" in cagi5 else ""
        epochs = source.manifest.get("settings", {}).get("epochs")
        length = f" for up to {count(epochs, 'epoch')}" if epochs else ""
        yield f"Trained{length} on {count(data['train'], 'sequence')} of {data['name']}{on}."
    for benchmark in benchmarks_of(source.manifest):
        counts = pd.DataFrame(source.manifest.get(benchmark, {}).get("counts", []))
        strata = [str(name) for name in counts if name not in NOT_STRATA]
        for sentence in uneven_means(counts, strata) if len(counts) else []:
            yield f"{BENCHMARKS.get(benchmark).title}: {sentence}."


def _winners(comparisons: Comparisons, found: Mapping[str, Comparison], missing: Mapping[str, str]) -> Iterator[Block]:
    yield Heading("Winners")
    told = any(not one.why_not for one in found.values())
    columns = [Column("Use case"), Column("Winner"), Column("Value", True)]
    if told:
        columns.append(Column("95 % interval", minor=True))
    columns += [Column("Baseline", True), Column("Δ", True)]
    if told:
        columns += [Column("95 % interval of Δ"), Column("p, corrected", True), Column("Not different", True, minor=True),
                    Column("Rank interval", minor=True), Column("Probability best", True, minor=True)]  # fmt: skip
    columns += [Column("Candidates", True, minor=True), Column("Left out", True, minor=True), Column("Seeds", True)]
    rows = [tuple(_winner_row(comparisons, one, told)) for one in found.values()]
    explained = (
        f"Value is that of the use case's metric, Δ its improvement over {the_baseline(comparisons)}, + is better"
    )
    if any(comparisons.use_cases[name].composite for name in found):
        explained += "; for one of several metrics, of the mean percentile rank over them, 1 the best"
    explained += ". Left out: trials without the metric."
    if told:
        explained += " p is corrected for the number of candidates (Holm). Not different: how many others are not"
        explained += " significantly different from the winner, named below. A dash: not tested."
    yield Table(explained, tuple(columns), tuple(rows))
    yield Bullets(tuple(_notes(comparisons, found, missing)))


def _winner_row(comparisons: Comparisons, comparison: Comparison, told: bool) -> Iterator[Cell]:
    winner = comparison.winner
    row = comparison.of(winner.trial)
    yield text_cell(use_case_name(winner.use_case))
    yield text_cell(" = ".join([winner.trial, *winner.aliases]))
    value, baseline, improvement = shown_of(comparisons, comparison)
    yield number_cell(value)
    if told:
        yield interval_cell(row["low"], row["high"])
    yield number_cell(baseline)
    yield number_cell(improvement, signed=True)
    if told:
        yield interval_cell(row["improvement_low"], row["improvement_high"], signed=True)
        yield p_cell(row["p_holm"])
        same = len(comparison.against_winner(SAME))
        yield Cell("–", None) if comparison.not_tested else Cell(str(same), same)
        yield interval_cell(row["rank_low"], row["rank_high"], digits=0)
        best = float(row["probability_best"])
        yield Cell("–", None) if math.isnan(best) else Cell(f"{best:.2f}", best)
    yield Cell(str(winner.candidates), winner.candidates)
    yield Cell(str(winner.without_metric), winner.without_metric)
    seeds = max(winner.replicates, 1)
    yield Cell(str(seeds), seeds)


def _notes(comparisons: Comparisons, found: Mapping[str, Comparison], missing: Mapping[str, str]) -> Iterator[str]:
    """What a row of the winners has no room for."""
    for name, one in found.items():
        rule, winner = comparisons.use_cases[name], one.winner
        said = f"{capital(use_case_name(name))}: {rule.title}"
        if rule.composite:
            said += f" ({listed([f'{phrase(m)} {number(v)}' for m, v in winner.reported.items()])})"
        else:
            metric, direction = next(iter(rule.metrics.items()))
            wanted = "nearest to 0" if metric in rule.magnitude else "largest" if direction == "max" else "smallest"
            said += f"; the {wanted} {phrase(metric)}"
        said += f". {winner.note.capitalize()}." if winner.note else "."
        verdict = verdict_of(comparisons, one)
        said += f" {capital(verdict.sentence())}."
        for word, names in (("better than", verdict.significantly_better), ("worse than", verdict.significantly_worse)):
            said += f" Significantly {word} {winner.trial} on the reported data: {listed(names)}." if names else ""
        if verdict.interval_across_elements is not None:
            low, high = (number(end, signed=True) for end in verdict.interval_across_elements)
            said += f" For elements that were not measured Δ lies between {low} and {high} (95 %, t over"
            said += f" {verdict.elements} loci)."
        if verdict.not_significantly_different:
            said += f" Not significantly different from {winner.trial}: {listed(verdict.not_significantly_different)}."
        for sentence in (barred_sentence(comparisons, one), failed_sentence(one), baseline_sentence(one)):
            said += f" {capital(sentence)}." if sentence else ""
        said += f" {capital(verdict.recommendation)}."
        yield said
    yield from (f"{capital(reason)}." for reason in missing.values())


def _configurations(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    """What each winner is: the parameters in which it differs from its baseline."""
    uses: dict[str, list[str]] = {}
    for name, one in found.items():
        uses.setdefault(one.winner.trial, []).append(name)
    configs = {record.name: record.config for record in comparisons.records}
    rows = []
    for trial, names in uses.items():
        best = comparisons.best(found[names[0]].winner)
        baseline = configs.get(found[names[0]].winner.baseline or "", {})
        other = {key: value for key, value in best.config.items() if _differs(key, value, baseline)}
        said = ", ".join(f"{key} {_parameter(value)}" for key, value in other.items() if key != "seed")
        rows.append(tuple(map(text_cell, (trial, best.family.replace("_", " "), listed([use_case_name(n) for n in names]),
                                          said or "the baseline itself"))))  # fmt: skip
    if rows:
        yield Heading("What the winners are")
        yield Table(
            "Parameters that differ from the baseline's, or that it has not; nrtune best --use-case prints all of them.",
            (Column("Winner"), Column("Family"), Column("Use cases"), Column("Parameters")),
            tuple(rows),
        )


def _differs(key: str, value: Any, baseline: Mapping[str, Any]) -> bool:
    """Whether a parameter is another in a baseline's configuration, or of a component that it has not.

    What else it has not came after it was trained, and is as it was then.
    """
    if key in baseline:
        return bool(baseline[key] != value)
    return "." in key or not baseline


def _parameter(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _robustness(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    if any(one.left_out for one in found.values()):
        yield Heading("Leave-one-element-out", folded=True)
        columns = (Column("Use case"), Column("Winner"), Column("Stays"), Column("Would win, without which element"))
        rows, stay = [], 0
        for name, one in found.items():
            if one.left_out:
                others: dict[str, list[str]] = {}
                for element, winner in one.left_out.items():
                    if winner != one.winner.trial:
                        others.setdefault(winner, []).append(element)
                kept = len(one.left_out) - sum(map(len, others.values()))
                said = "; ".join(f"{winner}: {', '.join(without)}" for winner, without in others.items()) or "–"
                cells = (use_case_name(name), one.winner.trial, f"{kept} of {len(one.left_out)}", said)
                rows.append(tuple(map(text_cell, cells)))
                stay += not others
        said = f"Who would win were an element left out of the selection: {stay} of {len(rows)} winners would stay."
        yield Table(said, columns, tuple(rows))
    verdicts = {name: verdict_of(comparisons, one) for name, one in found.items() if one.power is not None}
    if verdicts:
        yield Heading("Minimum detectable improvement", folded=True)
        yield Table(
            "The improvement over the baseline that would be significant, after the correction, in 80 of 100 such campaigns; and"
            " how many seeds of either the improvement that was seen would need for that, were it real.",
            (
                Column("Use case"),
                Column("Detectable", True),
                Column("Seen", True),
                Column("Seeds", True),
                Column("Needed", True),
            ),
            tuple(tuple(_power_row(name, one)) for name, one in verdicts.items()),
        )


def _power_row(name: str, verdict: Verdict) -> Iterator[Cell]:
    yield text_cell(use_case_name(name))
    for value, signed in ((verdict.minimum_detectable_improvement, False), (verdict.improvement, True)):
        yield number_cell(math.nan if value is None else value, signed=signed)
    for seeds in (verdict.seeds["winner"], verdict.seeds_needed):
        yield Cell("–" if seeds is None else str(seeds), seeds)


def _selection(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    if not found:
        return
    yield Heading("Selection data and evaluation data", folded=True)
    rows = []
    for name in found:
        rule = comparisons.use_cases[name]
        chosen = listed([label(metric) for metric in dict.fromkeys(rule.selection(comparisons.select_on))])
        rows.append(
            tuple(map(text_cell, (use_case_name(name), chosen, listed([label(metric) for metric in rule.metrics]))))
        )
    caption = {
        "release": "Winners are selected on validation data and the CAGI5 release part, and reported on data that no"
        " selection saw.",
        "val": "Winners are selected on validation data, and reported on data that no selection saw.",
        "challenge": "Winners are selected on the very data that they are reported on: the values are too good.",
    }[comparisons.select_on]
    yield Table(caption, (Column("Use case"), Column("Selected by"), Column("Reported")), tuple(rows))
