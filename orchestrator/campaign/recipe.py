"""What all trials of a campaign have: a preset's sizes, a budget, a precision, and how they are trained and predict."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.orchestrator.campaign.warm_start import start_of
from nrtune.orchestrator.state.recipes import RECIPES
from nrtune.orchestrator.state.settings import RunSettings, Settings
from nrtune.trainables.core.component import NONE, Value
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.training.config import PRESETS, TrialConfig, preset
from nrtune.trainables.training.training_data import TrainingData
from nrtune.trainables.training.warm_start import WarmStart

DEFAULT_ENCODER = "dream_rnn"


class Recipe(NamedTuple):
    """A preset, epochs of every trial, the precision of their training, and parameters unless a family has them.

    epochs: where a search varies them, the most. start: the weights that trials on its encoder start from, which
    then have its sizes unless their family has others. freeze: their first layer is kept.
    """

    preset: str
    epochs: int
    precision: str
    options: Mapping[str, bool] = MappingProxyType({})
    start: WarmStart | None = None
    freeze: bool = False

    def config(self, parameters: Mapping[str, Any], seed: int) -> TrialConfig:
        """The trial of a family's parameters. Raises UserError where it can't be built."""
        encoder = str(parameters.get("encoder", DEFAULT_ENCODER))
        flat = {**preset(self.preset, encoder), **self._sizes(encoder), **self.options, **parameters}
        flat |= {"epochs": parameters.get("epochs", self.epochs), "seed": seed, "precision": self.precision}
        config = TrialConfig.from_flat(flat)
        if self.start is None or self.start.why_not(config) is not None:
            return config
        return self.start.config_of(config, freeze=self.freeze)

    def _sizes(self, encoder: str) -> Mapping[str, Value]:
        """What an encoder is of the weights that it may start from, rates of dropout and of losses apart."""
        if self.start is None or self.start.config.encoder.name() != encoder:
            return {}
        return self.start.sizes()

    def config_of(self, family: str, parameters: Mapping[str, Any], seed: int) -> TrialConfig:
        """The same; what is wrong names the family."""
        try:
            return self.config(parameters, seed)
        except UserError as error:
            raise UserError(f"family {family}: {error}") from error


def recipe_of(settings: RunSettings) -> Recipe:
    """What the settings say. Raises UserError for an unknown preset, and for weights to start from that can't be."""
    if settings.preset not in PRESETS:
        raise UserError(f"unknown preset {settings.preset!r}{suggest(settings.preset, PRESETS)}")
    usual = settings.epochs_of.get(settings.preset) or PRESETS[settings.preset]["epochs"]
    asked = settings.most_epochs if isinstance(settings, Settings) else settings.epochs
    epochs = int(asked or usual or 1)
    start, freeze = start_of(settings), settings.freeze != NONE
    return Recipe(settings.preset, epochs, settings.precision, _options(settings), start, freeze)


def _options(settings: RunSettings) -> Mapping[str, bool]:
    """The recipe that a search is asked for, else what its campaign began with; a study has the study's."""
    if not isinstance(settings, Settings):
        return RECIPES["study"]
    folder = settings.out
    if "recipe" not in settings.model_fields_set and folder is not None and (folder / MANIFEST).exists():
        identity = read_manifest(folder)["identity"]
        return {name: identity.get(name, before) for name, before in RECIPES["study"].items()}
    return RECIPES[settings.recipe]


def check_data(data: TrainingData, family: str, config: TrialConfig) -> None:
    """See whether the data have what a family's trial needs. Raises UserError."""
    data.check_recipe(config)
    try:
        data.check_noise(config)
    except UserError as error:
        raise UserError(
            f"{error}; leave that out (family {family}), or give data with a replicate standard deviation"
        ) from error
