"""The audit finds what was planted, and nothing in data that nobody harmed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit import audit, noise
from nrtune.trainables.data.audit.copies import IDENTITY, CopyKeys, find_copies, identity
from nrtune.trainables.data.audit.overlap import OVERLAP, overlapping_rows
from nrtune.trainables.data.audit.splits import ADAPTERS as SHARE
from nrtune.trainables.data.dataset import Dataset, shared_ends, without_constant_noise
from nrtune.trainables.data.findings import ELEMENT_IN_TRAINING, Finding, by_severity, refuse_errors
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement
from nrtune.trainables.data.simulate import HDF5_NAME, simulate

HDF5_FILE = "lentimpra/lentiMPRA_WTC11_activity_and_aleatoric_data.h5"
ADAPTERS = 15


@pytest.fixture(scope="module")
def unharmed() -> Dataset:
    return simulate(600, seed=3).dataset


def serious(dataset: Dataset) -> set[str]:
    """The kinds of errors and warnings found."""
    return {finding.id for finding in audit(dataset) if finding.severity != "note"}


def replaced(dataset: Dataset, rows: np.ndarray, tokens: np.ndarray, activity: np.ndarray | None = None) -> Dataset:
    """The data with other sequences in some rows, and the activity of others."""
    every, values = dataset.tokens.copy(), dataset.activity.copy()
    every[rows] = tokens
    if activity is not None:
        values[rows] = activity
    return dataclasses.replace(dataset, tokens=every, activity=values)


def mutated(tokens: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Sequences with other bases at a share of the places between the adapters."""
    changed = tokens.copy()
    inner = tokens.shape[1] - 2 * ADAPTERS
    count = round(share * inner)
    for row in changed:
        at = ADAPTERS + generator.choice(inner, count, replace=False)
        row[at] = (row[at] + generator.integers(1, 4, count)) % 4
    return changed


def turned_insert(tokens: np.ndarray) -> np.ndarray:
    """The other orientation of each insert, between the same adapters."""
    other = tokens.copy()
    other[:, ADAPTERS:-ADAPTERS] = reverse_complement(tokens[:, ADAPTERS:-ADAPTERS])
    return other


def shifted_insert(tokens: np.ndarray) -> np.ndarray:
    """Inserts that overlap others by two thirds, as tiles of a region do."""
    other = tokens.copy()
    inner = tokens[:, ADAPTERS:-ADAPTERS]
    other[:, ADAPTERS:-ADAPTERS] = np.roll(inner, 70, axis=1)
    other[:, ADAPTERS : ADAPTERS + 70] = np.random.default_rng(9).integers(0, 4, (len(tokens), 70))
    return other


COPIES: dict[str, tuple[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]]] = {
    "the same": ("duplicates-across-splits", lambda tokens, _: tokens),
    "the other strand": ("duplicates-across-splits", lambda tokens, _: reverse_complement(tokens)),
    "the other orientation": ("duplicates-across-splits", lambda tokens, _: turned_insert(tokens)),
    "a few bases differ": ("near-copies-across-splits", lambda tokens, generator: mutated(tokens, 0.05, generator)),
    "and on the other strand": (
        "near-copies-across-splits",
        lambda tokens, generator: turned_insert(mutated(tokens, 0.05, generator)),
    ),
    "tiles that overlap": ("near-copies-across-splits", lambda tokens, _: shifted_insert(tokens)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize(("source", "target"), [("train", "test"), ("train", "val"), ("val", "test")])
def test_copies_across_splits_are_counted(unharmed, how, source, target):
    kind, copy = COPIES[how]
    generator = np.random.default_rng(0)
    taken, put = unharmed.rows(source)[:8], generator.permutation(unharmed.rows(target))[:8]
    harmed = replaced(unharmed, put, copy(unharmed.tokens[taken], generator))
    found = [finding for finding in audit(harmed) if finding.id == kind and finding.where == target]
    assert [(finding.count, finding.of) for finding in found] == [(8, len(unharmed.rows(target)))]
    assert (found[0].severity == "error") == (kind == "duplicates-across-splits")


def test_what_nobody_harmed_has_neither_errors_nor_warnings(unharmed, simulated_data, real_data):
    assert serious(unharmed) == set()
    assert not [one for one in audit(simulated_data.dataset, simulated_data.benchmarks) if one.severity != "note"]
    assert serious(read_dataset(real_data / HDF5_FILE)) == set()


@pytest.mark.parametrize("number", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_faults_at_random_are_as_many_findings(number, unharmed):
    generator = np.random.default_rng(0)
    kinds = [*COPIES, "copied rows", "noise of 0", "constant noise", "zeros in many", "noise above activity", "N"]
    for _ in range(number):
        kind = str(generator.choice(kinds))
        harmed, expected = _with_fault(unharmed, kind, generator)
        assert expected in {finding.id for finding in audit(harmed)}, kind


def _with_fault(dataset: Dataset, kind: str, generator: np.random.Generator) -> tuple[Dataset, str]:
    """The data with one fault, and the kind of finding that it is."""
    std = dataset.aleatoric_std
    assert std is not None
    if kind in COPIES:
        expected, copy = COPIES[kind]
        source, target = [("train", "test"), ("train", "val"), ("val", "test")][generator.integers(3)]
        count = int(generator.integers(1, 10))
        taken = generator.choice(dataset.rows(source), count, replace=False)
        put = generator.choice(dataset.rows(target), count, replace=False)
        return replaced(dataset, put, copy(dataset.tokens[taken], generator)), expected
    if kind == "copied rows":
        rows = generator.choice(dataset.rows("train"), 2, replace=False)
        return replaced(dataset, rows[:1], dataset.tokens[rows[1:]], dataset.activity[rows[1:]]), "duplicate-rows"
    if kind == "N":
        tokens = dataset.tokens.copy()
        tokens[generator.integers(len(tokens)), 20 : 20 + int(generator.integers(120, 190))] = N_TOKEN
        return dataclasses.replace(dataset, tokens=tokens), "mostly-n"
    changed, expected = {
        "noise of 0": (np.zeros_like(std), "noise-constant"),
        "constant noise": (np.full_like(std, generator.uniform(0.01, 1)), "noise-constant"),
        "zeros in many": (np.where(generator.random(len(std)) < 0.3, 0, std), "noise-zero-in-many"),
        "noise above activity": (std + 10, "noise-exceeds-activity"),
    }[kind]
    return without_constant_noise(dataclasses.replace(dataset, aleatoric_std=changed.astype(np.float32))), expected


def test_constant_noise_is_left_out_and_said(unharmed):
    zero = dataclasses.replace(unharmed, aleatoric_std=np.zeros(len(unharmed), np.float32))
    measured = without_constant_noise(zero)
    assert measured.aleatoric_std is None
    assert [finding.id for finding in measured.findings] == ["noise-constant"]
    assert without_constant_noise(unharmed) is unharmed


def test_pairs_with_one_value_are_computed_copies(unharmed):
    rows = unharmed.rows("train")
    first, second = rows[:60], rows[60:120]
    copied = replaced(unharmed, second, turned_insert(unharmed.tokens[first]), unharmed.activity[first])
    finding = next(one for one in audit(copied) if one.id == "computed-copies")
    assert (finding.count, finding.of) == (60, 60)
    measured = replaced(unharmed, second, turned_insert(unharmed.tokens[first]))
    assert "computed-copies" not in {one.id for one in audit(measured)}


def test_pairs_that_the_reader_found_are_not_sought_again(simulated_folder, unharmed, monkeypatch):
    dataset = read_dataset(simulated_folder / HDF5_NAME)
    monkeypatch.setattr(noise, "orientation_pairs", lambda *_: pytest.fail("sought again"))
    assert noise.audit_noise(dataset) == []
    rows = unharmed.rows("train")
    partner = np.full(len(unharmed), -1)
    partner[rows[:60]], partner[rows[60:120]] = rows[60:120], rows[:60]
    copied = replaced(unharmed, rows[60:120], turned_insert(unharmed.tokens[rows[:60]]), unharmed.activity[rows[:60]])
    (found,) = noise.audit_noise(dataclasses.replace(copied, partner=partner))
    assert (found.id, found.count, found.of) == ("computed-copies", 60, 60)


def test_keys_that_were_made_before_find_the_same_copies(unharmed):
    of, asked, ends = unharmed.rows("train"), unharmed.rows("train")[3:9], (ADAPTERS, ADAPTERS)
    keys = CopyKeys.of(unharmed.tokens, ends)
    found = find_copies(unharmed.tokens[of], unharmed.tokens[asked], ends, (keys.at(of), keys.at(asked)))
    again = find_copies(unharmed.tokens[of], unharmed.tokens[asked], ends)
    assert found.same.tolist() == again.same.tolist() == list(range(3, 9))
    assert found.near.tolist() == again.near.tolist()


@pytest.mark.parametrize("share", [0.02, 0.05, 0.08])
def test_identity_is_that_of_the_bases(unharmed, share):
    generator = np.random.default_rng(1)
    tokens = unharmed.tokens[:50]
    inner = slice(ADAPTERS, -ADAPTERS)
    for one, other in zip(tokens[:, inner], mutated(tokens, share, generator)[:, inner], strict=True):
        exact = float((one == other).mean())
        assert identity(one, other) >= exact - 1e-12
        assert identity(one, reverse_complement(other)) >= exact - 1e-12
    assert max(identity(tokens[0, inner], other) for other in unharmed.tokens[100:200, inner]) < IDENTITY


def test_an_insertion_hides_no_copy(unharmed):
    inner = slice(ADAPTERS, -ADAPTERS)
    reference, asked = unharmed.tokens[:200, inner], unharmed.tokens[:20, inner].copy()
    for row in asked:  # a base more in every 45: no 60 bases in a row are left
        row[:] = np.insert(row, range(22, len(row), 45), 0)[: len(row)]
    copies = find_copies(reference, asked, (0, 0))
    assert (copies.same < 0).all()
    assert (copies.near == np.arange(20)).mean() >= 0.9


def test_adapters_that_most_rows_have_are_adapters(unharmed):
    assert shared_ends(unharmed.tokens, SHARE) == shared_ends(unharmed.tokens) == (ADAPTERS, ADAPTERS)
    without = unharmed.tokens.copy()
    without[0] = np.random.default_rng(2).integers(0, 4, without.shape[1])
    assert (shared_ends(without, SHARE), shared_ends(without)) == ((ADAPTERS, ADAPTERS), (0, 0))
    assert shared_ends(without[:, ADAPTERS:-ADAPTERS], SHARE) == (0, 0)
    assert shared_ends(without[:1], SHARE) == shared_ends(without[:1]) == (0, 0)


@pytest.mark.parametrize("turned", [False, True])
def test_training_sequences_that_hold_a_piece_of_an_element_are_counted(simulated_data, turned):
    dataset, (variants,) = simulated_data.dataset, simulated_data.benchmarks
    assert not any(len(rows) for rows in overlapping_rows(dataset, variants).values())
    window = variants.windows[variants.ref_window[variants.rows("SIM2", "challenge")[0]]]
    piece = window[60 : 60 + OVERLAP]
    rows = dataset.rows("train")[5:8]
    tokens = dataset.tokens.copy()
    tokens[rows, 40 : 40 + OVERLAP] = reverse_complement(piece) if turned else piece
    harmed = dataclasses.replace(dataset, tokens=tokens)
    found = [one for one in audit(harmed, simulated_data.benchmarks) if one.id == ELEMENT_IN_TRAINING]
    assert [(one.element, one.count, one.severity) for one in found] == [("SIM2", 3, "warning")]
    middle = 40 + OVERLAP // 2
    tokens[rows, middle] = (tokens[rows, middle] + 1) % 4
    assert not len(overlapping_rows(harmed, variants)["SIM2"])


def test_errors_refuse_unless_they_are_accepted():
    error = Finding(
        id="copies",
        severity="error",
        what="rows are copies",
        where="test",
        count=2,
        of=9,
        example="row 1",
        advice="mend",
    )
    note = Finding(id="remark", severity="note", what="rows were read")
    assert str(error) == "test: rows are copies (2 of 9), such as row 1; mend"
    assert by_severity([note, error]) == [error, note]
    refuse_errors([note])
    refuse_errors([note, error], ["copies"])
    with pytest.raises(UserError, match=r"^test: rows are copies \(2 of 9\), such as row 1; mend; or --accept copies"):
        refuse_errors([note, error])
    with pytest.raises(UserError, match="--accept copeis: no finding is called so; did you mean 'copies'"):
        refuse_errors([error], ["copies", "copeis"])
    with pytest.raises(UserError, match="--accept copies: no finding is called so; nothing of that kind was found"):
        refuse_errors([], ["copies"])


def test_designs_of_one_sequence_are_near_copies():
    """Single bases changed in 50: too short for 60 in a row, and every k-mer is in nearly all of them."""
    generator = np.random.default_rng(4)
    wild = generator.integers(0, 4, 50).astype(np.uint8)
    designs = np.repeat(wild[None], 210, axis=0)
    for row, design in enumerate(designs):
        design[row % 50] = (design[row % 50] + 1 + row // 50) % 4
    designs = np.unique(designs, axis=0)
    order = generator.permutation(len(designs))
    asked, reference = designs[order[:40]], designs[order[40:]]
    copies = find_copies(reference, asked, (0, 0))
    assert (copies.same < 0).all()
    assert (copies.near >= 0).all()


def test_a_few_bases_between_adapters_are_no_copies_by_chance():
    generator = np.random.default_rng(5)
    flank = generator.integers(0, 4, (2, 40)).astype(np.uint8)
    sites = np.stack(np.meshgrid(*[np.arange(4)] * 5), axis=-1).reshape(-1, 5).astype(np.uint8)
    library = np.concatenate([np.repeat(flank[:1], len(sites), 0), sites, np.repeat(flank[1:], len(sites), 0)], axis=1)
    order = generator.permutation(len(library))
    assert (find_copies(library[order[:500]], library[order[500:600]], (40, 40)).same < 0).all()


def test_a_shared_stretch_is_no_identity(unharmed):
    one, other = unharmed.tokens[0].copy(), unharmed.tokens[1]
    one[60:116] = other[60:116]
    assert identity(one[ADAPTERS:-ADAPTERS], other[ADAPTERS:-ADAPTERS]) < IDENTITY


def test_what_is_n_altogether_or_very_short_has_no_copies():
    unknown = np.full((5, 80), N_TOKEN, np.uint8)
    known = np.random.default_rng(6).integers(0, 4, (5, 80)).astype(np.uint8)
    for reference, asked in (
        (unknown, known),
        (known, unknown),
        (known[:, :20], known[:2, 20:40]),
        (known[:, :10], known[:, 10:20]),
    ):
        copies = find_copies(reference, asked, (0, 0))
        assert (copies.near < 0).all()
