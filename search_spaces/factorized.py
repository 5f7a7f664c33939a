"""Factorized encoder: motifs, grammar and composition apart, composition through a bottleneck, motifs blind to GC content."""

from nrtune.search_spaces._common import ADVERSARY, BOTTLENECK, COMMON, GC, VIB
from nrtune.search_spaces._family import Family, Published, Reported

FAMILY = Family(
    code="FE",
    title="Factorized encoder",
    fixed={"encoder": "factorized", "head": "point", "loss": "mse", "sampler": "uniform"},
    space=(*BOTTLENECK, *ADVERSARY, *COMMON),
    published=(
        Published(name="FE1_factorized", seed=42),
        Published(name="FE2_factorized", seed=123),
        Published(name="FE3_factorized", seed=456),
        Published(name="FE4_factorized_vib", seed=42, parameters=VIB),
        Published(name="FE5_factorized_vib", seed=123, parameters=VIB),
        Published(name="FE6_factorized_vib", seed=456, parameters=VIB),
        Published(name="FE7_factorized_gc", seed=42, parameters=GC),
        Published(name="FE8_factorized_gc", seed=123, parameters=GC),
        Published(name="FE9_factorized_full", seed=42, parameters={**VIB, **GC}),
    ),
    reported=Reported(
        completed=1, crashed=8, test_spearman=("FE9_factorized_full", 0.674), noise_corr=("FE9_factorized_full", 0.021)
    ),
)
