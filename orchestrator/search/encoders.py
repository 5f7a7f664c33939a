"""What a search varies of each registered encoder, as its own file says."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

from nrtune.search_spaces import Choice, EncoderSpace, Float, Int, Parameter, Value
from nrtune.trainables.core.component import Range
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import ENCODERS, Encoder


def encoder_space(name: str, preset: str) -> EncoderSpace:
    """An encoder with what its file declares as `searched`; the defaults are the preset's.

    Raises UserError for an unknown encoder, and for a range that goes beyond the parameter's bounds or lacks its default.
    """
    encoder = ENCODERS.get(name)
    sizes = encoder.presets.get(preset, {})
    kinds = typing.get_type_hints(encoder)
    parameters = [
        _parameter(encoder, field, kinds[field.name], sizes)
        for field in dataclasses.fields(encoder)
        if field.metadata.get("searched") is not None
    ]
    lr = None if encoder.lr is None else Float(name="lr", default=encoder.lr.default, **encoder.lr.searched._asdict())
    return EncoderSpace(name=name, parameters=tuple(parameters), lr=lr)


def _parameter(
    encoder: type[Encoder], field: dataclasses.Field[typing.Any], kind: type, sizes: Mapping[str, Value]
) -> Parameter:
    """A field as a search has it. The whole encoder is built at the ends: what can't be is said before anything is trained."""
    searched: Range | tuple[Value, ...] = field.metadata["searched"]
    default: typing.Any = sizes.get(field.name, field.default)
    found: Parameter
    if isinstance(searched, Range):
        number = Int if kind is int else Float
        found = number(name=f"encoder.{field.name}", default=default, **searched._asdict())
        ends: tuple[Value, ...] = (searched.low, searched.high)
    else:
        found = Choice(name=f"encoder.{field.name}", values=tuple(searched), default=default)
        ends = searched
    for value in ends:
        encoder.build({**sizes, field.name: value})
    if not found.can_be(default):
        extent = (
            f"{searched.low:g} to {searched.high:g}" if isinstance(searched, Range) else ", ".join(map(str, searched))
        )
        raise UserError(
            f"encoder {encoder.name()}: its default {field.name} {default} is not among what is searched ({extent})"
        )
    return found
