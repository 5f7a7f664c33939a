"""Tables without a header, and as R writes them, are read where there is one way to read them, and that is said."""

from __future__ import annotations

import pytest
from measured_table import table

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.lentimpra import read_dataset


def read(tmp_path, text: str):
    (tmp_path / "a.tsv").write_text(text)
    return read_dataset(tmp_path / "a.tsv")


def said(dataset) -> list[str]:
    return [one.what for one in dataset.findings if one.id == "table-layout"]


@pytest.mark.parametrize("names", [lambda row: str(row + 1), lambda row: f"oligo_{row}"])
@pytest.mark.parametrize("separator", ["\t", ",", " "])
def test_row_names_of_r_are_no_column(tmp_path, names, separator):
    plain = table(40)
    lines = plain.to_csv(sep=separator, index=False, header=False).splitlines()
    rows = [separator.join([f'"{names(row)}"', line]) for row, line in enumerate(lines)]
    dataset = read(tmp_path, "\n".join([separator.join(map('"{}"'.format, plain.columns)), *rows]))
    assert dataset.digest == read(tmp_path, plain.to_csv(sep="\t", index=False)).digest
    assert said(dataset) == [
        "its header has a name less than its rows have columns: the first are row names, as R writes them"
    ]


def test_a_separator_at_the_end_of_rows_is_no_column(tmp_path):
    header, *rows = table(40).to_csv(sep="\t", index=False).splitlines()
    dataset = read(tmp_path, "\n".join([header, *(row + "\t" for row in rows)]))
    assert dataset.digest == read(tmp_path, "\n".join([header, *rows])).digest
    assert said(dataset) == ["every row ends with a separator, its header does not"]


@pytest.mark.parametrize("first", ["the same", "", None])
def test_a_header_that_may_lack_any_name_is_refused(tmp_path, first):
    plain = table(40)
    if first is None:
        text = plain.to_csv(sep="\t", index=False).replace("seq\tmean_value\tfold", "seq\tfold")  # of the second
    else:
        header, *rows = plain.to_csv(sep="\t", index=False).splitlines()
        text = "\n".join([header, *(f"{first}\t{row}" for row in rows)])
    with pytest.raises(UserError, match=r"every row has [34] columns, and its header [23]; name the first, too"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "columns",
    [["seq", "mean_value"], ["mean_value", "seq"], ["id", "seq", "mean_value"], ["seq", "mean_value", "split"]],
)
def test_a_table_without_a_header_is_read_where_it_is_plain(tmp_path, columns):
    plain = table(40).assign(id=[f"e{row}" for row in range(40)], split=["train", "val", "test", "train"] * 10)[columns]
    expected = read(tmp_path, plain.to_csv(sep="\t", index=False))
    dataset = read(tmp_path, plain.to_csv(sep="\t", index=False, header=False))
    assert (len(dataset), dataset.digest) == (40, expected.digest)
    (sentence,) = said(dataset)
    assert f"column {columns.index('seq') + 1} for seq" in sentence
    assert f"column {columns.index('mean_value') + 1} for mean_value" in sentence


def test_the_first_of_its_sequences_may_be_short(tmp_path):
    plain = table(40)[["seq", "mean_value"]]
    plain.loc[0, "seq"] = "ACGTA"
    dataset = read(tmp_path, plain.to_csv(sep="\t", index=False, header=False))
    assert dataset.digest == read(tmp_path, plain.to_csv(sep="\t", index=False)).digest


def test_a_table_without_a_header_that_may_be_several_things_is_refused(tmp_path):
    plain = table(40)
    for one, message in (
        (plain, "its first line holds a sequence, no names of columns, and 2 of its 3 columns hold numbers"),
        (plain.assign(other=plain["seq"])[["seq", "other", "fold"]], "2 of its 3 columns hold sequences"),
        (
            plain[["seq"]].assign(value="high"),
            "none of its 2 columns holds numbers, so that they can't be told; write a line",
        ),
    ):
        with pytest.raises(UserError, match=message):
            read(tmp_path, one.to_csv(sep="\t", index=False, header=False))


def test_what_is_wrong_in_a_row_is_said_with_the_row(tmp_path):
    plain = table(40)[["seq", "mean_value"]].astype(object)
    plain.loc[6, "seq"] = plain.loc[6, "seq"][:-1] + "X"
    with pytest.raises(UserError, match="row 7 has 'X' at position"):
        read(tmp_path, plain.to_csv(sep="\t", index=False, header=False))


@pytest.mark.parametrize("count", [1, 2])
def test_one_row_is_not_called_rows(tmp_path, count):
    plain = table(40)
    plain.loc[: count - 1, "seq"] = [sequence[:60] for sequence in plain["seq"][:count]]
    dataset = read(tmp_path, plain.assign(chrom=["chr1", "chr2", "chr3", "chr4"] * 10).to_csv(sep="\t", index=False))
    assert f"{count} of 40 stand{'s' if count == 1 else ''} in the middle of N" in dataset.notes[0]
    placed = plain.assign(chrom=[""] * count + ["chr1", "chr2", "chr3", "chr4"] * 9 + ["chr1"] * (4 - count))
    placed.to_csv(tmp_path / "b.tsv", sep="\t", index=False)
    notes = read_dataset(tmp_path / "b.tsv", chroms={"val": ["chr2"], "test": ["chr3"]}).notes
    assert {1: "1 row without a chromosome trains", 2: "2 rows without a chromosome train"}[count] in notes
