"""The shape of a family: flat parameter names of TrialConfig, with ranges, conditions and published values.

A name that begins with SWITCH is no parameter of a trial: it decides which others are asked for (a bottleneck or none).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

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
class Float(_Parameter):
    """A number in [low, high], on a logarithmic scale if `log`."""

    low: float
    high: float
    default: float
    log: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Int(_Parameter):
    """A whole number in [low, high], on a logarithmic scale if `log`."""

    low: int
    high: int
    default: int
    log: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice(_Parameter):
    """One of a few values."""

    values: tuple[Value, ...]
    default: Value


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

        Its first trials are what is left of the published configurations, whose names say that they were changed.
        """
        space = tuple(parameter for parameter in self.space if parameter.name not in parameters)
        family = dataclasses.replace(self, fixed={**self.fixed, **parameters}, space=space)
        changed = []
        for published in self.published:
            asked = family._asked(published.parameters)
            left = {name: value for name, value in published.parameters.items() if name in asked}
            changed.append(dataclasses.replace(published, name=f"{published.name} (changed)", parameters=left))
        return dataclasses.replace(family, published=tuple(changed))

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
        names = {parameter.name for parameter in self.space}
        return tuple(
            parameter
            for parameter in self.space
            if all(name in names or self.fixed.get(name) in values for name, values in parameter.when.items())
        )

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
            if (condition := next((p for p in self.space if p.name == name), None)) is not None:
                given |= self.given_for(condition) | {name: values[0]}
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
