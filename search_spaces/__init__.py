"""Method families: what each fixes, what it searches, and the configurations that the study published. Data, no code."""

from __future__ import annotations

from collections.abc import Mapping

from nrtune.search_spaces._common import COMMON
from nrtune.search_spaces._encoders import (
    EncoderSpace,
    encoders_of,
    first_on_each_encoder,
    keeps_encoder,
    on_encoders,
    with_parameters,
)
from nrtune.search_spaces._family import SWITCH, Choice, Family, Float, Int, Parameter, Published, Reported, Value
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import ObjectRegistry

FAMILIES: ObjectRegistry[Family] = ObjectRegistry("nrtune.search_spaces", "family", Family)


def published_by_name() -> dict[str, tuple[str, Published]]:
    """Every published configuration by its name, with the name of its family.

    Raises UserError where two families publish one name, as a copy of a family does.
    """
    found: dict[str, tuple[str, Published]] = {}
    for name in FAMILIES:
        for published in FAMILIES.get(name).published:
            if published.name in found:
                raise UserError(
                    f"families {found[published.name][0]} and {name} both publish {published.name}; rename it in one"
                )
            found[published.name] = (name, published)
    return found


def names_by_word() -> dict[str, list[str]]:
    """What a word can stand for: a published name, its short form (RS3), its family or the family's code.

    Raises UserError where that is ambiguous because two families publish one name or have one code.
    """
    check_codes({name: FAMILIES.get(name) for name in FAMILIES})
    meanings: dict[str, list[str]] = {}
    for name, (family, _) in published_by_name().items():
        for word in dict.fromkeys((name, short_form(name), family, FAMILIES.get(family).code)):
            meanings.setdefault(word, []).append(name)
    return meanings


def short_form(name: str) -> str:
    """RS3 of RS3_bilstm_rs."""
    return name.partition("_")[0]


def check_codes(families: Mapping[str, Family]) -> None:
    """Raise UserError for two families of one code: their trials would have the same names."""
    seen: dict[str, str] = {}
    for name, family in families.items():
        if seen.setdefault(family.code, name) != name:
            raise UserError(f"families {seen[family.code]} and {name} both have the code {family.code!r}; change one")


__all__ = [
    "COMMON",
    "FAMILIES",
    "SWITCH",
    "Choice",
    "EncoderSpace",
    "Family",
    "Float",
    "Int",
    "Parameter",
    "Published",
    "Reported",
    "Value",
    "check_codes",
    "encoders_of",
    "first_on_each_encoder",
    "keeps_encoder",
    "names_by_word",
    "on_encoders",
    "published_by_name",
    "short_form",
    "with_parameters",
]
