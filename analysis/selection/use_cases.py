"""Use cases: which metric answers which question.

A trial is selected by a metric that may be looked at (validation, CAGI5 release) and reported by one that may not
(test, CAGI5 challenge): see `UseCase.selection`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.yaml_file import read_yaml
from nrtune.trainables.data.benchmarks import BENCHMARKS, reported_prefix

SELECT_ON = ("release", "val", "challenge")
"""What a winner is selected on: the CAGI5 release part, validation alone, or (the study's protocol) what is reported."""

V = TypeVar("V")


@dataclasses.dataclass(frozen=True, kw_only=True)
class UseCase:
    """A question put to the trials: the reported metrics, their direction, and what breaks a tie.

    With several metrics a trial's value is its mean percentile rank over them, 1 the best. `magnitude` names those of
    which only the size counts. floor: a correlation in which no winner may be below the baseline by more than seeds explain, on
    data that selection may look at, since a bad model is good at the others; or "".
    """

    title: str
    metrics: Mapping[str, str]
    ties: tuple[str, ...] = ()
    magnitude: frozenset[str] = frozenset()
    floor: str = ""

    @property
    def composite(self) -> bool:
        """Whether the value is a mean rank over several metrics."""
        return len(self.metrics) > 1

    def oriented(self, metric: str, values: V) -> V:
        """Values of one of its metrics, turned so that larger is better."""
        sized: V = abs(values) if metric in self.magnitude else values  # type: ignore[arg-type]
        return -sized if self.metrics[metric] == "min" else sized  # type: ignore[operator]

    def selection(self, select_on: str) -> list[str]:
        """The metric to select by for each reported one, in the same order."""
        return [selection_metric(name, select_on) for name in self.metrics]


def selection_metric(reported: str, select_on: str) -> str:
    """The counterpart of a reported metric that selection may look at. Raises UserError where there is none."""
    if select_on not in SELECT_ON:
        raise UserError(f"unknown selection data {select_on!r}{suggest(select_on, SELECT_ON)}")
    if select_on == "challenge":
        return reported
    if select_on == "release" and (selectable := _selectable_counterpart(reported)) is not None:
        return selectable
    if reported.startswith("test/"):
        return "val/" + reported.removeprefix("test/")
    if reported.startswith("noise/"):
        return "val/" + reported
    if reported.endswith("hc_lc_gap"):
        raise UserError("the gap between HC and LC has no counterpart in validation data; select on release")
    return "val/pearson" if "/pearson/" in reported else "val/spearman"


def _selectable_counterpart(reported: str) -> str | None:
    """A benchmark's reported metric on its part that selection may look at; None where it has no such part."""
    name = reported.partition("/")[0]
    if name not in BENCHMARKS or (selectable := BENCHMARKS.get(name).selectable) is None:
        return None
    return reported.replace(f"{reported_prefix(name)}/", f"{name}/{selectable}/", 1)


_OVERALL = "cagi5/challenge/spearman/all/mean"
_HIGH, _LOW = "cagi5/challenge/spearman/hc/mean", "cagi5/challenge/spearman/lc/mean"
_PEARSON = "cagi5/challenge/pearson/all/mean"
_TEST, _NOISE = "test/spearman", "noise/corr_calibrated"
_BEFORE = {_NOISE: "noise/corr"}
"""What trials have that were scored before a metric of a use case was: the study's have no calibrated noise correlation."""

_ALWAYS: Mapping[str, UseCase] = {
    "overall": UseCase(title="CAGI5 Spearman, all variants", metrics={_OVERALL: "max"}, ties=(_PEARSON,)),
    "pearson": UseCase(title="CAGI5 Pearson, all variants", metrics={_PEARSON: "max"}, ties=(_OVERALL,)),
    "high_confidence": UseCase(title="CAGI5 Spearman, high confidence", metrics={_HIGH: "max"}, ties=(_OVERALL,)),
    "low_confidence": UseCase(title="CAGI5 Spearman, low confidence", metrics={_LOW: "max"}, ties=(_OVERALL,)),
    "noise_resistance": UseCase(
        title="Errors independent of noise", metrics={_NOISE: "min"}, ties=(_TEST,), floor=_TEST
    ),
    "in_distribution": UseCase(title="Spearman on test sequences", metrics={_TEST: "max"}, ties=("test/pearson",)),
    "balance": UseCase(
        title="Mean rank over six metrics",
        metrics={_OVERALL: "max", _HIGH: "max", _LOW: "max", _PEARSON: "max", _TEST: "max", _NOISE: "min"},
        magnitude=frozenset({_NOISE}),
        ties=(_OVERALL,),
    ),
    "hc_lc_gap": UseCase(
        title="Smallest gap between HC and LC",
        metrics={"cagi5/challenge/hc_lc_gap": "min"},
        magnitude=frozenset({"cagi5/challenge/hc_lc_gap"}),
        ties=(_OVERALL,),
        floor=_OVERALL,
    ),
}
"""The use cases of every campaign."""

_OWN_NAME = {"satmut": "saturation_mutagenesis"}
"""Use cases that are not called after their benchmark."""


class _KnownUseCases(Mapping[str, UseCase]):
    """Those of every campaign, and one of each benchmark but CAGI5, whose are among those."""

    def __iter__(self) -> Iterator[str]:
        return iter((*_ALWAYS, *self._benchmarks()))

    def __len__(self) -> int:
        return len(_ALWAYS) + len(self._benchmarks())

    def __getitem__(self, name: str) -> UseCase:
        if name in _ALWAYS:
            return _ALWAYS[name]
        benchmark = self._benchmarks()[name]
        of = f"{reported_prefix(benchmark)}/{{}}/all/mean"
        title = f"{BENCHMARKS.get(benchmark).title} Spearman"
        return UseCase(title=title, metrics={of.format("spearman"): "max"}, ties=(of.format("pearson"),))

    def _benchmarks(self) -> dict[str, str]:
        """The benchmark of each use case that has one."""
        return {_OWN_NAME.get(name, name): name for name in BENCHMARKS if name != "cagi5"}


USE_CASES: Mapping[str, UseCase] = _KnownUseCases()
"""Every use case by its name. Those of further benchmarks are not spoken of where no trial was scored on their data."""


def load_use_cases(path: Path) -> dict[str, UseCase]:
    """Read use cases from a YAML file: a name each, with `metrics` (name → max or min), `title`, `ties`, `magnitude`, `floor`.

    They come beside the known ones, and replace those of the same name. Raises UserError for a wrong file.
    """
    content = read_yaml(path, "a file of use cases")
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: must map names of use cases to their rules")
    return {**USE_CASES, **{str(name): _use_case(path, str(name), rule) for name, rule in content.items()}}


def _use_case(path: Path, name: str, rule: Any) -> UseCase:
    where = f"{path}: use case {name}"
    known = ("title", "metrics", "ties", "magnitude", "floor")
    if not isinstance(rule, dict):
        raise UserError(f"{where}: must have metrics, such as {{test/spearman: max}}")
    for key in rule:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}{suggest(str(key), known)}")
    metrics = rule.get("metrics")
    if not isinstance(metrics, dict) or not metrics or any(v not in ("max", "min") for v in metrics.values()):
        raise UserError(f"{where}: metrics must map names of metrics to max or min")
    ties, magnitude, floor = rule.get("ties", []), rule.get("magnitude", []), rule.get("floor", "")
    for key, names in (("ties", ties), ("magnitude", magnitude)):
        if not isinstance(names, list) or not all(isinstance(metric, str) for metric in names):
            raise UserError(f"{where}: {key} must be a list of names of metrics")
    for metric in (*metrics, *ties, *magnitude, *([floor] if floor else [])):
        if not isinstance(metric, str) or "/" not in metric:
            raise UserError(f"{where}: {metric!r} is no metric; `nrtune trials DIR --format csv` lists them")
    if not set(magnitude) <= set(metrics):
        raise UserError(f"{where}: magnitude names metrics of the use case")
    if floor and not any(kind in floor.split("/") for kind in ("spearman", "pearson")):
        raise UserError(f"{where}: floor {floor!r} is no correlation, of which large is good, such as test/spearman")
    title = str(rule.get("title", name))
    return UseCase(title=title, metrics=metrics, ties=tuple(ties), magnitude=frozenset(magnitude), floor=floor)


def asked_of(trials: pd.DataFrame, use_cases: Mapping[str, UseCase]) -> dict[str, UseCase]:
    """The use cases but the optional ones of which these trials have no metric."""
    optional = set(USE_CASES) - set(_ALWAYS)
    return {name: rule for name, rule in use_cases.items() if name not in optional or set(rule.metrics) <= set(trials)}


def fitted(rule: UseCase, trials: pd.DataFrame) -> UseCase:
    """A use case as these trials can answer it: of what none of them has, by what it was called for before."""
    instead = {name: old for name, old in _BEFORE.items() if name not in trials and old in trials}
    if not instead.keys() & rule.metrics.keys():
        return rule
    return dataclasses.replace(
        rule,
        metrics={instead.get(name, name): direction for name, direction in rule.metrics.items()},
        magnitude=frozenset(instead.get(name, name) for name in rule.magnitude),
    )
