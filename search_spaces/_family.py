"""The shape of a family: flat parameter names of TrialConfig, with ranges, conditions and published values.

A name that begins with SWITCH is no parameter of a trial: it decides which others are asked for (a bottleneck or none).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

Value = str | int | float | bool | None

SWITCH = "@"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Parameter:
    """A searched parameter. It is asked for only where every name in `when` has one of the values listed for it."""

    name: str
    when: Mapping[str, tuple[Value, ...]] = dataclasses.field(default_factory=dict)

    def applies(self, chosen: Mapping[str, Value]) -> bool:
        """Whether the parameter is asked for, given what is fixed or chosen already."""
        return all(chosen.get(name) in values for name, values in self.when.items())


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Number(_Parameter):
    low: float
    high: float
    default: float
    log: bool = False

    def can_be(self, value: Value) -> bool:
        """Whether a value is searched."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclasses.dataclass(frozen=True, kw_only=True)
class Float(_Number):
    """A number in [low, high], on a logarithmic scale if `log`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Int(_Number):
    """A whole number in [low, high], on a logarithmic scale if `log`."""

    low: int
    high: int
    default: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice(_Parameter):
    """One of a few values."""

    values: tuple[Value, ...]
    default: Value

    def can_be(self, value: Value) -> bool:
        """Whether a value is searched."""
        return value in self.values

    def narrowed(self, values: Collection[Value]) -> Choice:
        """The choice among some of its values: the default is the first of them if it is not one itself."""
        left = tuple(value for value in self.values if value in values)
        return dataclasses.replace(self, values=left, default=self.default if self.default in left else left[0])


Parameter = Float | Int | Choice


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A configuration of the study: its name there, its seed, and the parameters that differ from the family's defaults."""

    name: str
    seed: int
    parameters: Mapping[str, Value] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reported:
    """What the study said of a family: how its runs ended, and the extreme of three metrics as (trial, value).

    cagi5_spearman: the highest over all variants of the challenge part. test_spearman: the highest. noise_corr: the
    lowest. None where no run of the family has it.
    """

    completed: int = 0
    crashed: int = 0
    timed_out: int = 0
    cagi5_spearman: tuple[str, float] | None = None
    test_spearman: tuple[str, float] | None = None
    noise_corr: tuple[str, float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """A method family.

    code: short name in the study. title: for people. fixed: flat parameters that all its trials share, unless the
    space asks for them. space: what a search varies, conditions after what they depend on. published: the study's
    configurations. reported: what it said of them.
    """

    code: str
    title: str
    fixed: Mapping[str, Value]
    space: tuple[Parameter, ...]
    published: tuple[Published, ...]
    reported: Reported | None = None

    def flat(self, asked: Mapping[str, Value]) -> dict[str, Value]:
        """The flat parameters of a trial: what is fixed, and the values of `complete` over it, without switches."""
        return {**self.fixed, **{name: value for name, value in asked.items() if not name.startswith(SWITCH)}}

    def override(self, parameters: Mapping[str, Value]) -> Family:
        """The family with some parameters fixed, which a search then leaves alone.

        A parameter that not every trial has narrows the choices to those under which there is one, and a switch that
        decides about nothing any more is dropped. The first trials are what is left of the published configurations,
        whose names say that they were changed; those that the choices no longer allow are left out.
        """
        needed = self._needed_by(parameters)
        left = [p for p in self.space if p.name not in parameters]
        space = tuple(p.narrowed(needed[p.name]) if isinstance(p, Choice) and p.name in needed else p for p in left)
        family = dataclasses.replace(self, fixed={**self.fixed, **parameters}, space=space).pruned(self.space)
        changed = []
        for published in self.published:
            before = self._asked(published.parameters)
            if all(before[name] in values for name, values in needed.items() if name in before):
                kept = family.kept(published.parameters)
                changed.append(dataclasses.replace(published, name=f"{published.name} (changed)", parameters=kept))
        return dataclasses.replace(family, published=tuple(changed))

    def varied(self, choices: Iterable[Choice]) -> Family:
        """The family with these choices, in place of what it searches of their names; its first trials have their defaults."""
        names = {choice.name: choice for choice in choices}
        fixed = {name: value for name, value in self.fixed.items() if name not in names}
        space = (*names.values(), *(parameter for parameter in self.space if parameter.name not in names))
        family = dataclasses.replace(self, fixed=fixed, space=space)
        published = [dataclasses.replace(p, parameters=family.kept(p.parameters)) for p in self.published]
        return dataclasses.replace(family, published=tuple(published))

    def pruned(self, before: Iterable[Parameter]) -> Family:
        """The family without what no trial is asked for, nor the values of switches whose dependants of before are all gone."""
        return dataclasses.replace(self, space=tuple(self._live_space(before)))

    def kept(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """Those of a configuration's parameters that are asked for, at values that are searched."""
        chosen, kept = dict(self.fixed), dict[str, Value]()
        for parameter in self.space:
            if parameter.applies(chosen):
                value = parameters.get(parameter.name, parameter.default)
                chosen[parameter.name] = value if parameter.can_be(value) else parameter.default
                if parameter.name in parameters and parameter.can_be(value):
                    kept[parameter.name] = value
        return kept

    def complete(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """Return a value for each parameter of the space that applies: the given one, else its default.

        Raises ValueError for a given parameter that is not in the space, or does not apply.
        """
        asked = self._asked(parameters)
        unknown = set(parameters) - set(asked)
        if unknown:
            raise ValueError(f"family {self.code} does not search {', '.join(sorted(unknown))}")
        return asked

    def searched(self) -> tuple[Parameter, ...]:
        """The parameters that some trial is asked for: conditions on what is fixed may rule others out."""
        found: list[Parameter] = []
        for parameter in self.space:
            if all(self._can_hold(name, values, found) for name, values in parameter.when.items()):
                found.append(parameter)
        return tuple(found)

    def described(self) -> dict[str, dict[str, Any]]:
        """What is fixed, and what is searched, by the parameters' names, as JSON: the same where two families propose alike."""
        found: dict[str, dict[str, Any]] = {"fixed": dict(self.fixed)}
        for parameter in self.space:
            fields = {field.name: getattr(parameter, field.name) for field in dataclasses.fields(parameter)}
            name, when = fields.pop("name"), fields.pop("when")
            del fields["default"]
            said = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
            if when:
                said["when"] = {of: list(values) for of, values in when.items()}
            found[name] = {**said, "or": found[name]} if name in found else said
        return found

    def representatives(self) -> list[dict[str, Value]]:
        """Values that show each choice of the space at least once, the published ones among them."""
        found = [self.complete({}), *(values for _, values in self.starting_points())]
        for parameter in self.searched():
            for value in parameter.values if isinstance(parameter, Choice) else ():
                found.append(self.complete({**self.given_for(parameter), parameter.name: value}))
        return found

    def given_for(self, parameter: Parameter) -> dict[str, Value]:
        """Values of the other parameters under which this one is asked for."""
        given: dict[str, Value] = {}
        for name, values in parameter.when.items():
            if (condition := next(iter(self._named(name)), None)) is not None:
                given |= self.given_for(condition) | {name: next(v for v in values if condition.can_be(v))}
        return given

    def starting_points(self) -> list[tuple[str, dict[str, Value]]]:
        """The published configurations as (name, values), each set of values once: replicates differ in seed alone."""
        points: list[tuple[str, dict[str, Value]]] = []
        for published in self.published:
            values = self.complete(published.parameters)
            if all(values != known for _, known in points):
                points.append((published.name, values))
        return points

    def _asked(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """A value for each parameter of the space that applies."""
        chosen = dict(self.fixed)
        asked: dict[str, Value] = {}
        for parameter in self.space:
            if parameter.applies(chosen):
                asked[parameter.name] = parameters.get(parameter.name, parameter.default)
                chosen[parameter.name] = asked[parameter.name]
        return asked

    def _named(self, name: str) -> list[Parameter]:
        """The parameters of this name: it may stand several times, under conditions that exclude each other."""
        return [parameter for parameter in self.space if parameter.name == name]

    def _can_hold(self, name: str, values: Iterable[Value], asked: Iterable[Parameter]) -> bool:
        """Whether a name can have one of these values, being fixed or one of the parameters asked for."""
        return any(self.fixed.get(name) == v or any(p.name == name and p.can_be(v) for p in asked) for v in values)

    def _conditions(self, parameter: Parameter) -> dict[str, tuple[Value, ...]]:
        """Values of other parameters under which this one is asked for; what a switch depends on stands for it."""
        conditions: dict[str, tuple[Value, ...]] = {}
        for name, values in parameter.when.items():
            conditions |= {} if name.startswith(SWITCH) else {name: values}
            for condition in self._named(name)[:1]:
                conditions |= self._conditions(condition)
        return conditions

    def _needed_by(self, names: Collection[str]) -> dict[str, list[Value]]:
        """The values of choices under which each of these parameters is asked for.

        Left out are choices without such a value: building the trial says what does not fit together.
        """
        needed: dict[str, list[Value]] = {p.name: list(p.values) for p in self.space if isinstance(p, Choice)}
        before = {name: list(values) for name, values in needed.items()}
        for fixed in names:
            ways = [self._conditions(parameter) for parameter in self._named(fixed)]
            for name in set(needed) - set(names):
                if ways and all(name in way for way in ways):
                    needed[name] = [v for v in needed[name] if any(v in way[name] for way in ways)]
        return {name: values for name, values in needed.items() if values and values != before[name]}

    def _live_space(self, before: Iterable[Parameter]) -> Iterator[Parameter]:
        """What some trial is asked for, without the values of switches whose dependants of before are all gone."""
        live = self.searched()
        for parameter in live:
            if not (parameter.name.startswith(SWITCH) and isinstance(parameter, Choice)):
                yield parameter
                continue
            had, has = ({v for p in space for v in p.when.get(parameter.name, ())} for space in (before, live))
            if has:
                yield parameter.narrowed([v for v in parameter.values if v in has or v not in had])
