"""The lines in 80 columns that `nrtune score` prints for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nrtune.analysis.scoring.score import Scores, VariantScores
from nrtune.analysis.wording import count, listed, p_value
from nrtune.orchestrator.views.tables import aligned
from nrtune.trainables.data.findings import Finding

WIDTH = 80


def _shown(strata: Sequence[str]) -> dict[str, str]:
    """An element's columns: Spearman of all its variants and of those of each stratum, Pearson of all."""
    return {"spearman/all": "Spearman", **{f"spearman/{s}": s.upper() for s in strata}, "pearson/all": "Pearson"}


def _compared(strata: Sequence[str]) -> dict[str, str]:
    return {
        f"{kind}/{stratum}": kind.capitalize() + ("" if stratum == "all" else f" {stratum.upper()}")
        for kind in ("spearman", "pearson")
        for stratum in ("all", *strata)
    }


TEST_WORDS = {
    "test/pearson": "Pearson",
    "test/spearman": "Spearman",
    "test/mse": "mean squared error",
    "noise/corr": "noise correlation",
    "noise/corr_constant": "  of a constant",
    "noise/low_noise_spearman": "Spearman, low-noise fifth",
    "noise/high_noise_spearman": "Spearman, high-noise fifth",
    "noise/gap": "  low less high",
}


def said_around(lines: Sequence[str], findings: Sequence[Finding]) -> list[str]:
    """A table's lines, below the errors that were accepted, with which it may mean something else, and above the warnings."""
    said = {
        severity: [
            line
            for finding in findings
            if finding.severity == severity
            for line in _wrapped(f"{severity.capitalize()}: {finding.id}: {finding}.")
        ]
        for severity in ("error", "warning")
    }
    accepted = ["Accepted, and the scores may mean something else:", *said["error"], ""] if said["error"] else []
    return [*accepted, *lines, *([""] if said["warning"] else []), *said["warning"]]


def test_lines(found: Scores) -> list[str]:
    """Scores on test sequences: a table, or two files compared."""
    lines = [_cut(f"{path}: {found.rows} sequences") for path in found.paths]
    if len(found.paths) == 1:
        records = found.table.to_dict("records")
        rows = [[TEST_WORDS[row["metric"]], *_cells(row, ("value", "low", "high"))] for row in records]
        lines += ["", *aligned(["metric", "value", *_ends(found)], rows)]
    else:
        lines += ["", *_comparison(found, {TEST_WORDS[metric]: metric for metric in found.table["metric"]})]
    return [*lines, "", *_closing(found, "sequences drawn in random blocks")]


def variant_lines(found: VariantScores) -> list[str]:
    """Scores on variants: what each file holds and lacks, a table a part, and two files compared."""
    total = int(found.coverage["n"].sum()) // len(found.paths)
    lines = [_cut(f"{path}: {n} of {count(total, 'variant')}") for path, n in _held(found)]
    if len(found.paths) == 2 and any(n != found.rows for _, n in _held(found)):
        lines.append(f"Both are scored on the {count(found.rows, 'variant')} that both hold.")
    for (n, first), (path, _) in zip(found.left_out, _held(found), strict=True):
        if n:
            lines += _wrapped(f"Left out: {count(n, 'variant')} of {path.name} that the folder lacks, such as {first}.")
    lines += _missing(found)
    of_metric = found.table.set_index("metric")
    for part, averaged in found.averaged.items():
        for number, path in enumerate(found.paths):
            lines += ["", _cut(part if len(found.paths) == 1 else f"{part}: {path}")]
            lines += _element_table(found, of_metric, part, ("value", "other")[number])
        if averaged:
            lines += _wrapped(f"Mean over {listed(averaged)}: {_matched(found)}wholly there.")
        else:
            lines += _wrapped(f"No mean: no element {_matched(found, end=' ')}is wholly there.")
        if len(found.paths) == 2:
            named = {
                f"mean {words}": f"{found.prefixes[part]}/{name}/mean"
                for name, words in _compared(found.strata).items()
            }
            if {"hc", "lc"} <= set(found.strata):
                named["mean HC - LC"] = f"{found.prefixes[part]}/hc_lc_gap"
            for element in _elements(of_metric, found.prefixes[part]):
                named[f"{element} Spearman"] = f"{found.prefixes[part]}/spearman/all/{element}"
            lines += ["", f"{part}: compared", *_comparison(found, named)]
    return [*lines, "", *_closing(found, _drawn_in(found.blocks))]


def _drawn_in(blocks: Mapping[str, tuple[int, int]]) -> str:
    """How variants were drawn: in blocks whose lengths differ between metrics."""
    lengths = sorted({length for of_metric in blocks.values() for length in of_metric})
    if not lengths:
        return "variants drawn in random blocks"
    some = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    return f"variants drawn in blocks of {some} bp"


def _matched(found: VariantScores, end: str = " and ") -> str:
    return f"matched to {found.cell_line}{end}" if found.cell_line else ""


def _element_table(found: VariantScores, of_metric: pd.DataFrame, part: str, column: str) -> list[str]:
    rows, scored, shown = [], of_metric[column].to_dict(), _shown(found.strata)
    for element in _elements(of_metric, found.prefixes[part]):
        n = str(round(scored[f"{found.prefixes[part]}/n/all/{element}"]))
        values = [_cell(of_metric.at[f"{found.prefixes[part]}/{name}/{element}", column]) for name in shown]
        rows.append([element, n, *values])
    low, high = ("low", "high") if column == "value" else ("other_low", "other_high")
    for heading, of in zip(("mean", *_ends(found)), (column, low, high), strict=True):
        rows.append([heading, "", *(_cell(of_metric.at[f"{found.prefixes[part]}/{name}/mean", of]) for name in shown)])
    return aligned(["element", "n", *shown.values()], rows)


def _elements(of_metric: pd.DataFrame, prefix: str) -> list[str]:
    prefix = f"{prefix}/n/all/"
    return [str(name).removeprefix(prefix) for name in of_metric.index if str(name).startswith(prefix)]


def _comparison(found: Scores, named: Mapping[str, str]) -> list[str]:
    """Rows by what they are called, of metrics by name: both values, their difference, its interval and p."""
    of_metric = {str(row["metric"]): row for row in found.table.to_dict("records")}
    columns = ("value", "other", "difference", "difference_low", "difference_high")
    rows = []
    for words, metric in named.items():
        row = of_metric[metric]
        p = float(row["p"])
        rows.append([words, *_cells(row, columns), "–" if math.isnan(p) else p_value(p)])
    return aligned(["metric", "first", "second", "differ.", *_ends(found), "p"], rows)


def _held(found: VariantScores) -> list[tuple[Path, int]]:
    per_file = len(found.coverage) // len(found.paths)
    held = (found.coverage["n"] - found.coverage["missing"]).to_numpy().reshape(-1, per_file).sum(axis=1)
    return list(zip(found.paths, map(int, held), strict=True))


def _missing(found: VariantScores) -> list[str]:
    """Which variants of the folder a file lacks, by part: a sentence each."""
    lines = []
    per_file = len(found.coverage) // len(found.paths)
    for number in range(len(found.paths)):
        of_file = found.coverage.iloc[number * per_file : (number + 1) * per_file]
        for part in found.prefixes:
            here = of_file[of_file["part"] == part]
            lacking = here[here["missing"] > 0]
            if lacking.empty:
                continue
            who = "Missing" if len(found.paths) == 1 else f"Missing from the {('first', 'second')[number]}"
            if int(here["missing"].sum()) == int(here["n"].sum()):
                lines += _wrapped(f"{who}: all {count(int(here['n'].sum()), f'{part} variant')}.")
                continue
            parts = [f"{r['element']} {r['missing']} of {r['n']}" for r in lacking.to_dict("records")]
            lines += _wrapped(f"{who}: {part} variants of {', '.join(parts)}.")
    return lines


def _ends(found: Scores) -> tuple[str, str]:
    level = f"{100 * found.how.level:g}%"
    return f"{level} low", f"{level} high"


def _closing(found: Scores, blocks: str) -> list[str]:
    text = f"Intervals: {100 * found.how.level:g} %, {found.how.resamples} resamples, {blocks}."
    if len(found.paths) == 2:
        text += " Differences are of the first file less the second, paired; p is not corrected for several metrics."
    return _wrapped(text)


def _cells(row: Mapping[Any, Any], columns: Sequence[str]) -> list[str]:
    return [_cell(row[name]) for name in columns]


def _cell(value: Any) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _cut(text: str) -> str:
    """A line that begins with a long path, without the path's beginning."""
    return text if len(text) <= WIDTH else "…" + text[-(WIDTH - 1) :]
