"""Whether p of a comparison that was chosen beforehand is uniform, and the power that nrtune prints is there.

    python benchmarks/power.py [--campaigns 200] [--cagi5 FOLDER]

In simulated campaigns (as of verdicts.py) the first candidate and the baseline are compared, beside further candidates. Printed
are how p is distributed where all are identical; how often an improvement as large as the printed minimum detectable one is
found; and how often a smaller one is with as many seeds as are printed for it.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import kstest
from simulated_campaigns import Campaign, Realised, realised
from simulated_world import Noise, World, layout
from verdicts import HOW, OVERALL, share, show

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.uncertainty.compared import Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.trainables.data.benchmarks import VariantSet

PILOTS = 100
"""Campaigns that tell what a candidate must have learned for an improvement."""

SMALLER = 0.75
"""Of the minimum detectable improvement: what more seeds are asked for."""

ASKED = 50
"""Campaigns whose printed numbers of seeds are asked for."""


class Prespecified(NamedTuple):
    """A comparison that was chosen beforehand: of the first candidate and the baseline, beside further candidates."""

    p: float
    p_adjusted: float
    improvement: float
    minimum_detectable: float
    seeds_for: int | None


def prespecified(
    variants: VariantSet,
    noise: Noise,
    number: int,
    *,
    seeds: int = 3,
    candidates: int = 4,
    learned: float = 0.0,
    ask_seeds_for: float = math.inf,
) -> Prespecified:
    """One campaign's. learned: what the first candidate has learned beyond the rest. ask_seeds_for: an improvement."""
    generator = np.random.default_rng([number, seeds, candidates])
    world = World(variants, noise, 1 + candidates, generator, {1: learned})
    with tempfile.TemporaryDirectory() as name:
        campaign = Campaign(Path(name) / "campaign", world)
        campaign.search(1 + candidates, store=False)
        names = [record.name for record in campaign.records]
        campaign.replicate(names, seeds)
        comparison: Comparison = Comparisons(open_campaign(campaign.folder), how=HOW).compare(OVERALL)
    row, power = comparison.of(names[1]), comparison.power
    assert power is not None
    return Prespecified(
        float(row["p"]),
        float(row["p_holm"]),
        float(row["improvement"]),
        power.minimum_detectable(),
        power.seeds_for(ask_seeds_for) if math.isfinite(ask_seeds_for) else None,
    )


def show_p(p: Sequence[float]) -> None:
    """How p of identical configurations is distributed."""
    below = sum(value < 0.05 for value in p)
    show(
        f"p of a comparison chosen beforehand: KS p {kstest(p, 'uniform').pvalue:.3f}; below 0.05 {share(below, len(p))}"
    )


def show_power(
    variants: VariantSet,
    noise: Noise,
    numbers: Sequence[int],
    real: Realised,
    about: float,
    improvement: float | None,
    seeds: int,
    title: str,
) -> None:
    """How often a true improvement is significant; None: the one that is printed as detectable where there is about that.

    What must be learned for it the same campaigns tell, with the same noise.
    """
    learned = about / real.of_learned
    pilots = [prespecified(variants, noise, number, seeds=seeds, learned=learned) for number in numbers[:PILOTS]]
    if improvement is None:
        improvement = float(np.mean([one.minimum_detectable for one in pilots]))
    learned *= improvement / float(np.mean([one.improvement for one in pilots]))
    found = [prespecified(variants, noise, number, seeds=seeds, learned=learned) for number in numbers]
    hits = sum(one.p_adjusted < 0.05 and one.improvement > 0 for one in found)
    mean = np.mean([one.improvement for one in found])
    show(
        f"improvement {improvement:.3f} {title}, {seeds} seeds: found {share(hits, len(found))};"
        f" estimated {mean:+.3f} on average"
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=200)
    real = Path(os.environ.get("NRTUNE_TEST_DATA", "")) / "cagi5"
    parser.add_argument("--cagi5", type=Path, default=real if os.environ.get("NRTUNE_TEST_DATA") else None)
    arguments = parser.parse_args()
    variants, noise, campaigns = layout(arguments.cagi5), Noise(), range(arguments.campaigns)
    real_noise = realised(variants, noise, max(2, arguments.campaigns // 10), HOW)
    null = [prespecified(variants, noise, number) for number in range(arguments.campaigns * 3 // 2)]
    show_p([one.p for one in null])
    detectable = float(np.mean([one.minimum_detectable for one in null]))
    show_power(variants, noise, campaigns, real_noise, detectable, None, 3, "as printed to be detectable")
    smaller = SMALLER * detectable
    asked = [prespecified(variants, noise, number, ask_seeds_for=smaller).seeds_for for number in campaigns[:ASKED]]
    needed = int(np.median([seeds for seeds in asked if seeds is not None]))
    title = "with the median of the printed numbers of seeds"
    show_power(variants, noise, campaigns, real_noise, smaller, smaller, needed, title)


if __name__ == "__main__":
    main()
