"""What is found in the variants of a benchmark."""

from __future__ import annotations

from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.findings import Finding


def audit_variants(variants: VariantSet) -> list[Finding]:
    """What makes a benchmark's scores mean something else than they seem to."""
    return []
