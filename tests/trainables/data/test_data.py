"""Readers and the simulator: what they give, and what they say of files that are wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import h5py
import literal
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import reverse_complement, to_text, to_tokens
from nrtune.trainables.data.simulate import HDF5_NAME, noise_free_activity, simulate

BASES = st.text("ACGTN", min_size=1, max_size=40)


def test_the_order_of_bases_is_pinned():
    assert to_tokens(["ACGTNacgtn"], "here")[0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert to_text(reverse_complement(to_tokens(["AACGTN"], "here")[0])) == "NACGTT"


@given(BASES)
def test_tokens_and_strands_come_back(sequence):
    tokens = to_tokens([sequence], "here")[0]
    assert to_text(tokens) == sequence
    assert (reverse_complement(reverse_complement(tokens)) == tokens).all()


def write_hdf5(path, change=lambda groups: None, n=6, length=12):
    generator = np.random.default_rng(0)
    groups = {
        name: {
            "X": np.eye(4, dtype=np.float32)[generator.integers(0, 4, (n, length))],
            "y": np.stack([generator.normal(size=n), generator.random(n)], axis=1).astype(np.float32),
        }
        for name in ("Train", "Val", "Test")
    }
    change(groups)
    with h5py.File(path, "w") as file:
        for name, group in groups.items():
            for key, values in group.items():
                file.create_dataset(f"{name}/{key}", data=values)
    return path


def test_hdf5_gives_what_was_written(tmp_path):
    written = {}
    dataset = read_dataset(write_hdf5(tmp_path / "a.h5", written.update))
    assert len(dataset) == 18
    assert dataset.length == 12
    for split, group in (("train", "Train"), ("val", "Val"), ("test", "Test")):
        rows = dataset.rows(split)
        assert (np.eye(4)[dataset.tokens[rows]] == written[group]["X"]).all()
        assert (dataset.activity[rows] == written[group]["y"][:, 0]).all()
        assert (dataset.aleatoric_std[rows] == written[group]["y"][:, 1]).all()


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_hdf5_four_equal_numbers_are_n(tmp_path, value):
    dataset = read_dataset(write_hdf5(tmp_path / "a.h5", lambda g: g["Val"]["X"].__setitem__((1, 3), value)))
    assert to_text(dataset.tokens[7])[3] == "N"
    assert (dataset.tokens == 4).sum() == 1


def test_hdf5_with_one_column_has_no_noise_and_says_so(tmp_path):
    def one_column(groups):
        for group in groups.values():
            group["y"] = group["y"][:, :1]

    dataset = read_dataset(write_hdf5(tmp_path / "a.h5", one_column))
    assert dataset.aleatoric_std is None
    assert "no noise was measured" in dataset.notes[0]


def test_hdf5_may_be_boolean(tmp_path):
    def boolean(groups):
        for group in groups.values():
            group["X"] = group["X"].astype(bool)

    plain, made = read_dataset(write_hdf5(tmp_path / "a.h5")), read_dataset(write_hdf5(tmp_path / "b.h5", boolean))
    assert made.digest == plain.digest


def test_a_damaged_hdf5_is_said(tmp_path):
    path = tmp_path / "a.h5"
    x = np.eye(4, dtype=np.float32)[np.zeros((600, 200), int)]
    with h5py.File(path, "w") as file:
        for group in ("Train", "Val", "Test"):
            file.create_dataset(f"{group}/X", data=x, compression="gzip")
            file[f"{group}/y"] = np.ones((600, 2))
    with h5py.File(path) as file:
        offset = file["Val/X"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(offset)
        raw.write(b"\xff" * 16)
    with pytest.raises(UserError, match=r"a\.h5: Val can't be read"):
        read_dataset(path)


def _set(group, key, index, value):
    def change(groups):
        groups[group][key][index] = value

    return change


def _drop(group, key=None):
    def change(groups):
        if key is None:
            del groups[group]
        else:
            del groups[group][key]

    return change


def _replace(group, key, make):
    def change(groups):
        groups[group][key] = make(groups[group][key])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("Val"), "has no group Val (it has Test, Train)"),
        (_drop("Test", "y"), "group Test has no data set y"),
        (_replace("Train", "X", lambda x: x[:, :, :3]), "Train/X has shape (6, 12, 3); it must be (N, length, 4)"),
        (_replace("Train", "y", lambda y: y[:4]), "Train/y has shape (4, 2) for X of shape (6, 12, 4)"),
        (_replace("Train", "y", lambda y: np.repeat(y, 2, axis=1)), "it must be (N, 2)"),
        (_replace("Train", "y", lambda y: y[:, :1]), "y has different columns"),
        (_replace("Val", "X", lambda x: x[:, :10]), "differ in length"),
        (_set("Train", "X", (2, 5), [1, 1, 0, 0]), "not one-hot in row 3, position 6"),
        (_set("Train", "X", (2, 5), [0.5, 0.5, 0, 0]), "not one-hot"),
        (_set("Train", "X", (2, 5), [np.nan, 0, 0, 1]), "not one-hot"),
        (_set("Val", "y", (3, 0), np.nan), "Val: activity is nan in row 4"),
        (_set("Val", "y", (3, 1), np.inf), "Val: aleatoric_std is inf in row 4"),
        (_set("Test", "y", (0, 1), -0.5), "Test: aleatoric_std is -0.5 in row 1"),
        (_replace("Test", "X", lambda x: x[:1]), "Test/y has shape"),
        (_replace("Val", "y", lambda y: y.astype(float) * 1e300), "inf in row 1, and 6 in all are no measurements"),
        (_replace("Val", "X", lambda x: x + 0j), "X and y must be numbers, not complex"),
        (
            lambda groups: groups["Val"].update(noise_free=np.zeros((6, 2))),
            "Val/noise_free must be one number for each of 6 sequences",
        ),
    ],
)
def test_a_wrong_hdf5_is_refused_in_one_sentence(tmp_path, change, message):
    with pytest.raises(UserError) as error:
        read_dataset(write_hdf5(tmp_path / "a.h5", change))
    assert message in str(error.value)
    assert "a.h5" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.h5", None, "no such file"),
        ("bad.h5", "no HDF5", "not a readable HDF5 file"),
        ("data.xlsx", "PK\x03\x04", "is a spreadsheet or an archive; save it as CSV"),
        ("empty.tsv", "", "is empty; give CSV or TSV"),
        (
            "a.tsv",
            "seq_id\tseq\n",
            "has no column mean_value; it has seq_id, seq; name it with --columns activity=NAME",
        ),
        ("b.tsv", "seq\tmean_value\n", "has no rows"),
        ("c.tsv", "seq\tmean_value\nACGT\tx\nACGT\t1\n", "mean_value is 'x' in row 1, which is not a number"),
        ("d.tsv", "seq\tmean_value\nACGT\t\n", "mean_value is empty in row 1"),
        ("e.tsv", "seq\tmean_value\nACXT\t1\n", "row 1 has 'X' at position 3; only A C G T N are bases"),
        ("f.tsv", "seq\tmean_value\nACGTA\t1\nACX\t1\n", "row 2 has 'X' at position 3"),
        ("g.tsv", "seq\tmean_value\nACÉT\t1\n", "letter outside ACGTN"),
        ("h.tsv", "seq\tmean_value\nACGT\tinf\n" * 9, "not a number"),
        ("j.tsv", "seq\tmean_value\tfold\nACGT\t1\t1\nACGA\t1\t2\nACGC\t1\t3\nACGG\t1\t\n", "fold is empty in row 4"),
        (
            "k.tsv",
            "seq\tmean_value\tfold\nACGT\t1\ta\nACGA\t1\tb\nACGC\t1\tc\n",
            "fold is 'a' in row 1, and 2 more rows, which is not",
        ),
        ("l.tsv", "seq\tmean_value\taleatoric_std\nACGT\t1\tx\n", "aleatoric_std is 'x' in row 1"),
        ("i.tsv", "seq\tmean_value\nACGT\t1\n", "the train split has fewer than 2 rows"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path / name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def prix_fixe(n=60, folds=10, seed=0):
    """A table of n elements in both orientations between adapters, and two replicates."""
    generator = np.random.default_rng(seed)
    rows = []
    for element in range(n):
        insert = "".join(generator.choice(list("ACGT"), 20))
        other = to_text(reverse_complement(to_tokens([insert], "here")[0]))
        for orientation, sequence in enumerate((insert, other)):
            a, b = generator.normal(size=2)
            rows.append((f"{element}_{orientation}", f"AAAAA{sequence}TTTTT", (a + b) / 2, element % folds + 1, a, b))
    return pd.DataFrame(rows, columns=["seq_id", "seq", "mean_value", "fold", "rep1", "rep2"])


def test_tsv_splits_by_fold(tmp_path):
    table = prix_fixe()
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    dataset = read_dataset(tmp_path / "a.tsv", noise="none")
    assert set(table["fold"][dataset.rows("test")]) == {10}
    assert set(table["fold"][dataset.rows("val")]) == {9}
    dataset = read_dataset(tmp_path / "a.tsv", noise="none", folds={"val": [1], "test": [2, 3]})
    assert set(table["fold"][dataset.rows("test")]) == {2, 3}
    assert set(table["fold"][dataset.rows("train")]) == {4, 5, 6, 7, 8, 9, 10}
    with pytest.raises(UserError, match="has no fold 12"):
        read_dataset(tmp_path / "a.tsv", folds={"test": [12]})


def test_tsv_noise_from_orientations(tmp_path):
    table = prix_fixe().drop(index=[3])  # the partner of row 2 is gone
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    dataset = read_dataset(tmp_path / "a.tsv")
    assert len(dataset) == len(table) - 1
    assert "1 row without a partner left out" in dataset.notes[-1]
    a, b = table["mean_value"].iloc[:2]
    assert dataset.aleatoric_std[:2] == pytest.approx(abs(a - b) / np.sqrt(2), rel=1e-6)


def test_tsv_noise_from_replicates(tmp_path):
    table = prix_fixe()
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    dataset = read_dataset(tmp_path / "a.tsv", columns={"replicates": "rep1+rep2"})
    # the standard deviation of two numbers is their distance over √2
    assert dataset.aleatoric_std == pytest.approx(
        np.abs(table["rep1"] - table["rep2"]).to_numpy() / np.sqrt(2), rel=1e-5
    )
    with pytest.raises(UserError, match=r"has no column 'rep3' for replicates; it has .*; did you mean 'rep2'"):
        read_dataset(tmp_path / "a.tsv", columns={"replicates": ["rep1", "rep3"]})


def test_tsv_of_two_folds_keeps_orientation_pairs_together(tmp_path):
    prix_fixe(folds=2).to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    dataset = read_dataset(tmp_path / "a.tsv")
    assert (dataset.split[::2] == dataset.split[1::2]).all()
    assert set(dataset.split) == {0, 1, 2}


def _outside(val):
    with h5py.File(Path(val.file.filename).with_name("other.h5"), "w") as file:
        file["y"] = np.ones((6, 2))


def _raw(val):
    Path(val.file.filename).with_name("raw").write_bytes(bytes(48))
    val.create_dataset("y", (6, 2), np.float32, external=[(str(Path(val.file.filename).with_name("raw")), 0, 48)])


LINKS = {
    "links of a circle": ("y", lambda val: val.__setitem__("y", h5py.SoftLink("/Val/y")), "Val can't be read"),
    "another file": ("y", lambda val: (_outside(val), val.__setitem__("y", h5py.ExternalLink("other.h5", "y"))), "Val/y lies in"),
    "another file's bytes": ("y", _raw, "Val/y lies in another file"),
    "nowhere": ("y", lambda val: val.__setitem__("y", h5py.SoftLink("/none")), "group Val has no data set y"),
    "rows": ("X", lambda val: val.create_dataset("X", (2_000_000_000, 12, 4), "f4", chunks=(64, 12, 4)), "Val/y has shape"),
    "bases": ("X", lambda val: val.create_dataset("X", (6, 2_000_000_000, 4), "u1", chunks=(1, 64, 4)), "2,000,000,000 bases in"),
    "chunks": (
        "X",
        lambda val: val.create_dataset("X", (6, 12, 4), "f4", chunks=(1 << 14, 1 << 14, 4), maxshape=(None, None, 4)),
        "is stored in chunks of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LINKS)
def test_hdf5_holds_what_it_says_and_no_more(tmp_path, kind):
    key, change, message = LINKS[kind]
    with h5py.File(write_hdf5(tmp_path / "a.h5"), "r+") as file:
        del file["Val"][key]
        change(file["Val"])
    with pytest.raises(UserError, match=message):
        read_dataset(tmp_path / "a.h5")


def test_rows_that_a_file_can_not_hold_are_refused_before_they_are_read(tmp_path):
    with h5py.File(write_hdf5(tmp_path / "a.h5"), "r+") as file:
        del file["Val/X"], file["Val/y"]
        for key, shape in (("X", (12, 4)), ("y", (2,))):
            file["Val"].create_dataset(key, (2_000_000_000, *shape), "f4", chunks=(64, *shape))
    with pytest.raises(UserError, match=r"holds 2,000,000,000 rows in"):
        read_dataset(tmp_path / "a.h5")


def test_real_hdf5_and_table_hold_the_same_constructs(real_data):
    hdf5 = read_dataset(real_data / "lentimpra" / "lentiMPRA_WTC11_activity_and_aleatoric_data.h5")
    table = read_dataset(real_data / "lentimpra" / "WTC11_clean.tsv.gz", noise="none")
    assert len(hdf5) == len(table) == 9237
    assert [len(hdf5.rows(s)) for s in ("train", "val", "test")] == [7345, 998, 894]
    assert (hdf5.aleatoric_std == 0).sum() == 10
    activity = {row.tobytes(): y for row, y in zip(table.tokens, table.activity, strict=True)}
    assert [activity[row.tobytes()] for row in hdf5.tokens] == pytest.approx(hdf5.activity.tolist(), abs=1e-5)
    paired = read_dataset(real_data / "lentimpra" / "WTC11_clean.tsv.gz")
    std = {row.tobytes(): s for row, s in zip(hdf5.tokens, hdf5.aleatoric_std, strict=True)}
    both = [(std[row.tobytes()], s) for row, s in zip(paired.tokens, paired.aleatoric_std, strict=True)]
    assert np.mean([abs(a - b) < 1e-3 for a, b in both]) > 0.99


COUNTS = {"GP1BB": (869, 143), "HBB": (432, 64), "HBG1": (633, 125), "PKLR": (1025, 180),
          "F9": (671, 111), "LDLR": (717, 288), "SORT1": (1360, 523)}  # fmt: skip


def test_real_cagi5_has_the_published_counts(real_data):
    variants = read_cagi5(real_data / "cagi5")
    counts = variants.counts()
    challenge = counts[counts["part"] == "challenge"].set_index("element")
    assert {e: (r["n"], r["hc"]) for e, r in challenge.iterrows()} == COUNTS
    assert challenge["ref_mismatch"][challenge["ref_mismatch"] > 0].to_dict() == {"F9": 3, "HBG1": 3, "SORT1": 2}
    assert variants.matched == ("GP1BB", "HBB", "HBG1", "PKLR")
    assert read_cagi5(real_data / "cagi5", cell_line="HepG2").matched == ("F9", "LDLR", "SORT1")


def test_real_windows_equal_the_literal_ones(real_data):
    variants = read_cagi5(real_data / "cagi5")
    references = json.loads((real_data / "cagi5" / "references.json").read_text())
    table = variants.table()
    for row in [*range(0, len(table), 97), *np.flatnonzero(variants.ref_mismatch)]:
        element = references[table["element"][row]]
        at = (element["start"], int(table["pos"][row]), table["ref"][row], table["alt"][row])
        expected = literal.window(element["sequence"], *at, 230)
        made = (to_text(variants.windows[w[row]]) for w in (variants.ref_window, variants.alt_window))
        assert tuple(made) == expected


def write_cagi5(folder, rows=("11\t103\tG\tA\t0.1\t0.2",), sequence="ACGTACGT", start=101, element="HBB", header=None):
    folder.mkdir(exist_ok=True)
    header = header or "#Chrom\tPos\tRef\tAlt\tValue\tConfidence"
    (folder / f"challenge_{element}.tsv").write_text("\n".join(["##a comment", header, *rows]) + "\n")
    record = {"chrom": "chr11", "start": start, "sequence": sequence}
    (folder / "references.json").write_text(json.dumps({element: record}))
    return folder


def test_windows_by_hand(tmp_path):
    """ACGTACGT at 101: position 103 is G. A window of 6 holds 3 bases before it and 2 after it, N where none is."""
    rows = ["11\t103\tG\tA\t0.1\t0.2", "11\t103\tG\tT\t0.1\t0.2", "11\t108\tC\tA\t0.1\t0.0"]
    variants = read_cagi5(write_cagi5(tmp_path / "c", rows), length=6)
    refs = [to_text(variants.windows[w]) for w in variants.ref_window]
    alts = [to_text(variants.windows[w]) for w in variants.alt_window]
    assert refs == ["NACGTA", "NACGTA", "ACGCNN"]  # the third declares C where the reference has T
    assert alts == ["NACATA", "NACTTA", "ACGANN"]
    assert variants.ref_mismatch.tolist() == [False, False, True]
    assert len(variants.windows) == 5  # the ref window of 103 is shared


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"element": "a(b)"}, "'a(b)' can't be a name here"),
        ({"header": "#Chrom\tPos"}, "its header must be"),
        ({"rows": ["11\t103\tG\tA\t0.1"]}, "variant 1 has 5 columns"),
        ({"rows": ["11\t103\tG\tAT\t0.1\t0.2"]}, "alleles 'G' and 'AT'"),
        ({"rows": ["11\t103\tG\tA\tx\t0.2"]}, "column Value, row 1: 'x' is not a finite number"),
        ({"rows": ["11\t103\tG\tA\tnan\t0.2"]}, "column Value, row 1: 'nan' is not a finite number"),
        ({"rows": ["11\t1_03\tG\tA\t0\t0.2"]}, "column Pos, row 1: '1_03' is not a finite number"),
        ({"rows": ["11\t103.5\tG\tA\t0\t0.2"]}, "column Pos, row 1: '103.5' is not a whole number"),
        ({"rows": ["11\t103\tG\tA\t0,5\t0.2"]}, "column Value, row 1: '0,5' is not a finite number"),
        ({"rows": ["11\t103\tG\tA\tTrue\t0.2"]}, "column Value, row 1: 'True' is not a finite number"),
        (
            {"rows": ["11\t100\tG\tA\t1\t0.2"]},
            "no variant is left; c, HBB challenge: positions lie outside the reference",
        ),
        ({"sequence": "ACGXACGT"}, "has 'X' at position 4"),
        ({"rows": []}, "holds no variants"),
        ({"start": "abc"}, "references.json: HBB: start is 'abc'; give the position of the sequence's first base"),
        ({"start": 1e30}, "start is '1e+30'"),
        ({"start": 0}, "start is '0'"),
        ({"start": True}, "start is 'True'"),
        ({"start": None}, "start is 'None'"),
        ({"start": 100.5}, "start is '100.5'"),
        ({"sequence": ""}, "HBB: sequence is no text of bases"),
        ({"rows": ["11\t103\tG\tG\t1\t0.2"] * 2}, "no variant is left; c, HBB challenge: Ref and Alt are the same"),
    ],
)
def test_a_wrong_cagi5_folder_is_refused_in_one_sentence(tmp_path, arguments, message):
    with pytest.raises(UserError) as error:
        read_cagi5(write_cagi5(tmp_path / "c", **arguments))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "must be JSON"),
        ('{"HBB":' * 100_000, "must be JSON"),
        ('{"HBB": {}, "HBB": {}}', "HBB is there twice"),
        ("[]", "holds no elements by name"),
        ('{"HBB": 3}', "references.json: HBB: has no chrom"),
        ('{"HBB": {"chrom": ["chr11"], "start": 1, "sequence": "A"}}', "chrom is \"['chr11']\""),
        ('{"HBB": {"chrom": "11", "start": 1, "sequence": ["A"]}}', "sequence is no text of bases"),
        ('{"HBB": {"chrom": "11", "start": 1, "sequence": "A", "cell_line": ["K562"]}}', "give one name"),
    ],
)
def test_wrong_references_are_refused_in_one_sentence(tmp_path, text, message):
    folder = write_cagi5(tmp_path / "c")
    (folder / "references.json").write_text(text)
    with pytest.raises(UserError) as error:
        read_cagi5(folder)
    assert message in str(error.value)


CAGI5_FORMS = {
    "quoted": lambda text: "\n".join(
        "\t".join(f'"{cell}"' for cell in row.split("\t")) if "\t" in row else row for row in text.split("\n")
    ),
    "chromosome read as a number": lambda text: text.replace("11\t", "11.0\t"),
    "lower": lambda text: text.replace("G\tA", "g\ta").replace("#Chrom", "#chrom"),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "mark": lambda text: "\ufeff" + text,
    "blank": lambda text: "\n" + text.replace("\n", "\n\n") + "  \n\n",
    "spaces": lambda text: text.replace("\t", " \t ").replace("\n", "  \n"),
    "aligned": lambda text: text.replace("\t", "   "),
    "more": lambda text: "\n".join(f"{line}\tx" if "\t" in line else line for line in text.split("\n")),
    "whole": lambda text: text.replace("\t103\t", "\t103.0\t"),
}


@pytest.mark.parametrize("form", [*CAGI5_FORMS, "packed", "packed as it was"])
def test_cagi5_files_are_read_as_people_have_them(form, tmp_path):
    folder = write_cagi5(tmp_path / "c")
    expected = read_cagi5(folder)
    file = folder / "challenge_HBB.tsv"
    if form in CAGI5_FORMS:
        file.write_text(CAGI5_FORMS[form](file.read_text()), newline="")
    else:
        packed = gzip.compress(file.read_bytes())
        file.unlink()
        (file if form == "packed as it was" else folder / f"{file.name}.gz").write_bytes(packed)
    assert read_cagi5(folder).digest == expected.digest


@pytest.mark.parametrize("name", ["release_HBB.tsv", "references.json"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.symlink_to("no-such-file"), "is a link to no-such-file, which is not there"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "must"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is no text"),
    ],
)
def test_what_is_no_file_of_cagi5_is_one_sentence(name, make, message, tmp_path):
    folder = write_cagi5(tmp_path / "c")
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    with pytest.raises(UserError, match=message) as error:
        read_cagi5(folder)
    assert str(error.value).startswith(f"{folder / name}: ")
    assert "\n" not in str(error.value)


def test_a_part_that_is_there_twice_is_refused(tmp_path):
    folder = write_cagi5(tmp_path / "c")
    (folder / "challenge_HBB.tsv.gz").write_bytes(gzip.compress((folder / "challenge_HBB.tsv").read_bytes()))
    with pytest.raises(UserError, match=r"holds challenge_HBB\.tsv and challenge_HBB\.tsv\.gz; keep one"):
        read_cagi5(folder)


def test_copies_of_a_row_are_left_out_and_said(tmp_path):
    rows = ["11\t103\tG\tA\t0.1\t0.2", "11\t104\tT\tA\t0.1\t0.2", "11\t103\tG\tA\t0.1\t0.2"]
    variants = read_cagi5(write_cagi5(tmp_path / "c", rows))
    assert len(variants) == 2
    assert [(found.id, found.severity, found.count) for found in variants.findings] == [("variant-twice", "warning", 1)]


def test_a_file_of_another_chromosome_is_said(tmp_path):
    (found,) = read_cagi5(write_cagi5(tmp_path / "c", ["chr12\t103\tG\tA\t0.1\t0.2"])).findings
    assert (found.id, found.severity) == ("chrom-disagrees", "warning")


def test_cagi5_without_references_is_refused(tmp_path):
    folder = write_cagi5(tmp_path / "c")
    (folder / "references.json").write_text("{}")
    with pytest.raises(UserError, match="has no sequence for HBB"):
        read_cagi5(folder)
    (folder / "references.json").unlink()
    with pytest.raises(UserError, match="no such file"):
        read_cagi5(folder)
    with pytest.raises(UserError, match="no such folder"):
        read_cagi5(tmp_path / "nowhere")


def test_the_simulator_is_deterministic():
    assert simulate(50, seed=3).dataset.digest == simulate(50, seed=3).dataset.digest
    assert simulate(50, seed=3).dataset.digest != simulate(50, seed=4).dataset.digest


def test_simulated_files_hold_what_was_simulated(simulated_folder):
    made, read = simulate(400).dataset, read_dataset(simulated_folder / HDF5_NAME)
    order = np.concatenate([made.rows(s) for s in ("train", "val", "test")])
    assert (made.tokens[order] == read.tokens).all()
    assert (made.noise_free[order] == read.noise_free).all()
    assert (made.aleatoric_std[order] == read.aleatoric_std).all()


def test_simulated_noise_is_heteroscedastic_and_honest():
    """The measured error of a mean of three replicates is their standard deviation over √3, in each half of the noise."""
    data = simulate(6000).dataset
    error = data.activity - data.noise_free
    for half in (
        data.aleatoric_std < np.median(data.aleatoric_std),
        data.aleatoric_std >= np.median(data.aleatoric_std),
    ):
        assert np.mean(error[half] ** 2) > 0
    assert np.mean(error**2) == pytest.approx(np.mean(data.aleatoric_std**2) / 3, rel=0.1)
    assert np.corrcoef(np.abs(error), data.aleatoric_std)[0, 1] > 0.3
    assert (simulate(60, noise=0).dataset.activity == simulate(60, noise=0).dataset.noise_free).all()


def test_simulated_truth_is_a_function_of_the_sequence():
    data = simulate(40).dataset
    assert noise_free_activity(data.tokens).astype(np.float32) == pytest.approx(data.noise_free)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_simulated_motifs_count_on_both_strands(seed):
    tokens = np.random.default_rng(seed).integers(0, 4, (3, 60)).astype(np.uint8)
    assert noise_free_activity(tokens) == pytest.approx(noise_free_activity(reverse_complement(tokens)))
