"""Training sequences that hold a piece of what is scored are found however either is written."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from nrtune.trainables.data.audit.overlap import OVERLAP, audit_overlap, overlapping_rows
from nrtune.trainables.data.benchmarks.table import read_table
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement, to_text

LEFT, RIGHT = "ACGTAACCGGTTGCAACGTAACCGGTTGCATTACGGATCCA", "TTGCAGTCAATCGGATTGCAGTCAATCGGATGGCATTACAG"  # longer than 40


def bases(count: int, seed: int) -> str:
    return to_text(np.random.default_rng(seed).integers(0, 4, count).astype(np.uint8))


def other_strand(sequence: str) -> str:
    return sequence[::-1].translate(str.maketrans("ACGTacgtU", "TGCAtgcaA"))


def changed(sequence: str, place: int) -> str:
    return sequence[:place] + "ACGT"["ACGT".index(sequence[place]) - 1] + sequence[place + 1 :]


def training(tmp_path, pieces: dict[int, str], length: int = 120, rows: int = 60, ends=("", "")) -> Dataset:
    """A table of sequences that hold pieces in some rows; every third row is not trained on."""
    sequences = [bases(length, 1000 + row) for row in range(rows)]
    for row, piece in pieces.items():
        at = (length - len(piece)) // 2
        sequences[row] = sequences[row][:at] + piece + sequences[row][at + len(piece) :] if at >= 0 else piece
    split = ["train"] * (rows - 10) + ["val"] * 5 + ["test"] * 5
    table = pd.DataFrame({"seq": [ends[0] + one + ends[1] for one in sequences], "split": split})
    table.assign(activity=np.random.default_rng(0).normal(size=rows).round(3)).to_csv(tmp_path / "a.csv", index=False)
    return read_dataset(tmp_path / "a.csv")


def pairs(tmp_path, length: int, window: int = 120, ends=("", "")):
    """A benchmark of the sequences themselves: 20 variants of one base, each in a sequence of its own."""
    sequences = [bases(length, row) for row in range(20)]
    table = pd.DataFrame({
        "ref_seq": [ends[0] + one + ends[1] for one in sequences],
        "alt_seq": [ends[0] + changed(one, length // 2) + ends[1] for one in sequences],
        "value": np.random.default_rng(1).normal(size=20).round(3),
    })  # fmt: skip
    table.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    return sequences, read_table(tmp_path / "pairs.tsv", length=window)


def found(dataset, variants) -> list[int]:
    (rows,) = overlapping_rows(dataset, variants).values()
    return rows.tolist()


@pytest.mark.parametrize(
    "write",
    [str, str.lower, lambda one: one.replace("T", "U"), other_strand, lambda one: other_strand(one).lower(),
     lambda one: one[:45] + "N" + one[46:], lambda one: "N" * 20 + one[20:], lambda one: one[10 : 10 + OVERLAP]],
)  # fmt: skip
def test_a_piece_is_found_however_it_is_written(tmp_path, write):
    sequences, variants = pairs(tmp_path, 100)
    dataset = training(tmp_path, {7: write(sequences[3]), 58: sequences[5]})  # the last is not trained on
    assert found(dataset, variants) == [7]
    (finding,) = audit_overlap(dataset, variants)
    assert (finding.count, finding.example) == (1, "row 8 of a.csv")


def test_one_base_less_is_no_piece(tmp_path):
    sequences, variants = pairs(tmp_path, 100)
    dataset = training(tmp_path, {7: "N" + sequences[3][: OVERLAP - 1] + "N"})
    assert found(dataset, variants) == []


def test_of_short_sequences_the_other_allele_is_trained_on_too(tmp_path):
    sequences, variants = pairs(tmp_path, 60)
    assert found(training(tmp_path, {7: changed(sequences[3], 30)}), variants) == [7]


@pytest.mark.parametrize("turn", [str, other_strand])
def test_sequences_of_fewer_bases_are_found_as_a_whole(tmp_path, turn):
    sequences, variants = pairs(tmp_path, 30)
    assert found(training(tmp_path, {7: turn(sequences[3])}), variants) == [7]  # within longer ones
    assert found(training(tmp_path, {7: "N" + sequences[3][:29] + "N"}), variants) == []
    sequences, variants = pairs(tmp_path, 100)
    assert found(training(tmp_path, {7: turn(sequences[3][20:45])}, length=25), variants) == [
        7
    ]  # a library of 25 bases
    sequences, variants = pairs(tmp_path, 30, window=30)
    assert found(training(tmp_path, {7: turn(sequences[3])}, length=30), variants) == [7]


def test_adapters_are_no_piece(tmp_path):
    ends = (LEFT, RIGHT)
    sequences, variants = pairs(tmp_path, 100, window=182, ends=ends)
    assert found(training(tmp_path, {}, length=100, ends=ends), variants) == []
    assert found(training(tmp_path, {7: sequences[3][:60]}, length=100, ends=ends), variants) == [7]


def test_what_is_n_altogether_overlaps_nothing(tmp_path):
    _, variants = pairs(tmp_path, 100)
    dataset = training(tmp_path, {})
    nothing = dataclasses.replace(dataset, tokens=np.full_like(dataset.tokens, N_TOKEN))
    assert found(nothing, variants) == []


def test_elements_are_told_apart(simulated_data):
    dataset, (variants,) = simulated_data.dataset, simulated_data.benchmarks
    tokens, rows = dataset.tokens.copy(), dataset.rows("train")
    expected = {}
    for place, name in enumerate(variants.elements):
        window = variants.windows[variants.ref_window[variants.element == place][0]]
        tokens[rows[place], 50:100] = reverse_complement(window[70:120]) if place % 2 else window[70:120]
        expected[name] = [int(rows[place])]
    harmed = dataclasses.replace(dataset, tokens=tokens)
    assert {name: of.tolist() for name, of in overlapping_rows(harmed, variants).items()} == expected
