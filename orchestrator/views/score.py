"""What `nrtune score` prints of any model's predictions: a table in 80 columns, or everything as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nrtune.analysis.scoring.prediction_files import read_effects, read_test
from nrtune.analysis.scoring.score import Scores, score_test, score_variants
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.orchestrator.views.score_lines import said_around, test_lines, variant_lines
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.findings import Finding, by_severity, refuse_errors


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
    return "\n".join(said_around(test_lines(test), findings))


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
        return "\n".join(said_around(variant_lines(found), findings))
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
