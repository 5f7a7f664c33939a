"""Ensembles, on predictions small enough to see the answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.predictions import Predictions, read_predictions
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.uncertainty.ensemble import MEAN, RANKS, EnsembleComparison, combine, store
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.evaluation.metrics import spearman

METRICS = ("cagi5/release/spearman/all/mean", "cagi5/challenge/spearman/all/mean")


def predictions(test: list[float], effects: list[float]) -> Predictions:
    n = len(effects)
    variants = pd.DataFrame(
        {
            "element": ["A"] * (n // 2) + ["B"] * (n - n // 2),
            "part": "challenge",
            "pos": range(n),
            "variant_effect": effects,
        }
    )
    return Predictions(
        pd.DataFrame({"row": range(len(test)), "activity": 0.0, "prediction": test}), {"cagi5": variants}
    )


def test_the_mean_and_the_mean_rank():
    first = predictions([0.0, 1.0, 2.0], [1.0, 2.0, 10.0, 20.0])
    second = predictions([4.0, 1.0, 0.0], [2.0, 1.0, 0.1, 0.2])
    mean = combine([first, second], MEAN)
    assert mean.test is not None
    assert mean.test["prediction"].tolist() == [2.0, 1.0, 1.0]
    assert mean.effects["cagi5"]["variant_effect"].tolist() == pytest.approx([1.5, 1.5, 5.05, 10.1])
    ranks = combine([first, second], RANKS)
    assert ranks.test is not None
    assert ranks.test["prediction"].tolist() == pytest.approx([(1 + 3) / 6, (2 + 2) / 6, (3 + 1) / 6])
    # Within element A the two disagree, within B they agree: ranks 1 and 2 of 2.
    assert ranks.effects["cagi5"]["variant_effect"].tolist() == [0.75, 0.75, 0.5, 1.0]


def test_a_mean_is_of_calibrated_predictions():
    """The first is on a scale ten times as wide, and would decide alone."""
    first, second = predictions([10.0, 30.0, 20.0], [50.0, 10.0]), predictions([3.0, 1.0, 2.0], [1.0, -1.0])
    first.test["calibrated_prediction"] = [0.0, 2.0, 1.0]  # a tenth, less 1
    second.test["calibrated_prediction"] = [3.5, 1.5, 2.5]
    mean = combine([first, second], MEAN)
    assert mean.test["prediction"].tolist() == mean.test["calibrated_prediction"].tolist() == [1.75] * 3
    assert mean.effects["cagi5"]["variant_effect"].tolist() == pytest.approx([3.0, 0.0])
    assert "calibrated_prediction" not in combine([first, second], RANKS).test
    del second.test["calibrated_prediction"]  # of a campaign of before
    mixed = combine([first, second], MEAN)
    assert mixed.test["prediction"].tolist() == [6.5, 15.5, 11.0]
    assert "calibrated_prediction" not in mixed.test


def test_other_rows_are_refused():
    with pytest.raises(UserError, match="not scored on the same rows"):
        combine([predictions([0.0], [1.0, 2.0]), predictions([0.0, 1.0], [1.0, 2.0])], MEAN)


class Stored(RecordedTrials):
    """Trials with predictions in memory."""

    def __init__(self, effects: dict[str, np.ndarray], value: np.ndarray, pos: np.ndarray) -> None:
        records = [
            TrialRecord.from_flat(name=name, family="rank_stability", number=0, fingerprint=name, status="finished",
                        config={"seed": 0},
                        metrics=dict.fromkeys(METRICS, spearman(effect, value)), epochs_trained=1, seconds=1.0,
                        started="2026-01-01T00:00:00+00:00", ended="2026-01-01T00:00:00+00:00")
            for name, effect in effects.items()
        ]  # fmt: skip
        super().__init__("stored", "release", records)
        self.matched = ("A",)
        self.effects, self.value, self.pos = effects, value, pos

    def predictions(self, fingerprint: str) -> Predictions:
        variants = pd.DataFrame({"element": "A", "part": "challenge", "pos": self.pos, "value": self.value,
                                 "confidence": 0.2, "variant_effect": self.effects[fingerprint]})  # fmt: skip
        test = pd.DataFrame({"row": range(30), "activity": np.arange(30.0), "prediction": np.arange(30.0)})
        return Predictions(test, {"cagi5": variants})


def test_independent_errors_average_out(tmp_path):
    generator = np.random.default_rng(0)
    value = generator.normal(size=600)
    effects = {f"T{i}": value + 1.5 * generator.normal(size=600) for i in range(5)}
    source = Stored(effects, value, np.repeat(np.arange(200), 3))
    compared = EnsembleComparison(source, "overall", how=Resampling(resamples=500))
    found = {one.way: one for one in compared.of_use_case()}
    best = max(effects, key=lambda name: spearman(effects[name], value))
    for way in (MEAN, RANKS):
        assert found[way].members[0] == found[way].best == best
        assert len(found[way].members) == 5
        assert found[way].single == pytest.approx(spearman(effects[best], value))
        assert found[way].improvement_low > 0.1
        assert found[way].low < found[way].value < found[way].high
    assert found[MEAN].value == pytest.approx(spearman(np.mean(list(effects.values()), axis=0), value))
    paths = store(found[MEAN], tmp_path)
    assert [path.name for path in paths] == ["predictions_test.parquet", "predictions_cagi5.parquet"]
    stored = pd.read_parquet(paths[1])["variant_effect"]
    assert np.allclose(stored, np.mean(list(effects.values()), axis=0))


def test_an_ensemble_needs_two():
    value = np.arange(60.0)
    with pytest.raises(UserError, match="an ensemble needs two"):
        EnsembleComparison(Stored({"T": value}, value, np.repeat(np.arange(20), 3)), "overall")


def test_stored_predictions_of_a_predicted_variance_are_combined(tmp_path):
    """Each trial has its own log-variances, and one of the version before has no strata: neither are the rows."""
    table = pd.DataFrame({"element": "A", "part": "release", "pos": range(3), "ref": "A", "alt": "C", "value": 0.1})
    test = pd.DataFrame({"row": range(3), "activity": 0.0})
    read = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        test.assign(prediction=float(number), log_variance=float(number)).to_parquet(
            folder / "predictions_test.parquet"
        )
        more = {"stratum": "hc", "matched": True} if number else {"confidence": 0.2}
        table.assign(variant_effect=float(number), **more).to_parquet(folder / "predictions_cagi5.parquet")
        read.append(read_predictions(lambda name, folder=folder: folder / name, ["cagi5"]))
    mean = combine(read, MEAN)
    assert mean.test["prediction"].tolist() == mean.effects["cagi5"]["variant_effect"].tolist() == [0.5] * 3
