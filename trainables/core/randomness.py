"""Seeds derived by a stable hash: the same key gives the same numbers in every process and after every resume."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(*key: str | int) -> int:
    """Return a 63-bit seed from a key such as (seed, fingerprint, purpose, epoch)."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def derive_generator(*key: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by `derive_seed(*key)`."""
    return np.random.Generator(np.random.PCG64(derive_seed(*key)))
