"""What `nrtune ensemble` prints."""

from __future__ import annotations

import math
from typing import Any

from nrtune.analysis.report.summaries import non_neural_sentence
from nrtune.analysis.uncertainty.ensemble import COVERS, Ensemble, EnsembleComparison
from nrtune.analysis.wording import listed, phrase, short_name
from nrtune.orchestrator.lifecycle.terminal import console
from nrtune.orchestrator.views.tables import cell, print_table, signed


def ensemble_rows(comparison: EnsembleComparison, *, everything: bool) -> list[dict[str, Any]]:
    """A row an ensemble and metric, beside the best single trial; everything: the mean by every reported metric as well."""
    found = [*comparison.of_use_case(), *(comparison.of_all() if everything else ())]
    columns = (
        "way",
        "metric",
        "value",
        "low",
        "high",
        "best",
        "single",
        "improvement",
        "improvement_low",
        "improvement_high",
    )
    return [
        {
            "use_case": comparison.use_case,
            **{name: _known(getattr(one, name)) for name in columns},
            "members": " ".join(one.members),
        }
        for one in found
    ]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def ensemble_table(comparison: EnsembleComparison, *, everything: bool) -> None:
    """Print ensembles beside the best single trial; everything: the mean by every reported metric as well."""
    found = comparison.of_use_case()
    first = found[0]
    rows = [[short_name(first.best), "", cell(first.single), "", ""]]
    rows += [[one.way, str(len(one.members)), cell(one.value), *_improvement(one)] for one in found]
    print_table([comparison.use_case, "of", "value", "Δ", "95 % interval"], rows, 1)
    if everything:
        rows = [[one.metric, cell(one.single), cell(one.value), *_improvement(one)] for one in comparison.of_all()]
        print_table(["metric", short_name(first.best), "mean", "Δ", "95 % interval"], rows, 1)
    out = console()
    out.print(f"{phrase(first.metric)}; Δ: over {first.best}, the best single trial by selection data (+ is better).")
    out.print(f"Members, {comparison.what}, selected on {selected_on(comparison)}: {listed(first.members)}.")
    for against in comparison.against_non_neural():
        out.print(f"The mean against {non_neural_sentence(against)}.")
    out.print(COVERS)


def _improvement(one: Ensemble) -> list[str]:
    return [signed(one.improvement), f"{signed(one.improvement_low)} to {signed(one.improvement_high)}"]


def selected_on(comparison: EnsembleComparison) -> str:
    """What members were selected on, in words."""
    if comparison.select_on == "challenge":
        return "the very data they are reported on (the study's protocol: the values are too good)"
    return "validation data" if comparison.select_on == "val" else "validation data and the CAGI5 release part"
