"""Baseline: mean squared error on every row alike."""

from search_spaces.family import DREAM_RNN_DROPOUT, OPTIMISER, Family, Published

FAMILY = Family(
    code="BASE",
    title="Baseline",
    fixed={"encoder": "dream_rnn", "head": "point", "loss": "mse", "sampler": "uniform"},
    space=(*OPTIMISER, DREAM_RNN_DROPOUT),
    published=(Published(name="B1_baseline_mse", seed=42),),
)
