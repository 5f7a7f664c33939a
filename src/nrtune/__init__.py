"""Hyperparameter search for noise-resistant sequence-to-expression models: the public names, and what plug-ins are made of.

Everything else may change. Nothing is imported before it is used: torch, Ray and MLflow come when something needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nrtune.analysis.campaign import Best as Best
    from nrtune.analysis.campaign import Campaign as Campaign
    from nrtune.analysis.campaign import open_campaign as open_campaign
    from nrtune.analysis.selection.use_cases import USE_CASES as USE_CASES
    from nrtune.analysis.selection.use_cases import UseCase as UseCase
    from nrtune.orchestrator.api import replicate as replicate
    from nrtune.orchestrator.api import search as search
    from nrtune.orchestrator.api import study as study
    from nrtune.orchestrator.lifecycle.rules import Rule as Rule
    from nrtune.orchestrator.state.settings import ReplicateSettings as ReplicateSettings
    from nrtune.orchestrator.state.settings import Settings as Settings
    from nrtune.orchestrator.state.settings import StudySettings as StudySettings
    from nrtune.orchestrator.tracking.tracker import Tracker as Tracker
    from nrtune.search_spaces import COMMON as COMMON
    from nrtune.search_spaces import Choice as Choice
    from nrtune.search_spaces import Family as Family
    from nrtune.search_spaces import Float as Float
    from nrtune.search_spaces import Int as Int
    from nrtune.search_spaces import Published as Published
    from nrtune.trainables.core.component import Range as Range
    from nrtune.trainables.core.component import param as param
    from nrtune.trainables.core.errors import UserError as UserError
    from nrtune.trainables.data.benchmarks import Benchmark as Benchmark
    from nrtune.trainables.data.benchmarks import VariantSet as VariantSet
    from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5 as read_cagi5
    from nrtune.trainables.data.benchmarks.satmut import read_satmut as read_satmut
    from nrtune.trainables.data.benchmarks.table import read_table as read_table
    from nrtune.trainables.data.dataset import Dataset as Dataset
    from nrtune.trainables.data.lentimpra import read_dataset as read_dataset
    from nrtune.trainables.data.simulate import simulate as simulate
    from nrtune.trainables.encoders import Encoded as Encoded
    from nrtune.trainables.encoders import Encoder as Encoder
    from nrtune.trainables.encoders import EncoderModule as EncoderModule
    from nrtune.trainables.encoders import LearningRate as LearningRate
    from nrtune.trainables.inference import load_model as load_model
    from nrtune.trainables.losses import Loss as Loss
    from nrtune.trainables.samplers import Sampler as Sampler
    from nrtune.trainables.training.config import TrialConfig as TrialConfig
    from nrtune.trainables.training.config import preset as preset
    from nrtune.trainables.training.fit import fit as fit
    from nrtune.trainables.training.training_data import TrainingData as TrainingData
    from nrtune.trainables.training.warm_start import WarmStart as WarmStart
    from nrtune.trainables.training.warm_start import read_warm_start as read_warm_start

_MODULE_OF = {
    "Benchmark": "trainables.data.benchmarks",
    "Best": "analysis.campaign",
    "COMMON": "search_spaces",
    "Campaign": "analysis.campaign",
    "Choice": "search_spaces",
    "Dataset": "trainables.data.dataset",
    "Encoded": "trainables.encoders",
    "Encoder": "trainables.encoders",
    "EncoderModule": "trainables.encoders",
    "Family": "search_spaces",
    "Float": "search_spaces",
    "Int": "search_spaces",
    "LearningRate": "trainables.encoders",
    "Loss": "trainables.losses",
    "Published": "search_spaces",
    "Range": "trainables.core.component",
    "ReplicateSettings": "orchestrator.state.settings",
    "Rule": "orchestrator.lifecycle.rules",
    "Sampler": "trainables.samplers",
    "Settings": "orchestrator.state.settings",
    "StudySettings": "orchestrator.state.settings",
    "Tracker": "orchestrator.tracking.tracker",
    "TrainingData": "trainables.training.training_data",
    "TrialConfig": "trainables.training.config",
    "USE_CASES": "analysis.selection.use_cases",
    "UseCase": "analysis.selection.use_cases",
    "UserError": "trainables.core.errors",
    "VariantSet": "trainables.data.benchmarks",
    "WarmStart": "trainables.training.warm_start",
    "fit": "trainables.training.fit",
    "load_model": "trainables.inference",
    "open_campaign": "analysis.campaign",
    "param": "trainables.core.component",
    "preset": "trainables.training.config",
    "read_cagi5": "trainables.data.benchmarks.cagi5",
    "read_dataset": "trainables.data.lentimpra",
    "read_satmut": "trainables.data.benchmarks.satmut",
    "read_table": "trainables.data.benchmarks.table",
    "read_warm_start": "trainables.training.warm_start",
    "replicate": "orchestrator.api",
    "search": "orchestrator.api",
    "simulate": "trainables.data.simulate",
    "study": "orchestrator.api",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nrtune' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nrtune.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
