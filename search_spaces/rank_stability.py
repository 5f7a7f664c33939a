"""Rank stability: pairs are ordered, noisy pairs count less."""

from collections.abc import Mapping

from search_spaces.family import DREAM_RNN_DROPOUT, OPTIMISER, Choice, Family, Float, Published, Value

_FACTORIZED: Mapping[str, Value] = {"encoder": "factorized"}
_VIB: Mapping[str, Value] = {"encoder": "factorized", "encoder.vib_beta": 0.01}

FAMILY = Family(
    code="RS",
    title="Rank stability",
    fixed={"head": "point", "loss": "rank_stability", "sampler": "uniform"},
    space=(
        Choice(name="encoder", values=("dream_rnn", "factorized"), default="dream_rnn"),
        Float(name="loss.k", low=0.1, high=10, default=1.0, log=True),
        Choice(name="encoder.vib_beta", values=(0.0, 0.01), default=0.0, when={"encoder": ("factorized",)}),
        *OPTIMISER,
        DREAM_RNN_DROPOUT,
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
        Published(name="RS9_factorized_vib_rs", seed=42, parameters=_VIB),
    ),
)
