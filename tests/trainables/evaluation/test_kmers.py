"""Counts of canonical k-mers: by hand, and against a counter of words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nrtune.trainables.data.sequences import reverse_complement, to_text, to_tokens
from nrtune.trainables.evaluation.kmers import canonical_kmers, count_kmers

LENGTHS = (4, 5, 6, 7)
NAMES = {k: [to_text(kmer) for kmer in canonical_kmers(k)] for k in LENGTHS}


def counted(*sequences: str, k: int = 6) -> list[dict[str, int]]:
    """The k-mers that were counted in each sequence, by name."""
    counts = count_kmers(to_tokens(sequences, "sequences"), (k,)).toarray()
    return [{NAMES[k][i]: int(row[i]) for i in np.flatnonzero(row)} for row in counts]


@pytest.mark.parametrize("k", LENGTHS)
def test_each_k_mer_is_one_feature_with_its_reverse_complement(k):
    """Those of even length that are their own reverse complement are 4^(k/2)."""
    names = NAMES[k]
    own = 4 ** (k // 2) if k % 2 == 0 else 0
    assert len(names) == len(set(names)) == (4**k + own) // 2
    assert sorted(names) == names
    assert all(to_text(reverse_complement(kmer)) >= name for kmer, name in zip(canonical_kmers(k), names, strict=True))


def test_counts_by_hand():
    # Windows of AAAAAAA: AAAAAA twice. Of CCTTTTTT: CCTTTT, CTTTTT, TTTTTT, or AAAAGG, AAAAAG, AAAAAA on the other
    # strand. ACGCGT is its own reverse complement; TACGCGT also holds TACGCG, which comes after CGCGTA.
    assert counted("AAAAAAAN", "CCTTTTTT", "TACGCGTN", "ACGTNACG") == [
        {"AAAAAA": 2},
        {"AAAAGG": 1, "AAAAAG": 1, "AAAAAA": 1},
        {"ACGCGT": 1, "CGCGTA": 1},
        {},
    ]
    assert counted("ACGTA") == [{}]


@pytest.mark.parametrize("k", LENGTHS)
def test_counts_are_those_of_words(k):
    tokens = np.random.default_rng(k).choice(5, (9, 60), p=[0.24] * 4 + [0.04]).astype(np.uint8)
    for row, found in zip(tokens, counted(*map(to_text, tokens), k=k), strict=True):
        text = to_text(row)
        words = [text[i : i + k] for i in range(61 - k) if "N" not in text[i : i + k]]
        other = [to_text(reverse_complement(to_tokens([word], "word")[0])) for word in words]
        assert found == Counter(map(min, words, other))


def test_several_lengths_stand_side_by_side():
    tokens = np.random.default_rng(0).integers(0, 4, (5, 40)).astype(np.uint8)
    both = count_kmers(tokens, (4, 7)).toarray()
    assert (both == np.hstack([count_kmers(tokens, (k,)).toarray() for k in (4, 7)])).all()
