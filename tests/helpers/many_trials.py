"""A campaign's folder of many trials, whose predictions are those of a few: for what must not grow with their number."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from nrtune.analysis.store.records import FORMAT, MANIFEST, RECORDS, TRIALS, TrialRecord
from nrtune.trainables.core.files import TEST, predictions_file

ELEMENTS, POSITIONS, TESTS = ("A", "B", "C"), 120, 200
DISTINCT = 8
WHEN = "2026-01-01T00:00:00+00:00"


def write_many(folder: Path, trials: int) -> Path:
    """Write a finished campaign of so many single trainings, some of the baseline; all are scored and none is confirmed."""
    generator = np.random.default_rng(0)
    manifest = {
        "format": FORMAT, "id": "many", "name": "many", "created": WHEN, "benchmarks": ["cagi5"],
        "identity": {"select_on": "release", "command": "search", "tracking_uri": None},
        "cagi5": {"matched": ELEMENTS},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    for number in range(min(trials, DISTINCT)):
        _write_predictions(folder / TRIALS / _fingerprint(number), generator)
    with (folder / RECORDS).open("w") as file:
        for number in range(trials):
            there = folder / TRIALS / _fingerprint(number)
            if number >= DISTINCT:
                there.mkdir()
                for name in (TEST, "cagi5"):
                    first = folder / TRIALS / _fingerprint(number % DISTINCT) / predictions_file(name)
                    os.link(first, there / predictions_file(name))
            file.write(_record(number, generator).to_line() + "\n")
    return folder


def _fingerprint(number: int) -> str:
    return f"{number:016x}"


def _write_predictions(folder: Path, generator: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    shared = np.random.default_rng(1)
    activity = shared.normal(size=TESTS).astype(np.float32)
    test = pd.DataFrame({"row": range(TESTS), "activity": activity, "aleatoric_std": shared.uniform(0.1, 1, TESTS)})
    noisy = (activity + generator.normal(size=TESTS)).astype(np.float32)
    test = test.assign(prediction=noisy, calibrated_prediction=noisy.astype(np.float64) / 2)
    test.to_parquet(folder / predictions_file(TEST))
    tables = []
    for element in ELEMENTS:
        for part in ("challenge", "release"):
            value = shared.normal(size=POSITIONS)
            effect = (value + generator.normal(size=POSITIONS)).astype(np.float32)
            columns = {"element": element, "part": part, "matched": True, "chrom": f"chr{element}", "pos": range(POSITIONS),
                       "ref": "A", "alt": "C", "value": value, "stratum": np.where(np.arange(POSITIONS) % 2, "hc", "lc"),
                       "variant_effect": effect}  # fmt: skip
            tables.append(pd.DataFrame(columns))
    pd.concat(tables, ignore_index=True).to_parquet(folder / predictions_file("cagi5"))


def _record(number: int, generator: np.random.Generator) -> TrialRecord:
    plain = ("val/spearman", "val/pearson", "test/spearman", "test/pearson")
    metrics = {name: float(generator.uniform(0.3, 0.6)) for name in plain}
    for part in ("challenge", "release"):
        for kind in ("spearman", "pearson"):
            for stratum in ("all", "hc", "lc"):
                own = {element: float(generator.uniform(0.1, 0.5)) for element in ELEMENTS}
                prefix = f"cagi5/{part}/{kind}/{stratum}"
                metrics |= {f"{prefix}/{element}": value for element, value in own.items()}
                metrics[f"{prefix}/mean"] = float(np.mean(list(own.values())))
        metrics[f"cagi5/{part}/hc_lc_gap"] = (
            metrics[f"cagi5/{part}/spearman/hc/mean"] - metrics[f"cagi5/{part}/spearman/lc/mean"]
        )
    for name in ("noise/corr", "noise/corr_calibrated", "val/noise/corr", "val/noise/corr_calibrated"):
        metrics[name] = float(generator.uniform(0, 0.4))
    is_baseline = number % 50 == 0
    return TrialRecord.from_flat(
        name=f"{'BASE' if is_baseline else 'RS'}-{number:04d}",
        family="baseline" if is_baseline else "rank_stability",
        number=number,
        fingerprint=_fingerprint(number),
        status="finished",
        config={"encoder": "motif_cnn", "lr": float(generator.uniform(1e-4, 1e-2)), "seed": number},
        metrics=metrics,
        epochs_trained=1,
        seconds=1.0,
        started=WHEN,
        ended=WHEN,
    )
