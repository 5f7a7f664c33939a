"""The audit of data before anything is trained or scored on them: what looks fine, but means something else."""

from __future__ import annotations

from collections.abc import Sequence

from nrtune.trainables.data.audit.activity import audit_activity
from nrtune.trainables.data.audit.noise import audit_noise
from nrtune.trainables.data.audit.overlap import audit_overlap
from nrtune.trainables.data.audit.splits import audit_splits
from nrtune.trainables.data.audit.turned import audit_turned
from nrtune.trainables.data.audit.variants import audit_variants
from nrtune.trainables.data.audit.windows import audit_sequences, audit_windows
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding, by_severity

AUDIT_VERSION = 5
"""One more with each change of what is found, so that stored findings of before are not taken for those of today."""


def audit(dataset: Dataset | None, benchmarks: Sequence[VariantSet] = ()) -> list[Finding]:
    """All that is found in a data set, in benchmarks, and in the two together; the gravest first."""
    found: list[Finding] = []
    if dataset is not None:
        found += [
            *dataset.findings,
            *audit_splits(dataset),
            *audit_activity(dataset),
            *audit_noise(dataset),
            *audit_sequences(dataset),
            *audit_turned(dataset),
        ]
    for variants in benchmarks:
        found += [*variants.findings, *audit_variants(variants), *audit_windows(variants)]
        found += audit_overlap(dataset, variants) if dataset is not None else []
    return by_severity(found)
