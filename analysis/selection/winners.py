"""Use cases: which metric answers which question, and which trial is best at it.

A trial is selected by a metric that may be looked at (validation, CAGI5 release) and reported by one that may not
(test, CAGI5 challenge): see `UseCase.selection`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml

from nrtune.analysis.store.records import FINISHED, SCORED
from nrtune.trainables.core.errors import UserError, one_line, suggest
from nrtune.trainables.data.benchmarks import BENCHMARKS, reported_prefix

SELECT_ON = ("release", "val", "challenge")
"""What a winner is selected on: the CAGI5 release part, validation alone, or (the study's protocol) what is reported."""

BASELINE = "baseline"

ENOUGH = 2
"""A configuration with so many finished replicates is judged by their mean."""

V = TypeVar("V")


@dataclasses.dataclass(frozen=True, kw_only=True)
class UseCase:
    """A question put to the trials: the reported metrics, their direction, and what breaks a tie.

    With several metrics a trial's value is its mean percentile rank over them, 1 the best. `magnitude` names those of
    which only the size counts.
    """

    title: str
    metrics: Mapping[str, str]
    ties: tuple[str, ...] = ()
    magnitude: frozenset[str] = frozenset()

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
_TEST, _NOISE = "test/spearman", "noise/corr"

_ALWAYS: Mapping[str, UseCase] = {
    "overall": UseCase(title="CAGI5 Spearman, all variants", metrics={_OVERALL: "max"}, ties=(_PEARSON,)),
    "pearson": UseCase(title="CAGI5 Pearson, all variants", metrics={_PEARSON: "max"}, ties=(_OVERALL,)),
    "high_confidence": UseCase(title="CAGI5 Spearman, high confidence", metrics={_HIGH: "max"}, ties=(_OVERALL,)),
    "low_confidence": UseCase(title="CAGI5 Spearman, low confidence", metrics={_LOW: "max"}, ties=(_OVERALL,)),
    "noise_resistance": UseCase(title="Errors independent of noise", metrics={_NOISE: "min"}, ties=(_TEST,)),
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Winner:
    """The best trial of a use case.

    selected_by: its selection value. reported: each reported metric of the winner. baseline, baseline_reported: the
    baseline trial selected in the same way, None where there is none. candidates: how many trials it was picked from.
    without_metric: trials left out for want of a metric. twins: further names of the winner. replicates: the seeds that
    its values are means over, 0 for those of a single training. note: what a reader must know, or "".
    """

    use_case: str
    trial: str
    select_on: str
    selected_by: float
    reported: Mapping[str, float]
    baseline: str | None
    baseline_reported: Mapping[str, float]
    candidates: int
    without_metric: int
    twins: tuple[str, ...]
    replicates: int
    note: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """What a winner is picked from, a row a configuration, with its metrics or their means over replicates.

    scored: all that were trained to their end or scored all the same. complete: those that have the rule's metrics.
    candidates, baselines: what of the complete competes, and what it is compared to. note: as Winner's.
    """

    rule: UseCase
    scored: pd.DataFrame
    complete: pd.DataFrame
    candidates: pd.DataFrame
    baselines: pd.DataFrame
    note: str

    @property
    def compared(self) -> pd.DataFrame:
        """Candidates and baselines, in the order of the table."""
        return self.complete[self.complete.index.isin([*self.candidates.index, *self.baselines.index])]


def load_use_cases(path: Path) -> dict[str, UseCase]:
    """Read use cases from a YAML file: a name each, with `metrics` (name → max or min), and `title`, `ties`, `magnitude`.

    They come beside the known ones, and replace those of the same name. Raises UserError for a wrong file.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file of use cases") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: is not YAML ({one_line(error, 500)})") from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: must map names of use cases to their rules")
    return {**USE_CASES, **{str(name): _use_case(path, str(name), rule) for name, rule in content.items()}}


def _use_case(path: Path, name: str, rule: Any) -> UseCase:
    where = f"{path}: use case {name}"
    known = ("title", "metrics", "ties", "magnitude")
    if not isinstance(rule, dict):
        raise UserError(f"{where}: must have metrics, such as {{test/spearman: max}}")
    for key in rule:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}{suggest(str(key), known)}")
    metrics = rule.get("metrics")
    if not isinstance(metrics, dict) or not metrics or any(v not in ("max", "min") for v in metrics.values()):
        raise UserError(f"{where}: metrics must map names of metrics to max or min")
    ties, magnitude = rule.get("ties", []), rule.get("magnitude", [])
    for key, names in (("ties", ties), ("magnitude", magnitude)):
        if not isinstance(names, list) or not all(isinstance(metric, str) for metric in names):
            raise UserError(f"{where}: {key} must be a list of names of metrics")
    for metric in (*metrics, *ties, *magnitude):
        if not isinstance(metric, str) or "/" not in metric:
            raise UserError(f"{where}: {metric!r} is no metric; `nrtune trials DIR --format csv` lists them")
    if not set(magnitude) <= set(metrics):
        raise UserError(f"{where}: magnitude names metrics of the use case")
    title = str(rule.get("title", name))
    return UseCase(title=title, metrics=metrics, ties=tuple(ties), magnitude=frozenset(magnitude))


def asked_of(trials: pd.DataFrame, use_cases: Mapping[str, UseCase]) -> dict[str, UseCase]:
    """The use cases but the optional ones of which these trials have no metric."""
    optional = set(USE_CASES) - set(_ALWAYS)
    return {name: rule for name, rule in use_cases.items() if name not in optional or set(rule.metrics) <= set(trials)}


def find_winner(
    trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase] = USE_CASES
) -> Winner:
    """Pick the best trial of a use case from a table of trials (columns name, family, status, same_as and metrics).

    The baseline family is the reference, not a candidate, unless nothing else has finished. Where trials were replicated,
    those are the candidates, by their means over the replicates.

    Raises UserError for an unknown use case and where no finished trial has its metrics.
    """
    field = field_of(trials, use_case, select_on, use_cases)
    rule = field.rule
    value = selection_values(field.compared, rule, select_on)
    best = _ranked(field.candidates, value, rule, select_on).iloc[0]
    baseline = None if field.baselines.empty else _ranked(field.baselines, value, rule, select_on).iloc[0]
    same = trials[trials["same_as"] == best["name"]] if "same_as" in trials else trials.iloc[:0]
    return Winner(
        use_case=use_case,
        trial=str(best["name"]),
        select_on=select_on,
        selected_by=float(value.loc[field.compared["name"] == best["name"]].iloc[0]),
        reported={name: float(best[name]) for name in rule.metrics},
        baseline=None if baseline is None else str(baseline["name"]),
        baseline_reported={} if baseline is None else {name: float(baseline[name]) for name in rule.metrics},
        candidates=len(field.candidates),
        without_metric=len(field.scored) - len(field.complete),
        twins=tuple(map(str, same["name"])),
        replicates=int(best["replicates"]),
        note=field.note,
    )


def finalists(
    trials: pd.DataFrame, use_case: str, select_on: str, top: int, use_cases: Mapping[str, UseCase] = USE_CASES
) -> list[str]:
    """Names of the `top` best candidates of a use case, best first, each by its own training, replicated or not.

    Raises UserError where `find_winner` does.
    """
    own = trials[trials["replicate_of"].isna()] if "replicate_of" in trials else trials
    field = field_of(own, use_case, select_on, use_cases)
    value = selection_values(field.complete, field.rule, select_on)
    ranked = _ranked(field.candidates, value, field.rule, select_on)
    return [str(name) for name in ranked["name"].iloc[:top]]


def field_of(
    trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase] = USE_CASES
) -> Field:
    """What the winner of a use case is picked from. Raises UserError as `find_winner`."""
    if use_case not in use_cases:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, use_cases)}")
    rule = use_cases[use_case]
    scored = configurations(trials)
    needed = list(dict.fromkeys([*rule.selection(select_on), *rule.metrics]))
    complete = scored.dropna(subset=needed) if set(needed) <= set(scored) else scored.iloc[:0]
    if complete.empty:
        absent = next((name for name in needed if name not in scored or scored[name].isna().all()), needed[0])
        raise UserError(f"use case {use_case}: no finished trial has {absent}")
    is_baseline = complete["family"] == BASELINE
    candidates, baselines, note = complete[~is_baseline], complete[is_baseline], ""
    if candidates.empty:
        candidates, note = baselines, "only the baseline has finished"
    replicated = candidates[candidates["replicates"] >= ENOUGH]
    if not replicated.empty:
        candidates = replicated
        if (baselines["replicates"] >= ENOUGH).any():
            baselines = baselines[baselines["replicates"] >= ENOUGH]
    return Field(rule=rule, scored=scored, complete=complete, candidates=candidates, baselines=baselines, note=note)


def selection_values(trials: pd.DataFrame, rule: UseCase, select_on: str) -> pd.Series[float]:
    """Each trial's selection value: the metric itself, or the mean percentile rank over several."""
    if not rule.composite:
        return trials[rule.selection(select_on)[0]].astype(float)
    ranks = [column.rank(pct=True) for column in _oriented_metrics(trials, rule, select_on)]
    mean: pd.Series[float] = pd.concat(ranks, axis=1).mean(axis=1)
    return mean


def configurations(trials: pd.DataFrame) -> pd.DataFrame:
    """The scored trials, a row a configuration, with means over its replicates where there are enough of them.

    The column `replicates` counts them. Another name of a trial that is there is no second configuration.
    """
    scored = trials[trials["status"].isin([FINISHED, SCORED])]
    if "same_as" in scored:
        scored = scored[scored["same_as"].isna()]
    if "replicate_of" not in scored:
        return scored.assign(replicates=0)
    own, replicates = scored[scored["replicate_of"].isna()], scored[scored["replicate_of"].notna()]
    counts = replicates["replicate_of"].value_counts()
    own = own.assign(replicates=own["name"].map(counts).fillna(0).astype(int))
    metrics = [name for name in map(str, own.select_dtypes("number")) if "/" in name]
    means = replicates.groupby("replicate_of")[metrics].mean()
    enough = own["replicates"] >= ENOUGH
    if enough.any():
        own = own.copy()
        own.loc[enough, metrics] = means.loc[own.loc[enough, "name"]].to_numpy()
    return own


def _oriented_metrics(trials: pd.DataFrame, rule: UseCase, select_on: str) -> list[pd.Series[float]]:
    """The rule's selection metrics, each turned so that larger is better."""
    names = zip(rule.metrics, rule.selection(select_on), strict=True)
    return [rule.oriented(reported, trials[name].astype(float)) for reported, name in names]


def _ranked(trials: pd.DataFrame, value: pd.Series[float], rule: UseCase, select_on: str) -> pd.DataFrame:
    """The rows, best first; ties fall to the rule's other metrics on selection data, then to the earlier trial."""
    key = value.loc[trials.index] if rule.composite else _oriented_metrics(trials, rule, select_on)[0]
    order = pd.DataFrame({"key": key})
    for number, tie in enumerate(rule.ties):
        name = selection_metric(tie, select_on)
        order[f"tie{number}"] = trials[name] if name in trials else 0.0
    keys = [str(column) for column in order]
    return trials.loc[order.sort_values(keys, ascending=False, kind="stable").index]
