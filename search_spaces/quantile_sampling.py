"""Quantile sampling: rare activities are seen as often as common ones, noisy sequences less often than clean ones."""

from nrtune.search_spaces._common import COMMON
from nrtune.search_spaces._family import Family, Float, Int, Published, Reported

FAMILY = Family(
    code="QS",
    title="Quantile sampling",
    fixed={"encoder": "dream_rnn", "head": "point", "loss": "mse", "sampler": "quantile_stratified"},
    space=(
        Int(name="sampler.n_quantiles", low=4, high=32, default=10, log=True),
        Float(name="sampler.noise_weight", low=0, high=1, default=0.0),
        *COMMON,
    ),
    published=(
        Published(name="QS1_quantile", seed=42),
        Published(name="QS2_quantile", seed=123),
        Published(name="QS3_quantile", seed=456),
        Published(name="QS4_quantile_noise", seed=42, parameters={"sampler.noise_weight": 0.5}),
        Published(name="QS5_quantile_noise", seed=123, parameters={"sampler.noise_weight": 0.5}),
        Published(name="QS6_quantile_noise", seed=456, parameters={"sampler.noise_weight": 0.5}),
    ),
    reported=Reported(
        completed=5,
        timed_out=1,
        cagi5_spearman=("QS6_quantile_noise", 0.373),
        test_spearman=("QS2_quantile", 0.707),
        noise_corr=("QS1_quantile", 0.028),
    ),
)
