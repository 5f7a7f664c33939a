"""k-mers as numbers, against a literal definition."""

from __future__ import annotations

import numpy as np
import pytest

from nrtune.trainables.data.audit.kmers import KmerSet, in_chunks, kmer_hashes
from nrtune.trainables.data.sequences import reverse_complement, to_text, to_tokens


def literal(sequence: str, k: int) -> list[str | None]:
    """The smaller of each k-mer and its reverse complement; None for one with N."""
    other = to_text(reverse_complement(to_tokens([sequence], "")[0]))
    pieces = [(sequence[i : i + k], other[len(other) - k - i : len(other) - i]) for i in range(len(sequence) - k + 1)]
    return [None if "N" in piece else min(piece, turned) for piece, turned in pieces]


@pytest.mark.parametrize("k", [16, 17, 31, 40, 60, 64])
def test_two_kmers_have_one_number_exactly_if_they_are_the_same_on_either_strand(k):
    generator = np.random.default_rng(k)
    tokens = generator.choice(5, (40, 100), p=[0.249] * 4 + [0.004]).astype(np.uint8)
    tokens[20:] = reverse_complement(tokens[:20])
    hashes, known = kmer_hashes(tokens, k)
    expected = [kmer for row in tokens for kmer in literal(to_text(row), k)]
    assert known.reshape(-1).tolist() == [kmer is not None for kmer in expected]
    number_of: dict[str, int] = {}
    for kmer, number in zip(expected, hashes.reshape(-1).tolist(), strict=True):
        if kmer is not None:
            assert number_of.setdefault(kmer, number) == number
    assert len(set(number_of.values())) == len(number_of)


def test_sequences_shorter_than_k_have_none_and_a_k_out_of_range_is_refused():
    assert kmer_hashes(np.zeros((3, 20), np.uint8), 21)[0].shape == (3, 0)
    for k in (15, 65):
        with pytest.raises(ValueError, match="must be 16 to 64"):
            kmer_hashes(np.zeros((3, 80), np.uint8), k)


def test_a_set_finds_what_is_in_it_and_nothing_else():
    generator = np.random.default_rng(0)
    held = generator.integers(0, 2**63, 5000).astype(np.uint64)
    asked = np.concatenate([held[::7], generator.integers(0, 2**63, 100_000).astype(np.uint64)])
    wanted = KmerSet(held)
    which, place = wanted.find(asked)
    assert which.tolist() == np.flatnonzero(np.isin(asked, held)).tolist()
    assert (wanted.sorted[place] == asked[which]).all()
    empty, _ = KmerSet(held[:0]).find(asked)
    assert not len(empty)


def test_chunks_are_the_whole():
    tokens = np.random.default_rng(1).integers(0, 4, (5000, 30)).astype(np.uint8)
    parts = list(in_chunks(tokens, 16))
    assert np.array_equal(np.concatenate([found for _, found, _ in parts]), kmer_hashes(tokens, 16)[0])
    assert [first for first, *_ in parts] == sorted(first for first, *_ in parts)
