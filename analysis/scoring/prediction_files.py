"""Any model's predictions, read from files: effects of variants, or predictions of test sequences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.analysis.scoring.doubtful import falling, no_predictions, of_one_sign, other_scale
from nrtune.analysis.scoring.matching import rows_elsewhere
from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.trainables.core.errors import UserError, listing, quoted, suggest
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.letters import letter_findings
from nrtune.trainables.data.tables import NUMBER, read_table
from nrtune.trainables.data.variant_windows import bases
from nrtune.trainables.evaluation import metrics

VARIANT_COLUMNS = ("element", "pos", "ref", "alt", "variant_effect")
TEST_COLUMNS = ("prediction", "activity")

ROWS_TWICE = "rows-twice"
LARGEST = 1e100
"""A number beyond this is none that was measured or predicted, and its square is infinite."""
_KEY = ["element", "pos", "ref", "alt"]
_SITE = ("element", "pos", "alt")


class ReadEffects(NamedTuple):
    """One file's predicted effects, laid on a folder's variants: (V,), NaN where the file has none.

    left_out: how many of its variants the folder does not hold. first_left_out: one of them, or "". findings: what looks like
    predictions, but means something else.
    """

    path: Path
    effect: Floats
    left_out: int = 0
    first_left_out: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which variants the file holds, (V,)."""
        return np.isfinite(self.effect)


class ReadTest(NamedTuple):
    """One file's test predictions, as stored: (n,) each; aleatoric_std, and cluster, are None where the file has none.

    findings: what looks like predictions, but means something else.
    """

    path: Path
    prediction: NDArray[np.floating]
    activity: NDArray[np.floating]
    aleatoric_std: NDArray[np.floating] | None
    cluster: NDArray[np.int64] | None = None
    findings: tuple[Finding, ...] = ()


def read_effects(path: Path, variants: VariantSet) -> ReadEffects:
    """Read predicted effects and match them to variants by element, pos, ref and alt, and where it takes that by chrom.

    Variants that the folder lacks are left out and counted. Where the folder's ref is not the genome's, a row may have
    either. Raises UserError for a file that can't be read, lacks a column, holds no variant of the folder, a value that
    is not finite, or two values of one variant.
    """
    needed = (*VARIANT_COLUMNS, "chrom") if variants.scattered else VARIANT_COLUMNS
    table = _read_table(path, needed, () if variants.scattered else ("chrom",))
    key = [*_KEY, "chrom"] if variants.scattered else _KEY
    pos = _numbers(path, table, "pos").astype(np.float64)
    broken = (pos != np.rint(pos)) | (np.abs(pos) >= 2**53)
    if broken.any():
        raise UserError(f"{path}: column pos, row {broken.argmax() + 1}: {pos[broken.argmax()]} is not a whole number")
    found = pd.DataFrame(
        {
            "element": _texts(path, table, "element"),
            "pos": pos.astype(np.int64),
            "ref": _texts(path, table, "ref"),
            "alt": _texts(path, table, "alt"),
            "variant_effect": _numbers(path, table, "variant_effect").astype(np.float64),
        }
    )
    rna = found["ref"].str.contains("U", case=False) | found["alt"].str.contains("U", case=False)
    findings = letter_findings(path.name, rna.to_numpy(bool), what="alleles")
    found = found.assign(ref=found["ref"].map(bases), alt=found["alt"].map(bases))
    table_of_folder = variants.table()
    if variants.scattered:
        table_of_folder = table_of_folder.assign(chrom=[_bare(chrom) for chrom in variants.chrom])
        found["chrom"] = [_bare(chrom) for chrom in _texts(path, table, "chrom")]
    known = table_of_folder[key]
    found["ref"] = _ref_of_folder(found, table_of_folder)
    elsewhere = list(rows_elsewhere(path.name, found, known))
    findings += elsewhere
    unknown = ~pd.MultiIndex.from_frame(found[key]).isin(pd.MultiIndex.from_frame(known))
    if unknown.all():
        element = str(found["element"].iloc[0])
        if element not in variants.elements:
            raise UserError(
                f"{path}: element {quoted(element)!r} is not in {variants.name}{suggest(element, variants.elements)}"
            )
        usual = (
            f"positions are 1-based{f', on {variants.assembly}' if variants.assembly else ''}, alleles as in the folder"
        )
        raise UserError(
            f"{path}: none of {len(found)} variants is in {variants.name}, first {_named(found.iloc[0])} in row 1;"
            f" {f'{elsewhere[0].what}; {elsewhere[0].advice}' if elsewhere else usual}"
        )
    if "chrom" in table and not variants.scattered and (variants.chrom != "").all():
        chrom = np.array(_texts(path, table, "chrom"), object)
        _check_chrom(path, chrom, found["element"].to_numpy(), ~unknown, variants)
    left_out = found[unknown].drop_duplicates(key)
    found = found[~unknown]
    copy = found.duplicated().to_numpy(bool)
    findings += flagged(copy, ROWS_TWICE, "warning", "rows are copies of others; one of each is kept", where=path.name,
                        example=lambda place: _named(found.iloc[place]))  # fmt: skip
    found = found[~copy]
    twice = found.duplicated(key)
    if twice.any():
        raise UserError(
            f"{path}: predicts {twice.sum()} variants twice with different values, first"
            f" {_named(found[twice].iloc[0])}; keep one row a variant"
        )
    laid = known.merge(found, on=key, how="left", validate="many_to_one")
    first = _named(left_out.iloc[0]) if len(left_out) else ""
    effect = laid["variant_effect"].to_numpy(np.float64)
    there = np.isfinite(effect)
    findings += [
        *([] if elsewhere else _coverage(path, there, variants, laid)),
        *no_predictions(path, effect[there], variants.value[there], "effects"),
        *other_scale(path, effect[there], variants.value[there], "effects", "note"),
        *of_one_sign(path, effect[there], variants.value[there]),
        *falling(path, effect, variants),
    ]
    return ReadEffects(path, effect, len(left_out), first, tuple(findings))


def _coverage(path: Path, there: NDArray[np.bool_], variants: VariantSet, laid: pd.DataFrame) -> list[Finding]:
    """Which variants have no prediction, of the parts of which some have: such as a file of the challenge alone."""
    of_parts = np.isin(variants.part, np.unique(variants.part[there]))
    return flagged(
        of_parts & ~there,
        "predictions-missing",
        "note",
        "variants have no prediction, and means are over the elements that are wholly there",
        where=path.name,
        of=int(of_parts.sum()),
        example=lambda place: _named(laid.iloc[place]),
    )


def _ref_of_folder(found: pd.DataFrame, known: pd.DataFrame) -> list[str]:
    """Each row's ref, (n,); the folder's own where its ref is not the genome's, and the row may hold the genome's."""
    changed = known[known["ref_mismatch"]]
    own = dict(zip(zip(*(changed[name] for name in _SITE), strict=True), changed["ref"], strict=True))
    sites = zip(*(found[name] for name in _SITE), strict=True)
    return [str(own.get(site, ref)) for site, ref in zip(sites, found["ref"], strict=True)]


def read_test(path: Path) -> ReadTest:
    """Read test predictions beside what was measured. Raises UserError as `read_effects`, and for too few rows."""
    table = _read_table(path, TEST_COLUMNS, ("aleatoric_std", "cluster"))
    if len(table) < metrics.MIN_STRATUM:
        raise UserError(f"{path}: holds {len(table)} rows; a correlation needs {metrics.MIN_STRATUM} or more")
    std = _numbers(path, table, "aleatoric_std") if "aleatoric_std" in table else None
    if std is not None and (std < 0).any():
        row = int((std < 0).argmax())
        raise UserError(
            f"{path}: column aleatoric_std, row {row + 1}: {std[row]} is negative; give standard deviations"
        )
    # Of clusters nothing but which rows have the same one counts: names will do as well.
    cluster = pd.factorize(table["cluster"].astype(str))[0].astype(np.int64) if "cluster" in table else None
    prediction, activity = _numbers(path, table, "prediction"), _numbers(path, table, "activity")
    findings = no_predictions(path, prediction, activity, "predictions")
    findings += other_scale(path, prediction, activity, "predictions", "warning")  # the mean squared error goes by it
    return ReadTest(path, prediction, activity, std, cluster, tuple(findings))


def _check_chrom(
    path: Path,
    chrom: NDArray[np.object_],
    element: NDArray[np.object_],
    rows: NDArray[np.bool_],
    variants: VariantSet,
) -> None:
    """Refuse a row, of those chosen, whose chromosome is not its element's."""
    of_element = {name: str(variants.chrom[variants.rows(name, part)[0]]) for part, name, _ in variants.groups()}
    for row in np.flatnonzero(rows):
        here, name = chrom[row], element[row]
        if _bare(here) != _bare(of_element[name]):
            raise UserError(
                f"{path}: column chrom, row {row + 1}: {name} lies on {of_element[name]} in {variants.name}, not on"
                f" {quoted(here)}; mend the row, or leave the column out"
            )


def _bare(chrom: str) -> str:
    """A chromosome without `chr`, nor the `.0` of a number that was read as a fraction."""
    return re.sub(r"^CHR|\.0$", "", chrom.upper())


def _named(variant: pd.Series[Any]) -> str:
    return f"{quoted(variant['element'])} {variant['pos']} {quoted(variant['ref'], 20)}>{quoted(variant['alt'], 20)}"


def _read_table(path: Path, needed: Sequence[str], optional: Sequence[str]) -> pd.DataFrame:
    """The columns wanted of a table, named in lower case; of a text file all are texts."""
    table = read_table(path, "a file of predictions")
    lowered = [str(name).strip().lower() for name in table.columns]
    missing = [name for name in needed if name not in lowered]
    if missing:
        raise UserError(
            f"{path}: lacks column {', '.join(missing)}; give {', '.join(needed)} (it has"
            f" {listing(table.columns, 12) or 'none'})"
        )
    wanted = [name for name in (*needed, *optional) if name in lowered]
    for name in wanted:
        if lowered.count(name) > 1:
            raise UserError(f"{path}: has column {name} {lowered.count(name)} times; keep one")
    if table.empty:
        raise UserError(f"{path}: holds no rows; write the predictions below its header")
    found = table.iloc[:, [lowered.index(name) for name in wanted]]
    return found.set_axis(wanted, axis=1)


def _numbers(path: Path, table: pd.DataFrame, column: str) -> NDArray[np.floating]:
    """A column's numbers, of the type in which they are stored. Raises UserError for one that is not finite."""
    values = table[column]
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "f" and values.dtype.itemsize > 2:
        found: NDArray[np.floating] = values.to_numpy()
    else:
        found = np.array([_number(value) for value in values], np.float64)
    wrong = ~(np.abs(found.astype(np.float64)) <= LARGEST)
    if wrong.any():
        row = int(wrong.argmax())
        value = values.iloc[row]
        if value is not None and not isinstance(value, str) and np.isfinite(found[row]):
            value = float(found[row])
        said = "nothing" if value is None or (isinstance(value, str) and not value) else repr(value)[:40]
        more = f" (and {wrong.sum() - 1} rows more)" if wrong.sum() > 1 else ""
        raise UserError(
            f"{path}: column {column}, row {row + 1}{more}: {said} is not a finite number; mend or remove the row"
        )
    return found


def _number(value: object) -> float:
    """A number, NaN for what is none: neither is True, nor 1_0, which Python reads as 10."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, str) and not NUMBER.fullmatch(value.strip())):
        return np.nan
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
