"""The one in-memory form of an MPRA data set, whatever file it came from."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.sequences import BASES
from nrtune.trainables.data.source_rows import SourceRows

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Dataset:
    """Sequences with their measured activity.

    name: for people. tokens: (N, length) uint8. activity: (N,) float32, log2(RNA/DNA). aleatoric_std: (N,) float32,
    the standard deviation over replicates, or None where no noise was measured. split: (N,) uint8, an index into
    SPLITS. noise_free: (N,) float32, the true activity, known for simulated data only. cluster: (N,) int64, rows of one
    number are not independent, such as the two orientations of an element; None where nothing is known of it. partner: (N,)
    int64, the row that is the other orientation of a row's element, -1 without; None where nobody has looked. notes:
    sentences about what the reader did (rows left out, splits made). findings: what the reader alone could find out, for the
    audit. digest_as_read: the digest of what was read, where a part of that is left out. source: the rows of the files that the
    rows were read from; None where they were not.
    """

    name: str
    tokens: NDArray[np.uint8]
    activity: NDArray[np.float32]
    aleatoric_std: NDArray[np.float32] | None
    split: NDArray[np.uint8]
    noise_free: NDArray[np.float32] | None = None
    cluster: NDArray[np.int64] | None = None
    partner: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    digest_as_read: str | None = None
    source: SourceRows | None = None

    def __post_init__(self) -> None:
        """Check shapes and values. Raises UserError."""
        n = len(self.tokens)
        columns = {"activity": self.activity, "aleatoric_std": self.aleatoric_std, "noise_free": self.noise_free,
                   "cluster": self.cluster, "partner": self.partner}  # fmt: skip
        for label, column in columns.items():
            if column is None:
                continue
            if column.shape != (n,):
                raise UserError(
                    f"{self.name}: {label} has shape {column.shape} for {n} sequences; one value a sequence"
                )
            bad = np.flatnonzero(~np.isfinite(column))
            if len(bad):
                raise UserError(
                    f"{self.name}: {label} is {column[bad[0]]} in {self.places.one(bad[0])} and {len(bad)} in all are not"
                    " finite; leave such rows out"
                )
        if self.aleatoric_std is not None and (self.aleatoric_std < 0).any():
            row = int(np.argmax(self.aleatoric_std < 0))
            raise UserError(
                f"{self.name}: aleatoric_std is {self.aleatoric_std[row]:g} in {self.places.one(row)}; a standard deviation is"
                " 0 or more"
            )
        for code, label in enumerate(SPLITS):
            if np.count_nonzero(self.split == code) < 2:
                raise UserError(f"{self.name}: the {label} split has fewer than 2 rows; every split needs some")

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        noise = "no noise measured" if self.aleatoric_std is None else "noise measured"
        return f"Dataset({self.name}: {len(self)} sequences of {self.length} bases, {noise})"

    @property
    def length(self) -> int:
        """Bases a sequence."""
        return int(self.tokens.shape[1])

    def rows(self, split: str) -> NDArray[np.int64]:
        """Indices of a split's rows, in file order."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    @functools.cached_property
    def places(self) -> SourceRows:
        """Where the rows stand in their files; of data that were not read, which row each is."""
        return SourceRows.of([self.name], [len(self)]) if self.source is None else self.source

    @functools.cached_property
    def flanks(self) -> tuple[int, int]:
        """Bases at the left and at the right end that all sequences share, such as the adapters around inserts."""
        return shared_ends(self.tokens)

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits of everything a trial learns from; the name, clusters and notes do not count."""
        return self.digest_as_read or array_digest(self.tokens, self.activity, self.aleatoric_std, self.split)


def without_constant_noise(dataset: Dataset) -> Dataset:
    """The data without a noise that is the same in every row, such as 0: that is none that was measured, and is found so."""
    std = dataset.aleatoric_std
    if std is None or std.min() != std.max():
        return dataset
    finding = Finding(
        id="noise-constant",
        severity="warning",
        what=f"the noise is {std[0]:g} in every row, no measurement: it is left out, and methods that need it are refused",
        where=dataset.name,
        count=len(std),
        of=len(std),
        advice="give the standard deviation over replicates, or --noise none",
    )
    return dataclasses.replace(
        dataset,
        aleatoric_std=None,
        findings=(*dataset.findings, finding),
        digest_as_read=dataset.digest,  # so that campaigns of before go on
    )


def shared_ends(tokens: NDArray[np.uint8], share: float = 1) -> tuple[int, int]:
    """How many places of tokens (N, length) at the left and right end are one letter in this share of rows; 0, 0 if all are."""
    most = np.max([np.count_nonzero(tokens == letter, axis=0) for letter in range(len(BASES))], axis=0)
    varies = most < share * len(tokens)
    return (int(varies.argmax()), int(varies[::-1].argmax())) if varies.any() else (0, 0)


def array_digest(*arrays: NDArray[np.generic] | None) -> str:
    """16 hex digits of arrays, their shapes and types."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
