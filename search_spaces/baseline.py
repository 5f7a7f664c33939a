"""Baseline: mean squared error on every row alike."""

from nrtune.search_spaces._common import COMMON
from nrtune.search_spaces._family import Family, Published, Reported

FAMILY = Family(
    code="BASE",
    title="Baseline",
    fixed={"encoder": "dream_rnn", "head": "point", "loss": "mse", "sampler": "uniform"},
    space=COMMON,
    published=(Published(name="B1_baseline_mse", seed=42),),
    reported=Reported(
        cagi5_spearman=("B1_baseline_mse", 0.386),
        test_spearman=("B1_baseline_mse", 0.708),
        noise_corr=("B1_baseline_mse", 0.016),
    ),
)
