"""Noise-resistant sequence-to-expression models: data, training, scoring. Plain PyTorch, no cluster needed.

from nrtune import TrialConfig, TrainingData, fit, preset, read_cagi5, read_dataset

data = TrainingData(read_dataset("lentiMPRA.h5"), read_cagi5("cagi5/"))
result = fit(TrialConfig.from_flat(preset("small")), data)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nrtune.trainables.config import TrialConfig as TrialConfig
    from nrtune.trainables.config import preset as preset
    from nrtune.trainables.data.cagi5 import read_cagi5 as read_cagi5
    from nrtune.trainables.data.lentimpra import read_dataset as read_dataset
    from nrtune.trainables.data.satmut import read_satmut as read_satmut
    from nrtune.trainables.data.simulate import simulate as simulate
    from nrtune.trainables.errors import UserError as UserError
    from nrtune.trainables.inference import load_model as load_model
    from nrtune.trainables.training import TrainingData as TrainingData
    from nrtune.trainables.training import fit as fit

# Loaded on first use: importing a package costs nothing, torch comes when something needs it.
_HOME = {
    "TrainingData": "training",
    "TrialConfig": "config",
    "UserError": "errors",
    "fit": "training",
    "load_model": "inference",
    "preset": "config",
    "read_cagi5": "data.cagi5",
    "read_satmut": "data.satmut",
    "read_dataset": "data.lentimpra",
    "simulate": "data.simulate",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nrtune.trainables' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nrtune.trainables.{_HOME[name]}"), name)
