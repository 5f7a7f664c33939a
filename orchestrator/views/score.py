"""What `nrtune score` prints of any model's predictions: a table in 80 columns, or everything as JSON."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nrtune.analysis.scoring.prediction_files import read_effects, read_test
from nrtune.analysis.scoring.score import Scores, VariantScores, score_test, score_variants
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.analysis.wording import count, listed, p_value
from nrtune.orchestrator.views.tables import aligned
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.findings import Finding, by_severity, refuse_errors

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


def score_tests(paths: Sequence[Path], how: Resampling, *, form: str = "table", accept: Collection[str] = ()) -> str:
    """Scores of one file or two on test rows; accept: as of `refuse_errors`. Raises UserError."""
    read = [read_test(path) for path in paths]
    findings = by_severity([finding for file in read for finding in file.findings])
    refuse_errors(findings, accept)
    test = score_test(read, how)
    if form == "csv":
        return _csv(test)
    if form == "json":
        return _json(test, _common(test) | _audit(findings, accept))
    return "\n".join(_said_around(_test_lines(test), findings))


def score_text(
    paths: Sequence[Path],
    variants: VariantSet,
    folder: Path,
    how: Resampling,
    *,
    form: str = "table",
    accept: Collection[str] = (),
) -> str:
    """Scores of one file or two on the variants of a folder, which are audited; accept: as of `refuse_errors`.

    Raises UserError.
    """
    effects = [read_effects(path, variants) for path in paths]
    findings = by_severity([*audit(None, [variants]), *(finding for file in effects for finding in file.findings)])
    refuse_errors(findings, accept)
    found = score_variants(
        effects, variants, how, resample=_everything if form != "table" or len(paths) > 1 else _means
    )
    if form == "csv":
        return _csv(found)
    if form != "json":
        return "\n".join(_said_around(_variant_lines(found), findings))
    more = {
        variants.benchmark: str(folder),
        "cell_line": found.cell_line,
        "block": how.block,
        "blocks": {m: {"values": value, "differences": other} for m, (value, other) in found.blocks.items()},
        "mean_over": {part: list(elements) for part, elements in found.averaged.items()},
        "left_out": {str(path): n for path, (n, _) in zip(found.paths, found.left_out, strict=True)},
        "coverage": found.coverage.to_dict("records"),
    }
    return _json(found, _common(found) | more | _audit(findings, accept))


def _audit(findings: Sequence[Finding], accept: Collection[str]) -> dict[str, Any]:
    return {"accepted": sorted(accept), "findings": [finding.as_json() for finding in findings]}


def _said_around(lines: Sequence[str], findings: Sequence[Finding]) -> list[str]:
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


def _everything(metric: str) -> bool:
    return True


def _means(metric: str) -> bool:
    """Whether the table of one file shows the metric's interval."""
    return metric.endswith("/mean")


def check_options(benchmarks: Mapping[str, Path], test: bool, cell_line: str | None) -> None:
    """Refuse options that do not go together. Raises UserError."""
    given = ["--test"] * test + [f"--{n}" if n in ("cagi5", "satmut") else f"--benchmark {n}" for n in benchmarks]
    if len(given) > 1:
        raise UserError(f"{given[0]} and {given[1]} are two questions; give one of them")
    if not given:
        raise UserError(
            "--cagi5 is missing: give the folder of CAGI5 files, --satmut for that of the saturation mutagenesis study,"
            " --benchmark NAME=PATH for another, or --test for a table of test predictions"
        )
    if test and cell_line is not None:
        raise UserError("--cell-line says which elements of --cagi5 or --satmut are averaged; leave it out with --test")


def _common(found: Scores) -> dict[str, Any]:
    return {
        "files": [str(path) for path in found.paths],
        "rows": found.rows,
        "level": found.how.level,
        "resamples": found.how.resamples,
    }


def _json(found: Scores, head: Mapping[str, Any]) -> str:
    """Everything as an object: what is undefined is null."""
    of_metric = {
        row["metric"]: {str(n): v if math.isfinite(v) else None for n, v in row.items() if n != "metric"}
        for row in found.table.to_dict("records")
    }
    return json.dumps({**head, "metrics": of_metric}, indent=1)


def _csv(found: Scores) -> str:
    """A row a metric: what is undefined is empty."""
    return str(found.table.to_csv(index=False)).rstrip("\n")


def _test_lines(found: Scores) -> list[str]:
    lines = [_cut(f"{path}: {found.rows} sequences") for path in found.paths]
    if len(found.paths) == 1:
        records = found.table.to_dict("records")
        rows = [[TEST_WORDS[row["metric"]], *_cells(row, ("value", "low", "high"))] for row in records]
        lines += ["", *aligned(["metric", "value", *_ends(found)], rows)]
    else:
        lines += ["", *_comparison(found, {TEST_WORDS[metric]: metric for metric in found.table["metric"]})]
    return [*lines, "", *_closing(found, "sequences drawn in random blocks")]


def _variant_lines(found: VariantScores) -> list[str]:
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
