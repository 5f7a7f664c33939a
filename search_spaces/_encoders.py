"""A family on encoders: each brings what a search varies of it, and the learning rates at which it trains."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

from nrtune.search_spaces._common import LR, STUDY_ENCODER
from nrtune.search_spaces._family import Choice, Family, Float, Parameter, Published, Value

ENCODER = "encoder"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderSpace:
    """An encoder as a search has it: what it varies of it (`encoder.…`), and of the learning rate; None: as the study did."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    lr: Float | None = None


def encoders_of(family: Family) -> tuple[str, ...]:
    """The encoders that a family's trials can have, the default first."""
    choice = _choice(family)
    if choice is None:
        return (str(family.fixed.get(ENCODER, STUDY_ENCODER)),)
    return tuple(map(str, dict.fromkeys([choice.default, *choice.values])))


def keeps_encoder(family: Family) -> bool:
    """Whether a family is about encoders of its own: no trial of it has the study's."""
    return STUDY_ENCODER not in encoders_of(family)


def with_parameters(family: Family, encoders: Sequence[EncoderSpace]) -> Family:
    """The family as it is, with what is searched of its own encoders."""
    return dataclasses.replace(family, space=(*_at_learning_rates(family, encoders), *_own(family, encoders)))


def on_encoders(family: Family, encoders: Sequence[EncoderSpace]) -> Family:
    """The family on these encoders, whichever the study had it on.

    A published configuration whose encoder is not among them is put on one of them, with all that is not its own
    encoder's, and so is the first one on each encoder that had none; their names say so. What is the same then is one.
    """
    names = tuple(encoder.name for encoder in encoders)
    space: list[Parameter] = [*_at_learning_rates(family, encoders), *_own(family, encoders)]
    # Where the family chose it, else first: conditions come after what they depend on.
    place = next((at for at, parameter in enumerate(space) if parameter.name == ENCODER), 0)
    space = [parameter for parameter in space if parameter.name != ENCODER]
    fixed = {name: value for name, value in family.fixed.items() if name != ENCODER}
    if len(names) > 1:
        space.insert(place, Choice(name=ENCODER, values=names, default=names[0]))
    else:
        fixed[ENCODER] = names[0]
    opened = dataclasses.replace(family, fixed=fixed, space=tuple(space)).pruned(space)
    return dataclasses.replace(opened, published=tuple(_placed(family, opened, names)))


def first_on_each_encoder(family: Family) -> Family:
    """The family with one starting point an encoder: the first of its published configurations that has it."""
    firsts: dict[Value, Published] = {}
    for published in family.published:
        firsts.setdefault(published.parameters.get(ENCODER, encoders_of(family)[0]), published)
    return dataclasses.replace(family, published=tuple(firsts.values()))


def _choice(family: Family) -> Choice | None:
    return next((p for p in family.space if p.name == ENCODER and isinstance(p, Choice)), None)


def _own(family: Family, encoders: Sequence[EncoderSpace]) -> Iterator[Parameter]:
    """What is searched of each encoder, where a trial has it; a family may say that of a parameter itself."""
    said = {parameter.name for parameter in family.space}
    for encoder in encoders:
        for parameter in encoder.parameters:
            if parameter.name not in said:
                yield dataclasses.replace(parameter, when={ENCODER: (encoder.name,), **parameter.when})


def _at_learning_rates(family: Family, encoders: Sequence[EncoderSpace]) -> Iterator[Parameter]:
    """The family's space, the learning rate that families share replaced by that of each encoder."""
    ranges: list[tuple[Float, list[str]]] = []
    for encoder in encoders:
        lr = encoder.lr or LR
        known = next((names for known, names in ranges if known == lr), None)
        if known is None:
            ranges.append((lr, [encoder.name]))
        else:
            known.append(encoder.name)
    for parameter in family.space:
        if dataclasses.replace(parameter, when=LR.when) != LR:
            yield parameter
            continue
        for lr, names in ranges:
            only = {ENCODER: tuple(names)} if len(ranges) > 1 else {}
            yield dataclasses.replace(lr, when={**only, **parameter.when})


def _placed(family: Family, opened: Family, names: Sequence[str]) -> Iterator[Published]:
    """The published configurations, each on an encoder that the opened family has."""
    points: Counter[str] = Counter()
    elsewhere: list[Published] = []
    for published in family.published:
        encoder = str(published.parameters.get(ENCODER, encoders_of(family)[0]))
        if encoder in names:
            points[encoder] += 1
            yield dataclasses.replace(published, parameters=_on(opened, published, encoder))
        else:
            elsewhere.append(published)
    seen: list[dict[str, Value]] = []
    for published in elsewhere:
        encoder = min(names, key=lambda name: points[name])
        bare = {name: value for name, value in _on(opened, published, encoder).items() if name != ENCODER}
        if bare not in seen:
            seen.append(bare)
            points[encoder] += 1
            yield _moved(opened, published, encoder)
    for encoder in names:
        if not points[encoder] and family.published:
            yield _moved(opened, family.published[0], encoder)


def _moved(opened: Family, published: Published, encoder: str) -> Published:
    name = f"{published.name} (on {encoder})"
    return dataclasses.replace(published, name=name, parameters=_on(opened, published, encoder))


def _on(opened: Family, published: Published, encoder: str) -> dict[str, Value]:
    """What an opened family asks for of a published configuration's parameters on an encoder."""
    return opened.kept({**published.parameters, ENCODER: encoder})
