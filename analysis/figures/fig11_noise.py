"""Noise correlation in depth: whether errors are larger where the measurement is noisy, and whether it matters."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from nrtune.analysis.figures.captions import against_baseline
from nrtune.analysis.figures.data import CALIBRATED, NOISE, SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import FREE, bars, handle, legend, name_rows, row_height, scatter
from nrtune.analysis.figures.style import GREY, look, new_figure
from nrtune.analysis.wording import listed, number

TITLE = "Noise correlation"
_LOW, _HIGH = "noise/low_noise_spearman", "noise/high_noise_spearman"
_MOST = 30


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """The ranking, calibrated values as rings; against test and CAGI5 Spearman; Spearman at low and at high noise."""
    rows = data.having(data.scored, NOISE)
    if rows.empty:
        return None
    order = data.values(rows, NOISE).sort_values(kind="stable").index
    baseline = None if data.baseline is None else data.baseline.name
    shown = rows.loc[[index for place, index in enumerate(order) if place < _MOST or index == baseline]]
    height = row_height(len(shown))
    figure = new_figure(height + 2 * FREE + 0.3)
    panels = figure.subplot_mosaic([["a", "a"], ["b", "c"], ["d", "d"]], height_ratios=[height, FREE, FREE])
    name_rows(panels["a"], shown)
    bars(panels["a"], data, shown, NOISE, "a  Ranking")
    calibrated = data.values(shown, CALIBRATED)
    for place, (family, value) in enumerate(zip(shown["family"], calibrated, strict=True)):
        panels["a"].plot(value, place, "o", markersize=3, markerfacecolor="white", color=look(family).colour)
    if (most := calibrated.max()) > panels["a"].get_xlim()[1]:
        panels["a"].set_xlim(right=most * 1.05)
    said = []
    lowest = shown["name"].iloc[0]
    baseline_name = [] if data.baseline is None else [data.baseline["name"]]
    for letter, x, y, title in (
        ("b", NOISE, "test/spearman", "Test Spearman"),
        ("c", NOISE, SPEARMAN, "CAGI5 Spearman"),
        ("d", _LOW, _HIGH, "Low and high noise"),
    ):
        part = data.having(rows, x, y)
        if part.empty:
            panels[letter].remove()
            continue
        best = part.loc[data.values(part, y).sort_values(ascending=False).index[:1], "name"]
        scatter(panels[letter], data, part, x, y, f"{letter}  {title}", [*baseline_name, lowest, *best])
        if not math.isnan(agreement := data.agreement(part, x, y)):
            said.append(f"{letter} {number(agreement)}")
    legend(figure, rows["family"], [handle("calibrated", GREY, "o", hollow=True)] if calibrated.notna().any() else [])
    constant = data.reference_values(NOISE).get("constant")
    return figure, sentences(
        against_baseline(data, rows, NOISE),
        f"Rank correlation over trials: {listed(said)}." if said else "",
        "" if constant is None else f"A constant predictor has {number(constant)}.",
        data.without(None, NOISE),
    )
