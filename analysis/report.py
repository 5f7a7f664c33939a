"""A report on a campaign: what can be told, the winners, every figure, all trials, failures, and how it was run.

from analysis import open_campaign
from analysis.comparison import Comparisons
from analysis.report import write_report

write_report(Comparisons(open_campaign("out")), "out/report")
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.answers import REFERENCE_NAMES, below_references, selection_sentence, winner_records
from analysis.books import SCORED, STATUSES
from analysis.budget import CPU_HOUR, GPU_HOUR, spent
from analysis.comparison import Comparison, Comparisons
from analysis.document import Block, Bullets, Cell, Column, Heading, Paragraph, Picture, Report, Table
from analysis.figures import FigureData, draw_all, figure_names, save
from analysis.figures.style import family_title
from analysis.report_html import html_page
from analysis.report_markdown import markdown
from analysis.trials import Campaign
from analysis.words import count, listed, number, p_value, phrase, words
from trainables.errors import UserError, one_line
from trainables.files import write_atomically

PAGE, TEXT, WINNERS, FIGURES = "report.html", "report.md", "winners.json", "figures"
SIGNIFICANT = 0.05
NOT_TOLD = "No method can be told from the baseline on these variants"

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
"""Numbers of the table of all trials; those that no trial has are left out."""

_INTERVALS = (
    *(f"cagi5/challenge/spearman/{stratum}/mean" for stratum in ("all", "hc", "lc")),
    *("cagi5/challenge/pearson/all/mean", "cagi5/challenge/hc_lc_gap", "test/spearman", "test/pearson", "noise/corr"),
)


def write_report(comparisons: Comparisons, folder: str | os.PathLike[str]) -> Path:
    """Write report.html, report.md, winners.json and figures/ into a folder, each file whole or not at all.

    Returns the path of the page. Raises UserError where the folder can't be written.
    """
    folder = Path(folder)
    try:
        report = make_report(comparisons, _draw(comparisons, folder / FIGURES))
        written = {
            WINNERS: json.dumps(report.winners, indent=1) + "\n",
            TEXT: markdown(report),
            PAGE: html_page(report),
        }
        for name, text in written.items():
            write_atomically(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
    except OSError as error:
        raise UserError(f"{folder}: the report can't be written there ({one_line(error, 200)})") from error
    return folder / PAGE


def make_report(comparisons: Comparisons, pictures: Sequence[Picture] = ()) -> Report:
    """Gather what a report says."""
    found, missing = comparisons.compare_all()
    verdict = verdict_of(comparisons, found)
    blocks: list[Block] = [
        Heading("Summary"),
        Paragraph(verdict, strong=True),
        *_summary(comparisons, found),
        *_winners(comparisons, found, missing),
        *_robustness(comparisons, found),
        *_reference_lines(comparisons, found),
        *_selection(comparisons, found),
    ]
    if pictures:
        blocks += [Heading("Figures"), *pictures]
    blocks += [*_all_trials(comparisons.table), *_failures(comparisons), *_budget(comparisons), *_how(comparisons)]
    return Report(
        title=f"Report on {comparisons.source.name}",
        verdict=verdict,
        blocks=tuple(blocks),
        winners=winner_records(comparisons),
    )


def told_from_baseline(comparisons: Comparisons, comparison: Comparison) -> bool:
    """Whether a winner is better than the baseline by more than luck, corrected for the number of candidates."""
    winner, rule = comparison.winner, comparisons.use_cases[comparison.winner.use_case]
    row = comparison.of(winner.trial)
    if winner.baseline is None or winner.trial == winner.baseline or not row["p_holm"] < SIGNIFICANT:
        return False
    falls = not rule.composite and next(iter(rule.metrics.values())) == "min"
    return bool(row["change"] < 0 if falls else row["change"] > 0)


def verdict_of(comparisons: Comparisons, found: Mapping[str, Comparison]) -> str:
    """Which methods can be told from the baseline, in a sentence or two."""
    if not found:
        return "There is no winner: no finished trial has a use case's metrics."
    told: dict[str, list[str]] = {}
    for name, comparison in found.items():
        if told_from_baseline(comparisons, comparison):
            told.setdefault(comparison.winner.trial, []).append(_plain(name))
    if told:
        better = "; ".join(f"{trial} in {listed(names)}" for trial, names in told.items())
        rest = [_plain(name) for name, one in found.items() if not told_from_baseline(comparisons, one)]
        tail = f" No winner can be told to be better than it in {listed(rest)}." if rest else ""
        return f"Better than the baseline by more than luck: {better}.{tail}"
    if all(one.winner.baseline is None or one.winner.note for one in found.values()):
        others = any(one.winner.note for one in found.values())
        reason = "only the baseline has finished" if others else "no baseline trial has finished"
        return f"{NOT_TOLD}: {reason}."
    reasons = sorted({one.why_not for one in found.values() if one.why_not})
    if reasons and all(one.why_not for one in found.values()):
        return f"{NOT_TOLD}: {'; '.join(reasons)}, so there are no intervals to tell by."
    return f"{NOT_TOLD}."


def _draw(comparisons: Comparisons, folder: Path) -> list[Picture]:
    metrics = [name for name in _INTERVALS if name in comparisons.table]
    data = FigureData(
        title=comparisons.source.name,
        trials=comparisons.table,
        select_on=comparisons.select_on,
        intervals=comparisons.value_intervals(metrics),
        references=comparisons.source.references(),
        use_cases=comparisons.use_cases,
        verdicts={name: _told(comparisons, one) for name, one in comparisons.compare_all()[0].items()},
    )
    pictures = []
    for drawn in draw_all(data):
        _, svg = save(drawn, folder)
        pictures.append(Picture(drawn.name, drawn.title, drawn.caption, svg, float(drawn.figure.get_figwidth())))
    for name in set(figure_names()) - {picture.name for picture in pictures}:  # those of an earlier report
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return pictures


def _told(comparisons: Comparisons, comparison: Comparison) -> str:
    """What a winner can be told from, in a few words; "" where there are no intervals."""
    if comparison.why_not:
        return ""
    if comparison.winner.baseline is not None and not told_from_baseline(comparisons, comparison):
        return "can't be told from the baseline"
    if comparison.winner.candidates == 1:
        return "the only candidate"
    rivals = len(comparison.tie_set) - 1
    return f"can't be told from {count(rivals, 'other')}" if rivals else "can be told from every other"


def _summary(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    table = comparisons.table
    own = table[table["same_as"].isna() & table["replicate_of"].isna()]
    statuses = own["status"].value_counts()
    ended = ", ".join(f"{statuses[status]} {status}" for status in STATUSES if status in statuses)
    items = [f"{count(len(own), 'trial')} of {count(own['family'].nunique(), 'family').replace('familys', 'families')}"
             + (f": {ended}." if ended else ".")]  # fmt: skip
    if found:
        winner = next(iter(found.values())).winner
        most = max(one.winner.candidates for one in found.values())
        items.append(selection_sentence(winner.select_on, most, winner.replicates))
    reasons = sorted({one.why_not for one in found.values() if one.why_not})
    if reasons:
        lacking = [_plain(name) for name, one in found.items() if one.why_not]
        where = "" if len(lacking) == len(found) else f" for {listed(lacking)}"
        items.append(f"No intervals{where}: {'; '.join(reasons)}. What is best here may be so by luck.")
    below = [name for name, one in found.items() if below_references(comparisons, one)]
    if below:
        items.append(f"The winners of {listed([_plain(n) for n in below])} are below a reference line (see there).")
    yield Bullets(tuple(items))


def _winners(comparisons: Comparisons, found: Mapping[str, Comparison], missing: Mapping[str, str]) -> Iterator[Block]:
    yield Heading("Winners")
    told = any(not one.why_not for one in found.values())
    columns = [Column("Use case"), Column("Winner"), Column("Value", True)]
    if told:
        columns.append(Column("95 % interval"))
    columns += [Column("Baseline", True), Column("Change", True)]
    if told:
        columns += [Column("95 % interval of the change"), Column("p, corrected", True), Column("Tie set", True),
                    Column("Rank interval"), Column("Probability best", True)]  # fmt: skip
    columns += [Column("Candidates", True), Column("Left out", True), Column("Seeds", True)]
    rows = [tuple(_winner_row(comparisons, one, told)) for one in found.values()]
    explained = "Value and change are those of the use case's metric"
    if any(comparisons.use_cases[name].composite for name in found):
        explained += "; for one of several metrics, of the mean percentile rank over them, 1 the best"
    explained += ". Left out: trials without the metric."
    if told:
        explained += " p is corrected for the number of candidates (Holm). Tie set: the winner and those that can't be"
        explained += " told from it, named below."
    yield Table(explained, tuple(columns), tuple(rows))
    yield Bullets(tuple(_notes(comparisons, found, missing)))


def _winner_row(comparisons: Comparisons, comparison: Comparison, told: bool) -> Iterator[Cell]:
    winner, rule = comparison.winner, comparisons.use_cases[comparison.winner.use_case]
    row = comparison.of(winner.trial)
    yield _text(_plain(winner.use_case))
    yield _text(" = ".join([winner.trial, *winner.twins]))
    yield _number(row["value"])
    if told:
        yield _interval(row["low"], row["high"])
    baseline = math.nan
    if winner.baseline is not None and not winner.note:
        baseline = float(comparison.of(winner.baseline)["value"])
    metric = next(iter(rule.metrics))
    change = float(row["change"])
    if math.isnan(change):
        change = float(row["value"] - baseline)
        if metric in rule.magnitude and not rule.composite:
            change = abs(float(row["value"])) - abs(baseline)
    yield _number(baseline)
    yield _number(change, signed=True)
    if told:
        yield _interval(row["change_low"], row["change_high"], signed=True)
        yield _p(row["p_holm"])
        tied = len(comparison.tie_set)
        yield Cell("–", None) if comparison.why_not else Cell(str(tied), tied)
        yield _interval(row["rank_low"], row["rank_high"], digits=0)
        best = float(row["probability_best"])
        yield Cell("–", None) if math.isnan(best) else Cell(f"{best:.2f}", best)
    yield Cell(str(winner.candidates), winner.candidates)
    yield Cell(str(winner.without_metric), winner.without_metric)
    seeds = max(winner.replicates, 1)
    yield Cell(str(seeds), seeds)


def _notes(comparisons: Comparisons, found: Mapping[str, Comparison], missing: Mapping[str, str]) -> Iterator[str]:
    """What a row of the winners has no room for."""
    for name, one in found.items():
        rule, winner = comparisons.use_cases[name], one.winner
        said = f"{_capital(_plain(name))}: {rule.title}"
        if rule.composite:
            said += f" ({listed([f'{phrase(m)} {number(v)}' for m, v in winner.reported.items()])})"
        else:
            metric, direction = next(iter(rule.metrics.items()))
            wanted = "nearest to 0" if metric in rule.magnitude else "largest" if direction == "max" else "smallest"
            said += f"; the {wanted} {phrase(metric)}"
        said += f". {winner.note.capitalize()}." if winner.note else "."
        rivals = [trial for trial in one.tie_set if trial != winner.trial]
        if one.why_not:
            pass
        elif winner.candidates == 1:
            said += " It was the only candidate."
        elif rivals:
            said += f" Can't be told from {winner.trial}: {listed(rivals)}."
        else:
            said += f" Every other candidate can be told from {winner.trial}."
        yield said
    yield from (f"{reason[:1].upper()}{reason[1:]}." for reason in missing.values())


def _robustness(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    elements = list(dict.fromkeys(element for one in found.values() for element in one.left_out))
    if elements:
        yield Heading("Winners without one element")
        columns = (Column("Use case"), Column("Winner"), *(Column(f"Without {element}") for element in elements))
        rows, stay = [], 0
        for name, one in found.items():
            if one.left_out:
                rows.append(tuple(map(_text, [_plain(name), one.winner.trial,
                                              *(one.left_out.get(e, "–") for e in elements)])))  # fmt: skip
                stay += set(one.left_out.values()) == {one.winner.trial}
        said = f"Who would win were an element left out of the selection: {stay} of {len(rows)} winners would stay."
        yield Table(said, columns, tuple(rows))
    smallest = {name: one.smallest_difference for name, one in found.items() if one.smallest_difference is not None}
    if smallest:
        yield Heading("The smallest difference that can be told")
        yield Table(
            "A smaller difference can't be told from none on these variants, or test sequences.",
            (Column("Use case"), Column("Smallest difference", True)),
            tuple((_text(_plain(name)), _number(value)) for name, value in smallest.items()),
        )


def _reference_lines(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    yield Heading("Reference lines")
    lines = comparisons.source.references()
    if not lines:
        yield Paragraph("No reference lines, such as a constant predictor's, are stored with these trials.")
        return
    metrics = list(dict.fromkeys(m for name in found for m in comparisons.use_cases[name].metrics
                                 if any(m in line for line in lines.values())))  # fmt: skip
    names = {line: REFERENCE_NAMES.get(line, line) for line in lines}
    rows = tuple(
        (_text(words(metric)), *(_number(line.get(metric, math.nan)) for line in lines.values())) for metric in metrics
    )
    columns = (Column("Metric"), *(Column(name[:1].upper() + name[1:], True) for name in names.values()))
    yield Table("What needs no network, scored on the same data.", columns, rows)
    below = [
        f"{_capital(_plain(name))}: {sentence}."
        for name, one in found.items()
        for sentence in below_references(comparisons, one)
    ]
    yield Bullets(tuple(below)) if below else Paragraph("No winner is below a reference line.")


def _selection(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Block]:
    if not found:
        return
    yield Heading("What was selected on what")
    rows = []
    for name in found:
        rule = comparisons.use_cases[name]
        chosen = listed([words(metric) for metric in dict.fromkeys(rule.selection(comparisons.select_on))])
        rows.append(tuple(map(_text, (_plain(name), chosen, listed([words(metric) for metric in rule.metrics])))))
    caption = {
        "release": "Winners are selected on validation data and the CAGI5 release part, and reported on data that no"
        " selection saw.",
        "val": "Winners are selected on validation data, and reported on data that no selection saw.",
        "challenge": "Winners are selected on the very data that they are reported on: the values are too good.",
    }[comparisons.select_on]
    yield Table(caption, (Column("Use case"), Column("Selected by"), Column("Reported")), tuple(rows))


def _all_trials(table: pd.DataFrame) -> Iterator[Block]:
    yield Heading("All trials")
    if table.empty:
        yield Paragraph("No trial has ended yet.")
        return
    shown = [name for name in MAIN_COLUMNS if name in table and table[name].notna().any()]
    rows = []
    for row in table.to_dict("records"):
        status = str(row["status"])
        if isinstance(row["same_as"], str):
            status = f"same as {row['same_as']}"
        elif isinstance(row["replicate_of"], str):
            status += f", replicate of {row['replicate_of']}"
        cells = [_text(str(row["name"])), _text(str(row["family"]).replace("_", " ")), _text(status)]
        rows.append((*cells, *(_number(row[name], digits=0 if name == "epochs_trained" else 3) for name in shown)))
    columns = [Column("Trial"), Column("Family"), Column("Status")]
    columns += [Column(MAIN_COLUMNS[name], True) for name in shown]
    yield Table("Every trial that ended, in that order; – where undefined.", tuple(columns), tuple(rows))


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
        rows.append((_text(name.replace("_", " ")), Cell(str(len(records)), len(records)), Cell(str(scored), scored),
                     _text(", ".join(record.name for record in records)), _text(first)))  # fmt: skip
    columns = (Column("Class"), Column("Trials", True), Column("Scored all the same", True), Column("Which"),
               Column("What the first said"))  # fmt: skip
    yield Table("What kept trials from their end.", columns, tuple(rows))


def _budget(comparisons: Comparisons) -> Iterator[Block]:
    source = comparisons.source
    prices = source.manifest.get("settings", {}).get("prices", {}) if isinstance(source, Campaign) else {}
    table = spent(comparisons.records, prices)
    if table.empty:
        return
    names = {"trials": "Trials", "failed": "Failed", "attempts": "Attempts", "training_hours": "Training, h",
             "cpu_hours": "CPU hours", "gpu_hours": "GPU hours", "cost": "Cost"}  # fmt: skip
    shown = [name for name in names if name not in ("cpu_hours", "gpu_hours", "cost") or table[name].notna().any()]
    rows = []
    for row in table.to_dict("records"):
        counts = [Cell(str(int(row[name])), int(row[name])) for name in shown[:3]]
        hours = [_number(row[name], digits=2) for name in shown[3:]]
        rows.append((_text(family_title(str(row["family"]))), *counts, *hours))
    yield Heading("Where the budget went")
    caption = "What the trials of each family held, replicates and lost attempts included"
    if prices:
        caption += f"; a CPU hour at {prices.get(CPU_HOUR, 0):g}, a GPU hour at {prices.get(GPU_HOUR, 0):g}"
    yield Table(f"{caption}.", (Column("Family"), *(Column(names[name], True) for name in shown)), tuple(rows))


def _how(comparisons: Comparisons) -> Iterator[Block]:
    yield Heading("How it was run")
    facts: dict[str, Any] = {"campaign": comparisons.source.name}
    source = comparisons.source
    if isinstance(source, Campaign):
        manifest = source.manifest
        identity = manifest["identity"]
        facts |= {"id": manifest.get("id"), "created": manifest.get("created"), "command": identity.get("command")}
        facts |= {"data digest": identity.get("data"), "CAGI5 digest": identity.get("cagi5")}
        facts |= manifest.get("settings", {})
        for part, keys in (("data", ("train", "val", "test")), ("cagi5", ("cell_line", "matched"))):
            held = manifest.get(part) or {}
            facts |= {f"{part}: {key.replace('_', ' ')}": held[key] for key in keys if key in held}
    facts |= {
        "elements that means are over": ", ".join(source.matched) or None,
        "selected on": comparisons.select_on,
        "resampling": f"{comparisons.how.resamples} resamples, blocks of {comparisons.how.block} bp, level"
        f" {comparisons.how.level:g}, seed {comparisons.how.seed}",
        "nrtune version": importlib.metadata.version("nrtune"),
        "report made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    rows = tuple((_text(str(key)), _text(_value(value))) for key, value in facts.items() if value is not None)
    yield Table("Settings, data and versions.", (Column("What"), Column("Value")), rows)


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    return str(value)


def _plain(use_case: str) -> str:
    return "HC–LC gap" if use_case == "hc_lc_gap" else use_case.replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _text(text: str) -> Cell:
    return Cell(text, None if text == "–" else text)


def _number(value: Any, *, signed: bool = False, digits: int = 3) -> Cell:
    if value is None or not math.isfinite(value):
        return Cell("–", None)
    return Cell(number(float(value), signed) if digits == 3 else f"{value:.{digits}f}", float(value))


def _interval(low: float, high: float, *, signed: bool = False, digits: int = 3) -> Cell:
    ends = [_number(low, signed=signed, digits=digits), _number(high, signed=signed, digits=digits)]
    return Cell("–", None) if ends[0].key is None else Cell(" to ".join(end.text for end in ends), ends[0].key)


def _p(value: float) -> Cell:
    return Cell(p_value(value), None if math.isnan(value) else float(value))
