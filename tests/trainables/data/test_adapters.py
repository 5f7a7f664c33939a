"""What all training sequences share at their ends, and what is put between it."""

from __future__ import annotations

import pytest

from nrtune.trainables.data.adapters import Adapters, adapters_of
from nrtune.trainables.data.simulate import ADAPTERS

BOTH = Adapters("AACC", "GGT")
LENGTH = 12


def test_adapters_of_a_data_set_are_the_ends_that_all_share(simulated_data):
    assert adapters_of(simulated_data.dataset) == ADAPTERS


@pytest.mark.parametrize(
    ("sequence", "whole"),
    [
        ("TTTTT", "AACCTTTTTGGT"),  # the insert
        ("AACCTTTTT", "AACCTTTTTGGT"),  # it brings the left adapter
        ("TTTTTGGT", "AACCTTTTTGGT"),
        ("CCTTTTTG", "AACCTTTTTGGT"),  # and parts of both
        ("TTTT", None),  # shorter than an insert
        ("TTTTTT", None),  # longer, and no part of an adapter
        ("AACCTTTTTC", None),
    ],
)
def test_an_insert_is_put_between_adapters(sequence, whole):
    assert BOTH.around(sequence, LENGTH) == whole


def test_what_could_stand_at_two_places_is_put_nowhere():
    both = Adapters("AA", "AA")
    assert both.around("AACAA", 6) is None
    assert both.around("CC", 6) == "AACCAA"


def test_an_adapter_on_one_side_is_enough():
    assert Adapters("", "GGT").around("A" * 9, LENGTH) == "A" * 9 + "GGT"
    assert Adapters("", "").around("A" * 9, LENGTH) is None
    assert Adapters("AA", "").insert(LENGTH) == 10
    assert str(Adapters("AA", "")) == "AA … none"
    assert BOTH.of("AACCGGT")
    assert not BOTH.of("AACCGGA")
