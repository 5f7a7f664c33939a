"""The best trials: by confidence, Spearman and Pearson."""

from __future__ import annotations

from matplotlib.figure import Figure

from nrtune.analysis.figures.captions import against_baseline
from nrtune.analysis.figures.data import SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import bars, legend, row_figure, strata, stratum_handles
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.wording import phrase

TITLE = "Top 15"
_TOP = 15


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """The 15 best by selection data, in the order of what is reported, and the baseline."""
    candidates = data.scored[data.scored["family"] != BASELINE]
    metric = data.first(candidates, SPEARMAN)
    if metric is None:
        return None
    picked_by = data.selection(metric)
    picked = data.having(candidates, metric, picked_by)
    if picked.empty:
        return None
    top = picked.loc[data.values(picked, picked_by).sort_values(ascending=False, kind="stable").index[:_TOP]]
    baseline = [] if data.baseline is None else [data.baseline.name]
    rows = data.having(data.scored.loc[[*top.index, *baseline]], metric)
    rows = rows.loc[data.values(rows, metric).sort_values(ascending=False, kind="stable").index]
    pearson = metric.replace("spearman", "pearson")
    figure, (spearman, other, confidence) = row_figure(rows, "ab/c")
    bars(spearman, data, rows, metric, "a  Spearman")
    bars(other, data, rows, pearson, "b  Pearson")
    strata(confidence, data, rows, "c  By confidence")
    legend(figure, rows["family"], stratum_handles())
    return figure, sentences(
        f"The best {len(top)} of {len(picked)} trials by {phrase(picked_by)}, and the baseline.",
        against_baseline(data, top, metric),
        data.without(None, metric),
    )
