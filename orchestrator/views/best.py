"""What `nrtune best` and `nrtune ensemble` print."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from nrtune.analysis.campaign import FlatConfig
from nrtune.analysis.report.advice import advice
from nrtune.analysis.report.summaries import (
    above_references,
    barred_sentence,
    baseline_sentence,
    below_references,
    blocks_sentence,
    failed_sentence,
    non_neural_sentence,
    selection_sentence,
    shown_of,
    the_baseline,
    winner_record,
    winner_records,
    winners_sentence,
)
from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.sources.open import open_folder
from nrtune.analysis.store.records import WARM_START
from nrtune.analysis.uncertainty.compared import BETTER, SAME, Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.early_stopping import agreements
from nrtune.analysis.uncertainty.verdict import Verdict, verdict_of
from nrtune.analysis.wording import count, listed, p_value, phrase, short_name
from nrtune.orchestrator.lifecycle.terminal import console
from nrtune.orchestrator.state.data_settings import ON_WHAT
from nrtune.orchestrator.views.tables import cell, print_table, signed
from nrtune.trainables.core.component import NONE
from nrtune.trainables.core.errors import UserError, suggest


def best_table(comparisons: Comparisons) -> None:
    """Print the winner of every use case beside the baseline, with intervals where predictions are stored."""
    found, missing = comparisons.compare_all()
    told = any(not comparison.why_not for comparison in found.values())
    rows = [_best_row(name, comparison, comparisons, told) for name, comparison in found.items()]
    if told:
        headings = ["use case", "winner", "value", "Δ", "95 % interval", "p", "n.s."]
    else:
        headings = ["use case", "winner", "value", "baseline", "Δ", "in %"]
    print_table(headings, rows, 2)
    out = console()
    if accepted := comparisons.source.audit.accepted_sentence():
        out.print(accepted)
    if found:
        out.print(winners_sentence(comparisons, found))
        reasons = {comparison.why_not for comparison in found.values() if comparison.why_not}
        out.print(
            f"Δ: improvement over {the_baseline(comparisons)} (+ is better), its interval, and p corrected for the number of"
            " candidates (Holm); n.s.: how many others are not significantly different from the winner; –: not tested."
            if told
            else f"No intervals: {'; '.join(sorted(reasons))}."
        )
    for sentence in advice(comparisons, found):
        out.print(sentence)
    for name, comparison in found.items():
        for sentence in _sentences(name, comparison, comparisons):
            out.print(sentence)
    left_out = [f"{name} {one.winner.without_metric}" for name, one in found.items() if one.winner.without_metric]
    if left_out:
        out.print(f"Trials left out for want of a metric: {', '.join(left_out)}.")
    for reason in missing.values():
        out.print(reason)
    for agreement in agreements(comparisons.source):
        out.print(agreement.sentence())


def answers(comparisons: Comparisons, use_cases: Sequence[str]) -> list[str]:
    """What a campaign says of each of these use cases, a line each; those that say the same share one."""
    found, _ = comparisons.compare_all()
    accepted = comparisons.source.audit.accepted_sentence()
    return [
        *filter(None, [accepted]),
        *advice(comparisons, {name: found[name] for name in use_cases if name in found}, _answer),
    ]


def _answer(verdict: Verdict) -> str:
    """What is recommended, and on what it rests."""
    if not verdict.is_tested:
        return verdict.recommendation
    improved = ""
    if verdict.improvement is not None and verdict.interval is not None:
        improved = f", {signed(verdict.improvement)} ({' to '.join(map(signed, verdict.interval))})"
    also = (
        "; and significantly better than the best non-neural baseline" if verdict.against_non_neural == BETTER else ""
    )
    return f"{verdict.recommendation}: {verdict.winner} is {verdict.sentence()}{improved}{also}"


def _best_row(name: str, comparison: Comparison, comparisons: Comparisons, told: bool) -> list[str]:
    """A use case's row; the value of one of several metrics is the mean percentile rank over them."""
    winner, rule = comparison.winner, comparisons.use_cases[name]
    value, baseline, improvement = shown_of(comparisons, comparison)
    head = [name, short_name(winner.trial), cell(value)]
    if not told:
        return [*head, cell(baseline), signed(improvement), _percent(improvement, baseline, rule)]
    row = comparison.of(winner.trial)
    interval = f"{signed(row['improvement_low'])} to {signed(row['improvement_high'])}"
    shown = interval if math.isfinite(row["improvement_low"]) else "–"
    return [*head, signed(improvement), shown, p_value(row["p_holm"]), _rivals(comparison)]


def _rivals(comparison: Comparison) -> str:
    """How many others are not significantly different from the winner."""
    return "–" if comparison.not_tested else str(len(comparison.against_winner(SAME)))


def _percent(improvement: float, baseline: float, rule: UseCase) -> str:
    """An improvement in percent of the baseline; of a rank, and of what should be near zero or below it, it says nothing."""
    if math.isnan(improvement) or baseline <= 0 or rule.composite or "min" in rule.metrics.values():
        return "–"
    return f"{100 * improvement / baseline:+.1f} %"


def _sentences(name: str, comparison: Comparison, comparisons: Comparisons) -> list[str]:
    """What the table has no room for: a composite's value, aliases, who was left out, non-neural baselines below and above."""
    winner, rule = comparison.winner, comparisons.use_cases[name]
    found = []
    if rule.composite:
        parts = ", ".join(f"{phrase(metric)} {value:.3f}" for metric, value in winner.reported.items())
        found.append(f"{name}: mean percentile rank over {len(rule.metrics)} metrics: {parts}")
    if winner.aliases:
        found.append(f"{name}: {winner.trial} is also {', '.join(winner.aliases)}")
    said = (barred_sentence(comparisons, comparison), failed_sentence(comparison), baseline_sentence(comparison))
    for sentence in said:
        found += [f"{name}: {sentence}"] if sentence else []
    beside = [*above_references(comparisons, comparison), *below_references(comparisons, comparison)]
    return found + [f"{name}: {sentence}" for sentence in beside]


def best_text(comparisons: Comparisons, use_case: str) -> str:
    """The winner of one use case: how it was picked, its interval, rivals, configuration, metrics and files."""
    comparison, rule = comparisons.compare(use_case), comparisons.use_cases[use_case]
    winner, best = comparison.winner, comparisons.best(comparison.winner)
    lines = [f"{use_case}: {rule.title}", f"winner {best.name} ({best.family}), fingerprint {best.fingerprint}"]
    lines += [
        f"  {metric} {value:.4f}" + _against(winner.baseline_reported.get(metric))
        for metric, value in winner.reported.items()
    ]
    lines.append(selection_sentence(comparisons, winner, winner.candidates))
    lines += _sentences(use_case, comparison, comparisons)
    if winner.without_metric:
        lines.append(f"left out for want of a metric of this use case: {count(winner.without_metric, 'trial')}")
    lines += _uncertainty(comparisons, comparison)
    lines += [agreement.sentence() for agreement in agreements(comparisons.source)]
    if winner.note:
        lines.append(winner.note)
    lines += ["configuration:", *(f"  {key}: {value}" for key, value in best.config.items())]
    if best.checkpoint is not None:
        lines.append(f"checkpoint: {best.checkpoint}")
    return "\n".join(lines)


def _uncertainty(comparisons: Comparisons, comparison: Comparison) -> list[str]:
    """A winner's intervals, rank and rivals, in sentences."""
    winner = comparison.winner
    if comparison.why_not:
        lines = [f"no intervals: {comparison.why_not}"]
    else:
        row = comparison.of(winner.trial)
        lines = [f"value {row['value']:.3f}, 95 % interval {row['low']:.3f} to {row['high']:.3f}"]
        if math.isfinite(row["improvement"]):
            low, high = signed(row["improvement_low"]), signed(row["improvement_high"])
            lines.append(f"improvement over the baseline {signed(row['improvement'])}, {low} to {high}")
        if math.isfinite(row["improvement_elements_low"]):
            low, high = signed(row["improvement_elements_low"]), signed(row["improvement_elements_high"])
            lines.append(f"for elements that were not measured: {low} to {high} (t over {row['elements']} loci)")
        if comparison.blocks:
            lines.append(f"resampled in {blocks_sentence(comparison.blocks)}")
    verdict = verdict_of(comparisons, comparison)
    lines.append(f"against the baseline: {verdict.sentence()}")
    lines.append(f"against the best non-neural baseline: {verdict.against_non_neural}")
    lines += [f"  {non_neural_sentence(against)}" for against in verdict.non_neural]
    if verdict.is_tested:
        row = comparison.of(winner.trial)
        if math.isfinite(row["rank"]) and winner.candidates > 1:
            lines.append(
                f"rank {row['rank']:.0f} of {winner.candidates} ({row['rank_low']:.0f} to {row['rank_high']:.0f}),"
                f" the best with probability {row['probability_best']:.2f}"
            )
        for word, names in (
            ("significantly better than it", verdict.significantly_better),
            ("not significantly different from it", verdict.not_significantly_different),
            ("significantly worse than it", verdict.significantly_worse),
        ):
            if names:
                lines.append(f"{word}: {listed(names)}")
    if power := verdict.power_sentence():
        lines.append(power)
    lines.append(verdict.recommendation)
    if comparison.left_out:
        said = [f"{element}: {name}" for element, name in comparison.left_out.items()]
        lines.append(f"winner with one element left out of the selection: {', '.join(said)}")
    return lines


def _against(baseline: float | None) -> str:
    return "" if baseline is None else f" (baseline {baseline:.4f})"


def best_json(comparisons: Comparisons, use_case: str) -> str:
    """One winner as a JSON object, or all by use case (null where there is none)."""
    if use_case != "all":
        return json.dumps(winner_record(comparisons, comparisons.compare(use_case)), indent=1)
    return json.dumps(winner_records(comparisons), indent=1)


def best_rows(comparisons: Comparisons, use_case: str) -> list[dict[str, Any]]:
    """A row a use case: its winner, the value with its interval, and the verdict; None where something is unknown."""
    if use_case != "all":
        found = {use_case: winner_record(comparisons, comparisons.compare(use_case))}
    else:
        found = {name: record for name, record in winner_records(comparisons).items() if record is not None}
    rows = []
    for name, record in found.items():
        interval, verdict = record["interval"], record["verdict"]
        shown = {
            key: interval[key] for key in ("value", "low", "high", "improvement", "improvement_low", "improvement_high")
        }
        rows.append({
            "use_case": name,
            **{key: record[key] for key in ("trial", "family", "fingerprint", "candidates", "replicates", "baseline")},
            **shown,
            **{key: verdict[key] for key in ("p", "p_adjusted", "against_baseline", "against_non_neural")},
            "not_significantly_different": len(verdict["not_significantly_different"]),
            "recommendation": verdict["recommendation"],
        })  # fmt: skip
    return rows


def trial_settings(folder: str, name: str) -> str:
    """A settings file that trains a trial of a campaign's folder again, on the campaign's data. Raises UserError."""
    campaign = open_folder(folder)
    records = {known: record for record in campaign.records() for known in (record.name, *record.aliases)}
    if name not in records:
        raise UserError(f"{folder}: has no trial {name}{suggest(name, records, '')}")
    settings = campaign.manifest.get("settings", {})
    data = {key: settings[key] for key in ON_WHAT if settings.get(key)}
    config = records[name].config
    if config.get("warm_start", NONE) != NONE:
        data["warm_start"] = str(campaign.folder.resolve() / WARM_START)
    return FlatConfig(records[name].family, config).to_yaml(**data)
