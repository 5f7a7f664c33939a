"""The shape of a family: flat parameter names of TrialConfig, with ranges, conditions and published values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

Value = str | int | float | bool | None


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
class Family:
    """A method family.

    code: short name in the study. title: for people. fixed: flat parameters that all its trials share. space: what a
    search varies, conditions after what they depend on. published: the study's configurations.
    """

    code: str
    title: str
    fixed: Mapping[str, Value]
    space: tuple[Parameter, ...]
    published: tuple[Published, ...]

    def complete(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """Return a value for each parameter of the space that applies: the given one, else its default.

        Raises ValueError for a given parameter that is not in the space, or does not apply.
        """
        chosen = dict(self.fixed)
        asked: dict[str, Value] = {}
        for parameter in self.space:
            if parameter.applies(chosen):
                asked[parameter.name] = parameters.get(parameter.name, parameter.default)
                chosen[parameter.name] = asked[parameter.name]
        unknown = set(parameters) - set(asked)
        if unknown:
            raise ValueError(f"family {self.code} does not search {', '.join(sorted(unknown))}")
        return asked

    def representatives(self) -> list[dict[str, Value]]:
        """Values that show each choice of the space at least once, the published ones among them."""
        found = [self.complete({}), *(values for _, values in self.starting_points())]
        for parameter in self.space:
            for value in parameter.values if isinstance(parameter, Choice) else ():
                given = {name: values[0] for name, values in parameter.when.items() if name not in self.fixed}
                found.append(self.complete({**given, parameter.name: value}))
        return found

    def starting_points(self) -> list[tuple[str, dict[str, Value]]]:
        """The published configurations as (name, values), each set of values once: replicates differ in seed alone."""
        points: list[tuple[str, dict[str, Value]]] = []
        for published in self.published:
            values = self.complete(published.parameters)
            if all(values != known for _, known in points):
                points.append((published.name, values))
        return points


OPTIMISER: tuple[Parameter, ...] = (
    Float(name="lr", low=5e-4, high=2e-2, default=0.005, log=True),
    Float(name="weight_decay", low=1e-4, high=0.1, default=0.01, log=True),
)
"""What every family searches of AdamW; the defaults are the study's."""

DREAM_RNN_DROPOUT = Float(name="encoder.dropout", low=0.1, high=0.7, default=0.5, when={"encoder": ("dream_rnn",)})
