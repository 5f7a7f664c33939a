"""What a page's interactive figures show: every trial's values, parameters and curve, for a script to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nrtune.analysis.figures.data import CURVE, FigureData
from nrtune.analysis.figures.style import INK, family_title, look
from nrtune.analysis.report.document import as_text
from nrtune.analysis.store.table import split_columns
from nrtune.analysis.wording import label

CHARTS: Mapping[str, str] = {
    "fig02_test_vs_cagi5": "scatter",
    "fig09_top": "ranking",
    "fig18_curves": "curves",
}
"""By a figure's name, what a page shows instead: where one looks for a trial."""

MOST_PARAMETERS = 14
"""So many parameters are shown with a trial; the table of winners and `nrtune trials` have all."""


def row_ids(rows: int) -> list[str]:
    """Addresses within the page of the rows of the table of all trials, in its order."""
    return [f"trial-{row + 1}" for row in range(rows)]


def points_of(data: FigureData, metrics: Sequence[str]) -> dict[str, Any]:
    """The trials that are drawn, and labels of the metrics that some of them have, the horizontal axis' first.

    Of a trial: the address of its row, name, family's title, `values` by metric (value, low and high, the latter null where there
    is no interval), `parameters` in which trials differ, and `curve`, pairs of epoch and value.
    """
    ids = dict(zip(data.trials["name"], row_ids(len(data.trials)), strict=True))
    rows = data.scored
    shown = [name for name in metrics if data.values(rows, name).notna().any()]
    parameters = [
        name for name in split_columns(rows.columns)[0]
        if name not in ("label", "seed") and rows[name].astype(str).nunique() > 1
    ]  # fmt: skip
    return {
        "metrics": {name: label(name) for name in shown},
        "curve": label(CURVE),
        "trials": [
            {
                "id": ids[row["name"]],
                "name": as_text(str(row["label"])),
                "family": family_title(str(row["family"])),
                "colour": None if (colour := look(str(row["family"])).colour) == INK else colour,
                "marker": look(str(row["family"])).marker,
                "values": {
                    name: [_number(value), *map(_number, data.interval(str(row["name"]), name) or (None, None))]
                    for name in shown
                    if (value := row[name]) is not None and math.isfinite(value)
                },
                "parameters": [
                    as_text(f"{name} {_short(row[name])}") for name in parameters if not _is_nothing(row[name])
                ][:MOST_PARAMETERS],
                "curve": [[epoch, _number(value)] for epoch, value in data.curves.get(str(row["name"]), ())],
            }
            for row in rows.to_dict("records")
        ],
    }


def _number(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _short(value: Any) -> str:
    """A parameter's value; numbers of a column that some trials lack have become fractions."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
