"""Tables as the field has them: what their columns are called, how they are divided, what their cells may be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.orientation import orientation_pairs
from nrtune.trainables.data.sequences import reverse_complement, to_text

N = 40


def measurements(rows: int = N, length: int = 40) -> pd.DataFrame:
    """A plain table: sequences of one length, activity and ten folds."""
    generator = np.random.default_rng(2)
    tokens = generator.integers(0, 4, (rows, length)).astype(np.uint8)
    return pd.DataFrame({
        "seq": [to_text(row) for row in tokens],
        "mean_value": generator.normal(size=rows).round(4),
        "fold": np.arange(rows) % 10,
    })  # fmt: skip


def read(tmp_path, table: pd.DataFrame, **options):
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    return read_dataset(tmp_path / "a.tsv", **options)


@pytest.mark.parametrize("sequence", ["seq", "Sequence", "SEQ"])
@pytest.mark.parametrize("activity", ["mean_value", "activity", "Expression", "log2FC", "value"])
@pytest.mark.parametrize("noise", ["aleatoric_std", "noise", "STD"])
def test_common_names_are_known_in_any_case(tmp_path, sequence, activity, noise):
    plain = measurements().assign(aleatoric_std=np.linspace(0.1, 0.2, N))
    renamed = plain.rename(columns={"seq": sequence, "mean_value": activity, "aleatoric_std": noise})
    assert read(tmp_path, renamed).digest == read(tmp_path, plain).digest


def test_columns_are_named_by_their_roles(tmp_path):
    table = measurements().assign(a=0.5, b=np.linspace(0.6, 0.9, N), other=1.0)
    plain = read(tmp_path, table[["seq", "mean_value", "fold"]])
    table = table.rename(columns={"seq": "oligo", "mean_value": "lfc", "fold": "part"})
    roles = {"seq": "oligo", "activity": "lfc", "fold": "part", "replicates": "a+b"}
    dataset = read(tmp_path, table, columns=roles)
    assert (dataset.tokens == plain.tokens).all()
    assert (dataset.activity == plain.activity).all()
    assert (dataset.split == plain.split).all()
    assert dataset.aleatoric_std == pytest.approx((np.linspace(0.6, 0.9, N) - 0.5) / np.sqrt(2), rel=1e-5)
    assert read(tmp_path, table, columns={**roles, "replicates": ["a", "b"]}).digest == dataset.digest


@pytest.mark.parametrize(
    ("extra", "columns", "message"),
    [
        (
            {"activity": 1.0},
            {},
            "its columns mean_value and activity may each be the activity; say which with --columns",
        ),
        ({"sequence": "ACGT"}, {}, "its columns seq and sequence may each be the seq"),
        ({"set": "train", "split": "train"}, {}, "its columns split and set may each be the split"),
        ({"std": 1.0, "noise": 1.0}, {}, "its columns noise and std may each be the noise"),
        ({}, {"activity": "lfc"}, "has no column 'lfc' for activity; it has seq, mean_value, fold"),
        ({}, {"value": "mean_value"}, "--columns value=…: no column has that role"),
        ({}, {"seq": ["seq", "fold"]}, "one column is the seq"),
        ({}, {"replicates": "fold"}, "needs two replicate columns or more"),
        ({}, {"replicates": "fold+fold"}, "fold stands twice among the replicates"),
        ({"b": 1.0}, {"replicates": "mean_value+b"}, "mean_value is named for activity and for replicates"),
        ({}, {"noise": "mean_value"}, "mean_value is named for activity and for noise"),
        ({}, {"seq": ""}, "has no column seq; it has seq, mean_value, fold"),
    ],
)
def test_what_columns_may_not_be_is_one_sentence(tmp_path, extra, columns, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, measurements().assign(**extra), columns=columns)
    assert message in str(error.value)


def test_named_columns_settle_what_is_ambiguous(tmp_path):
    table = measurements()
    two = table.assign(activity=0.25)
    assert read(tmp_path, two, columns={"activity": "mean_value"}).digest == read(tmp_path, table).digest


def test_two_columns_of_one_name_are_refused_only_where_they_are_used(tmp_path):
    lines = [f"{row.seq}\t{row.mean_value}\t{row.fold}\tx\ty" for row in measurements().itertuples()]
    for header, refused in (("seq\tmean_value\tfold\tnote\tnote", False), ("seq\tmean_value\tfold\tseq\tnote", True)):
        (tmp_path / "a.tsv").write_text("\n".join([header, *lines]))
        if refused:
            with pytest.raises(UserError, match="seq and seq may each be the seq"):
                read_dataset(tmp_path / "a.tsv")
        else:
            assert len(read_dataset(tmp_path / "a.tsv")) == N


@pytest.mark.parametrize(
    "cell",
    [
        "True",
        "false",
        "1_0",
        "1,5",
        "inf",
        "-inf",
        "Infinity",
        "0x1F",
        "1e999",
        "1e39",
        "١",
        "−0.5",
        "50%",
        "1.2.3",
        "1 2",
        "x",
    ],
)
@pytest.mark.parametrize("column", ["mean_value", "aleatoric_std", "fold"])
def test_numbers_are_numbers(tmp_path, cell, column):
    table = measurements().assign(aleatoric_std=0.1).astype(object)
    table.loc[6, column] = cell
    with pytest.raises(UserError) as error:
        read(tmp_path, table)
    assert f"a.tsv: {column} is {cell!r} in row 7, which is not a number" in str(error.value)


@pytest.mark.parametrize("cell", ["1", "-1.", ".5", "+1.5e-3", "1E2", " 0.25 "])
def test_whatever_is_a_number_is_read(tmp_path, cell):
    table = measurements().astype(object)
    table.loc[6, "mean_value"] = cell
    assert read(tmp_path, table).activity[6] == np.float32(float(cell))


def test_parquet_holds_no_true_activity_either(tmp_path):
    table = measurements()
    table.to_parquet(tmp_path / "a.parquet")
    assert read_dataset(tmp_path / "a.parquet").digest == read(tmp_path, table).digest
    table.assign(mean_value=True).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="mean_value is 'True' in row 1, and 39 more rows, which is not a number"):
        read_dataset(tmp_path / "a.parquet")


def test_a_table_without_a_header_is_said(tmp_path):
    measurements().to_csv(tmp_path / "a.tsv", sep="\t", index=False, header=False)
    with pytest.raises(UserError, match="its first line holds a sequence, no names of columns"):
        read_dataset(tmp_path / "a.tsv")


@pytest.mark.parametrize("noise", [{"aleatoric_std": np.nan}, {"aleatoric_std": -0.5}])
def test_noise_that_is_missing_or_negative_is_refused(tmp_path, noise):
    with pytest.raises(UserError, match=r"aleatoric_std is (nan|-0.5) in row 1"):
        read(tmp_path, measurements().assign(**noise))


def test_shorter_sequences_stand_in_the_middle(tmp_path):
    table = measurements()
    table.loc[3, "seq"] = "ACGTA"
    dataset = read(tmp_path, table)
    assert to_text(dataset.tokens[3]) == "N" * 17 + "ACGTA" + "N" * 18
    assert "sequences have 5 to 40 bases: 1 of 40 stands in the middle of N" in dataset.notes


def test_the_folds_that_were_held_out_are_said(tmp_path):
    assert "divided by fold: validated on 8, tested on 9" in read(tmp_path, measurements()).notes
    chosen = read(tmp_path, measurements(), folds={"val": [1, 3], "test": [2]})
    assert "divided by fold: validated on 1, 3, tested on 2" in chosen.notes


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["train", "val", "test", "train"] * 10,
            "fold holds splits, such as 'train'; name it with --columns fold=,split=fold",
        ),
        (["a", "b", "c", "d"] * 10, "--columns fold=fold takes folds of any names"),
    ],
)
def test_folds_that_are_no_numbers_are_said(tmp_path, cells, message):
    table = measurements().assign(fold=cells)
    with pytest.raises(UserError, match=message):
        read(tmp_path, table)
    columns = {"fold": "", "split": "fold"} if "train" in cells else {"fold": "fold"}
    assert len(read(tmp_path, table, columns=columns)) == N


WORDS = {"train": ["train", "Training"], "val": ["val", "valid", "Validation", "DEV"], "test": ["test", "TEST"]}


@pytest.mark.parametrize("column", ["split", "Set", "subset"])
def test_a_column_of_splits_is_obeyed(tmp_path, column):
    generator = np.random.default_rng(3)
    names = [name for name in WORDS for _ in range(8)] + ["train"] * 16
    cells = [str(generator.choice(WORDS[name])) for name in names]
    dataset = read(tmp_path, measurements().assign(**{column: cells}))
    assert [("train", "val", "test")[code] for code in dataset.split] == names
    assert f"divided as its column {column} says; fold is not looked at" in dataset.notes


@pytest.mark.parametrize("cell", ["holdout", "0", ""])
def test_an_unknown_split_is_refused_with_its_row(tmp_path, cell):
    table = measurements().assign(split=["train", "val"] * 20)
    table.loc[4, "split"] = cell
    with pytest.raises(UserError, match=f"split is {cell!r} in row 5" if cell else "split is empty in row 5"):
        read(tmp_path, table)
    plain = read(tmp_path, measurements())
    assert read(tmp_path, table, columns={"split": ""}).digest == plain.digest


def test_folds_that_the_user_names_come_before_a_column_of_splits(tmp_path):
    table = measurements().assign(split="train")
    dataset = read(tmp_path, table, folds={"val": [1], "test": [2]})
    assert set(table["fold"][dataset.rows("val")]) == {1}
    with pytest.raises(UserError, match="1 is named for val and for test"):
        read(tmp_path, table, folds={"val": [1], "test": [1]})


def with_chromosomes(names=("chr1", "chr2", "chrX", "chr10")) -> pd.DataFrame:
    return measurements().assign(chrom=np.array(names)[np.arange(N) % 4])


def coordinates(table: pd.DataFrame) -> list[str]:
    return [f"{chrom}:{100 * row}-{100 * row + 40}" for row, chrom in enumerate(table["chrom"])]


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("kind", ["column", "assembly", "names", "coordinate"])
def test_chromosomes_divide(tmp_path, kind, bare):
    table = with_chromosomes()
    if bare:
        table["chrom"] = table["chrom"].str.removeprefix("chr")
    chrom = table["chrom"].copy()
    if kind == "assembly":
        table = table.rename(columns={"chrom": "chr.hg38"})
    elif kind in ("names", "coordinate"):
        name = {"names": "seq_id", "coordinate": "coordinate"}[kind]
        table = table.assign(**{name: coordinates(table)}).drop(columns="chrom")
    dataset = read(tmp_path, table, chroms={"val": ["chr2"], "test": ["X", "chr10"]})
    for split, expected in (("val", {"2"}), ("test", {"X", "10"}), ("train", {"1"})):
        assert set(chrom[dataset.rows(split)].str.removeprefix("chr")) == expected
    assert "divided by chromosomes" in dataset.notes


def test_chromosomes_that_became_numbers_are_chromosomes(tmp_path):
    table = measurements().assign(chrom=[np.nan if row == 7 else float(row % 4 + 1) for row in range(N)])
    dataset = read(tmp_path, table, chroms={"val": ["chr2"], "test": ["3"]})
    assert set(table["chrom"][dataset.rows("val")]) == {2.0}


@pytest.mark.parametrize(
    ("chroms", "message"),
    [
        ({"val": ["chr3"], "test": ["chr2"]}, "--val-chroms chr3: .* has no such chromosome; it has 1, 2, 10, X"),
        ({"val": ["chr2"], "test": ["2"]}, "2 is among --val-chroms and --test-chroms"),
        ({"val": ["chr2"], "test": []}, "--split-by chrom needs --val-chroms and --test-chroms"),
    ],
)
def test_wrong_chromosomes_are_one_sentence(tmp_path, chroms, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, with_chromosomes(), chroms=chroms)
    with pytest.raises(UserError, match="needs a column of chromosomes"):
        read(tmp_path, measurements(), chroms=chroms)


def both_orientations(table: pd.DataFrame, left="ACGTAACCGG", right="TTGCA") -> pd.DataFrame:
    """Every sequence of a table in both orientations between adapters; the second without any chromosome."""
    other = table.copy()
    tokens = [np.array(["ACGT".index(base) for base in sequence], np.uint8) for sequence in table["seq"]]
    other["seq"] = [to_text(reverse_complement(row)) for row in tokens]
    other["mean_value"] += 0.3
    if "chrom" in other:
        other["chrom"] = ""
    found = pd.concat([table, other], ignore_index=True)
    return found.assign(seq=left + found["seq"] + right)


def test_an_orientation_goes_with_the_other_where_nrtune_divides(tmp_path):
    table = both_orientations(with_chromosomes())
    dataset = read(tmp_path, table, chroms={"val": ["chr2"], "test": ["chrX"]})
    assert (dataset.split[:N] == dataset.split[N:]).all()
    assert set(dataset.split) == {0, 1, 2}
    assert "divided by chromosomes; 20 rows moved to where their other orientation is" in dataset.notes
    hashed = read(tmp_path, table.drop(columns=["fold", "chrom"]))
    assert (hashed.split[:N] == hashed.split[N:]).all()
    assert any("by a hash that keeps orientation pairs together" in note for note in hashed.notes)


def test_chromosomes_as_folds_stay_whole(tmp_path):
    table = measurements(200).drop(columns="fold")
    table["chromosome"] = [f"chr{row % 9 + 1}" for row in range(200)]
    dataset = read(tmp_path, table, columns={"fold": "chromosome"})
    groups = [set(table["chromosome"][dataset.rows(split)]) for split in ("train", "val", "test")]
    assert sum(map(len, groups)) == 9
    assert all(groups)
    chosen = read(tmp_path, table, columns={"fold": "chromosome"}, folds={"val": ["chr2"], "test": ["chr3"]})
    assert set(table["chromosome"][chosen.rows("val")]) == {"chr2"}


def chains(table: pd.DataFrame, size: int) -> list[str]:
    """Coordinates of which each `size` rows overlap in a chain."""
    return [
        f"chr{1 + row // size % 3}:{900 * (row // size) + 30 * (row % size)}-{900 * (row // size) + 30 * (row % size) + 40}"
        for row in range(len(table))
    ]


@pytest.mark.parametrize("columns", [False, True])
def test_elements_that_overlap_are_one_cluster_and_fall_into_one_split(tmp_path, columns):
    table = measurements(240).drop(columns="fold")
    plain = read(tmp_path, table)
    places = chains(table, 4)
    if columns:
        split = pd.Series(places).str.extract(r"(?P<chrom>chr\d+):(?P<start>\d+)-(?P<end>\d+)")
        placed = read(tmp_path, pd.concat([table, split], axis=1))
    else:
        placed = read(tmp_path, table.assign(seq_id=places))
    first = np.arange(240) // 4 * 4
    assert (placed.cluster == first).all()
    assert (placed.split == placed.split[first]).all()
    assert (
        "fewer than three folds: divided 80/10/10 by a hash that keeps elements that overlap together" in placed.notes
    )
    assert (plain.cluster == np.arange(240)).all()
    assert set(placed.split.tolist()) == {0, 1, 2}
    alone = read(tmp_path, table.assign(seq_id=chains(table, 1)))
    assert (alone.digest, alone.notes) == (plain.digest, plain.notes)  # coordinates that do not overlap change nothing


def test_chains_that_can_not_be_divided_are_said(tmp_path):
    table = measurements().drop(columns="fold").assign(name=[f"chr1:{30 * row}-{30 * row + 40}" for row in range(N)])
    with pytest.raises(
        UserError, match=r"its elements overlap in 1 chains, which can't be divided .*; add a column split"
    ):
        read(tmp_path, table)
    folds = read(tmp_path, table.assign(fold=np.arange(N) % 10))  # what the table says is obeyed
    assert set(folds.cluster.tolist()) == {0}


def test_letters_that_were_taken_for_others_are_counted(tmp_path):
    table = measurements()
    written = table["seq"].copy()
    written[:5] = written[:5].str.replace("T", "U")
    written[3:10] = written[3:10].str.lower()
    plain, taken = read(tmp_path, table), read(tmp_path, table.assign(seq=written))
    assert taken.digest == plain.digest
    assert {one.id: (one.severity, one.count, one.of, one.example) for one in taken.findings} == {
        "u-for-t": ("note", 5, N, "row 1 of a.tsv"),
        "soft-masked": ("note", 7, N, "row 4 of a.tsv"),
    }
    assert plain.findings == ()


def test_partners_are_kept_and_numbered_as_the_rows(tmp_path):
    table = both_orientations(measurements(80)).drop(columns="fold")
    lone = measurements(4, len(table["seq"][0])).drop(columns="fold")
    mixed = pd.concat([lone[:2], table[:7], lone[2:], table[7:]], ignore_index=True)
    dataset = read(tmp_path, mixed, noise="orientation")
    assert len(dataset) == len(table)
    assert (dataset.partner == orientation_pairs(dataset.tokens).partner).all()
    assert (dataset.partner >= 0).all()
    kept = read(tmp_path, mixed, noise="none").partner
    assert (kept == orientation_pairs(read(tmp_path, mixed, noise="none").tokens).partner).all()
    assert (kept < 0).sum() == 4


def three_files(tmp_path, names=("train.tsv", "val.csv", "test.tsv.gz")):
    table = measurements().drop(columns="fold")
    for name, rows in zip(names, (slice(0, 20), slice(20, 30), slice(30, 40)), strict=True):
        table.iloc[rows].to_csv(tmp_path / name, sep="," if ".csv" in name else "\t", index=False)
    return table, [tmp_path / name for name in names]


def test_a_table_for_each_split(tmp_path):
    table, paths = three_files(tmp_path)
    whole = table.assign(split=["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    expected = read(tmp_path, whole)
    assert read_dataset(paths).digest == expected.digest
    dataset = read_dataset(",".join(map(str, paths)))
    assert dataset.digest == expected.digest
    assert dataset.name == "train.tsv,val.csv,test.tsv.gz"


def test_a_comma_in_a_files_own_name_names_one_file(tmp_path):
    measurements().to_csv(tmp_path / "a,b,c.tsv", sep="\t", index=False)
    assert len(read_dataset(tmp_path / "a,b,c.tsv")) == N


def test_wrong_tables_of_splits_are_one_sentence(tmp_path):
    _, (train, val, test) = three_files(tmp_path)
    for paths, message in (
        ((test, val, train), "test.tsv.gz: stands where the train split belongs"),
        ((train, val), "--data names 2 files; give one, or three: train,val,test"),
        ((train, tmp_path / "gone.tsv", test), "gone.tsv: no such file"),
    ):
        with pytest.raises(UserError, match=message):
            read_dataset(paths)
    with pytest.raises(UserError, match="--data names 2 files"):
        read_dataset(f"{train},{val}")
    with pytest.raises(UserError, match="names a table for each split; leave out folds"):
        read_dataset((train, val, test), folds={"val": [1], "test": [2]})
    pd.read_csv(val).assign(noise=0.5).to_csv(val, index=False)
    with pytest.raises(UserError, match=r"train\.tsv: has no column of noise, and another table has"):
        read_dataset((train, val, test))


def test_a_column_of_splits_that_says_something_else_is_refused(tmp_path):
    _, paths = three_files(tmp_path)
    val = pd.read_csv(paths[1])
    val.assign(split="val", set="a").to_csv(paths[1], index=False)
    assert len(read_dataset(paths, columns={"split": ""})) == N
    val.assign(split=["val"] * 9 + ["Train"]).to_csv(paths[1], index=False)
    with pytest.raises(
        UserError, match=r"val\.csv: is given as the val table, and its column split is 'Train' in row 10"
    ):
        read_dataset(paths)


def test_replicates_that_are_too_few_are_said_with_the_tables_own_row(tmp_path):
    table = both_orientations(measurements()).assign(a=0.5, b=np.linspace(0.6, 0.9, 2 * N))
    table.loc[50, "b"] = np.nan
    with pytest.raises(UserError, match=r"the deviation of the replicates is nan in row 51, and 1 row in all"):
        read(tmp_path, table, columns={"replicates": "a+b"})


@pytest.mark.parametrize(
    ("replicate", "found"),
    [
        (lambda activity, noise: activity + noise, False),
        (lambda activity, noise: activity.round(1) + noise, False),
        (lambda activity, noise: 2**activity * 1000 + noise, True),
        (lambda activity, noise: activity[::-1] + noise, True),
        (lambda activity, noise: activity * 3 + noise, True),
    ],
)
def test_replicates_that_the_activity_does_not_follow_are_found(tmp_path, replicate, found):
    table, generator = measurements(), np.random.default_rng(6)
    activity = table["mean_value"].to_numpy()
    for name in ("a", "b"):
        table[name] = replicate(activity, generator.normal(size=N) * 0.3)
    ids = [finding.id for finding in read(tmp_path, table, columns={"replicates": "a+b"}).findings]
    assert ("replicates-disagree" in ids) is found


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (lambda a, b: abs(a - b) / np.sqrt(2), None),
        (lambda a, b: (abs(a - b) / np.sqrt(2)).round(3), None),
        (lambda a, b: (a - b) ** 2 / 2, "but their variance"),
        (lambda a, b: abs(a - b) / 2, "but their standard error"),
        (lambda a, b: abs(a - b) * 3, ""),
    ],
)
def test_noise_that_is_not_that_of_the_replicates_is_found(tmp_path, noise, said):
    a, b = np.random.default_rng(4).normal(size=(2, N))
    table = measurements().assign(a=a, b=b, std=noise(a, b), mean_value=(a + b) / 2)
    dataset = read(tmp_path, table, columns={"replicates": "a+b"})
    found = [finding for finding in dataset.findings if finding.id == "noise-disagrees"]
    assert len(found) == (said is not None)
    assert all(finding.what.endswith(said or "replicates") for finding in found)


def test_no_claim_is_made_of_pairs_where_there_are_none(tmp_path):
    dataset = read(tmp_path, measurements().drop(columns="fold"))
    assert dataset.notes[0] == "fewer than three folds: divided 80/10/10 by a hash"
