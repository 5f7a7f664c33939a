"""A campaign as programs ask it: one line for each object, figures, comparisons, and settings that train a winner again."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib import pyplot
from matplotlib.figure import Figure

import nrtune
from nrtune.analysis.campaign import Campaign, FlatConfig
from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.campaign.families import searched_families
from nrtune.orchestrator.campaign.recipe import recipe_of
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.search_spaces import FAMILIES, published_by_name
from nrtune.trainables.evaluation.metrics import spearman

CHALLENGE, RELEASE = "cagi5/challenge/spearman/all/mean", "cagi5/release/spearman/all/mean"


class Stored(RecordedTrials):
    """Trials with predictions of one element in memory."""

    def __init__(self, name: str, effects: dict[str, np.ndarray], value: np.ndarray, family: str) -> None:
        self.tables = {trial: frame(effect, value) for trial, effect in effects.items()}
        metrics = {trial: spearman(effect, value) for trial, effect in effects.items()}
        records = [
            TrialRecord.from_flat(
                name=trial, family="baseline" if trial.startswith("B") else family, number=0, fingerprint=trial,
                status="finished", config={"lr": 0.01, "seed": 0, "epochs": 2, "precision": "auto", "loss": "mse"},
                metrics=dict.fromkeys((CHALLENGE, RELEASE, "val/spearman", "test/spearman"), metrics[trial]),
                epochs_trained=2, seconds=1.0, started="", ended="2026-01-01T00:00:00+00:00",
            )
            for trial in effects
        ]  # fmt: skip
        for trial, seed in itertools.product(effects, (1, 2, 3)):
            first = next(record for record in records if record.name == trial)
            again = f"{trial}/s{seed}"
            config = {**first.config, "seed": seed}
            records.append(TrialRecord.from_flat(**{**first.to_flat(), "name": again, "fingerprint": again,
                                                    "config": config, "replicate_of": trial}))  # fmt: skip
            self.tables[again] = self.tables[trial]
        super().__init__(name, "release", records)
        self.matched = ("A",)

    def predictions(self, fingerprint: str) -> Predictions:
        n = 40
        test = pd.DataFrame({"row": range(n), "activity": np.arange(n) / n, "prediction": np.arange(n) / n})
        return Predictions(test, {"cagi5": self.tables[fingerprint]})


def frame(effect: np.ndarray, value: np.ndarray) -> pd.DataFrame:
    both = pd.concat(
        pd.DataFrame({"element": "A", "part": part, "pos": range(len(value)), "ref": "A", "alt": "C", "value": value,
                      "confidence": 0.5, "variant_effect": effect})
        for part in ("release", "challenge")
    )  # fmt: skip
    return both.reset_index(drop=True)


@pytest.fixture(scope="module")
def pair() -> tuple[Campaign, Campaign]:
    """Two campaigns on the same variants: the winner of the first follows the truth closely, that of the second hardly."""
    generator = np.random.default_rng(0)
    value = generator.normal(size=200)
    good, poor, base = (value + scale * generator.normal(size=200) for scale in (0.1, 3.0, 3.0))
    one = Stored("one", {"B-001": base, "RS-001": good}, value, "rank_stability")
    other = Stored("other", {"B-001": base, "DH-001": poor}, value, "distributional")
    return Campaign(one), Campaign(other)


def test_the_best_trial_with_interval_and_verdict(pair):
    best = pair[0].best("overall")
    assert best.name == "RS-001"
    assert best.interval.low < best.interval.value < best.interval.high
    assert best.interval.value == pytest.approx(best.metrics[CHALLENGE])
    assert best.verdict.against_baseline == "better"
    assert best.verdict.sentence().startswith("significantly better than the baseline (adjusted p ")
    other = pair[1].best("overall").verdict
    assert other.sentence().startswith("not significantly different from the baseline (adjusted p ")
    assert (other.recommendation, other.recommended_trial) == ("keep the baseline B-001", "B-001")


def test_a_winner_that_is_significantly_worse_is_said_to_be(pair):
    generator = np.random.default_rng(1)
    value = generator.normal(size=200)
    base, bad = value + 0.1 * generator.normal(size=200), -value + 0.1 * generator.normal(size=200)
    campaign = Campaign(Stored("worse", {"B-001": base, "RS-001": bad}, value, "rank_stability"))
    assert campaign.best("overall").verdict.sentence().startswith("significantly worse than the baseline (adjusted p ")


def test_winners_are_the_comparisons_own(pair):
    found = pair[0].winners().set_index("use_case")
    row = Comparisons(pair[0].source).compare("overall").of("RS-001")
    assert found.loc["overall", "trial"] == "RS-001"
    assert tuple(found.loc["overall", ["value", "low", "high", "p_holm"]]) == tuple(
        row[["value", "low", "high", "p_holm"]]
    )


def test_two_campaigns_are_compared_on_the_same_variants(pair):
    one, other = pair
    found = one.compare(other).set_index("use_case").loc["overall"]
    assert (found["trial"], found["other_trial"]) == ("RS-001", "DH-001")
    assert found["difference"] == pytest.approx(found["value"] - found["other_value"])
    assert 0 < found["low"] < found["difference"] < found["high"]
    back = other.compare(one).set_index("use_case").loc["overall"]
    assert (back["difference"], back["low"], back["p"]) == pytest.approx(
        (-found["difference"], -found["high"], found["p"])
    )
    same = one.compare(one).set_index("use_case").loc["overall"]
    assert (same["difference"], same["p"]) == (0, 1)


def test_campaigns_on_other_variants_are_not_compared(pair):
    value = np.random.default_rng(5).normal(size=50)
    elsewhere = Campaign(Stored("elsewhere", {"B-001": value, "RS-001": value}, value, "rank_stability"))
    with pytest.raises(nrtune.UserError, match="was not scored on the same rows"):
        pair[0].compare(elsewhere)


def test_everything_public_says_itself_in_a_line(pair, simulated_data):
    best = pair[0].best("overall")
    shown = [pair[0], best, best.config, best.interval, simulated_data, simulated_data.dataset, *simulated_data.benchmarks,
             nrtune.Settings(), nrtune.TrialConfig(), nrtune.USE_CASES["overall"]]  # fmt: skip
    for one in shown:
        assert "\n" not in repr(one)
    assert repr(pair[0]) == "Campaign(one: 8 trials of 2 families)"
    assert repr(best) == f"Best(overall: RS-001, {CHALLENGE} {best.metrics[CHALLENGE]:.3f})"
    for one in (pair[0], best):
        assert one._repr_html_().count("<table") == 1
        assert "RS-001" in one._repr_html_()


def test_a_figure_by_its_name(pair):
    figure = pair[0].plot("families")
    assert isinstance(figure, Figure)
    assert figure.axes
    pyplot.close("all")
    with pytest.raises(nrtune.UserError, match="unknown figure 'famlies'; did you mean"):
        pair[0].plot("famlies")


@pytest.mark.parametrize("name", published_by_name())
def test_the_settings_of_a_winner_build_it_again(name, tmp_path):
    family, published = published_by_name()[name]
    recipe = recipe_of(Settings(preset="study"))
    known = FAMILIES.get(family)
    config = recipe.config(known.flat(known.complete(published.parameters)), published.seed)
    path = tmp_path / "settings.yaml"
    path.write_text(FlatConfig(family, config.to_flat()).to_yaml())
    settings = load_settings(path, {}, Settings)
    (searched,) = searched_families(settings, None).values()
    built = {recipe_of(settings).config(searched.flat(v), settings.seed) for v in searched.representatives()}
    assert built == {config}
    assert yaml.safe_load(path.read_text())["set"]["loss"] == config.to_flat()["loss"]
