"""The part of a report on non-neural baselines: their values, and the winners against the best of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from nrtune.analysis.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Heading,
    Paragraph,
    Table,
    interval_cell,
    number_cell,
    p_cell,
    text_cell,
)
from nrtune.analysis.report.summaries import below_references, reference_name
from nrtune.analysis.uncertainty.compared import AgainstNonNeural, Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.non_neural import NonNeuralBaselines
from nrtune.analysis.wording import capital, label, use_case_name


def non_neural_part(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    """Values with their intervals, tests, and which winners are below."""
    yield Heading("Non-neural baselines")
    baselines = comparisons.non_neural
    if not baselines.metrics:
        yield Paragraph("No non-neural baselines, such as a constant predictor, are stored with these trials.")
        return
    metrics = list(dict.fromkeys(m for name in found for m in comparisons.use_cases[name].metrics
                                 if any(m in line for line in baselines.metrics.values())))  # fmt: skip
    columns = [Column("Metric")]
    for line in baselines.metrics:
        columns += [Column(_named(line), True), Column("95 % interval")]
    rows = tuple((text_cell(label(metric)), *_value_cells(baselines, metric)) for metric in metrics)
    yield Table("What needs no network, scored on the same data.", tuple(columns), rows)
    yield from _tests(found)
    below = [
        f"{capital(use_case_name(name))}: {sentence}."
        for name, one in found.items()
        for sentence in below_references(comparisons, one)
    ]
    yield Bullets(tuple(below)) if below else Paragraph("No winner is below a non-neural baseline.")


def _value_cells(baselines: NonNeuralBaselines, metric: str) -> Iterator[Cell]:
    for name, values in baselines.metrics.items():
        yield number_cell(values.get(metric, math.nan))
        yield interval_cell(*(baselines.interval(name, metric) or (math.nan, math.nan)))


def _tests(found: Mapping[str, Comparison]) -> Iterator[Block]:
    """What was tested, each winner in each metric once."""
    rows: dict[tuple[str, str], AgainstNonNeural] = {}
    for one in found.values():
        for against in one.non_neural:
            if against.improvement is not None:
                rows.setdefault((one.winner.trial, against.metric), against)
    if rows:
        yield Table(
            "Winners against the non-neural baseline that is best in the metric, on the same variants and test sequences. Δ: the"
            " improvement over it, + is better; p is corrected for the number of candidates (Holm).",
            (
                Column("Winner"),
                Column("Metric"),
                Column("Best non-neural baseline"),
                Column("Δ", True),
                Column("95 % interval of Δ"),
                Column("p, corrected", True),
                Column("Verdict"),
            ),
            tuple(tuple(_test_row(trial, against)) for (trial, _), against in rows.items()),
        )


def _test_row(trial: str, against: AgainstNonNeural) -> Iterator[Cell]:
    yield text_cell(trial)
    yield text_cell(label(against.metric))
    yield text_cell(_named(against.baseline))
    improvement, low, high, p = (
        math.nan if value is None else value
        for value in (against.improvement, against.improvement_low, against.improvement_high, against.p_adjusted)
    )
    yield number_cell(improvement, signed=True)
    yield interval_cell(low, high, signed=True)
    yield p_cell(p)
    yield text_cell(against.verdict)


def _named(line: str) -> str:
    return capital(reference_name(line))
