"""Combinations: whether a loss with a sampler beats either alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from nrtune.analysis.figures.data import SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import bars, legend, row_figure
from nrtune.analysis.figures.style import PALE, family_code
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.wording import number, phrase
from nrtune.search_spaces import FAMILIES, Choice

TITLE = "Combinations and their components"
_FAMILY, _NO_COMPONENT = "combination", ("combination", "ablation", BASELINE)
_PLAIN = {"loss": "mse", "sampler": "uniform", "encoder": "dream_rnn"}
_MOST = 8


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Each combination, then the best trial of the families of its loss, sampler and encoder, and the baseline."""
    metric = data.first(data.of([_FAMILY]), SPEARMAN)
    if metric is None:
        return None
    combinations = data.having(data.of([_FAMILY]), metric)
    combinations = combinations.loc[data.values(combinations, metric).sort_values(ascending=False).index[:_MOST]]
    indices: list[Any] = []
    breaks, better = [], []
    for index, combination in combinations.iterrows():
        found = [best for family in components(combination) if (best := _best(data, family, metric)) is not None]
        better.append(bool(found) and all(combination[metric] > best[metric] for best in found))
        indices += [index, *(best.name for best in found)]
        if data.baseline is not None and data.values(data.baseline.to_frame().T, metric).notna().all():
            indices.append(data.baseline.name)
        breaks.append(len(indices))
    rows = data.scored.loc[indices]
    rows = rows.assign(label=[_label(row) for _, row in rows.iterrows()])
    pearson = metric.replace("spearman", "pearson")
    figure, axes = row_figure(rows, "ab")
    for ax, name, title in zip(axes, (metric, pearson), ("a  Spearman", "b  Pearson"), strict=True):
        bars(ax, data, rows, name, title)
        for place in breaks[:-1]:
            ax.axhline(place - 0.5, color=PALE, linewidth=0.6)
    legend(figure, rows["family"])
    best = combinations.iloc[0]
    return figure, sentences(
        f"By {phrase(metric)}, {sum(better)} of {len(combinations)} combinations are above the best trial of each of their"
        f" components; the best combination is {best['label']}, {number(float(best[metric]))}.",
        f"Components were picked by {phrase(data.selection(metric))}.",
        data.without([_FAMILY], metric),
    )


def components(combination: pd.Series[Any]) -> Iterator[str]:
    """The families that a combination's loss, sampler and encoder come from, plain ones apart."""
    for kind, plain in _PLAIN.items():
        value = combination.get(kind)
        if value is None or value == plain:
            continue
        for name in FAMILIES:
            family = FAMILIES.get(name)
            chosen = [p.values for p in family.space if isinstance(p, Choice) and p.name == kind and kind == "loss"]
            if name not in _NO_COMPONENT and (
                family.fixed.get(kind) == value or any(value in values for values in chosen)
            ):
                yield name
                break


def _best(data: FigureData, family: str, metric: str) -> pd.Series[Any] | None:
    return data.best(data.having(data.of([family]), metric), data.selection(metric))


def _label(row: pd.Series[Any]) -> str:
    family = str(row["family"])
    return str(row["label"]) if family in (_FAMILY, BASELINE) else f"best {family_code(family)}: {row['label']}"
