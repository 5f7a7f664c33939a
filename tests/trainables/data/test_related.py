"""What is one piece of evidence: elements of a locus, orientations of an element, elements that overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.loci import loci_of, locus_weights
from nrtune.trainables.data.orientation import Orientations
from nrtune.trainables.data.related import related_rows
from nrtune.trainables.data.sequences import reverse_complement, to_text


def test_elements_that_share_a_position_are_one_locus():
    element = ["A", "A", "B", "B", "C", "C", "D", "E"]
    chrom = ["1", "1", "1", "1", "1", "1", "2", "1"]
    pos = [10, 20, 20, 30, 30, 40, 10, 50]
    loci = loci_of(element, chrom, pos)
    assert loci == {"A": "A", "B": "A", "C": "A", "D": "D", "E": "E"}  # A and C by way of B; D lies elsewhere
    assert loci_of(element, None, pos) == {name: name for name in "ABCDE"}
    assert loci_of(element, [""] * 8, pos) == {name: name for name in "ABCDE"}
    weights = locus_weights(["A", "C", "D", "E"], loci)
    assert weights == pytest.approx({"A": 1 / 6, "C": 1 / 6, "D": 1 / 3, "E": 1 / 3})


def test_saturated_stretches_that_overlap_are_one_locus_without_a_common_position():
    """As two data sets of one element, each of every second position; other stretches, and scattered variants, are not."""
    of = {
        "T-1": range(100, 200, 2),
        "T-2": range(151, 251, 2),
        "U": range(251, 300),
        "S": (121, 9001),
        "V": range(8000, 9500, 40),
    }
    element = [name for name, places in of.items() for _ in places]
    pos = [place for places in of.values() for place in places]
    assert loci_of(element, ["1"] * len(pos), pos) == {"T-1": "T-1", "T-2": "T-1", "U": "U", "S": "S", "V": "V"}
    assert loci_of(element, [("1", "2")[name == "T-2"] for name in element], pos)["T-2"] == "T-2"


def test_the_order_of_rows_does_not_make_a_locus():
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"element": generator.choice(list("ABCDEFGH"), 60), "pos": generator.integers(0, 500, 60)})
    one = loci_of(table["element"], ["1"] * 60, table["pos"])
    mixed = table.sample(frac=1, random_state=1)
    other = loci_of(mixed["element"], ["1"] * 60, mixed["pos"])

    def groups(loci: dict[str, str]) -> set[frozenset[str]]:
        return {frozenset(e for e in loci if loci[e] == locus) for locus in loci.values()}

    assert groups(one) == groups(other)
    assert 1 < len(groups(one)) < 8


def test_overlapping_elements_are_one_cluster_with_their_other_orientations():
    # Rows 0 and 4 are orientations; 1 and 2 overlap, 2 and 3 touch, 4 overlaps 1; the place of 5 is unknown.
    table = pd.DataFrame({
        "chr.hg38": ["1", "1", "1", "1", "1", None, "2"],
        "start.hg38": [500, 100, 150, 250, 90, 0, 100],
        "stop.hg38": [600, 200, 250, 350, 110, 0, 200],
    })  # fmt: skip
    orientations = Orientations(np.array([4, -1, -1, -1, 0, -1, -1]), [b"a", b"b", b"c", b"d", b"a", b"e", b"f"])
    assert related_rows(orientations, table).tolist() == [0, 0, 0, 3, 0, 5, 6]
    assert related_rows(orientations).tolist() == [0, 1, 2, 3, 0, 5, 6]


def test_both_orientations_are_one_cluster_in_the_order_of_the_file(tmp_path):
    generator = np.random.default_rng(3)
    inserts = generator.integers(0, 4, (30, 40)).astype(np.uint8)
    both = np.concatenate([inserts, reverse_complement(inserts)])
    sequences = [f"ACGTA{to_text(row)}TTGCA" for row in both]
    table = pd.DataFrame(
        {"seq": sequences, "mean_value": generator.normal(size=60), "fold": np.tile(np.arange(30) % 3, 2)}
    )
    table.to_csv(tmp_path / "some.tsv", sep="\t", index=False)
    dataset = read_dataset(tmp_path / "some.tsv")
    assert dataset.cluster is not None
    assert dataset.cluster.tolist() == [*range(30), *range(30)]


def test_the_real_files_hold_each_element_twice(real_data):
    for name in ("lentiMPRA_WTC11_activity_and_aleatoric_data.h5", "WTC11_clean.tsv.gz"):
        dataset = read_dataset(real_data / "lentimpra" / name)
        rows = dataset.rows("test")
        assert dataset.cluster is not None
        assert len(np.unique(dataset.cluster[rows])) < 0.51 * len(rows)
