"""Parameter importances: what of a family's search decides its result."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from nrtune.analysis.figures.data import FigureData, sentences
from nrtune.analysis.figures.studies import study_of
from nrtune.analysis.figures.style import family_title, in_order, look, new_figure
from nrtune.analysis.wording import listed, phrase

TITLE = "Parameter importances"
LEAST = 8
"""Trials below which a family is left out: the evaluator compares the best quarter with all, and two are the least of that."""

_COLUMNS = 2


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Optuna's PED-ANOVA importances (arXiv:2304.10255, arXiv:2601.20800), which sum to 1, a panel a family."""
    found: dict[str, tuple[dict[str, float], int]] = {}
    few, same = [], []
    for family in in_order(data.scored["family"]):
        if (n := len(data.having(data.of([family]), data.objective))) < LEAST:
            few.append(f"{family_title(family)} ({n})")
        elif (study := study_of(data, family, data.objective)) is None:
            same.append(family_title(family))
        else:
            evaluator = PedAnovaImportanceEvaluator(target_quantile=0.25)
            found[family] = (dict(get_param_importances(study, evaluator=evaluator)), n)
    if not found:
        return None
    columns = min(_COLUMNS, len(found))
    lines = -(-len(found) // columns)
    most = max(len(importances) for importances, _ in found.values())
    figure = new_figure(lines * (0.6 + 0.14 * max(most, 3)))
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    for ax, (family, (importances, n)) in zip(axes, found.items(), strict=False):
        ax.barh(np.arange(len(importances)), list(importances.values()), height=0.72, color=look(family).colour)
        ax.set_yticks(np.arange(len(importances)), list(importances))
        ax.set_ylim(most - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(axis="x", labelbottom=True)
        ax.set_title(f"{family_title(family)} ({n})")
        ax.xaxis.set_major_locator(MaxNLocator(2))
        ax.set_xlim(0, 1)
    for ax in axes[len(found) :]:
        ax.remove()
    figure.supxlabel("Importance, sums to 1", fontsize=6)
    top = [f"{next(iter(importances))} in {family_title(family)}" for family, (importances, _) in found.items()]
    return figure, sentences(
        "In brackets a family's trials.",
        f"Most important for {phrase(data.objective)}: {listed(top)}.",
        f"Too few trials (under {LEAST}) in {listed(few)}." if few else "",
        f"No parameter varies in {listed(same)}." if same else "",
    )
