"""The study's own table of its runs, a CSV file, as trial records: parameters and metrics under this project's names."""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.records import FAILED, FINISHED, SCORED, TrialRecord
from nrtune.search_spaces import FAMILIES, published_by_name
from nrtune.trainables.core.errors import UserError, suggest

ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "dream_rnn": {"encoder": "dream_rnn", "head": "point"},
    "dream_rnn_distributional": {"encoder": "dream_rnn", "head": "distributional"},
    "dream_rnn_dual_head": {"encoder": "dream_rnn", "head": "dual"},
    "factorized": {"encoder": "factorized", "head": "point"},
    "factorized_vib": {"encoder": "factorized", "head": "point"},
    "factorized_gc_adversarial": {"encoder": "factorized", "head": "point"},
    "factorized_full": {"encoder": "factorized", "head": "point"},
}
"""The study's architectures as encoder and head."""

LOSSES = {"heteroscedastic_distributional": "heteroscedastic"}
SAMPLERS = {"none": "uniform", "quantile_noise_weighted": "quantile_stratified"}
"""The study's names where they differ from ours."""

PARAMETERS = {
    "noise_k": "loss.k",
    "lambda_var": "loss.lambda_var",
    "alpha": "loss.alpha",
    "beta": "loss.beta",
    "n_quantiles": "sampler.n_quantiles",
    "noise_weight": "sampler.noise_weight",
    "vib_beta": "encoder.vib_beta",
    "gc_bins": "encoder.gc_bins",
}
STUDY_EPOCHS = 80
STATUSES = {"": FINISHED, "completed": FINISHED, "timed_out": SCORED, "crashed": FAILED}
"""A run that ran into the study's limit of two hours was scored from a checkpoint, if it left one."""

_REQUIRED = ("trial", "family", "architecture", "loss", "sampler", "seed", "original_status", "original_wall_s")


def is_published(path: Path) -> bool:
    """Whether a CSV file has the columns of the study's table."""
    with path.open(newline="", encoding="utf-8") as file:
        return set(_REQUIRED) <= set(next(csv.reader(file), []))


def read_published(path: str | os.PathLike[str]) -> list[TrialRecord]:
    """Read the study's table, in the order of `nrtune study`.

    Runs of one configuration that have the same metrics are one record with two names; where the metrics differ they
    are two. The table says how long a run took, not when: records carry the file's own time.

    Raises UserError for another table.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the study's table, published_trials.csv")
    try:
        if not is_published(path):
            raise UserError(f"{path}: is not the study's table; its columns begin with {', '.join(_REQUIRED[:5])}")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not a text file") from error
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).isoformat(timespec="seconds")
    order = {name: number for number, name in enumerate(published_by_name())}
    rows.sort(key=lambda row: order.get(row["trial"], len(order)))
    records: dict[str, TrialRecord] = {}
    for row in rows:
        record = _record(row, path, when)
        if (first := records.get(record.fingerprint)) is not None:
            record = first.known_as(record.name, record.family)
        records[record.fingerprint] = record
    return list(records.values())


def _record(row: Mapping[str, str], path: Path, when: str) -> TrialRecord:
    name = row["trial"]
    families = {FAMILIES.get(family).code: family for family in FAMILIES}
    if row["family"] not in families:
        raise UserError(f"{path}: {name}: unknown family {row['family']!r}{suggest(row['family'], families)}")
    try:
        config, metrics = _config(row), _metrics(row)
        seconds = float(row["original_wall_s"] or 0)
        status = STATUSES[row["original_status"]]
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: {name}: cannot be read ({type(error).__name__}: {error})") from error
    if status == SCORED and not metrics:
        status = FAILED
    ended_early = row["original_status"] if status in (FAILED, SCORED) else None
    key = json.dumps([config, metrics or name], sort_keys=True)
    return TrialRecord.from_flat(
        name=name,
        family=families[row["family"]],
        number=-1,
        fingerprint=hashlib.sha256(key.encode()).hexdigest()[:16],
        status=status,
        config=config,
        metrics=metrics,
        epochs_trained=STUDY_EPOCHS if status == FINISHED else 0,
        seconds=seconds,
        started=when,
        ended=when,
        published=name,
        failure_class=ended_early,
        failure=None if ended_early is None else f"the study's own run {ended_early.replace('_', ' ')}",
    )


def _config(row: Mapping[str, str]) -> dict[str, Any]:
    loss, sampler = row["loss"], row["sampler"]
    config: dict[str, Any] = {**ENCODERS[row["architecture"]], "loss": LOSSES.get(loss, loss)}
    config["sampler"] = SAMPLERS.get(sampler, sampler)
    if row["quantile_curriculum"] == "true":
        config["sampler"] = "quantile_curriculum"
    if loss.endswith("noise_gated") and config["head"] == "point":
        config["head"] = (
            "distributional"  # without a log-variance this loss is undefined: the study's run crashed of it
        )
    for column, parameter in PARAMETERS.items():
        if row[column] and not (config["sampler"] == "quantile_curriculum" and column == "n_quantiles"):
            value = float(row[column])
            config[parameter] = int(value) if column in ("n_quantiles", "gc_bins") else value
    if row["temperature"]:
        config[f"{'sampler' if sampler == 'hard_negative' else 'loss'}.temperature"] = float(row["temperature"])
    if row["warmup_epochs"]:
        config["loss.warmup_fraction"] = float(row["warmup_epochs"]) / STUDY_EPOCHS
    return {**config, "epochs": STUDY_EPOCHS, "seed": int(row["seed"])}


def _metrics(row: Mapping[str, str]) -> dict[str, float]:
    """The published metrics under our names; of a table with further elements, theirs too."""
    found: dict[str, float] = {}
    for column, text in row.items():
        if not text:
            continue
        if column in ("test_spearman", "test_pearson"):
            found[column.replace("_", "/")] = float(text)
        elif column == "noise_corr":
            found["noise/corr"] = float(text)
        elif column in ("low_noise_spearman", "high_noise_spearman"):
            found[f"noise/{column}"] = float(text)
        elif column.startswith("cagi5_"):
            _, kind, stratum, *element = column.split("_")
            found[f"cagi5/challenge/{kind}/{stratum}/{''.join(element) or 'mean'}"] = float(text)
    part = "cagi5/challenge/spearman"
    if f"{part}/hc/mean" in found and f"{part}/lc/mean" in found:
        found["cagi5/challenge/hc_lc_gap"] = found[f"{part}/hc/mean"] - found[f"{part}/lc/mean"]
    return found


def open_published(path: Path) -> RecordedTrials:
    """Open the study's table as trials that were selected on what they report."""
    records = read_published(path)
    return RecordedTrials(path.stem, "challenge", records, matched=elements_of(records))


def elements_of(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """The elements whose correlations stand in the table, which its means are over."""
    prefix = "cagi5/challenge/spearman/all/"
    names = {name.removeprefix(prefix) for record in records for name in record.metrics if name.startswith(prefix)}
    return tuple(sorted(names - {"mean"}))
