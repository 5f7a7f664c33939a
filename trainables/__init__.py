"""Noise-resistant sequence-to-expression models: data, training, scoring. Plain PyTorch, no cluster needed.

from trainables import TrialConfig, TrainingData, fit, preset, read_cagi5, read_dataset

data = TrainingData(read_dataset("lentiMPRA.h5"), read_cagi5("cagi5/"))
result = fit(TrialConfig.from_flat(preset("small")), data)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.config import TrialConfig as TrialConfig
    from trainables.config import preset as preset
    from trainables.data.cagi5 import read_cagi5 as read_cagi5
    from trainables.data.lentimpra import read_dataset as read_dataset
    from trainables.data.satmut import read_satmut as read_satmut
    from trainables.data.simulate import simulate as simulate
    from trainables.errors import UserError as UserError
    from trainables.inference import load_model as load_model
    from trainables.training import TrainingData as TrainingData
    from trainables.training import fit as fit

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
        raise AttributeError(f"module 'trainables' has no attribute {name!r}")
    return getattr(importlib.import_module(f"trainables.{_HOME[name]}"), name)
