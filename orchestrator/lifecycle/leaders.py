"""The best configuration so far on validation, beside the baseline and a non-neural one. It is no verdict: nothing is tested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.wording import short_name

METRIC = "val/spearman"


class Leaders:
    """Keeps the mean of each configuration's validation Spearman over its trainings."""

    def __init__(self, records: Iterable[TrialRecord] = ()) -> None:
        self.non_neural: dict[str, float] = {}
        self._values: defaultdict[str, list[float]] = defaultdict(list)
        self._families: dict[str, str] = {}
        for record in records:
            self.add(record)

    def take(self, non_neural: Mapping[str, Mapping[str, float]]) -> None:
        """Compare to the best of these non-neural baselines, whose metrics these are by name."""
        self.non_neural = {name: of[METRIC] for name, of in non_neural.items() if METRIC in of}

    def add(self, record: TrialRecord) -> None:
        """Take in a trial that has ended; one that has no value is left out."""
        if (value := record.metrics.get(METRIC)) is not None:
            name = record.replicate_of or record.name
            self._values[name].append(value)
            self._families[name] = record.family

    def best(self, family: str | None = None) -> tuple[str, float] | None:
        """Name and value of the best configuration, of a family or of all; None where there is none."""
        means = {
            name: sum(of) / len(of)
            for name, of in self._values.items()
            if family is None or self._families[name] == family
        }
        return max(means.items(), key=lambda item: item[1], default=None)

    def sentence(self) -> str:
        """Who is best, and what it is compared to; "" as long as there is none."""
        if (best := self.best()) is None:
            return ""
        name, value = best
        others = []
        if (baseline := self.best(BASELINE)) is not None and baseline[0] != name:
            others.append(f"baseline {baseline[1]:.3f}")
        if self.non_neural:
            ridge = max(self.non_neural, key=lambda one: self.non_neural[one])
            others.append(f"{ridge.replace('spectrum_', '')} {self.non_neural[ridge]:.3f}")
        beside = f" ({', '.join(others)})" if others else ""
        what = " (the baseline)" if baseline is not None and baseline[0] == name else ""
        return f"best so far: {short_name(name)}{what}, validation Spearman {value:.3f}{beside}"
