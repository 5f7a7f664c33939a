"""A report on a campaign: what can be told, the winners, every figure, all trials, failures, and how it was run.

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.report.report import write_report
from nrtune.analysis.uncertainty.comparison import Comparisons

write_report(Comparisons(open_campaign("out")), "out/report")
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nrtune.analysis.figures import FigureData, draw_all, figure_names, save
from nrtune.analysis.figures.data import CURVE, SPEARMAN
from nrtune.analysis.figures.style import family_title
from nrtune.analysis.report.advice import caveats, next_steps
from nrtune.analysis.report.document import (
    Block,
    Cell,
    Column,
    Heading,
    Opening,
    Paragraph,
    Picture,
    Report,
    Table,
    number_cell,
    text_cell,
)
from nrtune.analysis.report.headline import headline
from nrtune.analysis.report.how import SETTINGS, how_it_was_run, settings_of
from nrtune.analysis.report.html import html_page
from nrtune.analysis.report.markdown import markdown
from nrtune.analysis.report.points import CHARTS, points_of, row_ids
from nrtune.analysis.report.summaries import winner_records
from nrtune.analysis.report.winners import winners_part
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.store.budget import CPU_HOUR, GPU_HOUR, spent
from nrtune.analysis.store.records import SCORED
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import label
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.core.inside import check_inside
from nrtune.trainables.data.benchmarks import BENCHMARKS, reported_prefix
from nrtune.trainables.data.findings import ELEMENT_IN_TRAINING

PAGE, TEXT, WINNERS, FIGURES = "report.html", "report.md", "winners.json", "figures"

FIRST_FIGURE = "fig01_improvements"
"""What is seen beside the verdict, before anything else."""

MAIN_COLUMNS: Mapping[str, str] = {
    "epochs_trained": "Epochs",
    "val/spearman": "Validation Spearman",
    "test/spearman": "Test Spearman",
    "cagi5/release/spearman/all/mean": "CAGI5 release Spearman",
    "cagi5/challenge/spearman/all/mean": "CAGI5 Spearman",
    "cagi5/challenge/spearman/hc/mean": "CAGI5 Spearman, HC",
    "cagi5/challenge/spearman/lc/mean": "CAGI5 Spearman, LC",
    "cagi5/challenge/pearson/all/mean": "CAGI5 Pearson",
    "noise/corr": "Noise correlation",
}
"""Numbers of the table of all trials, and a column a further benchmark; those that no trial has are left out."""

_ALWAYS = ("test/spearman", "cagi5/release/spearman/all/mean", "cagi5/challenge/spearman/all/mean")

_INTERVALS = (
    *(f"cagi5/challenge/spearman/{stratum}/mean" for stratum in ("all", "hc", "lc")),
    *("cagi5/challenge/pearson/all/mean", "cagi5/challenge/hc_lc_gap", "test/spearman", "test/pearson", "noise/corr"),
)


def write_report(comparisons: Comparisons, folder: str | os.PathLike[str]) -> Path:
    """Write report.html, report.md, winners.json and figures/ into a folder, each file whole or not at all.

    Returns the path of the page. Raises UserError where the folder can't be written.
    """
    folder, source = Path(folder), comparisons.source
    if isinstance(source, CampaignFolder) and folder.resolve().is_relative_to(source.folder.resolve()):
        check_inside(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):  # said before minutes are spent on it
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        data = figure_data(comparisons)
        pictures = _draw(data, folder / FIGURES)
        report = make_report(comparisons, pictures, _points(data), folder)
        written = {
            WINNERS: json.dumps(report.winners, indent=1) + "\n",
            TEXT: markdown(report),
            PAGE: html_page(report),
        }
        if settings := settings_of(source):
            written |= {SETTINGS: settings}
        for name, text in written.items():
            write_atomically(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
    except OSError as error:
        raise UserError(
            f"{folder}: the report can't be written there ({one_line(error, 200)}); give another --out"
        ) from error
    return folder / PAGE


def make_report(
    comparisons: Comparisons,
    pictures: Sequence[Picture] = (),
    points: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Report:
    """Gather what a report says; points: as of `points_of`, for pictures that have a chart. folder: where it will lie."""
    found, _ = comparisons.compare_all()
    first = next((picture for picture in pictures if picture.name == FIRST_FIGURE), None)
    opening = Opening(
        headline(comparisons), tuple(next_steps(comparisons, found)), tuple(caveats(comparisons, found)), first
    )
    blocks = list(winners_part(comparisons))
    if others := [picture for picture in pictures if picture is not first]:
        blocks += [Heading("Figures"), *others]
    blocks += [
        *_all_trials(comparisons.table),
        *_failures(comparisons),
        *_budget(comparisons),
        *how_it_was_run(comparisons, folder),
    ]
    return Report(
        title=f"Report on {comparisons.source.name}",
        opening=opening,
        blocks=tuple(blocks),
        winners=winner_records(comparisons),
        points=points if any(picture.chart for picture in pictures) else None,
    )


def _further() -> dict[str, str]:
    """The metric of each benchmark but CAGI5, and its name."""
    metrics = [f"{reported_prefix(name)}/spearman/all/mean" for name in BENCHMARKS if name != "cagi5"]
    return {metric: label(metric) for metric in metrics}


def figure_data(comparisons: Comparisons) -> FigureData:
    """What figures are drawn from."""
    metrics = [name for name in (*_INTERVALS, *_further()) if name in comparisons.table]
    return FigureData(
        title=comparisons.source.name,
        trials=comparisons.table,
        select_on=comparisons.select_on,
        intervals=comparisons.value_intervals(metrics),
        references=comparisons.source.references(),
        use_cases=comparisons.use_cases,
        in_training={
            one.element: one.count or 0 for one in comparisons.source.audit.findings if one.id == ELEMENT_IN_TRAINING
        },
        verdicts={name: verdict_of(comparisons, one) for name, one in comparisons.compare_all()[0].items()},
        curves={
            one.name: [
                (int(e["epoch"]), e[CURVE])
                for e in comparisons.source.history(one.fingerprint)
                if "epoch" in e and math.isfinite(e.get(CURVE, math.nan))
            ]
            for one in comparisons.records
        },
    )


def _points(data: FigureData) -> dict[str, Any]:
    metrics = dict.fromkeys(("test/spearman", SPEARMAN, *_further(), *MAIN_COLUMNS))
    return points_of(data, [name for name in metrics if name != "epochs_trained"])


def _draw(data: FigureData, folder: Path) -> list[Picture]:
    pictures = []
    for drawn in draw_all(data):
        _, svg = save(drawn, folder)
        width, chart = float(drawn.figure.get_figwidth()), CHARTS.get(drawn.name, "")
        pictures.append(Picture(drawn.name, drawn.title, drawn.caption, svg, width, chart))
    for name in set(figure_names()) - {picture.name for picture in pictures}:  # those of an earlier report
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return pictures


def _all_trials(table: pd.DataFrame) -> Iterator[Block]:
    yield Heading("All trials")
    if table.empty:
        yield Paragraph("No trial has ended yet.")
        return
    names = {**MAIN_COLUMNS, **_further()}
    shown = [name for name in names if name in table and table[name].notna().any()]
    rows = []
    for row in table.to_dict("records"):
        status = str(row["status"])
        if isinstance(row["same_as"], str):
            status = f"same as {row['same_as']}"
        elif isinstance(row["replicate_of"], str):
            status += f", replicate of {row['replicate_of']}"
        cells = [text_cell(str(row["name"])), text_cell(str(row["family"]).replace("_", " ")), text_cell(status)]
        rows.append((*cells, *(number_cell(row[name], digits=0 if name == "epochs_trained" else 3) for name in shown)))
    columns = [Column("Trial"), Column("Family"), Column("Status")]
    columns += [Column(names[name], True, name not in _ALWAYS) for name in shown]
    said = "Every trial that ended, in that order; – where undefined."
    yield Table(said, tuple(columns), tuple(rows), tuple(row_ids(len(rows))))


def _failures(comparisons: Comparisons) -> Iterator[Block]:
    yield Heading("Failures by class")
    classes: dict[str, list[Any]] = {}
    for record in comparisons.records:
        if record.failure_class:
            classes.setdefault(record.failure_class, []).append(record)
    if not classes:
        yield Paragraph("No trial failed.")
        return
    rows = []
    for name, records in sorted(classes.items(), key=lambda item: -len(item[1])):
        scored = sum(record.status == SCORED for record in records)
        first = next((one_line(record.failure, 200) for record in records if record.failure), "–")
        rows.append((text_cell(name.replace("_", " ")), Cell(str(len(records)), len(records)), Cell(str(scored), scored),
                     text_cell(", ".join(record.name for record in records)), text_cell(first)))  # fmt: skip
    columns = (Column("Class"), Column("Trials", True), Column("Scored all the same", True), Column("Which"),
               Column("What the first said"))  # fmt: skip
    yield Table("What kept trials from their end.", columns, tuple(rows))


def _budget(comparisons: Comparisons) -> Iterator[Block]:
    source = comparisons.source
    prices = source.manifest.get("settings", {}).get("prices", {}) if isinstance(source, CampaignFolder) else {}
    table = spent(comparisons.records, prices)
    if table.empty:
        return
    names = {"trials": "Trials", "failed": "Failed", "attempts": "Attempts", "training_hours": "Training, h",
             "cpu_hours": "CPU hours", "gpu_hours": "GPU hours", "cost": "Cost"}  # fmt: skip
    shown = [name for name in names if name not in ("cpu_hours", "gpu_hours", "cost") or table[name].notna().any()]
    rows = []
    for row in table.to_dict("records"):
        counts = [Cell(str(int(row[name])), int(row[name])) for name in shown[:3]]
        hours = [number_cell(row[name], digits=2) for name in shown[3:]]
        rows.append((text_cell(family_title(str(row["family"]))), *counts, *hours))
    yield Heading("Where the budget went", folded=True)
    caption = "What the trials of each family held, replicates and lost attempts included"
    if prices:
        caption += f"; a CPU hour at {prices.get(CPU_HOUR, 0):g}, a GPU hour at {prices.get(GPU_HOUR, 0):g}"
    yield Table(f"{caption}.", (Column("Family"), *(Column(names[name], True) for name in shown)), tuple(rows))
