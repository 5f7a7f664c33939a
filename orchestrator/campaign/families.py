"""The families that a search is asked for: on its encoders, or around a configuration, with what is set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.orchestrator.campaign.recipe import Recipe
from nrtune.orchestrator.search.encoders import encoder_space
from nrtune.orchestrator.state.settings import Settings
from nrtune.search_spaces import (
    FAMILIES,
    Choice,
    EncoderSpace,
    Family,
    Parameter,
    check_codes,
    encoders_of,
    first_on_each_encoder,
    keeps_encoder,
    names_by_word,
    on_encoders,
    published_by_name,
    short_form,
    with_parameters,
)
from nrtune.search_spaces.ablation import BUDGET, around, on_encoder
from nrtune.trainables.core.component import NONE
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.warm_start import WarmStart

ABLATION = "ablation"

VARIED = tuple(
    field.name
    for field in dataclasses.fields(TrialConfig)
    if field.type in ("int", "float", "bool") and field.name not in ("seed", "compile")
)
"""What every trial has that a search can vary whatever its family and encoder."""


def searched_families(
    settings: Settings, centre: Mapping[str, Any] | None, start: WarmStart | None = None
) -> dict[str, Family]:
    """The families asked for, by name; start: what trials start from.

    Raises UserError for an unknown family or encoder, and for two families of one code.
    """
    if not settings.families:
        raise UserError(f"--families is empty; known: {', '.join(FAMILIES)}")
    if len(set(settings.families)) < len(settings.families):
        raise UserError(f"--families names one family twice: {', '.join(settings.families)}")
    encoders = settings.encoders_asked
    if len(set(encoders)) < len(encoders):
        raise UserError(f"--encoders names one encoder twice: {', '.join(encoders)}")
    for name in encoders:
        ENCODERS.check_name(name)
    encoders = _encoders(settings)
    if BASELINE in settings.families and settings.trials < len(encoders):
        raise UserError(
            f"--trials {settings.trials} is too few: the baseline is trained on each of {len(encoders)} encoders, which"
            f" families are compared on; give {len(encoders)} or more"
        )
    searched = {name: family_of(settings, centre, name, start) for name in settings.families}
    check_codes(searched)
    return searched


def family_of(
    settings: Settings, centre: Mapping[str, Any] | None, name: str, start: WarmStart | None = None
) -> Family:
    """A family as this search has it; start: what trials start from, whose sizes are then not searched.

    Raises UserError where the search can't have it.
    """
    family = FAMILIES.get(name)
    if name == ABLATION and centre is not None:
        space = _space(settings, centre["encoder"], start)
        try:
            others = [on_encoders(FAMILIES.get(other), [space]) for other in FAMILIES]
            family = around(title(str(settings.around)), centre, others)
        except ValueError as error:
            raise UserError(f"--around {settings.around}: {error}") from error
    elif name == ABLATION:
        family = on_encoder(_space(settings, (*_encoders(settings), *encoders_of(family))[0], start))
    elif settings.encoders_asked and not keeps_encoder(family):
        family = on_encoders(family, [_space(settings, encoder, start) for encoder in _encoders(settings)])
    else:
        # Building a trial says which encoder is unknown.
        own = [encoder for encoder in encoders_of(family) if encoder in ENCODERS]
        family = with_parameters(family, [_space(settings, encoder, start) for encoder in own])
    if settings.starts_from == "first" and name != ABLATION:  # that is about its points' distance from their centre
        family = first_on_each_encoder(family)
    for key in settings.set:
        if key in BUDGET:
            raise UserError(f"--set {key}: belongs to the whole campaign; give --{key.replace('_', '-')}")
    family = family.override(settings.set) if settings.set else family
    return _varied(name, family, settings) if settings.vary else family


def _varied(name: str, family: Family, settings: Settings) -> Family:
    """The family with what is varied of every trial beside, or in place of, what it searches itself. Raises UserError."""
    if name == ABLATION:
        raise UserError(f"--vary: the family {ABLATION} moves one parameter at a time; search it without")
    added: list[Choice] = []
    for key, values in settings.vary.items():
        if key not in VARIED:
            raise UserError(f"--vary {key}: is no number or option that every trial has{suggest(key, VARIED)}")
        if key in settings.set or (key == "epochs" and settings.epochs is not None):
            raise UserError(f"--vary {key}: is set, too; give one of both")
        if len(values) < 2 or len(set(values)) < len(values):
            raise UserError(f"--vary {key}: give two values or more, each once, such as batch_size=32,64")
        added.append(Choice(name=key, values=tuple(values), default=values[0]))
    return family.varied(added)


def _encoders(settings: Settings) -> tuple[str, ...]:
    """The encoders asked for that have each parameter of an encoder that is set; all, where none has: building one says so."""
    needed = {name.removeprefix("encoder.") for name in settings.set if name.startswith("encoder.")}
    having = {name for name in settings.encoders_asked if needed <= ENCODERS.get(name).__dataclass_fields__.keys()}
    return tuple(name for name in settings.encoders_asked if name in having or not having)


def _space(settings: Settings, encoder: str, start: WarmStart | None) -> EncoderSpace:
    """What is searched of an encoder but for what is set: that decides about no other encoder."""
    space = encoder_space(encoder, settings.preset)
    if start is not None and start.config.encoder.name() == encoder:
        space = dataclasses.replace(space, parameters=tuple(_beside(start, space.parameters)))
    left = tuple(parameter for parameter in space.parameters if parameter.name not in settings.set)
    return dataclasses.replace(space, parameters=left) if settings.encoders_asked else space


def _beside(start: WarmStart, parameters: Iterable[Parameter]) -> Iterator[Parameter]:
    """What can be searched of an encoder that starts from weights: what decides about none of them, around what it was."""
    sizes = start.sizes()
    for parameter in parameters:
        value = sizes.get(parameter.name, parameter.default)
        if parameter.name.removeprefix("encoder.") not in start.shaping and parameter.can_be(value):
            default: Any = value
            yield dataclasses.replace(parameter, default=default)


def find_centre(settings: Settings, recipe: Recipe) -> dict[str, Any] | None:
    """The flat configuration that --around names; once the campaign has begun, it has one of its own."""
    where = settings.around
    if where is None:
        return None
    if ABLATION not in settings.families:
        raise UserError(f"--around {where}: is for the family {ABLATION}; add it to --families")
    try:
        return _found_centre(where, recipe)
    except UserError:
        assert settings.out is not None
        if (settings.out / MANIFEST).exists():
            manifest = read_manifest(settings.out)
            kept: dict[str, Any] | None = manifest["identity"].get("around")
            if kept is not None and manifest["settings"].get("around") in (where, whole(where)):
                return kept
        raise


def _found_centre(where: str, recipe: Recipe) -> dict[str, Any]:
    """The configuration of a published name, or of a trial in a campaign's folder under any of its names."""
    meanings = names_by_word()
    if where in meanings:
        if len(meanings[where]) > 1:
            raise UserError(
                f"--around {where}: stands for {len(meanings[where])} configurations; name one, such as"
                f" {short_form(meanings[where][0])}"
            )
        family, found = published_by_name()[meanings[where][0]]
        flat = FAMILIES.get(family).flat(FAMILIES.get(family).complete(found.parameters))
        return recipe.config_of(family, flat, found.seed).to_flat()
    folder, name = Path(where).parent, Path(where).name
    if not folder.is_dir() or folder == Path():
        raise UserError(f"--around {where}: is neither a published name nor DIR/TRIAL{suggest(where, meanings, '')}")
    trials = {name: record for record in open_campaign(folder).records() for name in (record.name, *record.aliases)}
    trials = {short_form(name): record for name, record in trials.items()} | trials
    if name not in trials:
        raise UserError(f"--around {where}: {folder} has no trial {name!r}{suggest(name, trials, '')}")
    config = dict(trials[name].config)
    given = NONE if recipe.start is None else recipe.start.digest
    if (weights := config.get("warm_start", NONE)) not in (NONE, given):
        raise UserError(f"--around {where}: started from the weights {weights}; give --warm-start with their file")
    return config


def whole(where: str) -> str:
    """DIR/TRIAL as it can be read in any folder; a published name as it is."""
    return where if where in names_by_word() else str(Path(where).resolve())


def title(where: str) -> str:
    """What --around names in a few words, the same in whatever folder the search is called: RS3_bilstm_rs, study/RS-002."""
    meanings = names_by_word()
    return meanings[where][0] if where in meanings else "/".join(Path(where).resolve().parts[-2:])
