"""Rank stability: pairs are ordered, noisy pairs count less."""

from collections.abc import Mapping

from nrtune.search_spaces._common import BOTTLENECK, COMMON, ENCODER, VIB
from nrtune.search_spaces._family import Family, Float, Published, Reported, Value

_FACTORIZED: Mapping[str, Value] = {"encoder": "factorized"}

FAMILY = Family(
    code="RS",
    title="Rank stability",
    fixed={"head": "point", "loss": "rank_stability", "sampler": "uniform"},
    space=(
        ENCODER,
        Float(name="loss.k", low=0.1, high=10, default=1.0, log=True),
        *BOTTLENECK,
        *COMMON,
    ),
    published=(
        Published(name="RS1_bilstm_rs", seed=42),
        Published(name="RS2_bilstm_rs", seed=123),
        Published(name="RS3_bilstm_rs", seed=456),
        Published(name="RS4_factorized_rs", seed=42, parameters=_FACTORIZED),
        Published(name="RS5_factorized_rs", seed=123, parameters=_FACTORIZED),
        Published(name="RS6_factorized_rs", seed=456, parameters=_FACTORIZED),
        Published(name="RS7_bilstm_rs_k2", seed=42, parameters={"loss.k": 2.0}),
        Published(name="RS8_bilstm_rs_k05", seed=42, parameters={"loss.k": 0.5}),
        Published(name="RS9_factorized_vib_rs", seed=42, parameters={**_FACTORIZED, **VIB}),
    ),
    reported=Reported(
        completed=4,
        crashed=4,
        timed_out=1,
        cagi5_spearman=("RS3_bilstm_rs", 0.367),
        test_spearman=("RS7_bilstm_rs_k2", 0.717),
        noise_corr=("RS3_bilstm_rs", -0.088),
    ),
)
