"""Hyperparameter search for noise-resistant sequence-to-expression models: what most programs need of it.

Everything else may change. Nothing is imported before it is used: torch, Ray and MLflow come when something needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nrtune.analysis import USE_CASES as USE_CASES
    from nrtune.analysis import open_campaign as open_campaign
    from nrtune.trainables import TrainingData as TrainingData
    from nrtune.trainables import TrialConfig as TrialConfig
    from nrtune.trainables import UserError as UserError
    from nrtune.trainables import fit as fit
    from nrtune.trainables import load_model as load_model
    from nrtune.trainables import preset as preset
    from nrtune.trainables import read_cagi5 as read_cagi5
    from nrtune.trainables import read_dataset as read_dataset
    from nrtune.trainables import read_satmut as read_satmut
    from nrtune.trainables import simulate as simulate

_HOME = {name: "analysis" for name in ("USE_CASES", "open_campaign")} | {
    name: "trainables"
    for name in ("TrainingData", "TrialConfig", "UserError", "fit", "load_model", "preset", "read_cagi5",
                 "read_dataset", "read_satmut", "simulate")
}  # fmt: skip

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nrtune' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nrtune.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
