"""Distributional: a predicted variance beside the mean, tied to the measured one."""

from collections.abc import Mapping

from nrtune.search_spaces._common import COMMON
from nrtune.search_spaces._family import Choice, Family, Float, Published, Reported, Value

_HETEROSCEDASTIC: Mapping[str, Value] = {"loss": "heteroscedastic", "loss.lambda_var": 0.5}

FAMILY = Family(
    code="DH",
    title="Distributional heads",
    fixed={"encoder": "dream_rnn", "sampler": "uniform"},
    space=(
        Choice(name="loss", values=("distributional", "heteroscedastic"), default="distributional"),
        Choice(name="head", values=("distributional", "dual"), default="distributional"),
        Float(name="loss.lambda_var", low=0.05, high=5, default=1.0, log=True),
        *COMMON,
    ),
    published=(
        Published(name="DH1_distributional", seed=42),
        Published(name="DH2_distributional", seed=123),
        Published(name="DH3_distributional", seed=456),
        Published(name="DH4_heteroscedastic", seed=42, parameters=_HETEROSCEDASTIC),
        Published(name="DH5_heteroscedastic", seed=123, parameters=_HETEROSCEDASTIC),
        Published(name="DH6_heteroscedastic", seed=456, parameters=_HETEROSCEDASTIC),
        Published(name="DH7_distributional_dual", seed=42, parameters={"head": "dual"}),
        Published(name="DH8_distributional_lv2", seed=42, parameters={"loss.lambda_var": 2.0}),
        Published(name="DH9_distributional_lv05", seed=42, parameters={"loss.lambda_var": 0.5}),
    ),
    reported=Reported(
        completed=7,
        timed_out=2,
        cagi5_spearman=("DH7_distributional_dual", 0.391),
        test_spearman=("DH6_heteroscedastic", 0.719),
        noise_corr=("DH8_distributional_lv2", 0.022),
    ),
)
