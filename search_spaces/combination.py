"""Combinations: a family's loss on a family's sampler, with the parameters of both."""

from __future__ import annotations

import dataclasses

from nrtune.search_spaces import (
    contrastive,
    curriculum,
    distributional,
    hard_negative,
    noise_gated,
    quantile_sampling,
    rank_stability,
)
from nrtune.search_spaces._common import ADVERSARY, BOTTLENECK, COMMON, ENCODER, GC, VIB
from nrtune.search_spaces._family import Choice, Family, Parameter, Published, Reported, Value

_LOSSES = tuple(m.FAMILY for m in (noise_gated, rank_stability, distributional, contrastive))
_SAMPLERS = tuple(m.FAMILY for m in (quantile_sampling, curriculum, hard_negative))


def _values(family: Family, kind: str) -> tuple[Value, ...]:
    """The losses, or samplers, of a family."""
    if kind in family.fixed:
        return (family.fixed[kind],)
    return next(p.values for p in family.space if p.name == kind and isinstance(p, Choice))


def _borrowed(kind: str, families: tuple[Family, ...], default: str) -> list[Parameter]:
    """The choice of a loss or a sampler, and what its own family searches of it; of a loss also the head."""
    known = tuple(value for family in families for value in _values(family, kind))
    found: list[Parameter] = [Choice(name=kind, values=known, default=default)]
    for family in families:
        for parameter in family.space:
            if parameter.name.startswith(f"{kind}.") or (kind == "loss" and parameter.name == "head"):
                found.append(dataclasses.replace(parameter, when={kind: _values(family, kind), **parameter.when}))
    return found


FAMILY = Family(
    code="BEST",
    title="Combinations",
    fixed={},
    space=(
        *_borrowed("loss", _LOSSES, "noise_gated"),
        *_borrowed("sampler", _SAMPLERS, "quantile_stratified"),
        ENCODER,
        *BOTTLENECK,
        *ADVERSARY,
        *COMMON,
    ),
    published=(
        Published(name="BEST1_ng_qs", seed=42),
        Published(name="BEST2_ng_qsn", seed=42, parameters={"sampler.noise_weight": 0.5}),
        Published(name="BEST3_ng_hn", seed=42, parameters={"sampler": "hard_negative"}),
        Published(name="BEST4_full_ng", seed=42, parameters={"encoder": "factorized", **VIB, **GC}),
    ),
    reported=Reported(
        completed=2,
        crashed=1,
        timed_out=1,
        cagi5_spearman=("BEST3_ng_hn", 0.333),
        test_spearman=("BEST3_ng_hn", 0.717),
        noise_corr=("BEST2_ng_qsn", 0.04),
    ),
)
