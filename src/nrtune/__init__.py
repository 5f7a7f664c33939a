"""Hyperparameter search for noise-resistant sequence-to-expression models: what most programs need of it.

Everything else may change. Nothing is imported before it is used: torch, Ray and MLflow come when something needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nrtune.analysis.selection.winners import USE_CASES as USE_CASES
    from nrtune.analysis.sources.open import open_campaign as open_campaign
    from nrtune.trainables.core.errors import UserError as UserError
    from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5 as read_cagi5
    from nrtune.trainables.data.benchmarks.satmut import read_satmut as read_satmut
    from nrtune.trainables.data.lentimpra import read_dataset as read_dataset
    from nrtune.trainables.data.simulate import simulate as simulate
    from nrtune.trainables.inference import load_model as load_model
    from nrtune.trainables.training.config import TrialConfig as TrialConfig
    from nrtune.trainables.training.config import preset as preset
    from nrtune.trainables.training.loop import TrainingData as TrainingData
    from nrtune.trainables.training.loop import fit as fit

_MODULE_OF = {
    "TrainingData": "trainables.training.loop",
    "TrialConfig": "trainables.training.config",
    "USE_CASES": "analysis.selection.winners",
    "UserError": "trainables.core.errors",
    "fit": "trainables.training.loop",
    "load_model": "trainables.inference",
    "open_campaign": "analysis.sources.open",
    "preset": "trainables.training.config",
    "read_cagi5": "trainables.data.benchmarks.cagi5",
    "read_dataset": "trainables.data.lentimpra",
    "read_satmut": "trainables.data.benchmarks.satmut",
    "simulate": "trainables.data.simulate",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nrtune' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nrtune.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
