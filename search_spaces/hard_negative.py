"""Hard negatives: clean sequences of middling activity, whose order is hardest to tell, are seen the most often."""

from nrtune.search_spaces._common import COMMON, ENCODER
from nrtune.search_spaces._family import Family, Float, Published, Reported

FAMILY = Family(
    code="HN",
    title="Hard negatives",
    fixed={"head": "point", "loss": "mse", "sampler": "hard_negative"},
    space=(
        ENCODER,
        Float(name="sampler.temperature", low=0.25, high=4, default=1.0, log=True),
        *COMMON,
    ),
    published=(
        Published(name="HN1_hard_negative", seed=42),
        Published(name="HN2_hard_negative", seed=123),
        Published(name="HN3_hard_negative", seed=456),
        Published(name="HN4_factorized_hn", seed=42, parameters={"encoder": "factorized"}),
        Published(name="HN5_hn_temp2", seed=42, parameters={"sampler.temperature": 2.0}),
        Published(name="HN6_hn_temp05", seed=42, parameters={"sampler.temperature": 0.5}),
    ),
    reported=Reported(
        completed=5,
        crashed=1,
        cagi5_spearman=("HN1_hard_negative", 0.362),
        test_spearman=("HN1_hard_negative", 0.704),
        noise_corr=("HN1_hard_negative", 0.017),
    ),
)
