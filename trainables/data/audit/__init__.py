"""The audit of data before anything is trained or scored on them: what looks fine, but means something else."""

from __future__ import annotations

from collections.abc import Sequence

from nrtune.trainables.data.audit.variants import audit_variants
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding, by_severity


def audit(dataset: Dataset | None, benchmarks: Sequence[VariantSet] = ()) -> list[Finding]:
    """All that is found in a data set, in benchmarks, and in the two together; the gravest first."""
    found: list[Finding] = [] if dataset is None else list(dataset.findings)
    for variants in benchmarks:
        found += [*variants.findings, *audit_variants(variants)]
    return by_severity(found)
