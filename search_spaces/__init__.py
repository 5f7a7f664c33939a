"""Method families: what each fixes, what it searches, and the configurations that the study published. Data, no code."""

from __future__ import annotations

from search_spaces.family import Choice, Family, Float, Int, Published
from trainables.registry import ObjectRegistry

NOT_REGISTERED = ("family",)

FAMILIES: ObjectRegistry[Family] = ObjectRegistry("search_spaces", "family", Family)

__all__ = ["FAMILIES", "Choice", "Family", "Float", "Int", "Published"]
