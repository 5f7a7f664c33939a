"""What `nrtune best` and `nrtune ensemble` print."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from rich.console import Console

from nrtune.analysis.report.summaries import below_references, selection_sentence, winner_record, winner_records
from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.uncertainty.compared import SAME, Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.ensemble import Ensemble
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import listed, p_value, phrase, short_name
from nrtune.orchestrator.views.tables import cell, print_table


def best_table(comparisons: Comparisons) -> None:
    """Print the winner of every use case beside the baseline, with intervals where predictions are stored."""
    found, missing = comparisons.compare_all()
    told = any(not comparison.why_not for comparison in found.values())
    rows = [_best_row(name, comparison, comparisons.use_cases[name], told) for name, comparison in found.items()]
    if told:
        headings = ["use case", "winner", "value", "Δ", "95 % interval", "p", "n.s."]
    else:
        headings = ["use case", "winner", "value", "baseline", "Δ", "in %"]
    print_table(headings, rows, 2)
    out = Console(highlight=False)
    if found:
        winner = next(iter(found.values())).winner
        out.print(selection_sentence(winner.select_on, winner.candidates, winner.replicates))
        reasons = {comparison.why_not for comparison in found.values() if comparison.why_not}
        out.print(
            "Δ: improvement over the baseline (+ is better), its interval, and p corrected for the number of candidates (Holm);"
            " n.s.: how many others are not significantly different from the winner; –: not tested."
            if told
            else f"No intervals: {'; '.join(sorted(reasons))}."
        )
    advice: dict[str, list[str]] = {}
    for name, comparison in found.items():
        advice.setdefault(verdict_of(comparisons, comparison).recommendation.partition(" --use-case ")[0], []).append(
            name
        )
    for said, names in advice.items():
        out.print(f"{', '.join(names)}: {said}")
    for name, comparison in found.items():
        for sentence in _sentences(name, comparison, comparisons):
            out.print(sentence)
    left_out = [f"{name} {one.winner.without_metric}" for name, one in found.items() if one.winner.without_metric]
    if left_out:
        out.print(f"Trials left out for want of a metric: {', '.join(left_out)}.")
    for reason in missing.values():
        out.print(reason)


def _best_row(name: str, comparison: Comparison, rule: UseCase, told: bool) -> list[str]:
    """A use case's row; of a composite the first metric's value and improvement stand, without an interval."""
    winner = comparison.winner
    metric = next(iter(winner.reported))
    value, baseline = winner.reported[metric], winner.baseline_reported.get(metric)
    if baseline is None or winner.note:
        baseline = math.nan
    improvement = rule.oriented(metric, value) - rule.oriented(metric, baseline)
    head = [name, short_name(winner.trial), cell(value)]
    if not told:
        return [*head, cell(baseline), _signed(improvement), _percent(improvement, baseline, rule, metric)]
    row = comparison.of(winner.trial)
    if rule.composite or comparison.why_not:
        return [
            *head,
            _signed(improvement),
            "–",
            "–",
            _rivals(comparison),
        ]
    interval = f"{_signed(row['improvement_low'])} to {_signed(row['improvement_high'])}"
    shown = interval if math.isfinite(row["improvement_low"]) else "–"
    return [*head, _signed(row["improvement"]), shown, p_value(row["p_holm"]), _rivals(comparison)]


def _rivals(comparison: Comparison) -> str:
    """How many others are not significantly different from the winner."""
    return "–" if comparison.not_tested else str(len(comparison.against_winner(SAME)))


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.3f}"


def _percent(improvement: float, baseline: float, rule: UseCase, metric: str) -> str:
    """An improvement in percent of the baseline; of what should be near zero or below it a percentage says nothing."""
    if math.isnan(improvement) or baseline <= 0 or rule.metrics[metric] == "min":
        return "–"
    return f"{100 * improvement / baseline:+.1f} %"


def _sentences(name: str, comparison: Comparison, comparisons: Comparisons) -> list[str]:
    """What the table has no room for: a composite's value, aliases, non-neural baselines above the winner, who was left out."""
    winner, rule = comparison.winner, comparisons.use_cases[name]
    found = []
    if rule.composite:
        row = comparison.of(winner.trial)
        improved = ""
        if math.isfinite(row["improvement"]):
            low, high = _signed(row["improvement_low"]), _signed(row["improvement_high"])
            improved = f"; {_signed(row['improvement'])} over the baseline ({low} to {high})"
        found.append(f"{name}: mean percentile rank {row['value']:.3f} over {len(rule.metrics)} metrics{improved}")
        found[-1] += "; " + ", ".join(f"{phrase(metric)} {value:.3f}" for metric, value in winner.reported.items())
    if winner.aliases:
        found.append(f"{name}: {winner.trial} is also {', '.join(winner.aliases)}")
    return found + [f"{name}: {sentence}" for sentence in below_references(comparisons, comparison)]


def best_text(comparisons: Comparisons, use_case: str) -> str:
    """The winner of one use case: how it was picked, its interval, rivals, configuration, metrics and files."""
    comparison, rule = comparisons.compare(use_case), comparisons.use_cases[use_case]
    winner, best = comparison.winner, comparisons.best(comparison.winner)
    lines = [f"{use_case}: {rule.title}", f"winner {best.name} ({best.family}), fingerprint {best.fingerprint}"]
    lines += [
        f"  {metric} {value:.4f}" + _against(winner.baseline_reported.get(metric))
        for metric, value in winner.reported.items()
    ]
    lines.append(selection_sentence(winner.select_on, winner.candidates, winner.replicates))
    lines += _sentences(use_case, comparison, comparisons)
    if winner.without_metric:
        lines.append(f"{winner.without_metric} trials lack a metric of this use case and were left out")
    lines += _uncertainty(comparisons, comparison)
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
            low, high = _signed(row["improvement_low"]), _signed(row["improvement_high"])
            lines.append(f"improvement over the baseline {_signed(row['improvement'])}, {low} to {high}")
    verdict = verdict_of(comparisons, comparison)
    lines.append(f"against the baseline: {verdict.sentence()}")
    lines.append(f"against the best non-neural baseline: {verdict.against_non_neural}")
    if verdict.is_tested:
        row = comparison.of(winner.trial)
        if math.isfinite(row["rank"]):
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
    if verdict.minimum_detectable_improvement is not None:
        least = verdict.minimum_detectable_improvement
        lines.append(f"minimum detectable improvement (80 % power): {least:.3f}")
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


def ensemble_table(found: Sequence[Ensemble], use_case: str) -> None:
    """Print a use case's ensembles beside its best single trial."""
    first = found[0]
    rows = [[short_name(first.members[0]), "", cell(first.single), "", "", ""]]
    for one in found:
        interval = f"{_signed(one.improvement_low)} to {_signed(one.improvement_high)}"
        rows.append(
            [one.way, str(len(one.members)), cell(one.value), _signed(one.improvement), interval, p_value(one.p)]
        )
    print_table([use_case, "of", "value", "Δ", "95 % interval", "p"], rows, 1)
    out = Console(highlight=False)
    out.print(f"{phrase(first.metric)}; Δ: over the best single trial (+ is better). Members: {listed(first.members)}.")
