"""Orientation pairs are found by inserts whatever stands around them, and by names where they agree with the sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nrtune.trainables.data.orientation import orientation_pairs
from nrtune.trainables.data.sequences import padded_tokens

GENERATOR = np.random.default_rng(0)
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def other_strand(sequence: str) -> str:
    return sequence[::-1].translate(_COMPLEMENT)


def bases(length: int) -> str:
    return "".join(GENERATOR.choice(list("ACGT"), length))


def both(inserts: Sequence[str], left: str, right: str) -> list[str]:
    """Each insert in both orientations between two adapters, one after the other."""
    return [f"{left}{insert}{right}" for one in inserts for insert in (one, other_strand(one))]


def partners(sequences: Sequence[str], names: Sequence[str] | None = None) -> list[int]:
    """The partner of each sequence; pairs have one key, and of other rows with that key at least one is in a pair."""
    tokens = padded_tokens(sequences, max(map(len, sequences)), "here")
    partner, keys = orientation_pairs(tokens, names)
    for row, other in enumerate(partner.tolist()):
        assert other < 0 or (partner[other] == row and keys[row] == keys[other])
    return [int(row) for row in partner]


def neighbours(pairs: int, first: int = 0) -> list[int]:
    """The partners where each two rows are a pair."""
    return [first + (row ^ 1) for row in range(2 * pairs)]


@pytest.mark.parametrize("pairs", [1, 2, 60])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        (15, 15),
        (20, 15),
        (15, 20),
        (20, 0),
        (0, 15),
        (0, 0),
        (1, 0),
        (5, 3),
        (3, 9),
        (40, 10),
        (100, 0),
        (0, 100),
        (30, 31),
    ],
)
def test_pairs_are_found_whatever_the_adapters(left, right, pairs):
    assert partners(both([bases(60) for _ in range(pairs)], bases(left), bases(right))) == neighbours(pairs)


@pytest.mark.parametrize(("left", "right"), [(20, 15), (0, 0), (20, 0), (15, 15)])
def test_pairs_of_unequal_length_are_found_under_the_n_around_them(left, right):
    inserts = [bases(int(length)) for length in GENERATOR.integers(80, 200, 50)]
    assert partners(both(inserts, bases(left), bases(right))) == neighbours(50)


@pytest.mark.parametrize("first", [0, 40, 120])
def test_a_row_without_adapters_hides_no_pair(first):
    sequences = both([bases(60) for _ in range(60)], bases(20), bases(15))
    expected = neighbours(60)
    mixed = [*sequences[:first], bases(95), *sequences[first:]]
    found = partners(mixed)
    assert found.pop(first) == -1
    assert [partner - (partner > first) for partner in found] == expected


def test_rows_of_several_kinds_of_adapters_each_find_their_partner():
    kinds = [("", ""), (bases(15), bases(15)), (bases(20), bases(10)), (bases(15), bases(15))]
    sequences = [row for ends in kinds for row in both([bases(65) for _ in range(20)], *ends)]
    assert partners(sequences) == neighbours(80)


def test_bases_that_all_inserts_begin_with_are_no_adapter():
    inserts = ["AAG" + bases(50) for _ in range(60)]
    assert partners(both(inserts, bases(9), bases(3))) == neighbours(60)


def test_elements_that_overlap_on_the_other_strand_are_no_pair():
    genome, left, right = bases(5000), bases(15), bases(12)
    tiles = [genome[start : start + 200] for start in range(0, 4800, 50)]
    assert set(partners([left + (other_strand(t) if i % 2 else t) + right for i, t in enumerate(tiles)])) == {-1}


def test_variants_of_an_element_are_paired_each_with_its_own():
    element, left, right = bases(120), bases(20), bases(9)
    variants = [
        f"{element[:place]}{ {'A': 'C', 'C': 'G', 'G': 'T', 'T': 'A'}[element[place]] }{element[place + 1 :]}".replace(
            " ", ""
        )
        for place in range(120)
    ]
    assert partners(both(variants, left, right)) == neighbours(120)


@pytest.mark.parametrize(("left", "right"), [(15, 15), (20, 9)])
def test_several_rows_of_an_element_are_one_element(left, right):
    one, a, b = bases(60), bases(left), bases(right)
    sequences = [a + one + b] * 3 + [a + other_strand(one) + b] * 2 + both([bases(60) for _ in range(20)], a, b)
    assert partners(sequences) == [3, 4, -1, 0, 1, *neighbours(20, 5)]
    keys = orientation_pairs(padded_tokens(sequences, len(sequences[0]), "here")).keys
    assert len(set(keys[:5])) == 1
    assert len(set(keys)) == 21


def test_a_lone_row_of_an_insert_shares_the_key_of_its_pairs():
    inserts = [bases(60) for _ in range(30)]
    sequences = [*both(inserts, bases(20), bases(15)), other_strand(inserts[4])]
    partner, keys = orientation_pairs(padded_tokens(sequences, 95, "here"))
    assert partner[-1] == -1
    assert keys[-1] == keys[8]


@pytest.mark.parametrize(
    ("forward", "reverse"),
    [
        ("e{}_F", "e{}_R"),
        ("e{}_fwd", "e{}_rev"),
        ("{}.Forward", "{}.Reverse"),
        ("a:{}", "a:{}_Reversed:"),
        ("e{}_plus", "e{}_minus"),
        ("chr1:{}-300(+)", "chr1:{}-300(-)"),
        ("e{}+", "e{}-"),
        ("F_{}", "R_{}"),
    ],
)
def test_names_pair_orientations_whose_adapters_differ(forward, reverse):
    ends = bases(18), bases(14), bases(12), bases(20)
    sequences, names = [], []
    for element in range(40):
        insert = bases(80)
        sequences += [ends[0] + insert + ends[1], ends[2] + other_strand(insert) + ends[3]]
        names += [forward.format(element), reverse.format(element)]
    assert partners(sequences, names) == neighbours(40)
    assert partners(sequences) == neighbours(40)
    assert set(partners(sequences[:4])) == {-1}  # of two elements only the names say it
    assert partners(sequences[:4], names[:4]) == neighbours(2)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "ends",
    [
        ((15, 15), (15, 15)),
        ((20, 0), (0, 20)),
        ((20, 0), (7, 13)),
        ((18, 14), (12, 25)),
        ((0, 0), (9, 0)),
        ((2, 3), (30, 1)),
    ],
)
def test_each_orientation_may_have_adapters_of_its_own(ends, turned):
    one, other = (tuple(map(bases, lengths)) for lengths in ends)
    inserts = [bases(80) for _ in range(30)]
    rows = [row for insert in inserts for row in (one[0] + insert + one[1], other[0] + other_strand(insert) + other[1])]
    lone = [ends[0] + bases(80) + ends[1] for ends in (one, other) for _ in range(10)]
    order = GENERATOR.permutation(80) if turned else np.arange(80)
    at = {int(row): place for place, row in enumerate(order)}
    found = partners([[*rows, *lone][row] for row in order])
    expected = [row ^ 1 if row < 60 else -1 for row in range(80)]
    assert found == [at[expected[row]] if expected[row] >= 0 else -1 for row in order.tolist()]


def test_lone_rows_of_either_orientation_share_the_key_of_their_pairs():
    one, other = (bases(20), bases(10)), (bases(5), bases(12))
    inserts = [bases(80) for _ in range(10)]
    rows = [row for insert in inserts for row in (one[0] + insert + one[1], other[0] + other_strand(insert) + other[1])]
    rows += [rows[6], rows[9]]
    partner, keys = orientation_pairs(padded_tokens(rows, max(map(len, rows)), "here"))
    assert partner.tolist() == [*neighbours(10), -1, -1]
    assert (keys[-2], keys[-1]) == (keys[6], keys[8])


APART = 8


def tiles(generator: np.random.Generator, count: int, genome: str) -> list[str]:
    """Pieces of a genome on either strand, at steps that are all alike or not, so that many overlap on both strands.

    None lies less than APART bases from another: what adapters go on with by chance could make the two the same.
    """
    step, places = int(generator.integers(1, 12)), (len(genome) - 100) // APART
    found = []
    for tile in range(count):
        start = APART * (tile * step % places if generator.random() < 0.9 else int(generator.integers(places)))
        piece = genome[start : start + 100]
        found.append(other_strand(piece) if tile % 2 or generator.random() < 0.2 else piece)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_pairs_among_tiles_and_variants_are_those_that_were_made(seed):
    """Some rows are pairs whose orientations have one or own adapters; the others overlap on both strands, or nearly agree."""
    generator = np.random.default_rng([seed, 27])

    def drawn(length: int) -> str:
        return "".join(generator.choice(list("ACGT"), length))

    same = (drawn(int(generator.integers(0, 25))), drawn(int(generator.integers(0, 25))))
    own = [(drawn(int(generator.integers(0, 25))), drawn(int(generator.integers(3, 25)))) for _ in range(2)]
    ends = [own, [same, same], own][seed % 3]
    others = [own, [same, same], [same, same]][seed % 3]
    genome = drawn(4000)
    inserts = list(dict.fromkeys(drawn(100) for _ in range(int(generator.integers(5, 60)))))
    pairs = [[e[0] + i + e[1] for e, i in zip(ends, (one, other_strand(one)), strict=True)] for one in inserts]
    variants = [
        inserts[0][:place] + "ACGT"["ACGT".index(inserts[0][place]) - 1] + inserts[0][place + 1 :]
        for place in range(0, 100, 9)
    ]
    loose = list(dict.fromkeys([*tiles(generator, 150, genome), *variants]))
    either = set()  # of a tile that is there on both strands one stays
    loose = [one for one in loose if other_strand(one) not in either and not either.add(one)]
    rows = [row for pair in pairs for row in pair]
    for one in loose:
        left, right = others[int(generator.integers(2))]
        rows.append(left + one + right)
    order = generator.permutation(len(rows)).tolist()
    at = {row: place for place, row in enumerate(order)}
    found = partners([rows[row] for row in order])
    assert found == [at[row ^ 1] if row < 2 * len(pairs) else -1 for row in order]


def test_names_that_the_sequences_belie_pair_nothing():
    sequences = [bases(90) for _ in range(40)]
    assert set(partners(sequences, [f"e{row // 2}_{'FR'[row % 2]}" for row in range(40)])) == {-1}


def test_an_own_reverse_complement_is_no_partner():
    half = bases(30)
    palindrome = half + other_strand(half)
    assert partners([palindrome, bases(60), palindrome]) == [-1, -1, -1]


@pytest.mark.parametrize("length", [0, 1, 4, 9])
def test_short_sequences_are_no_trouble(length):
    tokens = np.zeros((3, length), np.uint8)
    assert orientation_pairs(tokens).partner.tolist() == [-1, -1, -1]
    assert orientation_pairs(tokens[:0]).partner.tolist() == []
