"""What is said of each kind of damage to a file that somebody gives: predictions, settings, tables, HDF5, FASTA."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from in_process import run
from spoilt_files import (
    flipped,
    hdf5,
    of_shape,
    parquet,
    replaced,
    table,
    with_other_rows,
    zeros,
)
from spoilt_folders import WINNER, copy_of, trial_folder, write_campaign

from nrtune.trainables.core.files import predictions_file


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("inputs") / "campaign")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


A_FOLDER, A_PIPE = "a folder", "a pipe"


def put(path: Path, content: bytes | str) -> None:
    """A file, or what is none, in the place of another."""
    path.unlink(missing_ok=True)
    if content == A_FOLDER:
        path.mkdir()
    elif content == A_PIPE:
        os.mkfifo(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def refused(code: int, out: str, err: str, said: str) -> None:
    """One sentence, and nothing else."""
    assert (code, out) == (2, ""), err
    (line,) = err.removeprefix("reading data\n").splitlines()
    assert line.startswith("nrtune: ")
    assert said in line


ONES = {name: np.ones(40) for name in ("row", "activity", "prediction", "calibrated_prediction")}
GOOD, LONG = parquet(ONES), "x" * 60_000
PREDICTIONS = {
    "empty": (b"", "is damaged (Parquet file size is 0 bytes)"),
    "torn": (GOOD[:-50], "is damaged (Parquet magic bytes not found in footer."),
    "its end alone": (GOOD[-200:], "is damaged (Parquet file size is 200 bytes, smaller than"),
    "no Parquet": (b"PAR1 and then something else", "is damaged (Parquet magic bytes not found in footer."),
    "a folder": (A_FOLDER, "is damaged (it is a folder)"),
    "no predictions": (parquet({"activity": np.ones(40)}), "is damaged (prediction: is missing)"),
    "texts for numbers": (parquet({**ONES, "prediction": ["1"] * 40}), "is damaged (prediction: is of type string)"),
    "lists": (parquet({**ONES, "prediction": [[1.0]] * 40}), "is damaged (prediction: is of type list<element: double>)"),
    "infinity": (parquet({**ONES, "prediction": np.full(40, np.inf)}), "is damaged (prediction: is not finite in row 1)"),
    "2e8 rows in a small file": (
        parquet({name: np.ones(20_000_000, np.int8) for name in ("activity", "prediction", "x")}),
        "is damaged (tells of 20000000 rows)"),
    "more rows than it tells": (
        with_other_rows(parquet({n: np.ones(1000) for n in ("activity", "prediction")}), 5),
        "is damaged (tells of 5 rows and has 1000)"),
    "a milliard letters": (
        parquet({**{n: np.ones(3000) for n in ("activity", "prediction")}, "a": [LONG] * 3000, "b": [LONG] * 3000}),
        "is damaged (b: has texts of 360000000 letters, with what is before it)"),
}  # fmt: skip


@pytest.mark.parametrize("case", PREDICTIONS)
def test_predictions_that_are_damaged_do_not_count(case, finished, here, monkeypatch, capsys):
    content, said = PREDICTIONS[case]
    folder = copy_of(finished, here / "campaign")
    put(trial_folder(folder) / predictions_file("test"), content)
    code, out, err = run(monkeypatch, capsys, "best", folder, "--use-case", "in_distribution")
    assert (code, len(err.splitlines())) == (0, 1), err
    assert err.startswith("nrtune: warning: ")
    assert said in err
    assert err.endswith(", so its predictions don't count\n")
    assert WINNER in out


SETTINGS = {
    "deep": ("a: " + "[" * 10_000, "s.yaml: line 1 has more than 50 things in each other"),
    "deep by indentation": (
        "\n".join(" " * n + "a:" for n in range(500)),
        "s.yaml: line 50 has more than 50 things in each other"),
    "a milliard of references": (
        "a: &a [x]\n" + "".join(f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n" for p, n in itertools.pairwise("abcdefghi")),
        "s.yaml: line 8 refers (*) to so much that it has more than 1,048,576 values"),
    "a reference to itself": ("a: &a [*a]", "s.yaml: line 1 refers to &a, in which it stands; leave it out"),
    "a key twice": ("trials: 5\ntrials: 6\n", "s.yaml: trials stands in lines 1 and 2; keep one"),
    "a list": ("- trials\n", "s.yaml: must map names to values, such as `trials: 20`"),
    "no UTF-8": (b"trials: \xff\xfe", "s.yaml: is not YAML ('utf-8' codec can't decode byte 0xff"),
    "a lone surrogate": ('data: "\\ud800.tsv"\nout: o\n', r"\ud800.tsv: can't be read ("),
    "no day": ("trials: 2026-13-45", "s.yaml: is not YAML (month must be in 1..12)"),
    "an object": (
        "trials: !!python/object/apply:os.system [id]",
        "s.yaml: is not YAML (could not determine a constructor for the tag"),
    "2 MiB": ("#" * (2 << 20), "s.yaml: has more than 1,048,576 bytes; give a settings file"),
    "a folder": (A_FOLDER, "s.yaml: is a folder; give a settings file"),
    "a pipe": (A_PIPE, "s.yaml: is a pipe or a device; write it to a file"),
    "a key of no setting": ("trails: 5\n", "s.yaml: unknown key 'trails'; did you mean 'trials'?"),
    "1e30 trials": ("trials: 1e30\n", "s.yaml: trials: unable to parse input string as an integer"),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_are_wrong_are_refused(case, here, monkeypatch, capsys):
    content, said = SETTINGS[case]
    put(here / "s.yaml", content)
    code, out, err = run(monkeypatch, capsys, "search", here / "s.yaml")
    refused(code, out, err, said)


TABLE = table().encode()
PACKED = gzip.compress(TABLE, mtime=0)
HDF5 = hdf5()
DATA = {
    "a.h5: empty": (b"", "a.h5: is not a readable HDF5 file ("),
    "a.h5: torn": (HDF5[:3000], "a.h5: is not a readable HDF5 file ("),
    "a.h5: its header flipped": (flipped(HDF5, 9, 60), "a.h5: is not a readable HDF5 file ("),
    "a.h5: its values flipped": (
        flipped(HDF5, *range(len(HDF5) // 2, len(HDF5), 7)),
        "a.h5: group Val has no data set y; the layout is Train, Val and Test"),
    "a.h5: a loop of soft links": (
        hdf5(replaced("Train/X", lambda file: file.__setitem__("Train/X", h5py.SoftLink("/Train/X")))),
        "a.h5: Train can't be read (Special link traversal failed (too many links))"),
    "a.h5: a link to another file": (
        hdf5(replaced("Train/X", lambda file: file.__setitem__("Train/X", h5py.ExternalLink("/etc/passwd", "/x")))),
        "a.h5: /Train/X lies in another file; write one file that holds all"),
    "a.h5: values in another file": (
        hdf5(replaced("Train/y", lambda file: file.create_dataset("Train/y", (10, 2), "f4", external=[("/etc/passwd", 0, 80)]))),
        "a.h5: /Train/y lies in another file; write one file that holds all"),
    "a.h5: a shape of 2e9": (
        hdf5(of_shape(2_000_000_000, 20, 4)),
        "a.h5: Train/y has shape (10, 2) for X of shape (2000000000, 20, 4)"),
    "a.h5: a length of 2e9": (
        hdf5(of_shape(10, 2_000_000_000, 4)),
        "a.h5: holds 10 sequences of up to 2,000,000,000 bases in 16,251 bytes"),
    "a.h5: a group for values": (
        hdf5(replaced("Train/X", lambda file: file.create_group("Train/X"))),
        "a.h5: group Train has no data set X"),
    "a.h5: texts for values": (
        hdf5(replaced("Train/X", lambda file: file.create_dataset("Train/X", data=["x"] * 10))),
        "a.h5: Train/X has shape (10,); it must be (N, length, 4)"),
    "a.h5: a folder": (A_FOLDER, "a.h5: holds no challenge_ELEMENT.tsv and no release_ELEMENT.tsv"),
    "a.tsv: empty": (b"", "a.tsv: is empty; give CSV or TSV"),
    "a.tsv: a folder": (A_FOLDER, "a.tsv: holds no challenge_ELEMENT.tsv"),
    "a.tsv: a pipe": (A_PIPE, "a.tsv: is a pipe or a device; write it to a file"),
    "a.tsv: zeros": (bytes(5000), "a.tsv: is no text; give CSV or TSV"),
    "a.tsv: a row of more cells": (TABLE + b"ACGT\t1\t2\t3\t4\n", "a.tsv: row 41 has 5 columns, its header 3; mend the row"),
    "a.tsv: 1e999": (TABLE.replace(b"\t0.", b"\t1e999", 1), "in row 3, which is not a number"),
    "a.tsv: a quote without end": (
        TABLE.replace(b"\n", b'\n"', 2),
        "a.tsv: row 1 has a quotation mark that is not closed in its line"),
    "a.tsv.gz: torn": (PACKED[:-40], "a.tsv.gz: is a damaged .gz file; write or fetch it again"),
    "a.tsv.gz: flipped": (flipped(PACKED, len(PACKED) // 2), "a.tsv.gz: is a damaged .gz file; write or fetch it again"),
    "a.tsv.gz: 300 MiB of nothing": (zeros(300), "a.tsv.gz: holds more than 268,435,456 bytes in"),
    "a.parquet: torn": (GOOD[:-50], "a.parquet: is a damaged Parquet file; write or fetch it again"),
    "a.parquet: more rows than it tells": (
        with_other_rows(parquet({"seq": ["ACGT"] * 1000, "mean_value": np.ones(1000)}), 5),
        "a.parquet: is a damaged Parquet file; write or fetch it again"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_measurements_that_are_damaged_are_refused(case, here, monkeypatch, capsys):
    content, said = DATA[case]
    path = here / case.partition(": ")[0]
    put(path, content)
    code, out, err = run(monkeypatch, capsys, "data", "check", path)
    refused(code, out, err, said)


FASTA = {
    "empty": (b"", "in.fa: holds no sequence; give a FASTA file"),
    "a folder": (A_FOLDER, "in.fa: is a folder; give a FASTA file"),
    "a pipe": (A_PIPE, "in.fa: is a pipe or a device; write it to a file"),
    "no name": (b"ACGT\n", "in.fa: holds no sequence before line 1, which does not begin with >"),
    "a name alone": (b">a\n", "in.fa: a has 0 bases; the model takes 1 to 230"),
    "a million bases": (b">a\n" + b"A" * 1_000_000, "in.fa: a has 1000000 bases; the model takes 1 to 230"),
    "zeros": (bytes(5000), "in.fa: is no text, or text in UTF-16"),
    "torn gzip": (
        gzip.compress(b">a\n" + b"ACGT" * 100, mtime=0)[:-12],
        "in.fa: can't be read to its end (it is torn or damaged)",
    ),
    "300 MiB of nothing": (zeros(300), "in.fa: is no text, or text in UTF-16"),
    "escape sequences": (
        b">a\x1b]0;x\x07\nACGT\x1b[2J\n",
        "in.fa: a\\x1b]0;x\\x07: row 1 has '\\x1b' at position 5; only A C G T N are bases",
    ),
}


@pytest.mark.parametrize("case", FASTA)
def test_sequences_that_are_damaged_are_refused(case, finished, here, monkeypatch, capsys):
    content, said = FASTA[case]
    put(here / "in.fa", content)
    code, out, err = run(
        monkeypatch, capsys, "predict", finished, "--trial", WINNER, "--raw", "--fasta-sequences", "in.fa"
    )
    refused(code, out, err, said)


SITE = b"#Chrom\tPos\tRef\tAlt\tValue\tConfidence\n1\t101\tA\tC\t0.1\t0.5\n"
PLACE = {"chrom": "chr1", "start": 100, "sequence": "A" * 300}
REFERENCES = {
    "empty": (b"", "references.json: must be JSON (Expecting value"),
    "a folder": (A_FOLDER, "references.json: is a folder; give the sequence around each element"),
    "a list": (b"[]", "references.json: holds no elements by name"),
    "deep": (b"[" * 100_000, "references.json: must be JSON (maximum recursion depth exceeded"),
    "a text for an element": (json.dumps({"HBB": "x"}), "references.json: HBB: has no chrom"),
    "no sequence": (
        json.dumps({"HBB": {**PLACE, "sequence": None}}),
        "references.json: HBB: sequence is no text of bases",
    ),
    "start 1e30": (
        json.dumps({"HBB": {**PLACE, "start": 1e30}}),
        "references.json: HBB: start is '1e+30'; give the position",
    ),
    "start -1": (json.dumps({"HBB": {**PLACE, "start": -1}}), "references.json: HBB: start is '-1'; give the position"),
    "an element elsewhere": (json.dumps({"../x": PLACE}), "references.json: has no sequence for HBB"),
}


@pytest.mark.parametrize("case", REFERENCES)
def test_references_that_are_damaged_are_refused(case, here, monkeypatch, capsys):
    content, said = REFERENCES[case]
    (here / "cagi5").mkdir()
    put(here / "cagi5" / "challenge_HBB.tsv", SITE)
    put(here / "cagi5" / "references.json", content)
    code, out, err = run(monkeypatch, capsys, "data", "check", here / "cagi5")
    refused(code, out, err, said)
