"""Noise gated: a Gaussian likelihood, and a ranking in which noisy pairs count less; or a weighted error for the likelihood."""

from collections.abc import Mapping

from nrtune.search_spaces._common import COMMON
from nrtune.search_spaces._family import Choice, Family, Float, Published, Reported, Value

_GAUSSIAN = ("noise_gated", "adaptive_noise_gated")
_ADAPTIVE: Mapping[str, Value] = {"loss": "adaptive_noise_gated", "loss.alpha": 0.5, "loss.warmup_fraction": 10 / 80}

FAMILY = Family(
    code="NG",
    title="Noise gating",
    fixed={"encoder": "dream_rnn", "sampler": "uniform"},
    space=(
        Choice(name="loss", values=(*_GAUSSIAN, "noise_gated_mse"), default="noise_gated"),
        Choice(name="head", values=("distributional", "dual"), default="distributional", when={"loss": _GAUSSIAN}),
        Float(name="loss.alpha", low=0.01, high=1, default=0.3, log=True),
        Float(name="loss.beta", low=0.01, high=1, default=0.1, log=True, when={"loss": _GAUSSIAN}),
        Float(name="loss.k", low=0.1, high=10, default=1.0, log=True),
        Float(name="loss.warmup_fraction", low=0, high=0.5, default=0.125, when={"loss": ("adaptive_noise_gated",)}),
        *COMMON,
    ),
    published=(
        Published(name="NG1_noise_gated", seed=42),
        Published(name="NG2_noise_gated", seed=123),
        Published(name="NG3_noise_gated", seed=456),
        Published(name="NG4_adaptive_ng", seed=42, parameters=_ADAPTIVE),
        Published(name="NG5_adaptive_ng", seed=123, parameters=_ADAPTIVE),
        Published(name="NG6_adaptive_ng", seed=456, parameters=_ADAPTIVE),
        Published(name="NG7_noise_gated_mse", seed=42, parameters={"loss": "noise_gated_mse"}),
        Published(name="NG8_ng_alpha05", seed=42, parameters={"loss.alpha": 0.5}),
        Published(name="NG9_ng_alpha01", seed=42, parameters={"loss.alpha": 0.1}),
    ),
    reported=Reported(
        completed=6,
        timed_out=3,
        cagi5_spearman=("NG8_ng_alpha05", 0.375),
        test_spearman=("NG3_noise_gated", 0.718),
        noise_corr=("NG7_noise_gated_mse", 0.014),
    ),
)
