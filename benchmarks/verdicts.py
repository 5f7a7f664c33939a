"""What nrtune claims of winners where nothing is different: campaigns of identical configurations.

    python benchmarks/verdicts.py [--campaigns 200] [--commands 2] [--only TITLE] [--cagi5 FOLDER]

Campaign folders (`simulated_campaigns.py`, on the real positions where FOLDER or $NRTUNE_TEST_DATA/cagi5 has them) are read as
`nrtune best DIR --json` reads them, with 300 resamples instead of 10,000, but for so many `--commands` of each kind that run as
they are. Of a search's single trainings only metrics are written once its finalists are trained again: nothing else is read.

Printed are the realised noise; the share of campaigns with a false "better" in any use case; how often the interval of the
winner's improvement covers it; and whether a model's scale or offset changes a verdict.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from simulated_campaigns import Campaign, realised
from simulated_world import Noise, World, layout

from nrtune.analysis.selection.use_cases import asked_of
from nrtune.analysis.selection.winners import finalists, find_winner
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.table import table_of
from nrtune.analysis.uncertainty.compared import BETTER, NOT_TESTED, WORSE
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.orchestrator.views.best import best_json
from nrtune.trainables.data.benchmarks import VariantSet

Verdicts = dict[str, dict[str, Any]]
"""A use case's verdict, by its name."""

HOW = Resampling(resamples=300)
SINGLE = 10
"""Campaigns without replicates: none can have a verdict, whatever its numbers."""

RIVAL, INTERVAL, COVERED = "rival", "interval", "covered"
OVERALL = "overall"


class Design(NamedTuple):
    """A campaign of identical configurations: how many, baselines among them, and how it goes on after its search.

    finalists: of the use case `overall`; of each other its leader goes on too. seeds: of finalists and baselines, 0 for none.
    freedom: as `Noise.freedom`.
    """

    title: str
    configurations: int = 76
    baselines: int = 1
    finalists: int = 8
    seeds: int = 3
    freedom: float = math.inf


NULL = (
    Design("75 candidates, single trainings", seeds=0),
    Design("75 candidates, 8 finalists, 3 seeds"),
    Design("75 candidates, 8 finalists, 5 seeds", seeds=5),
    Design("75 candidates, 8 baselines", configurations=83, baselines=8),
    Design("40 candidates", configurations=41),
    Design("variances over seeds differ (8 degrees of freedom)", freedom=8),
    Design("variances over seeds differ (3 degrees of freedom)", freedom=3),
)


def identical(design: Design, variants: VariantSet, noise: Noise, number: int, folder: Path) -> Campaign:
    """A campaign of that design, stored in a folder."""
    generator = np.random.default_rng([number, design.configurations, design.baselines, design.seeds])
    world = World(variants, dataclasses.replace(noise, freedom=design.freedom), design.configurations, generator)
    campaign = Campaign(folder, world, design.baselines)
    campaign.search(design.configurations, store=not design.seeds)
    if design.seeds:
        first = campaign.records[0].name  # a search trains it with fresh seeds from the start
        campaign.replicate({first}, design.seeds)
        campaign.replicate(chosen(campaign, design.finalists) - {first}, design.seeds)
    return campaign


def chosen(campaign: Campaign, top: int) -> set[str]:
    """What is trained again: the best of `overall`, the leader of each other use case, and the baselines of all."""
    table, found = table_of(campaign.records), set()
    for use_case in asked_of(table, Comparisons(open_campaign(campaign.folder)).use_cases):
        found |= set(finalists(table, use_case, "release", top if use_case == OVERALL else 1))
        found.add(str(find_winner(table, use_case, "release").baseline))
    return found


def read_verdicts(folder: Path, how: Resampling | None = HOW) -> Verdicts:
    """What `nrtune best DIR --json` has under `verdict`; how: None for the command itself."""
    if how is None:
        command = [str(Path(sys.executable).with_name("nrtune")), "best", str(folder), "--json"]
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    else:
        text = best_json(Comparisons(open_campaign(folder), how=how), "all")
    return {name: record["verdict"] for name, record in json.loads(text).items() if record is not None}


def claims(verdicts: Verdicts) -> set[str]:
    """What is claimed in any use case: better, worse, or a rival told from the winner."""
    found = {one["against_baseline"] for one in verdicts.values()} & {BETTER, WORSE}
    return found | ({RIVAL} if any(map(tells_rivals, verdicts.values())) else set())


def tells_rivals(verdict: Mapping[str, Any]) -> bool:
    """Whether it claims that another candidate is better or worse than the winner."""
    return bool(verdict["significantly_worse"] or verdict["significantly_better"])


def is_tested(verdicts: Verdicts) -> bool:
    """Whether any use case has a verdict."""
    return any(not one["against_baseline"].startswith(NOT_TESTED) for one in verdicts.values())


def null_claims(
    design: Design, variants: VariantSet, noise: Noise, numbers: Iterable[int], how: Resampling | None = HOW
) -> Counter[str]:
    """In how many campaigns each is claimed; `campaigns`, `tested` (any use case) and in which use cases besides.

    And in how many the winner's improvement has an interval, and in how many of them it covers it: it is 0.
    """
    found: Counter[str] = Counter()
    for number in numbers:
        with tempfile.TemporaryDirectory() as name:
            campaign = identical(design, variants, noise, number, Path(name) / "campaign")
            verdicts = read_verdicts(campaign.folder, how)
        found.update(["campaigns", *claims(verdicts), *(["tested"] if is_tested(verdicts) else [])])
        found.update(f"{BETTER} in {name}" for name, one in verdicts.items() if one["against_baseline"] == BETTER)
        found.update(f"{RIVAL} in {name}" for name, one in verdicts.items() if tells_rivals(one))
        intervals = {name: one["interval"] for name, one in verdicts.items() if one["interval"] is not None}
        found.update(f"{INTERVAL} {name}" for name in intervals)
        found.update(f"{COVERED} {name}" for name, (low, high) in intervals.items() if low <= 0 <= high)
    return found


UNITS: Mapping[str, tuple[float, float]] = {"× 20": (20.0, 0.0), "× 0.01": (0.01, 0.0), "+ 13.8": (1.0, 13.8)}
"""Scales and offsets that a loss may leave a model with."""


def changed_by_units(variants: VariantSet, noise: Noise, number: int) -> list[str]:
    """Which units of the baseline and of a good candidate change a winner or a verdict; none should."""
    found: dict[str, Any] = {}
    for title, units in {"": (1.0, 0.0), **UNITS}.items():
        generator = np.random.default_rng([number, 17])
        world = World(variants, noise, 6, generator, {3: 0.1, 4: 0.1}, dict.fromkeys((0, 3), units))
        with tempfile.TemporaryDirectory() as name:
            campaign = Campaign(Path(name) / "campaign", world)
            campaign.search(6, store=False)
            campaign.replicate([record.name for record in campaign.records], 3)
            found[title] = {name: decided(one) for name, one in read_verdicts(campaign.folder).items()}
    return [title for title in UNITS if found[title] != found[""]]


def decided(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """What a verdict decides, with its numbers to six digits: what a scale leaves of them differs by rounding."""
    return {name: _rounded(value) for name, value in verdict.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def share(hits: int, of: int) -> str:
    """A share in percent, its standard error, and of how many."""
    rate = hits / of
    return f"{100 * rate:.1f} % (SE {100 * math.sqrt(rate * (1 - rate) / of):.1f}; {hits} of {of})"


def show(*lines: str) -> None:
    """Print at once: a run may take an hour."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def show_null(design: Design, found: Mapping[str, int]) -> None:
    """A line a design."""
    of = found["campaigns"]
    parts = [f"{name} {found[name]}" for name in found if " in " in name]
    intervals = {name.removeprefix(INTERVAL): n for name, n in found.items() if name.startswith(INTERVAL)}
    show(
        f"{design.title}: tested {found.get('tested', 0)} of {of}; false better {share(found.get(BETTER, 0), of)};"
        f" worse {share(found.get(WORSE, 0), of)}; a rival told from the winner {share(found.get(RIVAL, 0), of)}"
        + (f" [{', '.join(sorted(parts))}]" if parts else "")
    )
    if intervals and design.seeds:
        covered = (f"{name} {share(found.get(COVERED + name, 0), n)}" for name, n in intervals.items())
        show(f"  the winner's improvement, where it has an interval, is covered:{','.join(covered)}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=200)
    parser.add_argument("--commands", type=int, default=2)
    parser.add_argument("--only", default="", help="designs whose titles contain this")
    real = Path(os.environ.get("NRTUNE_TEST_DATA", "")) / "cagi5"
    parser.add_argument("--cagi5", type=Path, default=real if os.environ.get("NRTUNE_TEST_DATA") else None)
    arguments = parser.parse_args()
    variants, noise, campaigns = layout(arguments.cagi5), Noise(), range(arguments.campaigns)
    real_noise = realised(variants, noise, max(2, arguments.campaigns // 10), HOW)
    sd = real_noise.seed_sd
    show(
        f"mean CAGI5 Spearman {real_noise.value:.3f}; seed SD {sd[0]:.4f} (high confidence {sd[1]:.4f},"
        f" test Spearman {sd[2]:.4f}, noise correlation {sd[3]:.4f});"
        f" block SE of a difference of two trainings {real_noise.block_se:.4f}"
    )
    changed = [title for number in range(2) for title in changed_by_units(variants, noise, number)]
    show(f"units that change a winner or a verdict: {', '.join(changed) or 'none'}")
    for design in (design for design in NULL if arguments.only in design.title):
        single = not design.seeds
        show_null(design, null_claims(design, variants, noise, campaigns[: SINGLE if single else None]))
        if arguments.commands and (single or design == NULL[1]):
            commands = null_claims(design, variants, noise, range(arguments.commands), None)
            show_null(design._replace(title=f"{design.title}, the command itself"), commands)


if __name__ == "__main__":
    main()
