"""Scores of any model's predictions, read from files and computed as a trial's own, with intervals."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.bootstrap import Floats, draw_counts, random_blocks
from analysis.intervals import TEST_BLOCKS, Configuration, Resampled, Resampler, Resampling
from analysis.predictions import Predictions
from trainables import metrics
from trainables.data.cagi5 import PARTS, Variants
from trainables.errors import UserError, suggest
from trainables.predictions import variant_metrics
from trainables.randomness import derive_generator

VARIANT_COLUMNS = ("element", "pos", "ref", "alt", "variant_effect")
TEST_COLUMNS = ("prediction", "activity")

SAME = 1e-6
"""Activities and noise of two files are the same within this, relative above 1: a text file may hold fewer digits."""

_KEY = ["element", "pos", "ref", "alt"]
_FORMATS = "give CSV, TSV (plain or .gz) or Parquet"


class ReadEffects(NamedTuple):
    """One file's predicted effects, laid on a folder's variants: (V,), NaN where the file has none."""

    path: Path
    effect: Floats

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which variants the file holds, (V,)."""
        return np.isfinite(self.effect)


class ReadTest(NamedTuple):
    """One file's test predictions, as stored: (n,) each; aleatoric_std is None where the file has none."""

    path: Path
    prediction: NDArray[np.floating]
    activity: NDArray[np.floating]
    aleatoric_std: NDArray[np.floating] | None


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
    """Scores on CAGI5 variants.

    coverage: a row a file, part and element of the folder: file, part, element, n, missing, matched. averaged: by part
    that was scored, the elements that its means are over: matched to the cell line and wholly in every file.
    """

    cell_line: str
    coverage: pd.DataFrame
    averaged: Mapping[str, tuple[str, ...]]


def read_effects(path: Path, variants: Variants) -> ReadEffects:
    """Read predicted effects and match them to variants by element, pos, ref and alt.

    Raises UserError for a file that can't be read, lacks a column, holds a variant that the folder lacks, a value that is
    not finite, or two values of one variant.
    """
    table = _read_table(path, VARIANT_COLUMNS, ("chrom",))
    pos = _numbers(path, table, "pos").astype(np.float64)
    broken = pos != np.rint(pos)
    if broken.any():
        raise UserError(f"{path}: column pos, row {broken.argmax() + 1}: {pos[broken.argmax()]} is not a whole number")
    found = pd.DataFrame(
        {
            "element": _texts(path, table, "element"),
            "pos": pos.astype(np.int64),
            "ref": [text.upper() for text in _texts(path, table, "ref")],
            "alt": [text.upper() for text in _texts(path, table, "alt")],
            "variant_effect": _numbers(path, table, "variant_effect").astype(np.float64),
        }
    )
    for element in found["element"].unique():
        if element not in variants.elements:
            raise UserError(
                f"{path}: element {element!r} is not in {variants.name}{suggest(element, variants.elements)}"
            )
    if "chrom" in table:
        _check_chrom(path, _texts(path, table, "chrom"), found["element"].tolist(), variants)
    known = variants.table()[_KEY]
    unknown = ~pd.MultiIndex.from_frame(found[_KEY]).isin(pd.MultiIndex.from_frame(known))
    if unknown.any():
        raise UserError(
            f"{path}: {unknown.sum()} of {len(found)} variants are not in {variants.name}, first"
            f" {_named(found[unknown].iloc[0])} in row {unknown.argmax() + 1}; positions are 1-based hg19, alleles as in"
            " the folder: mend or remove these rows"
        )
    found = found.drop_duplicates()
    twice = found.duplicated(_KEY)
    if twice.any():
        raise UserError(
            f"{path}: predicts {twice.sum()} variants twice with different values, first"
            f" {_named(found[twice].iloc[0])}; keep one row a variant"
        )
    laid = known.merge(found, on=_KEY, how="left", validate="many_to_one")
    return ReadEffects(path, laid["variant_effect"].to_numpy(np.float64))


def read_test(path: Path) -> ReadTest:
    """Read test predictions beside what was measured. Raises UserError as `read_effects`, and for too few rows."""
    table = _read_table(path, TEST_COLUMNS, ("aleatoric_std",))
    if len(table) < metrics.MIN_STRATUM:
        raise UserError(f"{path}: holds {len(table)} rows; a correlation needs {metrics.MIN_STRATUM} or more")
    std = _numbers(path, table, "aleatoric_std") if "aleatoric_std" in table else None
    if std is not None and (std < 0).any():
        row = int((std < 0).argmax())
        raise UserError(
            f"{path}: column aleatoric_std, row {row + 1}: {std[row]} is negative; give standard deviations"
        )
    return ReadTest(path, _numbers(path, table, "prediction"), _numbers(path, table, "activity"), std)


def score_variants(
    files: Sequence[ReadEffects],
    variants: Variants,
    how: Resampling | None = None,
    *,
    resample: Callable[[str], bool] = lambda metric: True,
) -> VariantScores:
    """Score one file's effects or two's, release and challenge apart, on the variants that every file holds.

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
    for number, part in enumerate(PARTS):
        of_part = variants.part == number
        chosen = of_part & shared
        if not chosen.any():
            continue
        averaged[part] = tuple(
            element
            for element in variants.matched
            if len(here := variants.rows(element, part)) and bool(shared[here].all())
        )
        scored = _subset(variants, chosen, averaged[part])
        values = [variant_metrics(scored, file.effect[chosen]) for file in files]
        tables = [scored.table().assign(variant_effect=file.effect[chosen]) for file in files]
        resampler = _resampler(
            [file.path for file in files], [Predictions(None, t) for t in tables], averaged[part], how
        )
        for metric in values[0]:
            resampled = resampler.metric(metric) if resample(metric) and "/n/" not in metric else None
            rows.append(_row(metric, [of_file[metric] for of_file in values], resampler, resampled))
    return VariantScores(
        paths=tuple(file.path for file in files),
        table=pd.DataFrame.from_records(rows),
        rows=int(shared.sum()),
        how=how,
        cell_line=variants.cell_line,
        coverage=_coverage(files, variants),
        averaged=averaged,
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
    tables = [pd.DataFrame({**measured, "prediction": file.prediction}) for file in files]
    values = [_prefixed("test", metrics.in_distribution(file.prediction, first.activity)) for file in files]
    if std is not None:
        tables = [table.assign(aleatoric_std=std) for table in tables]
        for found, file in zip(values, files, strict=True):
            # A calibration is fitted on validation rows, which such a file has none of.
            noise = metrics.noise_metrics(file.prediction, first.activity, std, calibration=(1.0, 0.0))
            del noise["corr_calibrated"]
            found |= _prefixed("noise", noise)

    def resampler_of(rows: NDArray[np.bool_] | slice) -> Resampler:
        return _resampler(paths, [Predictions(table[rows].reset_index(drop=True), None) for table in tables], (), how)

    everything = resampler_of(slice(None))
    resampled: dict[str, Resampled | None] = {
        name: everything.metric(name) for name in ("test/pearson", "test/spearman", "noise/corr")
    }
    resampled["test/mse"] = _resampled_mse(files, first.activity, how)
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
        _, low, high, _ = resampler.interval(resampled)
    found: dict[str, float | str] = {"metric": metric, "value": values[0], "low": low[0], "high": high[0]}
    if len(values) == 1:
        return found
    found |= {"other": values[1], "other_low": low[1], "other_high": high[1], "difference": values[0] - values[1]}
    low, high, p = nothing, nothing, nothing
    if resampled is not None:
        _, low, high, p = resampler.differences(resampled, 1)
    return found | {"difference_low": low[0], "difference_high": high[0], "p": p[0]}


def _resampler(
    paths: Sequence[Path], predictions: Sequence[Predictions], matched: Sequence[str], how: Resampling
) -> Resampler:
    configurations = [Configuration(str(path), (0,), (one,)) for path, one in zip(paths, predictions, strict=True)]
    return Resampler(configurations, matched, how)


def _resampled_mse(files: Sequence[ReadTest], activity: NDArray[np.floating], how: Resampling) -> Resampled:
    """The mean squared error in the resamples that the correlations have."""
    error = np.stack([(file.prediction.astype(np.float64) - activity) ** 2 for file in files])
    n = len(activity)
    block = random_blocks(n, TEST_BLOCKS, derive_generator(how.seed, "test blocks", n))
    blocks = int(block.max()) + 1
    counts = draw_counts(blocks, how.resamples, derive_generator(how.seed, "resample", "test", blocks))
    sums = np.stack([np.bincount(block, row, blocks) for row in error]) @ counts.T
    estimate = error.mean(axis=1)
    return Resampled(
        estimate,
        sums / (counts @ np.bincount(block, minlength=blocks)),
        tuple(estimate[:, None]),
        ((0,),) * len(files),
        blocks - 1,
    )


def _prefixed(prefix: str, found: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in found.items()}


def _subset(variants: Variants, chosen: NDArray[np.bool_], matched: tuple[str, ...]) -> Variants:
    names = ("element", "part", "pos", "ref", "alt", "value", "confidence", "ref_mismatch", "ref_window", "alt_window")
    return dataclasses.replace(variants, matched=matched, **{name: getattr(variants, name)[chosen] for name in names})


def _coverage(files: Sequence[ReadEffects], variants: Variants) -> pd.DataFrame:
    records = [
        {
            "file": str(file.path),
            "part": part,
            "element": element,
            "n": len(rows),
            "missing": int((~file.there[rows]).sum()),
            "matched": element in variants.matched,
        }
        for file in files
        for part in PARTS
        for element in variants.elements
        if len(rows := variants.rows(element, part))
    ]
    return pd.DataFrame.from_records(records)


def _check_chrom(path: Path, chrom: Sequence[str], element: Sequence[str], variants: Variants) -> None:
    of_element = dict(zip(variants.elements, variants.chrom, strict=True))
    for row, (here, name) in enumerate(zip(chrom, element, strict=True), start=1):
        if _bare(here) != _bare(of_element[name]):
            raise UserError(
                f"{path}: column chrom, row {row}: {name} lies on {of_element[name]} in {variants.name}, not on {here};"
                " mend the row, or leave the column out"
            )


def _bare(chrom: str) -> str:
    """A chromosome without `chr`, nor the `.0` of a number that was read as a fraction."""
    return re.sub(r"^CHR|\.0$", "", chrom.upper())


def _named(variant: pd.Series[Any]) -> str:
    return f"{variant['element']} {variant['pos']} {variant['ref']}>{variant['alt']}"


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


def _read_table(path: Path, needed: Sequence[str], optional: Sequence[str]) -> pd.DataFrame:
    """The columns wanted of a table, named in lower case; of a text file all are texts."""
    table = _parse(path)
    lowered = [str(name).strip().lower() for name in table.columns]
    missing = [name for name in needed if name not in lowered]
    if missing:
        raise UserError(
            f"{path}: lacks column {', '.join(missing)}; give {', '.join(needed)} (it has"
            f" {', '.join(map(str, table.columns[:12])) or 'none'})"
        )
    wanted = [name for name in (*needed, *optional) if name in lowered]
    for name in wanted:
        if lowered.count(name) > 1:
            raise UserError(f"{path}: has column {name} {lowered.count(name)} times; keep one")
    if table.empty:
        raise UserError(f"{path}: holds no rows; write the predictions below its header")
    found = table.iloc[:, [lowered.index(name) for name in wanted]]
    return found.set_axis(wanted, axis=1)


def _parse(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give a file of predictions in it")
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; give a file of predictions") from error
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); give a file of predictions") from error
    if content.startswith(b"PAR1"):
        return _parse_parquet(path, content)
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: is a damaged .gz file; write or fetch it again") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no table that nrtune reads; {_FORMATS}") from error
    return _parse_text(path, text)


def _parse_parquet(path: Path, content: bytes) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: is a damaged Parquet file; write or fetch it again") from error
    return table


def _parse_text(path: Path, text: str) -> pd.DataFrame:
    """A text's table; lines that start with ## are comments, and a # before the header does not count."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("##")]
    if not lines:
        raise UserError(f"{path}: is empty; {_FORMATS}")
    header = lines[0].lstrip("#")
    try:
        names, *rows = csv.reader([header, *lines[1:]], delimiter="\t" if "\t" in header else ",")
    except csv.Error as error:
        raise UserError(f"{path}: is no table that nrtune reads ({error}); {_FORMATS}") from error
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise UserError(f"{path}: row {number} has {len(row)} columns, its header {len(names)}; mend the row")
    return pd.DataFrame(rows, columns=names, dtype=object)


def _numbers(path: Path, table: pd.DataFrame, column: str) -> NDArray[np.floating]:
    """A column's numbers, of the type in which they are stored. Raises UserError for one that is not finite."""
    values = table[column]
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f" and values.dtype.itemsize > 2:
        found: NDArray[np.floating] = values.to_numpy()
    else:
        found = np.array([_number(value) for value in values], np.float64)
    wrong = ~np.isfinite(found)
    if wrong.any():
        row = int(wrong.argmax())
        value = values.iloc[row]
        said = "nothing" if value is None or value == "" else repr(value if isinstance(value, str) else float(value))
        more = f" (and {wrong.sum() - 1} rows more)" if wrong.sum() > 1 else ""
        raise UserError(
            f"{path}: column {column}, row {row + 1}{more}: {said} is not a finite number; mend or remove the row"
        )
    return found


def _number(value: object) -> float:
    """A number, NaN for what is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def _texts(path: Path, table: pd.DataFrame, column: str) -> list[str]:
    """A column's texts without blanks around them. Raises UserError for an empty one."""
    found = ["" if value is None or value != value else str(value).strip() for value in table[column]]
    if "" in found:
        raise UserError(f"{path}: column {column}, row {found.index('') + 1}: is empty; mend or remove the row")
    return found
