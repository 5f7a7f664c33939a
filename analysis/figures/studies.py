"""A family's trials as an Optuna study in memory, with the parameters that its trials were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nrtune.analysis.figures.data import FigureData
from nrtune.search_spaces import FAMILIES, SWITCH, Choice, Float, Int, Parameter


def study_of(data: FigureData, family: str, metric: str) -> optuna.Study | None:
    """The family's scored trials with a metric as its objective; None where no parameter varies among them."""
    rows = data.having(data.of([family]), metric)
    searched = {p.name: p for p in FAMILIES.get(family).searched()} if family in FAMILIES else {}
    distributions: dict[str, BaseDistribution] = {}
    for name, parameter in searched.items():
        if name in rows and not name.startswith(SWITCH):
            seen = [row[name] for _, row in rows.iterrows() if _asked(parameter, row)]
            if len(set(seen)) > 1:
                distributions[name] = _distribution(parameter, seen)
    if not distributions:
        return None
    with _quiet():
        study = optuna.create_study(direction="maximize", study_name=family)
    for _, row in rows.iterrows():
        names = [name for name in distributions if _asked(searched[name], row)]
        params = {name: _plain(searched[name], row[name]) for name in names}
        chosen = {name: distributions[name] for name in names}
        study.add_trial(optuna.create_trial(params=params, distributions=chosen, value=float(row[metric])))
    return study


def is_log(name: str) -> bool:
    """Whether a parameter is searched on a logarithmic scale."""
    found = [p for family in FAMILIES for p in FAMILIES.get(family).space if p.name == name]
    return any(isinstance(p, Float | Int) and p.log for p in found)


def _asked(parameter: Parameter, row: pd.Series[Any]) -> bool:
    """Whether a trial was asked for the parameter; switches, which no table has, are taken to be on."""
    value = row[parameter.name]
    if value is None or value != value:
        return False
    if isinstance(parameter, Float | Int) and parameter.log and not value > 0:
        return False
    when = {name: values for name, values in parameter.when.items() if not name.startswith(SWITCH)}
    return all(row.get(name) in values for name, values in when.items())


def _plain(parameter: Parameter, value: Any) -> Any:
    """A table's value as Optuna takes it: a column with gaps holds whole numbers as floats."""
    if isinstance(parameter, Choice):
        return next((known for known in parameter.values if known == value), value)
    return float(value) if isinstance(parameter, Float) else int(value)


def _distribution(parameter: Parameter, seen: list[Any]) -> BaseDistribution:
    """The family's range, widened to what was seen."""
    match parameter:
        case Choice():
            return CategoricalDistribution([*dict.fromkeys([*parameter.values, *(_plain(parameter, v) for v in seen)])])
        case Float():
            low, high = min(parameter.low, *map(float, seen)), max(parameter.high, *map(float, seen))
            return FloatDistribution(low, high, log=parameter.log)
        case Int():
            return IntDistribution(
                min(parameter.low, *map(int, seen)), max(parameter.high, *map(int, seen)), log=parameter.log
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line on every study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
