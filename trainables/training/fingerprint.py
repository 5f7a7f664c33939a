"""When two trials are the same: they have the same parameters, on the same data, by the same recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from nrtune.trainables.core.component import Value

RECIPE_VERSION = 4
"""Raised when a change of the code alters the numbers of a trial: fingerprints of before then differ."""


def fingerprint(config: Mapping[str, Value], digests: Sequence[str]) -> str:
    """Return 16 hex digits that name a flat configuration on the data of `digests`, stable over processes and machines."""
    record = {"recipe": RECIPE_VERSION, "config": config, "data": digests}
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
