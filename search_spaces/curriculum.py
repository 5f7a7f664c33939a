"""Curriculum: quantile sampling that goes from a few broad quantiles of activity to many narrow ones."""

from nrtune.search_spaces._common import COMMON, ENCODER
from nrtune.search_spaces._family import Family, Float, Int, Published, Reported

FAMILY = Family(
    code="QC",
    title="Quantile curriculum",
    fixed={"head": "point", "loss": "mse", "sampler": "quantile_curriculum"},
    space=(
        ENCODER,
        Int(name="sampler.last_quantiles", low=8, high=40, default=20, log=True),
        Float(name="sampler.pace", low=0.03, high=0.3, default=0.125),
        *COMMON,
    ),
    published=(
        Published(name="QC1_curriculum", seed=42),
        Published(name="QC2_curriculum", seed=123),
        Published(name="QC3_curriculum", seed=456),
        Published(name="QC4_factorized_curriculum", seed=42, parameters={"encoder": "factorized"}),
        Published(name="QC5_factorized_curriculum", seed=123, parameters={"encoder": "factorized"}),
        Published(name="QC6_factorized_curriculum", seed=456, parameters={"encoder": "factorized"}),
    ),
    reported=Reported(
        completed=2,
        crashed=3,
        timed_out=1,
        cagi5_spearman=("QC1_curriculum", 0.357),
        test_spearman=("QC3_curriculum", 0.698),
        noise_corr=("QC1_curriculum", 0.012),
    ),
)
