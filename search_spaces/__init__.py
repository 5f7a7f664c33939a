"""Method families: what each fixes, what it searches, and the configurations that the study published. Data, no code."""

from __future__ import annotations

from search_spaces.family import SWITCH, Choice, Family, Float, Int, Parameter, Published, Reported, Value
from trainables.registry import ObjectRegistry

NOT_REGISTERED = ("common", "family")

FAMILIES: ObjectRegistry[Family] = ObjectRegistry("search_spaces", "family", Family)


def published_by_name() -> dict[str, tuple[str, Published]]:
    """Every published configuration by its name, with the name of its family."""
    return {published.name: (name, published) for name in FAMILIES for published in FAMILIES.get(name).published}


__all__ = [
    "FAMILIES",
    "SWITCH",
    "Choice",
    "Family",
    "Float",
    "Int",
    "Parameter",
    "Published",
    "Reported",
    "Value",
    "published_by_name",
]
