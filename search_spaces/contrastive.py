"""Contrastive anchors: the embedding of a clean sequence is an anchor for clean ones of like activity, not for noisy ones."""

from collections.abc import Mapping

from nrtune.search_spaces._common import COMMON, ENCODER
from nrtune.search_spaces._family import Choice, Family, Float, Published, Reported, Value

_CONTRASTIVE, _TRIPLET = ("contrastive_anchor",), ("triplet_anchor",)
_STUDY_TRIPLET: Mapping[str, Value] = {"loss": "triplet_anchor", "loss.activity_quantile": 0.2}

FAMILY = Family(
    code="CA",
    title="Contrastive anchors",
    fixed={"head": "point", "sampler": "uniform"},
    space=(
        Choice(name="loss", values=(*_CONTRASTIVE, *_TRIPLET), default="contrastive_anchor"),
        ENCODER,
        Float(name="loss.temperature", low=0.02, high=1, default=0.1, log=True, when={"loss": _CONTRASTIVE}),
        Float(name="loss.margin", low=0.1, high=1.5, default=0.5, when={"loss": _TRIPLET}),
        Float(name="loss.noise_quantile", low=0.2, high=0.8, default=0.5),
        Float(name="loss.activity_quantile", low=0.02, high=0.4, default=0.1, log=True),
        *COMMON,
    ),
    published=(
        Published(name="CA1_contrastive", seed=42),
        Published(name="CA2_contrastive", seed=123),
        Published(name="CA3_contrastive", seed=456),
        Published(name="CA4_triplet", seed=42, parameters=_STUDY_TRIPLET),
        Published(name="CA5_triplet", seed=123, parameters=_STUDY_TRIPLET),
        Published(name="CA6_triplet", seed=456, parameters=_STUDY_TRIPLET),
        Published(name="CA7_factorized_contrastive", seed=42, parameters={"encoder": "factorized"}),
        Published(name="CA8_contrastive_t05", seed=42, parameters={"loss.temperature": 0.05}),
        Published(name="CA9_contrastive_t02", seed=42, parameters={"loss.temperature": 0.2}),
    ),
    reported=Reported(crashed=1, timed_out=8, cagi5_spearman=("CA8_contrastive_t05", 0.356)),
)
