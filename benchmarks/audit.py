"""What the audit of a full-size data set takes: sequences with adapters and a diverged repeat in some, and simulated variants.

    python benchmarks/audit.py [--rows 226000] [--variants 5000]

One thread. Seconds are of the process itself, so that a busy machine tells nothing; memory is its peak, with the data in it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.sequences import BASES, to_text

LENGTH, ADAPTER = 230, 15
REPEATED, DIVERGED = 0.1, 0.12
"""The share of sequences that hold a piece of one repeat, and how much of it differs in each: such as Alu elements."""


def main() -> None:
    """Measure and print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=226_000)
    parser.add_argument("--variants", type=int, default=5_000)
    chosen = parser.parse_args()
    generator = np.random.default_rng(0)
    dataset, variants = _dataset(chosen.rows, generator), _variants(chosen.variants, generator)
    before = _peak()
    started = time.process_time()
    found = audit(dataset, (variants,))
    seconds = time.process_time() - started
    sys.stdout.write(
        f"{len(dataset)} sequences, {len(variants)} variants: {seconds:.1f} CPU s, peak {_peak():.2f} GB"
        f" ({before:.2f} GB before), {len(found)} findings\n"
    )


def _dataset(rows: int, generator: np.random.Generator) -> Dataset:
    tokens = generator.integers(0, 4, (rows, LENGTH), dtype=np.uint8)
    tokens[:, :ADAPTER], tokens[:, -ADAPTER:] = 1, 2
    inner = LENGTH - 2 * ADAPTER
    repeat = generator.integers(0, 4, inner, dtype=np.uint8)
    for row in range(round(REPEATED * rows)):
        changed, start = repeat.copy(), int(generator.integers(inner - 50))
        at = generator.random(inner) < DIVERGED
        changed[at] = generator.integers(0, 4, int(at.sum()))
        tokens[row, ADAPTER : ADAPTER + inner - start] = changed[start:]
    return Dataset(
        name="random",
        tokens=tokens,
        activity=generator.normal(size=rows).astype(np.float32),
        aleatoric_std=generator.gamma(2, 0.2, rows).astype(np.float32),
        split=generator.choice(3, rows, p=[0.8, 0.1, 0.1]).astype(np.uint8),
    )


def _variants(count: int, generator: np.random.Generator) -> VariantSet:
    ref = generator.integers(0, 4, (count, LENGTH), dtype=np.uint8)
    alt = ref.copy()
    alt[:, LENGTH // 2] = (alt[:, LENGTH // 2] + generator.integers(1, len(BASES) - 1, count)) % 4
    return VariantSet.from_sequences(
        benchmark="table",
        title="Variant table",
        name="random",
        length=LENGTH,
        ref=[to_text(row) for row in ref],
        alt=[to_text(row) for row in alt],
        value=generator.normal(size=count),
        element=[f"E{number % 20}" for number in range(count)],
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
