"""Long tables, of several cell lines or replicates, are said; categories of elements are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from measured_table import table

from nrtune.trainables.data.lentimpra import read_dataset


def found(tmp_path, measured: pd.DataFrame) -> list[tuple[str, str, int | None]]:
    measured.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    findings = read_dataset(tmp_path / "a.tsv").findings
    return [(one.severity, one.where, one.count) for one in findings if one.id == "several-conditions"]


def long(values, column: str, rows: int = 40) -> pd.DataFrame:
    """Each sequence in a row for each value, with an activity of its own."""
    generator = np.random.default_rng(1)
    parts = [table(rows).assign(**{column: value, "category": np.array(["promoter", "enhancer"])[np.arange(rows) % 2]})
             for value in values]  # fmt: skip
    measured = pd.concat(parts, ignore_index=True)
    return measured.assign(mean_value=generator.normal(size=len(measured)).round(4))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("cell_line", ["K562", "HepG2", "WTC11"]),
        ("Cell type", ["K562", "HepG2"]),
        ("stimulated", ["no", "yes"]),
        ("replicate", [1, 2, 3]),
        ("time", [24, 48]),
        ("bio_rep", [1, 2]),
    ],
)
def test_sequences_in_several_conditions_are_an_error(tmp_path, column, values):
    measured = long(values, column)
    assert found(tmp_path, measured) == [("error", f"a.tsv: {column}", 40 * len(values))]
    assert found(tmp_path, measured.sample(frac=1, random_state=0)) == [("error", f"a.tsv: {column}", 40 * len(values))]
    assert found(tmp_path, measured[measured[column] == values[0]]) == []


def test_conditions_and_replicates_are_both_said(tmp_path):
    measured = pd.concat([long(["K562", "HepG2"], "cell_line").assign(rep=rep) for rep in "12"], ignore_index=True)
    assert [where for _, where, _ in found(tmp_path, measured)] == ["a.tsv: cell_line", "a.tsv: rep"]


def test_rows_of_different_sequences_in_conditions_are_a_warning(tmp_path):
    measured = table(40).assign(cell_line=["K562", "HepG2"] * 20)
    assert found(tmp_path, measured) == [("warning", "a.tsv: cell_line", 40)]


def test_of_three_tables_each_may_be_of_a_cell_line(tmp_path):
    paths = [tmp_path / f"{name}.tsv" for name in ("train", "val", "test")]
    for seed, path in enumerate(paths):
        table(30, seed).assign(cell_line="K562 HepG2 WTC11".split()[seed]).to_csv(path, sep="\t", index=False)
    assert [one.id for one in read_dataset(paths).findings] == ["several-conditions"]


def test_what_is_said_of_elements_is_no_condition(tmp_path):
    measured = table(60).assign(
        category=["promoter", "enhancer", "control"] * 20,
        library=["A", "B"] * 30,
        barcodes=np.arange(60) % 13,
        strand="+",
    )
    assert found(tmp_path, measured) == []
    twice = pd.concat([measured, measured.assign(mean_value=measured["mean_value"] + 0.1)], ignore_index=True)
    assert found(tmp_path, twice.assign(barcodes=np.arange(120) % 17, cell_line="K562")) == []
