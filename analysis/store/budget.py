"""Where a campaign's budget went: what each family's trials held of the cluster, and what that cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from nrtune.analysis.store.records import FAILED, TrialRecord

CPU_HOUR, GPU_HOUR = "cpu_hour", "gpu_hour"
"""Names of a price list."""


def spent(records: Iterable[TrialRecord], prices: Mapping[str, float]) -> pd.DataFrame:
    """A row a family, the dearest first, replicates included.

    Columns: family, trials, failed, attempts, training_hours, cpu_hours, gpu_hours (NaN where unknown), and cost in the
    prices' currency, NaN without prices. A price that is not listed is 0.
    """
    rows = pd.DataFrame.from_records(
        [
            {
                "family": record.family,
                "trials": 1,
                "failed": int(record.status == FAILED),
                "attempts": record.attempts,
                "training_hours": record.seconds / 3600,
                "cpu_hours": None if record.cpu_seconds is None else record.cpu_seconds / 3600,
                "gpu_hours": None if record.gpu_seconds is None else record.gpu_seconds / 3600,
            }
            for record in records
        ],
        columns=["family", "trials", "failed", "attempts", "training_hours", "cpu_hours", "gpu_hours"],
    )
    hours = ["cpu_hours", "gpu_hours"]
    rows[hours] = rows[hours].astype(float)
    table = rows.groupby("family", as_index=False).sum(min_count=1)
    cost = sum(
        table[of].fillna(0) * prices.get(name, 0.0) for of, name in zip(hours, (CPU_HOUR, GPU_HOUR), strict=True)
    )
    known = table[hours].notna().any(axis=1)
    table["cost"] = pd.Series(cost, index=table.index, dtype=float).where(known & bool(prices))
    return table.sort_values(["cost", "training_hours"], ascending=False, ignore_index=True)
