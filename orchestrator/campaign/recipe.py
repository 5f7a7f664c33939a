"""What all trials of a campaign have: a preset's sizes, a budget, a precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nrtune.orchestrator.state.settings import RunSettings
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.training.config import PRESETS, TrialConfig, preset
from nrtune.trainables.training.training_data import TrainingData

DEFAULT_ENCODER = "dream_rnn"


class Recipe(NamedTuple):
    """A preset, epochs of every trial, and the precision of their training."""

    preset: str
    epochs: int
    precision: str

    def config(self, parameters: Mapping[str, Any], seed: int) -> TrialConfig:
        """The trial of a family's parameters. Raises UserError where it can't be built."""
        flat = {**preset(self.preset, str(parameters.get("encoder", DEFAULT_ENCODER))), **parameters}
        flat |= {"epochs": self.epochs, "seed": seed, "precision": self.precision}
        return TrialConfig.from_flat(flat)

    def config_of(self, family: str, parameters: Mapping[str, Any], seed: int) -> TrialConfig:
        """The same; what is wrong names the family."""
        try:
            return self.config(parameters, seed)
        except UserError as error:
            raise UserError(f"family {family}: {error}") from error


def recipe_of(settings: RunSettings) -> Recipe:
    """What the settings say. Raises UserError for an unknown preset."""
    if settings.preset not in PRESETS:
        raise UserError(f"unknown preset {settings.preset!r}{suggest(settings.preset, PRESETS)}")
    usual = settings.epochs_of.get(settings.preset) or PRESETS[settings.preset]["epochs"]
    epochs = int(settings.epochs or usual or 1)
    return Recipe(settings.preset, epochs, settings.precision)


def check_noise(data: TrainingData, family: str, config: TrialConfig) -> None:
    """See whether the data have what a family's trial needs. Raises UserError."""
    try:
        data.check_noise(config)
    except UserError as error:
        raise UserError(
            f"{error}; leave that out (family {family}), or give data with a replicate standard deviation"
        ) from error
