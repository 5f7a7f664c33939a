"""A table of measurements as users have it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nrtune.trainables.data.sequences import to_text

LEFT, RIGHT = "ACGTAACCGGTTGCA", "TTGCAGTCAATCGGA"


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Sequences of 80 bases between adapters, with activity and ten folds."""
    generator = np.random.default_rng(seed)
    tokens = generator.integers(0, 4, (rows, 80)).astype(np.uint8)
    return pd.DataFrame({
        "seq": [LEFT + to_text(row) + RIGHT for row in tokens],
        "mean_value": generator.normal(size=rows).round(4),
        "fold": np.arange(rows) % 10,
    })  # fmt: skip
