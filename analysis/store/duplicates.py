"""Trials that differ in their parameters and not in their metrics: something that was searched has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nrtune.analysis.store.records import TrialRecord


class Duplicates(NamedTuple):
    """Trials of bitwise the same metrics, and the values of the parameters in which they differ, in their order."""

    names: tuple[str, ...]
    differing: Mapping[str, tuple[Any, ...]]

    def sentence(self) -> str:
        """What a user should know of it, in one sentence."""
        values = "; ".join(f"{name} ({', '.join(map(str, seen))})" for name, seen in self.differing.items())
        return f"{', '.join(self.names)}: bitwise the same metrics although they differ in {values}: no effect here"


def find_duplicates(records: Iterable[TrialRecord]) -> list[Duplicates]:
    """Groups of trials that were trained as long, with the same metrics, although they are different configurations."""
    groups: dict[tuple[Any, ...], list[TrialRecord]] = {}
    for record in records:
        if record.metrics:
            groups.setdefault((record.epochs_trained, *sorted(record.metrics.items())), []).append(record)
    found = []
    for group in groups.values():
        keys = sorted({key for record in group for key in record.config})
        values = {key: tuple(record.config.get(key) for record in group) for key in keys}
        differing = {key: seen for key, seen in values.items() if any(value != seen[0] for value in seen)}
        if len(group) > 1:
            found.append(Duplicates(tuple(record.name for record in group), differing))
    return found
