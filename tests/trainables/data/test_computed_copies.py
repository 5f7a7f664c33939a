"""Reverse complements that were computed are told from orientations that were measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nrtune.trainables.data.audit.noise import audit_noise
from nrtune.trainables.data.computed_copies import computed_copies
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import reverse_complement, to_text

N = 30


def augmented(tmp_path, value=lambda activity: activity, rev=None, adapters=("ACGTAGG", "TTGCA"), order=None):
    """A table of N sequences, each with its reverse complement from end to end below it."""
    generator = np.random.default_rng(1)
    inserts = generator.integers(0, 4, (N, 40)).astype(np.uint8)
    sequences = [f"{adapters[0]}{to_text(row)}{adapters[1]}" for row in inserts]
    tokens = [np.array(["ACGT".index(base) for base in sequence], np.uint8) for sequence in sequences]
    activity = generator.normal(size=N).round(3)
    rows = []
    for row in range(N):
        rows += [
            (sequences[row], activity[row], row % 10),
            (to_text(reverse_complement(tokens[row])), value(activity[row]), row % 10),
        ]
    table = pd.DataFrame(rows, columns=["seq", "mean_value", "fold"])
    if rev is not None:
        table["rev"] = np.tile(rev, N)
    if order is not None:
        table = table.iloc[order]
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    return table, read_dataset(tmp_path / "a.tsv")


@pytest.mark.parametrize("rev", [None, (0, 1), ("false", "True"), ("", "1")])
@pytest.mark.parametrize("adapters", [("ACGTAGG", "TTGCA"), ("", "")])
def test_copies_are_left_out_and_counted(tmp_path, rev, adapters):
    table, dataset = augmented(tmp_path, rev=rev, adapters=adapters)
    assert [to_text(row) for row in dataset.tokens] == table["seq"].tolist()[::2]
    assert dataset.aleatoric_std is None
    (finding,) = dataset.findings
    assert (finding.id, finding.count, finding.of) == ("computed-copies", N, 2 * N)
    assert ("as rev says" in finding.what) == (rev is not None)


def test_the_marked_row_goes_even_where_it_comes_first(tmp_path):
    order = [row ^ 1 for row in range(2 * N)]
    table, dataset = augmented(tmp_path, rev=(0, 1), order=order)
    assert [to_text(row) for row in dataset.tokens] == table["seq"].tolist()[1::2]


@pytest.mark.parametrize("rev", [None, (0, 1)])
@pytest.mark.parametrize("value", [lambda activity: round(activity, 2), lambda activity: activity * (1 + 1e-3)])
def test_a_copy_may_be_rounded(tmp_path, rev, value):
    _, dataset = augmented(tmp_path, value=value, rev=rev)
    assert len(dataset) == N
    assert dataset.aleatoric_std is None


@pytest.mark.parametrize("rev", [None, (0, 1)])
def test_measured_orientations_stay(tmp_path, rev):
    _, dataset = augmented(tmp_path, value=lambda activity: activity + 0.4, rev=rev)
    assert len(dataset) == 2 * N
    assert dataset.findings == () or all(finding.id != "computed-copies" for finding in dataset.findings)


@pytest.mark.parametrize("rev", [None, (0, 1)])
def test_a_few_measurements_that_agree_by_chance_stay(tmp_path, rev):
    signs = iter([0.0] * 5 + [0.3, -0.6] * N)
    _, dataset = augmented(tmp_path, value=lambda activity: activity + next(signs), rev=rev)
    assert len(dataset) == 2 * N
    assert (dataset.aleatoric_std == 0).sum() == 10


@pytest.mark.parametrize("noise", [0.03, 0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("whole", [True, False])
def test_measurements_that_were_rounded_coarsely_are_no_copies(noise, whole):
    """Pairs agree by rounding to a decimal, the more the less noise there is; some differ by a tenth then."""
    generator = np.random.default_rng(0)
    n = 400
    tokens = generator.integers(0, 4, (n, 60)).astype(np.uint8)
    true = generator.normal(size=n)
    other = reverse_complement(tokens)
    if not whole:
        tokens[:, :10] = other[:, :10] = 0
        tokens[:, -12:] = other[:, -12:] = 1
        other[:, 10:-12] = reverse_complement(tokens[:, 10:-12])
    activity = np.concatenate([true + generator.normal(0, noise, n), true + generator.normal(0, noise, n)]).astype(
        np.float32
    )
    both = np.concatenate([tokens, other])
    partner = np.concatenate([np.arange(n) + n, np.arange(n)])
    for rounded in (activity.round(1), np.rint(activity * 20) / 20, activity.round(0)):
        rounded = rounded.astype(np.float32)
        assert not computed_copies(both, rounded).any()
        assert _equal_pairs(both, rounded, partner) == []
        copied = rounded.copy()
        copied[n : n + 200] = rounded[:200]
        if noise >= 0.1 and rounded[0] % 1:
            assert [one.id for one in _equal_pairs(both, copied, partner)] == ["computed-copies"]
        copied[n:] = rounded[:n]
        assert computed_copies(both, copied).sum() == (n if whole else 0)
        assert len(_equal_pairs(both, copied, partner)) == 1


def _equal_pairs(tokens: np.ndarray, activity: np.ndarray, partner: np.ndarray) -> list[Finding]:
    """What the audit finds of pairs that a reader has found."""
    split = (np.arange(len(tokens)) % 3).astype(np.uint8)
    return audit_noise(
        Dataset(name="a", tokens=tokens, activity=activity, aleatoric_std=None, split=split, partner=partner)
    )
