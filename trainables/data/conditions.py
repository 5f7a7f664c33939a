"""Tables in long form, whose rows are of several cell lines, conditions or replicates: read as one, these would be mixed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nrtune.trainables.data.columns import KNOWN, MpraTable, plain_name
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.tables import NOTHING, NUMBER

CONDITIONS = (
    "cell", "cells", "cell_line", "cellline", "cell_type", "celltype", "tissue", "condition", "treatment", "stimulus",
    "stimulation", "time", "timepoint", "time_point", "dose",
)  # fmt: skip
"""What tables call a column that says in what, or when, a row's activity was measured."""
OTHERS = ("line", "assay", "experiment", "sample", "batch", "replicate", "rep", "library", "donor", "day", "run")
"""And words of one that may say so, as bio_rep does, where a sequence has several rows by it; its values may be numbers."""
MOST = 50
"""Values that such a column has at most: of more it names elements or barcodes."""
REPEATED = 0.1
"""The share of rows whose sequence another row has, from which on it is looked at what tells them apart, and"""
APART = 0.5
"""the share of such sequences whose rows have different values in a column that does."""
SHOWN = 5


def conditions_in(tables: Sequence[MpraTable], sequences: Sequence[str], where: str) -> list[Finding]:
    """What is found of columns that tell the rows of one sequence apart, or by whose names rows are of several conditions.

    sequences: of the rows of all tables, (N,).
    """
    rows = pd.Series([sequence.upper() for sequence in sequences])
    again = rows.duplicated(keep=False)
    repeated = again.sum() >= REPEATED * len(rows)
    found: list[Finding] = []
    for name, cells in _columns(tables):
        values = [value for value in cells.unique() if value]
        if not 2 <= len(values) <= MOST:
            continue
        plain = plain_name(name)
        said = {plain, *plain.split("_")} & {*CONDITIONS, *OTHERS}
        texts = said or not all(NUMBER.fullmatch(value) for value in values)
        several = cells[again].groupby(rows[again].to_numpy()).nunique() > 1
        apart = repeated and bool(texts) and several.mean() >= APART
        if not apart and plain not in CONDITIONS:
            continue
        shown = ", ".join(values[:SHOWN]) + (f" and {len(values) - SHOWN} more" if len(values) > SHOWN else "")
        found.append(
            Finding(
                id="several-conditions",
                severity="error" if apart else "warning",
                what=f"{'sequences have rows' if apart else 'rows are'} of {len(values)} values, {shown}: measurements of them"
                " all are read as of one",
                where=f"{where}: {name}",
                count=int(again.sum()) if apart else len(rows),
                of=len(rows),
                advice="give a table of one of them, or one row a sequence, with replicates as columns",
            )
        )
    return found


def _columns(tables: Sequence[MpraTable]) -> list[tuple[str, pd.Series[str]]]:
    """Columns that have no role and that all tables have, without those of many values: names, and cells of all tables."""
    roles = {name for table in tables for role in KNOWN if (name := table.name(role)) is not None}
    known = {name for names in KNOWN.values() for name in names}
    found = []
    for name in dict.fromkeys(tables[0].names):
        if name in roles or plain_name(name) in known or not all(table.names.count(name) == 1 for table in tables):
            continue
        parts = [table.table.iloc[:, table.names.index(name)] for table in tables]
        if max(part.nunique() for part in parts) <= MOST + len(NOTHING):
            cells = pd.concat(parts, ignore_index=True).fillna("").astype(str).str.strip()
            found.append((name, cells.mask(cells.str.lower().isin(NOTHING), "")))
    return found
