"""What a search optimises: metrics that its data define and that selection may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nrtune.analysis.selection.pareto import Objective, default_objectives, parse_objectives
from nrtune.analysis.selection.use_cases import selection_metric
from nrtune.orchestrator.search.proposals import ObjectiveValues
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.randomness import derive_generator
from nrtune.trainables.evaluation.predictions import Predicted, score_predictions, variant_table

if TYPE_CHECKING:
    from nrtune.trainables.training.training_data import TrainingData

_NO_RESULT = ("/n/", "/corr_constant")
"""In the names of metrics that are the same for every model."""

_OPTION = "--objective"


def checked_objectives(texts: Sequence[str], data: TrainingData, select_on: str) -> tuple[Objective, ...]:
    """The objectives of a search, the one default if none was given.

    Raises UserError for a metric that the data do not define, and for one that is reported and never optimised, unless the
    campaign selects on challenge.
    """
    objectives = parse_objectives(texts, _OPTION)
    known = selectable(data, select_on) if objectives else []
    reported = _reported(data)
    for objective in objectives:
        if select_on != "challenge" and objective.metric.startswith(reported):
            try:
                instead = f"; give {selection_metric(objective.metric, 'release')}"
            except UserError:
                instead = ""
            raise UserError(
                f"{_OPTION} {objective}: is reported, and never optimised unless --select-on is challenge{instead}"
            )
        if objective.metric not in known:
            hint = suggest(objective.metric, known, "; `nrtune trials DIR --format csv` lists a campaign's metrics")
            raise UserError(f"{_OPTION} {objective}: no trial on these data has this metric{hint}")
    return objectives or default_objectives(select_on)


def selectable(data: TrainingData, select_on: str) -> list[str]:
    """The metrics that a trial on these data can have and a search may optimise."""
    dataset, benchmarks = data.dataset, data.benchmarks
    generator = derive_generator("selectable")  # a constant prediction would have no correlations
    sizes = {split: len(dataset.rows(split)) for split in ("val", "test")}
    drawn = {split: generator.normal(size=(2, n)).astype(np.float32) for split, n in sizes.items()}
    guesses = {split: Predicted(mean, log_variance) for split, (mean, log_variance) in drawn.items()}
    effects = [(of, variant_table(of, generator.normal(size=len(of.windows)))) for of in benchmarks]
    found = score_predictions(dataset, guesses, effects).defined()
    allowed = [name for name in found if not any(part in name for part in _NO_RESULT)]
    return allowed if select_on == "challenge" else [name for name in allowed if not name.startswith(_reported(data))]


def _reported(data: TrainingData) -> tuple[str, ...]:
    """How the names of metrics begin that are reported, and that no search may look at."""
    return (
        "test/",
        "noise/",
        *(f"{prefix}/{kind}" for of in data.benchmarks for part, prefix in of.prefixes.items()
          if part not in of.selectable for kind in ("spearman", "pearson", "hc_lc_gap")),
    )  # fmt: skip


def objective_values(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> ObjectiveValues | None:
    """The value of the one objective, or of each, among a trial's metrics; None where one is missing."""
    if any(objective.metric not in metrics for objective in objectives):
        return None
    values = tuple(metrics[objective.metric] for objective in objectives)
    return values[0] if len(values) == 1 else values
