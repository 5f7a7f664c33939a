"""Ablations: one parameter at a time around a configuration, the others as they are there.

Around a trial of any campaign, or a published name, with `nrtune search --families ablation --around DIR/TRIAL`; else
around the study's noise_gated and rank_stability.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from nrtune.search_spaces._common import COMMON, LR, STUDY_ENCODER
from nrtune.search_spaces._encoders import EncoderSpace
from nrtune.search_spaces._family import SWITCH, Choice, Family, Float, Int, Parameter, Published, Reported, Value

SWEPT = f"{SWITCH}swept"
BUDGET = ("epochs", "seed", "precision", "warm_start", "freeze")
"""What of a trial's configuration belongs to its campaign."""

_K = Float(name="loss.k", low=0.1, high=10, default=1.0, log=True)
_WEIGHTS = (
    Float(name="loss.alpha", low=0.01, high=1, default=0.3, log=True),
    Float(name="loss.beta", low=0.01, high=1, default=0.1, log=True),
)
_GATED, _RANKING = "noise_gated", "rank_stability"


def _one_of(ranges: Iterable[Parameter], switch: str, when: Mapping[str, tuple[Value, ...]]) -> list[Parameter]:
    """A switch that says which of these is swept, and each of them where it is, under its own conditions."""
    ranges = list(ranges)
    names = tuple(parameter.name for parameter in ranges)
    swept = [dataclasses.replace(p, when={**_conditions(p), **when, switch: (p.name,)}) for p in ranges]
    return [Choice(name=switch, values=names, default=names[0], when=when), *swept]


def _sweep(loss: str, name: str, value: float) -> dict[str, Value]:
    return {"loss": loss, f"{SWEPT}_{loss}": name, name: value}


def _sweeps(others: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The sweeps around the study's two centres, over what is the loss's and over these others."""
    others = list(others)
    return (
        Choice(name="loss", values=(_GATED, _RANKING), default=_GATED),
        Choice(name="head", values=("distributional",), default="distributional", when={"loss": (_GATED,)}),
        *_one_of((*_WEIGHTS, _K, *others), f"{SWEPT}_{_GATED}", {"loss": (_GATED,)}),
        *_one_of((_K, *others), f"{SWEPT}_{_RANKING}", {"loss": (_RANKING,)}),
    )


def on_encoder(encoder: EncoderSpace) -> Family:
    """The sweeps around the study's two centres on an encoder, over the encoder's own numbers too."""
    lr = encoder.lr or LR
    others = [lr if parameter == LR else parameter for parameter in COMMON]
    is_it = {"encoder": (encoder.name,)}
    own = [dataclasses.replace(p, when=is_it) for p in encoder.parameters if isinstance(p, Float | Int)]
    moved = "" if encoder.name == STUDY_ENCODER else f" (on {encoder.name})"
    return dataclasses.replace(
        FAMILY,
        fixed={**FAMILY.fixed, "encoder": encoder.name},
        space=_sweeps([*others, *own]),
        published=tuple(dataclasses.replace(p, name=f"{p.name}{moved}") for p in FAMILY.published),
    )


def around(title: str, centre: Mapping[str, Value], families: Iterable[Family]) -> Family:
    """The sweeps around a trial's flat configuration; the centre itself is the first trial.

    Swept is every number of the configuration that some family searches, over the range that it has there.

    Raises ValueError where there is none.
    """
    fixed = {name: value for name, value in centre.items() if name not in BUDGET}
    ranges: dict[str, Float | Int] = {}
    for family in families:
        for parameter in family.space:
            if isinstance(parameter, Float | Int) and _is_within(parameter, fixed):
                value: Any = fixed[parameter.name]
                ranges.setdefault(parameter.name, dataclasses.replace(parameter, default=value))
    if not ranges:
        raise ValueError(f"no family searches a number of {title}")
    first = next(iter(ranges.values()))
    return dataclasses.replace(
        FAMILY,
        title=f"Ablations of {title}",
        fixed=fixed,
        space=tuple(_one_of(ranges.values(), SWEPT, {})),
        published=(Published(name=title, seed=0, parameters={SWEPT: first.name}),),
        reported=None,
    )


def _is_within(parameter: Float | Int, configuration: Mapping[str, Value]) -> bool:
    """Whether a configuration has this parameter, switched on, at a value that can be searched."""
    value = configuration.get(parameter.name)
    return parameter.can_be(value) and all(
        configuration.get(n) in values for n, values in _conditions(parameter).items()
    )


def _conditions(parameter: Parameter) -> dict[str, tuple[Value, ...]]:
    """Where a parameter is asked for, its own family's switches apart: here there are none of them."""
    return {name: values for name, values in parameter.when.items() if not name.startswith(SWITCH)}


FAMILY = Family(
    code="ABL",
    title="Ablations",
    fixed={"encoder": STUDY_ENCODER, "sampler": "uniform"},
    space=_sweeps(COMMON),
    published=(
        Published(name="ABL1_ng_a01", seed=42, parameters=_sweep(_GATED, "loss.alpha", 0.1)),
        Published(name="ABL2_ng_a02", seed=42, parameters=_sweep(_GATED, "loss.alpha", 0.2)),
        Published(name="ABL3_ng_a04", seed=42, parameters=_sweep(_GATED, "loss.alpha", 0.4)),
        Published(name="ABL4_ng_a05", seed=42, parameters=_sweep(_GATED, "loss.alpha", 0.5)),
        Published(name="ABL5_ng_b005", seed=42, parameters=_sweep(_GATED, "loss.beta", 0.05)),
        Published(name="ABL6_ng_b02", seed=42, parameters=_sweep(_GATED, "loss.beta", 0.2)),
        Published(name="ABL7_rs_k15", seed=42, parameters=_sweep(_RANKING, "loss.k", 1.5)),
        Published(name="ABL8_rs_k25", seed=42, parameters=_sweep(_RANKING, "loss.k", 2.5)),
    ),
    reported=Reported(
        completed=6,
        timed_out=2,
        cagi5_spearman=("ABL4_ng_a05", 0.375),
        test_spearman=("ABL2_ng_a02", 0.718),
        noise_corr=("ABL7_rs_k15", -0.075),
    ),
)
