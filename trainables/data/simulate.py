"""A simulated lentiMPRA whose truth is known: motif grammar, heteroscedastic replicate noise, saturation mutagenesis."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.randomness import derive_generator
from nrtune.trainables.data.cell_lines import ELEMENTS_OF_CELL_LINE
from nrtune.trainables.data.dataset import SPLITS, Dataset
from nrtune.trainables.data.hdf5 import GROUPS
from nrtune.trainables.data.sequences import BASES, reverse_complement, to_text, to_tokens

HDF5_NAME = "lentiMPRA_simulated_activity_and_aleatoric_data.h5"
LENGTH = 230
ADAPTERS = ("AGGACCGGATCAACT", "CATTGCGTGAACCGA")
"""15 bases at each end of every construct, as in the published library."""

REPLICATES = 3
MEDIAN_REPLICATE_STD = 0.5
"""log2(RNA/DNA); with the spread below, the noise of a mean of three explains about a fifth of the variance."""

NOISE_SPREAD = 0.8
"""Standard deviation of the natural logarithm of a sequence's replicate std: barcodes differ widely between sequences."""

MOTIFS: tuple[tuple[str, float], ...] = (
    ("TGACTCA", 1.0),
    ("GATAAG", 0.9),
    ("CCACACCC", 0.7),
    ("ACCGGAAGT", 0.8),
    ("GGGGCGGGG", 0.5),
    ("TTGCGCAA", 0.6),
    ("CAGCTG", -0.5),
    ("CAGGTA", -0.7),
)
"""Consensus and effect (log2) of one full match, in the manner of AP-1, GATA1, KLF1, ETS, SP1, CEBP, and two repressors."""

SYNERGY = ((0, 1, 0.8), (1, 2, 1.0), (3, 4, 0.5))
"""Pairs of motifs whose joint presence adds more than their sum."""

MATCH_SHARPNESS = 2.5
"""A site's strength is exp(−sharpness · mismatches): a mutated base costs 92 % of it."""

GC_EFFECT = 2.0
BASELINE = -0.9
ELEMENT_LENGTH = 600
SATURATED = 240
RELEASE_BLOCK = 15
"""Consecutive positions of a block; every fourth block is the release part, as in CAGI5."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulated:
    """A simulated data set and its elements: name → (reference tokens, table of variants)."""

    dataset: Dataset
    elements: dict[str, SimulatedElement]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatedElement:
    """Reference tokens (ELEMENT_LENGTH,) and V variants: offset, alt token, measured value, confidence, true effect."""

    reference: NDArray[np.uint8]
    offset: NDArray[np.int64]
    alt: NDArray[np.uint8]
    value: NDArray[np.float64]
    confidence: NDArray[np.float64]
    noise_free: NDArray[np.float64]


def simulate(n: int = 4000, *, seed: int = 0, noise: float = 1.0, noise_spread: float = NOISE_SPREAD) -> Simulated:
    """Simulate n constructs (80/10/10) and four elements of saturation mutagenesis; the same arguments, the same data.

    A replicate of sequence i is its noise-free activity plus noise of standard deviation
    noise · MEDIAN_REPLICATE_STD · exp(noise_spread · gaussian); activity is the mean of three replicates and
    aleatoric_std their standard deviation, as published data have it. `noise` 0 gives noise-free measurements.
    """
    if n < 20:
        raise UserError(f"a simulated data set needs at least 20 sequences, not {n}")
    if noise < 0 or noise_spread < 0:
        raise UserError("noise and its spread must be 0 or more")
    generator = derive_generator("simulate", seed, n)
    tokens = _constructs(n, generator)
    truth = noise_free_activity(tokens)
    replicate_std = noise * MEDIAN_REPLICATE_STD * np.exp(noise_spread * generator.standard_normal(n))
    replicates = truth[:, None] + replicate_std[:, None] * generator.standard_normal((n, REPLICATES))
    split = np.zeros(n, np.uint8)
    order = generator.permutation(n)
    split[order[: n // 10]], split[order[n // 10 : 2 * (n // 10)]] = SPLITS.index("test"), SPLITS.index("val")
    dataset = Dataset(
        name=f"simulated (n {n}, seed {seed})",
        tokens=tokens,
        activity=replicates.mean(axis=1).astype(np.float32),
        aleatoric_std=replicates.std(axis=1, ddof=1).astype(np.float32),
        split=split,
        noise_free=truth.astype(np.float32),
    )
    names = ELEMENTS_OF_CELL_LINE["simulated"]
    return Simulated(dataset=dataset, elements={name: _element(derive_generator(name, seed), noise) for name in names})


def noise_free_activity(tokens: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the true activity (n,) of tokens (n, length): a deterministic function of the sequence.

    Motif occupancies (saturating sums of site strengths on both strands) add up with pairwise synergy and a penalty on
    GC content away from one half; activity saturates smoothly at both ends.
    """
    occupancy = np.stack([_occupancy(tokens, consensus) for consensus, _ in MOTIFS], axis=1)
    total = BASELINE + occupancy @ np.array([effect for _, effect in MOTIFS])
    for first, second, effect in SYNERGY:
        total += effect * occupancy[:, first] * occupancy[:, second]
    gc = np.isin(tokens, (1, 2)).mean(axis=1)
    total -= GC_EFFECT * np.abs(gc - 0.5)
    saturated: NDArray[np.float64] = 3 * np.tanh(total / 3)
    return saturated


def _occupancy(tokens: NDArray[np.uint8], consensus: str) -> NDArray[np.float64]:
    """Saturating sum over positions and strands of exp(−sharpness · mismatches), (n,) in [0, 2)."""
    word = to_tokens([consensus], "motif")[0]
    strength = np.zeros(len(tokens))
    strands = [word] if (reverse_complement(word) == word).all() else [word, reverse_complement(word)]
    for oriented in strands:
        windows = tokens.shape[1] - len(oriented) + 1
        mismatches = np.zeros((len(tokens), windows), np.uint8)
        for shift, base in enumerate(oriented):
            mismatches += tokens[:, shift : shift + windows] != base
        strength += np.where(mismatches <= 2, np.exp(-MATCH_SHARPNESS * mismatches), 0).sum(axis=1)
    return 2 * np.tanh(strength / 2)


def _constructs(n: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    tokens = _background(n, LENGTH, generator)
    _plant(tokens, generator.poisson(2.5, n), generator)
    left, right = (to_tokens([adapter], "adapter")[0] for adapter in ADAPTERS)
    tokens[:, : len(left)], tokens[:, -len(right) :] = left, right
    return tokens


def _background(n: int, length: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Random bases whose GC content differs between sequences as it does in the genome (about 0.35 to 0.65)."""
    gc = np.clip(generator.normal(0.5, 0.08, (n, 1)), 0.25, 0.75)
    strong = generator.random((n, length)) < gc
    second = generator.random((n, length)) < 0.5
    return np.where(strong, np.where(second, 1, 2), np.where(second, 0, 3)).astype(np.uint8)


def _plant(tokens: NDArray[np.uint8], sites: NDArray[np.int64], generator: np.random.Generator) -> None:
    """Write `sites` motif instances into each row."""
    for sequence, count in zip(tokens, sites, strict=True):
        for motif in generator.integers(len(MOTIFS), size=count):
            _write_site(sequence, int(motif), generator)


def _write_site(sequence: NDArray[np.uint8], motif: int, generator: np.random.Generator) -> None:
    """Write a motif's consensus somewhere into a sequence, on either strand."""
    word = to_tokens([MOTIFS[motif][0]], "motif")[0]
    word = word if generator.random() < 0.5 else reverse_complement(word)
    start = int(generator.integers(len(sequence) - len(word)))
    sequence[start : start + len(word)] = word


def _element(generator: np.random.Generator, noise: float) -> SimulatedElement:
    first = (ELEMENT_LENGTH - SATURATED) // 2
    sequence = _background(1, ELEMENT_LENGTH, generator)[0]
    slot = SATURATED // len(MOTIFS)
    for number, motif in enumerate(generator.permutation(len(MOTIFS))):
        _write_site(sequence[first + number * slot : first + (number + 1) * slot], int(motif), generator)
    offset = np.repeat(np.arange(first, first + SATURATED), 3)
    alt = np.concatenate([np.setdiff1d(np.arange(4), [base]) for base in sequence[first : first + SATURATED]]).astype(
        np.uint8
    )
    # The measured construct is the element's own saturated stretch, so an effect does not depend on a window.
    construct = sequence[first - 25 : first + SATURATED + 25]
    mutants = np.repeat(construct[None], len(offset), axis=0)
    mutants[np.arange(len(offset)), offset - (first - 25)] = alt
    truth = noise_free_activity(mutants) - noise_free_activity(construct[None])[0]
    std = 0.05 * noise * np.exp(0.5 * generator.standard_normal(len(offset)))
    value = truth + std * generator.standard_normal(len(offset))
    p = 2 * ndtr(-np.abs(value) / np.maximum(std, 1e-9))
    confidence = np.clip(-np.log10(np.maximum(p, 1e-300)) / 50, 0, 1)
    return SimulatedElement(
        reference=sequence, offset=offset, alt=alt, value=value, confidence=confidence, noise_free=truth
    )


def write_simulated(simulated: Simulated, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write the published layouts: an HDF5 file (with `noise_free` beside X and y) and a CAGI5 folder; return both paths.

    Raises UserError where the folder holds them already.
    """
    folder = Path(folder)
    hdf5, cagi5 = folder / HDF5_NAME, folder / "cagi5"
    for path in (hdf5, cagi5):
        if path.exists():
            raise UserError(f"{path} exists already; choose another folder or remove it")
    # Written beside and renamed: a crash leaves nothing that looks complete.
    partial = folder / f".partial-{os.getpid()}"
    (partial / "cagi5").mkdir(parents=True)
    _write_hdf5(simulated.dataset, partial / HDF5_NAME)
    _write_elements(simulated, partial / "cagi5")
    (partial / "cagi5").rename(cagi5)
    (partial / HDF5_NAME).rename(hdf5)
    partial.rmdir()
    return hdf5, cagi5


def _write_hdf5(data: Dataset, hdf5: Path) -> None:
    assert data.aleatoric_std is not None
    assert data.noise_free is not None
    with h5py.File(hdf5, "w") as file:
        for split in SPLITS:
            rows = data.rows(split)
            group = file.create_group(GROUPS[split])
            one_hot = np.eye(4, dtype=np.float32)[data.tokens[rows]]
            group.create_dataset(
                "X", data=one_hot, chunks=(min(256, len(rows)), LENGTH, 4), compression="gzip", compression_opts=1
            )
            group["y"] = np.stack([data.activity[rows], data.aleatoric_std[rows]], axis=1)
            group["noise_free"] = data.noise_free[rows]


def _write_elements(simulated: Simulated, cagi5: Path) -> None:
    references = {}
    for number, (name, element) in enumerate(simulated.elements.items()):
        start = 1_000_001 + 10_000 * number
        end = start + ELEMENT_LENGTH - 1
        references[name] = {"chrom": "chrS", "start": start, "end": end, "sequence": to_text(element.reference)}
        block = (element.offset - element.offset.min()) // RELEASE_BLOCK
        for part, chosen in (("release", block % 4 == 3), ("challenge", block % 4 != 3)):
            _write_variants(cagi5 / f"{part}_{name}.tsv", element, chosen, start)
    (cagi5 / "references.json").write_text(json.dumps(references, indent=1) + "\n")


def _write_variants(path: Path, element: SimulatedElement, chosen: NDArray[np.bool_], start: int) -> None:
    lines = ["##Simulated saturation mutagenesis", "#Chrom\tPos\tRef\tAlt\tValue\tConfidence"]
    for row in np.flatnonzero(chosen):
        offset = int(element.offset[row])
        ref, alt = BASES[element.reference[offset]], BASES[element.alt[row]]
        lines.append(f"S\t{start + offset}\t{ref}\t{alt}\t{element.value[row]:.4f}\t{element.confidence[row]:.4f}")
    path.write_text("\n".join(lines) + "\n")
