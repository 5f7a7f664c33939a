"""What losses, samplers, encoders and heads share: frozen parameters, checked when they are built."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

from nrtune.trainables.core.errors import UserError, suggest

Value = str | int | float | bool | None

NONE = "none"
"""What a parameter is that is a text, where there is no such thing: no weights to start from, no layer to freeze."""


class Range(NamedTuple):
    """Where a search looks for a number: from `low` to `high`, both inclusive, on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False


def param(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    one_of: tuple[Value, ...] | None = None,
    searched: Range | tuple[Value, ...] | None = None,
    omitted_at_default: bool = False,
) -> Any:
    """A dataclass field with bounds: `low` and `high` are inclusive, `above` is exclusive; or with the values of `one_of`.

    searched: the range, or the values, that a search over this component proposes from; None for what it leaves alone.
    omitted_at_default: at its default it is no part of what a trial is, so that trials of before there was such a
    parameter keep their fingerprints.
    """
    metadata = {
        "low": low,
        "high": high,
        "above": above,
        "one_of": one_of,
        "searched": searched,
        "omitted_at_default": omitted_at_default,
    }
    return dataclasses.field(default=default, metadata=metadata)


def omitted(instance: Any) -> set[str]:
    """The names of a dataclass's fields that are no part of what a trial is: they have the default that was ever theirs."""
    return {
        field.name
        for field in dataclasses.fields(instance)
        if field.metadata.get("omitted_at_default") and getattr(instance, field.name) == field.default
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    """A frozen, checked set of parameters; its name is the name of the file that defines it."""

    kind: ClassVar[str] = "component"

    def __post_init__(self) -> None:
        """Check every parameter. Raises UserError."""
        check_fields(self, f"{self.kind} {self.name()}")

    @classmethod
    def name(cls) -> str:
        """The registered name."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        """Build from parameters by name. Raises UserError for an unknown one, with the nearest name."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in parameters:
            if key not in known:
                hint = suggest(key, known) if known else "; it has none"
                raise UserError(f"{cls.kind} {cls.name()} has no parameter {key!r}{hint}")
        return cls(**checked_values(cls, parameters, f"{cls.kind} {cls.name()}"))

    def parameters(self) -> dict[str, Value]:
        """Every parameter with its value, defaults included."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def check_fields(instance: Any, where: str) -> None:
    """Check the types and bounds of a frozen dataclass. Raises UserError."""
    values = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    for name, value in checked_values(type(instance), values, where).items():
        object.__setattr__(instance, name, value)


def checked_values(cls: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check values for fields of a dataclass, turning int to float and whole floats to int where declared so.

    Raises UserError for another type or a value out of bounds.
    """
    hints = typing.get_type_hints(cls)
    checked = dict(values)
    for field in dataclasses.fields(cls):
        declared = hints[field.name]
        if field.name not in values or declared not in (int, float, bool, str):
            continue
        value = _as_declared(values[field.name], declared)
        if value is None:
            raise UserError(f"{where}: {field.name} must be {_noun(declared)}, not {values[field.name]!r}")
        _check_bounds(value, field, where)
        checked[field.name] = value
    return checked


def _as_declared(value: Any, declared: type) -> Value:
    if declared is bool or declared is str:
        return value if isinstance(value, declared) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if declared is int:
        return int(value) if float(value).is_integer() else None
    return float(value) if math.isfinite(value) else None


def _noun(declared: type) -> str:
    return {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}[declared]


def _check_bounds(value: Any, field: dataclasses.Field[Any], where: str) -> None:
    low, high, above, one_of = (field.metadata.get(key) for key in ("low", "high", "above", "one_of"))
    if one_of is not None and value not in one_of:
        raise UserError(f"{where}: {field.name} must be {' or '.join(map(str, one_of))}, not {value!r}")
    if low is not None and value < low:
        raise UserError(f"{where}: {field.name} must be at least {low:g}, not {value!r}")
    if high is not None and value > high:
        raise UserError(f"{where}: {field.name} must be at most {high:g}, not {value!r}")
    if above is not None and value <= above:
        raise UserError(f"{where}: {field.name} must be above {above:g}, not {value!r}")
