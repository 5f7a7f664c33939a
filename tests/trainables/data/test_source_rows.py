"""What is found names the rows of the files, not those that were kept of them."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
from measured_table import LEFT, RIGHT, table

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import reverse_complement, to_text
from nrtune.trainables.data.source_rows import SourceRows


def turned(sequence: str) -> str:
    tokens = np.array(["ACGT".index(base) for base in sequence], np.uint8)
    return to_text(reverse_complement(tokens))


def found(dataset, kind: str) -> list[Finding]:
    return [finding for finding in audit(dataset) if finding.id == kind]


def test_rows_are_those_of_parts():
    places = SourceRows.of(["a", "b", "c"], [3, 0, 2]).at(np.array([0, 2, 3, 4]))
    assert [places.place(row) for row in range(4)] == [("a", 1), ("a", 3), ("c", 1), ("c", 2)]
    assert (places.one(3), places.two(1, 0), places.two(1, 2)) == (
        "row 2 of c",
        "rows 3 and 1 of a",
        "row 3 of a and row 1 of c",
    )


def test_copies_that_were_left_out_move_no_row(tmp_path):
    plain = table(60)
    copies = plain.iloc[:5].assign(seq=[turned(sequence) for sequence in plain["seq"][:5]])
    mixed = pd.concat([plain.iloc[:5], copies, plain.iloc[5:]], ignore_index=True)  # rows 6 to 10 are computed
    mixed.loc[40, "seq"], mixed.loc[40, "fold"] = mixed.loc[20, "seq"], 9  # tested on, and trained on
    mixed.loc[20, "fold"] = 0
    mixed.loc[50, "mean_value"] = -999
    mixed.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    dataset = read_dataset(tmp_path / "a.tsv")
    assert len(dataset) == 60
    assert [one.example for one in found(dataset, "computed-copies")] == ["row 6 of a.tsv"]
    assert [one.example for one in found(dataset, "duplicates-across-splits")] == ["rows 41 and 21 of a.tsv"]
    assert [one.example for one in found(dataset, "activity-far-off")] == ["row 51 of a.tsv: -999"]


def test_lone_rows_that_were_left_out_move_no_row(tmp_path):
    plain = table(60)
    other = plain.assign(
        seq=[LEFT + turned(sequence[15:-15]) + RIGHT for sequence in plain["seq"]], mean_value=plain["mean_value"] + 0.3
    )
    other.loc[:, "mean_value"] += np.random.default_rng(1).normal(0, 0.1, 60).round(4)
    lone = table(7, seed=9)
    mixed = pd.concat([lone, plain, other], ignore_index=True)
    mixed.loc[66, "mean_value"] = 999
    mixed.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    dataset = read_dataset(tmp_path / "a.tsv")
    assert len(dataset) == 120
    assert [one.example for one in found(dataset, "activity-far-off")] == ["row 67 of a.tsv: 999"]


def test_of_three_files_the_one_is_named(tmp_path):
    paths = [tmp_path / f"{split}.tsv" for split in ("train", "val", "test")]
    tables = [table(30, seed).drop(columns="fold") for seed in range(3)]
    tables[2].loc[4, "seq"] = tables[0].loc[11, "seq"]
    tables[1].loc[8, "mean_value"] = -999
    tables[1].loc[3, "seq"] = tables[1].loc[3, "seq"].replace("T", "U")
    for one, path in zip(tables, paths, strict=True):
        one.to_csv(path, sep="\t", index=False)
    dataset = read_dataset(paths)
    assert [one.example for one in found(dataset, "duplicates-across-splits")] == [
        "row 5 of test.tsv and row 12 of train.tsv"
    ]
    assert [one.example for one in found(dataset, "activity-far-off")] == ["row 9 of val.tsv: -999"]
    assert [one.example for one in found(dataset, "u-for-t")] == ["row 4 of val.tsv"]


def test_of_hdf5_the_group_is_named(tmp_path):
    generator = np.random.default_rng(0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("Train", "Val", "Test"):
            tokens = generator.integers(0, 4, (20, 60))
            if name == "Train":
                first = tokens
                tokens[1] = 3 - tokens[0, ::-1]  # computed, and left out
            else:
                tokens[5] = first[7]
            y = np.stack([generator.normal(size=20), generator.uniform(0.1, 0.3, 20)], axis=1)
            if name == "Train":
                y[1, 0] = y[0, 0]
            group = file.create_group(name)
            group["X"], group["y"] = np.eye(4, dtype=np.float32)[tokens], y
    dataset = read_dataset(tmp_path / "a.h5")
    assert len(dataset) == 59
    assert [one.example for one in found(dataset, "duplicates-across-splits")] == [
        "row 6 of a.h5/Val and row 8 of a.h5/Train",
        "row 6 of a.h5/Test and row 8 of a.h5/Train",
        "row 6 of a.h5/Test and row 6 of a.h5/Val",
    ]


@pytest.mark.parametrize("of_three", [False, True])
def test_a_sequence_that_is_much_longer_is_named(tmp_path, of_three):
    tables = [table(30, seed).drop(columns="fold") for seed in range(3)]
    if not of_three:
        tables = [pd.concat(tables, ignore_index=True)]
    paths = [tmp_path / f"{name}.tsv" for name in ("train", "val", "test")[: len(tables)]]
    number, place = (1, "row 13 of val.tsv") if of_three else (0, "row 13 of train.tsv")
    plain = tables[number].loc[12, "seq"]
    for times, refused in ((1, False), (2, False), (1000, True)):
        tables[number].loc[12, "seq"] = plain * times
        for one, path in zip(tables, paths, strict=True):
            one.to_csv(path, sep="\t", index=False)
        if refused:
            with pytest.raises(
                UserError, match=f"{place} has a sequence of 110,000 bases, and 95 % of the rows have 110"
            ):
                read_dataset(paths)
        else:
            said = [one.example for one in read_dataset(paths).findings if one.id == "length-far-off"]
            assert said == ([f"{place}, of 220"] if times == 2 else [])


def test_sequences_of_many_lengths_are_no_slip(tmp_path):
    plain = table(90)
    plain["seq"] = [sequence[: 20 + row] for row, sequence in enumerate(plain["seq"])]
    plain.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    assert read_dataset(tmp_path / "a.tsv").findings == ()
