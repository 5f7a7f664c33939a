"""Scores of any model's predictions, computed as a trial's own, with intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.analysis.scoring.prediction_files import ReadEffects, ReadTest
from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.student import Resampled
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.evaluation import metrics
from nrtune.trainables.evaluation.predictions import prefixed, variant_metrics

SAME = 1e-6
"""Activities and noise of two files are the same within this, relative above 1: a text file may hold fewer digits."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """Metrics of one file or two, each with its interval.

    table: a row a metric: metric, value, low, high; with a second file also other, other_low, other_high and, of the
    first less the second, difference, difference_low, difference_high and p. An end that can't be told is NaN.
    rows: how many variants or sequences were scored.
    """

    paths: tuple[Path, ...]
    table: pd.DataFrame
    rows: int
    how: Resampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class VariantScores(Scores):
    """Scores on the variants of a benchmark.

    coverage: a row a file, part and element of the folder: file, part, element, n, missing, matched. averaged: by part
    that was scored, the elements that its means are over: matched to the cell line and wholly in every file. left_out: of
    each file, how many of its variants the folder does not hold, and one of them. prefixes: how each part's metrics begin.
    strata: the benchmark's. blocks: of each metric with an interval, base pairs of the blocks for values and for differences,
    where positions are drawn.
    """

    cell_line: str
    coverage: pd.DataFrame
    averaged: Mapping[str, tuple[str, ...]]
    left_out: tuple[tuple[int, str], ...]
    prefixes: Mapping[str, str]
    strata: tuple[str, ...]
    blocks: Mapping[str, tuple[int, int]]


def score_variants(
    files: Sequence[ReadEffects],
    variants: VariantSet,
    how: Resampling | None = None,
    *,
    resample: Callable[[str], bool] = lambda metric: True,
) -> VariantScores:
    """Score one file's effects or two's, part by part (CAGI5's release and challenge), on the variants that every file holds.

    resample: which metrics, by name, are to have intervals: these take nearly all of the time.
    Raises UserError where two files have no variant in common.
    """
    how = how or Resampling()
    shared = np.logical_and.reduce([file.there for file in files])
    if not shared.any():
        raise UserError(
            f"{files[0].path} and {files[-1].path} have no variant in common; give the same variants in both"
        )
    rows: list[dict[str, float | str]] = []
    averaged: dict[str, tuple[str, ...]] = {}
    blocks: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(variants.prefixes):
        of_part = variants.part == number
        chosen = of_part & shared
        if not chosen.any():
            continue
        means_over = tuple(
            element
            for element in variants.matched
            if len(here := variants.rows(element, part)) and bool(shared[here].all())
        )
        averaged[variants.called(part)] = means_over
        scored = variants.subset(chosen, means_over)
        values = [variant_metrics(scored, file.effect[chosen]) for file in files]
        tables = [scored.table().assign(variant_effect=file.effect[chosen]) for file in files]
        predictions = [Predictions(None, {variants.benchmark: table}) for table in tables]
        resampler = _resampler([file.path for file in files], predictions, means_over, how)
        for metric in values[0]:
            resampled = resampler.metric(metric) if resample(metric) and "/n/" not in metric else None
            if resampled is not None and resampled.blocks is not None:
                blocks[metric] = resampled.blocks
            rows.append(_row(metric, [of_file[metric] for of_file in values], resampler, resampled))
    return VariantScores(
        paths=tuple(file.path for file in files),
        table=pd.DataFrame.from_records(rows),
        rows=int(shared.sum()),
        how=how,
        cell_line=variants.cell_line,
        coverage=_coverage(files, variants),
        averaged=averaged,
        left_out=tuple((file.left_out, file.first_left_out) for file in files),
        prefixes={variants.called(part): prefix for part, prefix in variants.prefixes.items()},
        strata=variants.strata,
        blocks=blocks,
    )


def score_test(files: Sequence[ReadTest], how: Resampling | None = None) -> Scores:
    """Score one file's test predictions or two's, which must be of the same sequences in the same order.

    Raises UserError where they are not.
    """
    how, first = how or Resampling(), files[0]
    std = next((file.aleatoric_std for file in files if file.aleatoric_std is not None), None)
    for other in files[1:]:
        _check_same(first.path, first.activity, other.path, other.activity, "activity")
        if first.aleatoric_std is not None and other.aleatoric_std is not None:
            _check_same(first.path, first.aleatoric_std, other.path, other.aleatoric_std, "aleatoric_std")
    paths = [file.path for file in files]
    measured = {"row": np.arange(len(first.activity)), "activity": first.activity}
    cluster = next((file.cluster for file in files if file.cluster is not None), None)
    measured |= {} if cluster is None else {"cluster": cluster}
    tables = [pd.DataFrame({**measured, "prediction": file.prediction}) for file in files]
    values = [prefixed("test", metrics.in_distribution(file.prediction, first.activity)) for file in files]
    if std is not None:
        tables = [table.assign(aleatoric_std=std) for table in tables]
        for found, file in zip(values, files, strict=True):
            # A calibration is fitted on validation rows, which such a file has none of.
            noise = metrics.noise_metrics(file.prediction, first.activity, std, calibration=(1.0, 0.0))
            del noise["corr_calibrated"]
            found |= prefixed("noise", noise)

    def resampler_of(rows: NDArray[np.bool_] | slice) -> Resampler:
        return _resampler(paths, [Predictions(table[rows].reset_index(drop=True)) for table in tables], (), how)

    everything = resampler_of(slice(None))
    resampled: dict[str, Resampled | None] = {
        name: everything.metric(name) for name in ("test/pearson", "test/spearman", "test/mse", "noise/corr")
    }
    if std is not None:
        low_edge, high_edge = np.quantile(std, [metrics.QUINTILE, 1 - metrics.QUINTILE])
        for name, rows in (("low", std <= low_edge), ("high", std >= high_edge)):
            resampled[f"noise/{name}_noise_spearman"] = resampler_of(rows).metric("test/spearman")
    table = pd.DataFrame.from_records(
        [_row(metric, [found[metric] for found in values], everything, resampled.get(metric)) for metric in values[0]]
    )
    return Scores(paths=tuple(paths), table=table, rows=len(first.activity), how=how)


def _row(
    metric: str, values: Sequence[float], resampler: Resampler, resampled: Resampled | None
) -> dict[str, float | str]:
    """A metric's row of `Scores.table`."""
    nothing = np.full(len(values), np.nan)
    low = high = nothing
    if resampled is not None:
        _, low, high, *_ = resampler.interval(resampled)
    found: dict[str, float | str] = {"metric": metric, "value": values[0], "low": low[0], "high": high[0]}
    if len(values) == 1:
        return found
    found |= {"other": values[1], "other_low": low[1], "other_high": high[1], "difference": values[0] - values[1]}
    low, high, p = nothing, nothing, nothing
    if resampled is not None:
        _, low, high, p, *_ = resampler.differences(resampled, 1)
    return found | {"difference_low": low[0], "difference_high": high[0], "p": p[0]}


def _resampler(
    paths: Sequence[Path], predictions: Sequence[Predictions], matched: Sequence[str], how: Resampling
) -> Resampler:
    configurations = [Configuration(str(path), (0,), (one,)) for path, one in zip(paths, predictions, strict=True)]
    return Resampler(configurations, matched, how)


def _coverage(files: Sequence[ReadEffects], variants: VariantSet) -> pd.DataFrame:
    records = [
        {
            "file": str(file.path),
            "part": variants.called(part),
            "element": element,
            "n": len(rows),
            "missing": int((~file.there[rows]).sum()),
            "matched": element in variants.matched,
        }
        for file in files
        for part in variants.prefixes
        for element in variants.elements
        if len(rows := variants.rows(element, part))
    ]
    return pd.DataFrame.from_records(records)


def _check_same(
    path: Path, one: NDArray[np.floating], other_path: Path, other: NDArray[np.floating], column: str
) -> None:
    advice = "two files are compared on the same sequences in the same order"
    if len(one) != len(other):
        raise UserError(f"{other_path}: holds {len(other)} rows, {path} holds {len(one)}; {advice}")
    a, b = one.astype(np.float64), other.astype(np.float64)
    differ = np.abs(a - b) > SAME * np.maximum(np.abs(a), 1)
    if differ.any():
        row = int(differ.argmax())
        raise UserError(
            f"{other_path}: column {column}, row {row + 1}: is {b[row]:.6g}, in {path} it is {a[row]:.6g}; {advice}"
        )
