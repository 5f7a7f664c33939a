"""Campaign folders of simulated configurations (`simulated_world.py`), as a search and `nrtune replicate` leave them."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from simulated_world import SEQUENCES, Noise, Trained, World

from nrtune.analysis.selection.candidates import BASELINE, SEED
from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.store.records import FINISHED, FORMAT, MANIFEST, RECORDS, TRIALS, Proposal, TrialRecord
from nrtune.analysis.uncertainty.bootstrap import Floats, Ints
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.trainables.core.files import TEST, predictions_file
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.evaluation.metrics import affine_fit

MEAN = "cagi5/challenge/spearman/all/mean"

FAMILIES = (
    "combination",
    "contrastive",
    "distributional",
    "hard_negative",
    "noise_gated",
    "quantile_sampling",
    "rank_stability",
)

WHEN = "2026-01-01T00:00:00+00:00"


def metrics_of(world: World, trained: Trained) -> list[dict[str, float]]:
    """What `score_predictions` names of it, of all M trainings at once, as far as a use case asks for it."""
    found: dict[str, Floats] = {}
    strata = world.variants.in_strata()
    for part, prefix in world.variants.prefixes.items():
        for kind, prepare in (("spearman", _ranked), ("pearson", np.asarray)):
            for stratum, members in strata.items():
                of_elements = []
                for element in world.variants.elements:
                    rows = world.variants.rows(element, part)
                    rows = rows[members[rows]]
                    of = _correlations(prepare(trained.effects[:, rows]), prepare(world.variants.value[None, rows]))
                    found[f"{prefix}/{kind}/{stratum}/{element}"] = of
                    of_elements.append(of)
                found[f"{prefix}/{kind}/{stratum}/mean"] = np.mean(of_elements, axis=0)
        found[f"{prefix}/hc_lc_gap"] = found[f"{prefix}/spearman/hc/mean"] - found[f"{prefix}/spearman/lc/mean"]
    calibrated = calibrated_on_validation(world, trained)
    for prefix, noise, of_split, predicted in (
        ("val", "val/noise", slice(None, SEQUENCES), trained.val),
        ("test", "noise", slice(SEQUENCES, None), trained.test),
    ):
        activity, std = world.activity[None, of_split], world.aleatoric_std[None, of_split]
        found[f"{prefix}/spearman"] = _correlations(_ranked(predicted), _ranked(activity))
        found[f"{prefix}/pearson"] = _correlations(predicted, activity)
        found[f"{noise}/corr"] = _correlations(np.abs(predicted - activity), std)
        found[f"{noise}/corr_calibrated"] = _correlations(np.abs(calibrated[:, of_split] - activity), std)
    return [{name: float(values[number]) for name, values in found.items()} for number in range(len(trained.test))]


def calibrated_on_validation(world: World, trained: Trained) -> Floats:
    """Predictions of validation and test sequences, (M, 2 × SEQUENCES), after each training's affine fit on validation."""
    fits = [affine_fit(predicted, world.activity[:SEQUENCES]) for predicted in trained.val]
    both = np.concatenate([trained.val, trained.test], axis=1)
    return np.stack([slope * of + intercept for (slope, intercept), of in zip(fits, both, strict=True)])


def _ranked(values: Floats) -> Floats:
    ranks: Floats = rankdata(values, axis=1)
    return ranks


def _correlations(x: Floats, y: Floats) -> Floats:
    """Of each row of x (M, n) with y (1, n)."""
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    found: Floats = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return found


class Campaign:
    """A campaign's folder, to which trainings are added; the first configurations are baselines."""

    def __init__(self, folder: Path, world: World, baselines: int = 1) -> None:
        self.folder, self.world, self.baselines = folder, world, baselines
        self.records: list[TrialRecord] = []
        folder.mkdir(parents=True)
        matched = list(world.variants.matched)
        manifest = {
            "format": FORMAT,
            "name": folder.name,
            "identity": {"select_on": "release"},
            "cagi5": {"matched": matched},
        }
        (folder / MANIFEST).write_text(json.dumps(manifest))

    def search(self, configurations: int, *, store: bool = True) -> None:
        """Train each configuration once. store: whether with its predictions."""
        proposals = [self._proposal(number, 42, None) for number in range(configurations)]
        self._train(proposals, np.arange(configurations), store=store)

    def replicate(self, names: Collection[str], seeds: int) -> None:
        """Train these configurations again with so many fresh seeds."""
        of = [record for record in self.records if record.name in names]
        pairs = [(record, seed) for seed in range(seeds) for record in of]
        proposals = [self._proposal(record.number, seed, record.name) for record, seed in pairs]
        self._train(proposals, np.array([record.number for record, _ in pairs]), store=True)

    def _proposal(self, number: int, seed: int, replicate_of: str | None) -> Proposal:
        is_baseline = number < self.baselines
        family = BASELINE if is_baseline else FAMILIES[number % len(FAMILIES)]
        own = f"{'BASE' if is_baseline else 'TRIAL'}-{number:03}"
        name = own if replicate_of is None else f"{own}/s{seed}"
        return Proposal(
            name=name,
            family=family,
            number=number,
            config={SEED: seed, "loss.k": float(number)},
            fingerprint=name.replace("/", "-"),
            published=None,
            aliases={},
            replicate_of=replicate_of,
        )

    def _train(self, proposals: Sequence[Proposal], numbers: Ints, *, store: bool) -> None:
        trained = self.world.train(numbers)
        if store:
            self._store(proposals, trained)
        lines = []
        for proposal, metrics in zip(proposals, metrics_of(self.world, trained), strict=True):
            record = TrialRecord(
                proposal=proposal,
                status=FINISHED,
                metrics=metrics,
                epochs_trained=1,
                seconds=1.0,
                started=WHEN,
                ended=WHEN,
            )
            self.records.append(record)
            lines.append(record.to_line() + "\n")
        with (self.folder / RECORDS).open("a") as file:
            file.writelines(lines)

    def _store(self, proposals: Sequence[Proposal], trained: Trained) -> None:
        table = self.world.variants.table()
        calibrated = calibrated_on_validation(self.world, trained)[:, SEQUENCES:]
        rows = slice(SEQUENCES, None)
        test = pd.DataFrame(
            {
                "row": np.arange(SEQUENCES),
                "activity": self.world.activity[rows],
                "aleatoric_std": self.world.aleatoric_std[rows],
            }
        )
        for number, proposal in enumerate(proposals):
            folder = self.folder / TRIALS / proposal.fingerprint
            tables = {
                "cagi5": table.assign(variant_effect=trained.effects[number]),
                TEST: test.assign(prediction=trained.test[number], calibrated_prediction=calibrated[number]),
            }
            folder.mkdir(parents=True)
            for of, one in tables.items():
                one.to_parquet(folder / predictions_file(of), index=False)


class Realised(NamedTuple):
    """The noise as it comes out.

    seed_sd: standard deviation from one training to the next of the mean CAGI5 Spearman, that of high confidence, test Spearman
    and the calibrated noise correlation. block_se: standard error by blocks of a difference of two single trainings.
    of_learned: improvement in mean CAGI5 Spearman a unit of what is learned.
    """

    seed_sd: tuple[float, float, float, float]
    block_se: float
    value: float
    of_learned: float


def realised(variants: VariantSet, noise: Noise, worlds: int, how: Resampling) -> Realised:
    """Of so many worlds, each of 20 configurations of 4 trainings."""
    names = (MEAN, MEAN.replace("/all/", "/hc/"), "test/spearman", "noise/corr_calibrated")
    more, variances, errors, slopes, values = 0.1, [], [], [], []
    for number in range(worlds):
        world = World(variants, noise, 20, np.random.default_rng([number, worlds]))
        trained = world.train(np.repeat(np.arange(20), 4))
        better = trained._replace(effects=trained.effects + more * world.truth)
        of, of_better = (
            np.array([[metrics[name] for name in names] for metrics in metrics_of(world, one)])
            for one in (trained, better)
        )
        variances.append(of.reshape(20, 4, -1).var(axis=1, ddof=1).mean(axis=0))
        slopes.append((of_better[:, 0] - of[:, 0]).mean() / more)
        values.append(of[:, 0].mean())
        table = world.variants.table()
        rows = (table["part"] == "challenge").to_numpy()
        tables = [table[rows].assign(variant_effect=trained.effects[4 * n][rows]) for n in range(3)]
        found = [Configuration(str(n), (0,), (Predictions(None, {"cagi5": one}),)) for n, one in enumerate(tables)]
        resampler = Resampler(found, world.variants.matched, how)
        resampled = resampler.metric(MEAN)
        assert resampled is not None
        errors += [error**2 for error in resampler.differences(resampled, 0).error[1:]]
    sd = np.sqrt(np.mean(variances, axis=0))
    return Realised(
        (float(sd[0]), float(sd[1]), float(sd[2]), float(sd[3])),
        math.sqrt(float(np.mean(errors))),
        float(np.mean(values)),
        float(np.mean(slopes)),
    )
