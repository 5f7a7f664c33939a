"""Compared winners, on predictions whose answer can be read off; and use cases of one's own."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nrtune.analysis.report.summaries import barred_sentence
from nrtune.analysis.selection.candidates import field_of
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, load_use_cases
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.store.records import FORMAT, TrialRecord
from nrtune.analysis.uncertainty.compared import BETTER, SAME, WORSE
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.analysis.uncertainty.left_out import left_out
from nrtune.analysis.uncertainty.tested import SELECTED_ON_IT
from nrtune.analysis.uncertainty.verdict import replicate_first, verdict_of
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.evaluation.metrics import spearman

ELEMENTS = ("A", "B")
N = 180
POS = np.repeat(np.arange(N // 3), 3)
VALUE = {element: np.random.default_rng(number).normal(size=N) for number, element in enumerate(ELEMENTS)}
HOW = Resampling(resamples=300)
CHALLENGE, RELEASE = "cagi5/challenge/spearman/all/", "cagi5/release/spearman/all/"
WHEN = "2026-01-01T00:00:00+00:00"


def effects(seed: int, noise: float) -> dict[str, np.ndarray]:
    generator = np.random.default_rng([5, seed])
    return {element: VALUE[element] + noise * generator.normal(size=N) for element in ELEMENTS}


def frame(of: dict[str, np.ndarray]) -> pd.DataFrame:
    rows = [pd.DataFrame({"element": element, "part": "challenge", "chrom": f"chr{element}", "pos": POS, "ref": "A", "alt": "C",
                          "value": VALUE[element], "confidence": 0.2, "variant_effect": of[element]})
            for element in ELEMENTS]  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def record(
    name: str, of: dict[str, np.ndarray], release: dict[str, float] | None = None, **fields: object
) -> TrialRecord:
    """A trial whose challenge metrics are those of its predictions; its release metrics as given, or the same."""
    own = {element: spearman(of[element], VALUE[element]) for element in ELEMENTS}
    metrics = {}
    for prefix, found in ((CHALLENGE, own), (RELEASE, release or own)):
        metrics |= {f"{prefix}{element}": value for element, value in found.items()}
        metrics[f"{prefix}mean"] = float(np.mean(list(found.values())))
    family = "baseline" if name.startswith("BASE") else "rank_stability"
    base = {"family": family, "number": 0, "fingerprint": name, "status": "finished", "config": {"seed": 0},
            "metrics": metrics, "epochs_trained": 1, "seconds": 1.0, "started": WHEN, "ended": WHEN}  # fmt: skip
    return TrialRecord.from_flat(name=name, **{**base, **fields})


class Stored(RecordedTrials):
    """Trials with predictions in memory."""

    def __init__(self, of: dict[str, dict[str, np.ndarray]], records: list[TrialRecord]) -> None:
        super().__init__("stored", "release", records)
        self.matched, self.of = tuple(ELEMENTS), of

    def predictions(self, fingerprint: str) -> Predictions:
        if fingerprint not in self.of:
            return Predictions(None)
        test = pd.DataFrame({"row": range(30), "activity": np.arange(30.0), "prediction": np.arange(30.0)})
        return Predictions(test, {"cagi5": frame(self.of[fingerprint])})


OF = {"BASE": effects(0, 1.5), "good": effects(1, 0.4), "also-good": effects(2, 0.41), "poor": effects(3, 4.0)}


def stored(
    of: dict[str, dict[str, np.ndarray]] = OF, seeds: int = 3, release: dict[str, dict[str, float]] | None = None
) -> Stored:
    """Trials, each trained again with so many seeds, which make no difference."""
    chosen_by = release or dict.fromkeys(of)
    records = [record(name, one, chosen_by[name]) for name, one in of.items()]
    again = {f"{name}/s{seed}": one for name, one in of.items() for seed in range(1, seeds + 1)}
    for name, one in again.items():
        first, seed = name.split("/s")
        records.append(record(name, one, chosen_by[first], replicate_of=first, config={"seed": int(seed)}))
    return Stored(of | again, records)


def test_a_comparison_is_read_off_the_predictions():
    found = Comparisons(stored(), how=HOW).compare("overall")
    value = {name: np.mean([spearman(one[e], VALUE[e]) for e in ELEMENTS]) for name, one in OF.items()}
    first, second = sorted(("good", "also-good"), key=lambda name: -value[name])
    assert found.winner.trial == first
    assert found.winner.baseline == "BASE"
    assert found.why_not == ""
    assert found.table["name"].tolist() == [first, second, "BASE", "poor"]
    assert found.against_winner(SAME) == (second,)
    assert found.against_winner(WORSE) == ("poor",)
    assert found.against_winner(BETTER) == ()
    for name in OF:
        row = found.of(name)
        assert row["value"] == pytest.approx(value[name])
        assert row["improvement"] == pytest.approx(value[name] - value["BASE"])
        assert row["behind"] == pytest.approx(value[first] - value[name])
        assert row["low"] < row["value"] < row["high"]
        assert row["improvement_low"] <= row["improvement"] <= row["improvement_high"]
    assert found.of(first)["improvement_low"] > 0
    assert found.of(first)["p_holm"] < 0.001
    assert found.of("poor")["improvement_high"] < 0
    assert found.of("poor")["behind_low"] > 0
    candidates = found.table[found.table["candidate"]]
    assert candidates["rank"].tolist() == [1, 2, 3]
    assert candidates["rank_low"].tolist() == [1, 1, 3]
    assert candidates["rank_high"].tolist() == [2, 2, 3]
    assert candidates["probability_best"].sum() == pytest.approx(1)
    assert found.of("poor")["probability_best"] == 0
    # The baseline is compared to, and does not compete.
    assert found.table.loc[found.table["name"] == "BASE", ["rank", "probability_best", "p_holm"]].isna().all(axis=None)
    assert found.power is not None
    assert 0 < found.power.minimum_detectable() < 0.4


def on_encoders(of: dict[str, str], asked: tuple[str, ...]) -> Stored:
    """The same trials and trainings, each on the encoder given for it, of a search for these encoders."""
    source = stored()
    source.encoders = asked
    for one in source.records():
        one.config["encoder"] = of[one.name.partition("/")[0]]
    return source


def test_each_is_compared_to_the_baseline_on_its_encoder():
    """Of two baselines `poor` is one, on another encoder than the winner; alone on it, its gain would be the encoder's."""
    of = {"BASE": "plain", "good": "motifs", "also-good": "plain", "poor": "motifs"}
    source = on_encoders(of, ("plain", "motifs"))
    records = [dataclasses.replace(one, proposal=one.proposal._replace(family="baseline"))
               if one.name.startswith("poor") else one for one in source.records()]  # fmt: skip
    both = Stored(source.of, records)
    both.encoders = source.encoders
    found = Comparisons(both, how=HOW).compare("overall")
    value = {name: found.of(name)["value"] for name in OF}
    assert value["good"] > value["also-good"] > value["BASE"] > value["poor"]
    assert (found.winner.trial, found.winner.baseline, found.not_tested) == ("good", "poor", "")
    for name, baseline in {"good": "poor", "also-good": "BASE", "BASE": "BASE", "poor": "poor"}.items():
        row = found.of(name)
        assert row["baseline"] == baseline
        assert row["improvement"] == pytest.approx(value[name] - value[baseline])
        assert row["improvement_low"] <= row["improvement"] <= row["improvement_high"]


def test_nothing_is_tested_without_a_baseline_on_the_winners_encoder():
    of = {"BASE": "plain", "good": "motifs", "also-good": "plain", "poor": "motifs"}
    comparisons = Comparisons(on_encoders(of, ("plain", "motifs")), how=HOW)
    found = comparisons.compare("overall")
    assert (found.winner.trial, found.winner.baseline) == ("good", "BASE")
    assert found.not_tested == "no baseline on its encoder motifs has finished"
    verdict = verdict_of(comparisons, found)
    assert verdict.against_baseline == "not tested: no baseline on its encoder motifs has finished"
    assert (verdict.recommendation, verdict.recommended_trial) == (f"none: {found.not_tested}", None)
    assert verdict.p_adjusted is None
    # In a study, and for a family that is about its encoder, the encoder is a part of what is compared.
    assert Comparisons(on_encoders(of, ()), how=HOW).compare("overall").not_tested == ""
    own = on_encoders(of, ("plain",))
    records = [dataclasses.replace(one, proposal=one.proposal._replace(family="factorized"))
               if one.name.startswith("good") else one for one in own.records()]  # fmt: skip
    about_it = Stored(own.of, records)
    about_it.encoders = own.encoders
    assert Comparisons(about_it, how=HOW).compare("overall").not_tested == ""


def test_the_interval_across_elements_is_students_t_over_them(monkeypatch):
    monkeypatch.setitem(VALUE, "C", np.random.default_rng(8).normal(size=N))
    monkeypatch.setattr(sys.modules[__name__], "ELEMENTS", ("A", "B", "C"))
    of = {"BASE": effects(0, 1.5), "good": effects(1, 0.9), "poor": effects(3, 4.0)}
    comparisons = Comparisons(stored(of), how=HOW)
    found = comparisons.compare("overall")
    own = {name: np.array([spearman(one[e], VALUE[e]) for e in ELEMENTS]) for name, one in of.items()}
    difference = own["good"] - own["BASE"]
    expected = stats.t.interval(0.95, 2, difference.mean(), stats.sem(difference))
    claimed = verdict_of(comparisons, found)
    assert claimed.elements == 3
    assert claimed.interval_across_elements == pytest.approx(expected)
    assert claimed.to_dict()["interval_across_elements"] == claimed.interval_across_elements
    row = found.of("good")
    assert (row["elements_low"], row["elements_high"]) == pytest.approx(
        stats.t.interval(0.95, 2, own["good"].mean(), stats.sem(own["good"]))
    )
    assert found.blocks is not None
    assert min(found.blocks) >= 10


def test_of_two_elements_there_is_no_interval_across_them():
    comparisons = Comparisons(stored(), how=HOW)
    found = verdict_of(comparisons, comparisons.compare("overall"))
    assert (found.elements, found.interval_across_elements) == (None, None)


def test_elements_that_overlap_are_left_out_together():
    """R1 is better by A and A.2, which are one locus; without it R2 is."""
    release = {"R1": {"A": 0.9, "A.2": 0.8, "B": 0.3}, "R2": {"A": 0.5, "A.2": 0.5, "B": 0.5}}
    rows = []
    for name, of in release.items():
        mean = ((of["A"] + of["A.2"]) / 2 + of["B"]) / 2
        rows.append({"name": name, "family": "rank_stability", "status": "finished", "same_as": None, "replicate_of": None,
                     "published": None, "fingerprint": name, "seed": 0, f"{CHALLENGE}mean": mean, f"{RELEASE}mean": mean,
                     **{RELEASE + e: value for e, value in of.items()}})  # fmt: skip
    trials = pd.DataFrame(rows)
    found = left_out(field_of(trials, "overall", "release"), trials, "release", [["A", "A.2"], ["B"]])
    assert found == {"A, A.2": "R2", "B": "R1"}


def test_p_is_corrected_for_the_candidates_alone():
    found = Comparisons(stored(), how=HOW).compare("overall")
    p = found.table.loc[found.table["candidate"], "p"].sort_values()
    expected = np.minimum(np.maximum.accumulate(p.to_numpy() * [3, 2, 1]), 1)
    assert found.table.loc[p.index, "p_holm"].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize("count", [2, 3, 7, 18])
def test_twins_share_the_first_rank(count):
    of = {"BASE": OF["BASE"], **{f"T{i}": OF["good"] for i in range(count)}, "poor": OF["poor"]}
    found = Comparisons(stored(of), how=HOW).compare("overall")
    aliases = found.table[found.table["name"].str.startswith("T")]
    assert aliases["probability_best"].tolist() == pytest.approx([1 / count] * count)
    assert (aliases[["rank", "rank_low", "rank_high"]] == 1).all(axis=None)
    assert len(found.against_winner(SAME)) == count - 1


def test_the_winner_without_an_element():
    """On release R1 is better by B alone: without B it is R2, without A it stays R1."""
    release = {"BASE": {"A": 0.1, "B": 0.1}, "R1": {"A": 0.3, "B": 0.9}, "R2": {"A": 0.5, "B": 0.5}}
    of = {"BASE": OF["BASE"], "R1": OF["good"], "R2": OF["also-good"]}
    source = Stored(of, [record(name, of[name], release[name]) for name in of])
    found = Comparisons(source, how=HOW).compare("overall")
    assert found.winner.trial == "R1"
    assert dict(found.left_out) == {"A": "R1", "B": "R2"}
    with_test = Comparisons(source, select_on="challenge", how=HOW).compare("overall")
    assert set(with_test.left_out) == {"A", "B"}


def test_without_predictions_there_is_a_winner_and_a_reason():
    source = stored(seeds=0)
    source.of = {name: one for name, one in OF.items() if name != "poor"}
    found = Comparisons(source, how=HOW).compare("overall")
    assert found.winner.trial in ("good", "also-good")
    assert found.why_not == "no predictions are stored with these trials"
    assert found.power is None
    assert found.not_tested == found.why_not
    assert found.table[["low", "improvement", "rank"]].isna().all(axis=None)
    assert Comparisons(source, how=HOW).value_intervals([CHALLENGE + "mean"])["name"].tolist() == list(source.of)


def test_a_metric_that_predictions_do_not_tell():
    source = stored(seeds=0)
    source._records = tuple(
        TrialRecord.from_flat(**{**r.to_flat(), "metrics": {**r.metrics, "noise/gap": 0.1, "val/noise/gap": 0.1}})
        for r in source._records
    )
    own = {"gap": USE_CASES["noise_resistance"].__class__(title="gap", metrics={"noise/gap": "min"})}
    found = Comparisons(source, how=HOW, use_cases=own).compare("gap")
    assert found.why_not == "stored predictions do not tell noise/gap"


def test_a_lucky_training_loses_to_a_steady_one_once_replicated():
    of = {"BASE": effects(0, 1.5), "lucky": effects(1, 0.3), "steady": effects(2, 0.6)}
    records = [record(name, one) for name, one in of.items()]
    assert Comparisons(Stored(of, records), how=HOW).compare("overall").winner.trial == "lucky"
    for number, seed in enumerate((11, 12, 13)):
        for name, noise in (("BASE", 1.5), ("lucky", 2.5), ("steady", 0.6)):
            again = f"{name}/s{seed}"
            of[again] = effects(100 + 10 * number + len(name), noise)
            records.append(record(again, of[again], config={"seed": seed}, replicate_of=name))
    found = Comparisons(Stored(of, records), how=HOW).compare("overall")
    assert (found.winner.trial, found.winner.replicates) == ("steady", 3)
    mean = np.mean([spearman(of[f"steady/s{seed}"][e], VALUE[e]) for seed in (11, 12, 13) for e in ELEMENTS])
    assert found.of("steady")["value"] == pytest.approx(mean)
    assert found.winner.reported[CHALLENGE + "mean"] == pytest.approx(mean)
    assert found.of("steady")["improvement_low"] > 0
    assert found.against_winner(WORSE) == ("lucky",)


def test_a_winner_by_release_that_is_beaten_on_what_is_reported():
    of = {"BASE": OF["BASE"], "chosen": effects(1, 1.0), "better": effects(2, 0.3), "worse": effects(3, 5.0)}
    release = {name: dict.fromkeys(ELEMENTS, value) for name, value in zip(of, (0.1, 0.9, 0.5, 0.2), strict=True)}
    comparisons = Comparisons(stored(of, release=release), how=HOW)
    found = verdict_of(comparisons, comparisons.compare("overall"))
    assert found.winner == "chosen"
    assert (found.significantly_better, found.significantly_worse) == (("better",), ("worse",))
    assert found.against_baseline == BETTER
    assert found.recommendation.startswith(
        "better is significantly better than chosen on the reported data; use chosen"
    )


class WithTest(Stored):
    """With given predictions of test sequences, beside one element's."""

    def __init__(self, source: Stored, test: dict[str, np.ndarray], activity: np.ndarray) -> None:
        super().__init__(source.of, source.records())
        self.test, self.activity = test, activity

    def predictions(self, fingerprint: str) -> Predictions:
        predicted = self.test[fingerprint.partition("/")[0]]
        test = pd.DataFrame(
            {
                "row": range(len(predicted)),
                "activity": self.activity,
                "prediction": predicted,
                "calibrated_prediction": predicted,
                "aleatoric_std": np.abs(np.sin(np.arange(len(predicted)))) + 1,
            }
        )
        return super().predictions(fingerprint)._replace(test=test)  # fmt: skip


def test_a_bad_model_cannot_win_for_being_free_of_noise():
    """At its floor a winner may not be below the baseline: who predicts nothing is no answer to noise."""
    generator = np.random.default_rng(3)
    activity = generator.normal(size=400)
    test = {name: activity + noise * generator.normal(size=400) for name, noise in
            (("BASE", 0.5), ("good", 0.4), ("also-good", 0.4), ("poor", 30.0))}  # fmt: skip
    source = stored()
    noise = {"poor": -0.9, "good": 0.3, "also-good": 0.35, "BASE": 0.4}
    for one in source.records():
        name = one.name.partition("/")[0]
        one.metrics.update({"noise/corr_calibrated": noise[name], "val/noise/corr_calibrated": noise[name]})
        one.metrics["val/spearman"] = 0.1 if name == "poor" else 0.8
    with_test = WithTest(source, test, activity)
    comparisons = Comparisons(with_test, how=HOW)
    found = comparisons.compare("noise_resistance")
    assert (found.winner.trial, found.winner.barred) == ("good", ("poor",))
    assert found.table["name"].tolist().count("poor") == 1  # shown, and no candidate
    assert not found.of("poor")["candidate"]
    assert np.isnan(found.of("poor")["p"])
    assert comparisons.winner("noise_resistance") == found.winner
    assert barred_sentence(comparisons, found) == ("below the baseline in validation Spearman, and no candidates: poor")
    assert Comparisons(with_test, how=HOW).compare("overall").winner.barred == ()


def test_nothing_is_tested_on_what_it_was_selected_on():
    class WithRelease(Stored):
        def predictions(self, fingerprint: str) -> Predictions:
            test, tables = super().predictions(fingerprint)
            both = pd.concat([tables["cagi5"], tables["cagi5"].assign(part="release")], ignore_index=True)
            return Predictions(test, {"cagi5": both})

    own = {"tuned": UseCase(title="Release", metrics={RELEASE + "mean": "max"})}
    source = WithRelease(OF | stored().of, stored().records())
    comparisons = Comparisons(source, how=HOW, use_cases={**USE_CASES, **own})
    found = comparisons.compare("tuned")
    assert (found.winner.confirmed, found.why_not, found.not_tested) == (True, "", SELECTED_ON_IT)
    assert found.table["p"].isna().all()
    assert verdict_of(comparisons, found).recommendation == f"none: {SELECTED_ON_IT}"
    assert comparisons.compare("overall").not_tested == ""


class BesideLines(Stored):
    """With a non-neural baseline whose predictions are given."""

    def __init__(self, source: Stored, line: dict[str, np.ndarray]) -> None:
        super().__init__(source.of, source.records())
        self.line = line

    def references(self) -> dict[str, dict[str, float]]:
        own = {element: spearman(self.line[element], VALUE[element]) for element in ELEMENTS}
        return {"constant": {}, "kmer_ridge": {CHALLENGE + "mean": float(np.mean(list(own.values())))}}

    def reference_predictions(self, name: str) -> Predictions:
        assert name == "kmer_ridge"
        return Predictions(self.predictions("BASE").test, {"cagi5": frame(self.line)})


@pytest.mark.parametrize(("noise", "word"), [(0.05, WORSE), (0.4, SAME), (3.0, BETTER)])
def test_the_winner_is_tested_against_the_best_non_neural_baseline(noise, word):
    comparisons = Comparisons(BesideLines(stored(), effects(9, noise)), how=HOW)
    found = verdict_of(comparisons, comparisons.compare("overall"))
    assert (found.against_baseline, found.against_non_neural) == (BETTER, word)
    assert ("a non-neural baseline is significantly better" in found.recommendation) == (word == WORSE)


def write_campaign(folder, records):
    folder.mkdir(exist_ok=True)
    manifest = {"format": FORMAT, "name": "c", "identity": {"select_on": "release"}, "cagi5": {"matched": ELEMENTS}}
    (folder / "campaign.json").write_text(json.dumps(manifest))
    (folder / "trials.jsonl").write_text("".join(one.to_line() + "\n" for one in records))
    for one in records:
        trial = folder / "trials" / one.fingerprint
        trial.mkdir(parents=True, exist_ok=True)
        frame(OF[one.name]).to_parquet(trial / "predictions_cagi5.parquet")
        test = pd.DataFrame({"row": range(30), "activity": np.arange(30.0), "prediction": np.arange(30.0)})
        test.to_parquet(trial / "predictions_test.parquet")
    return open_campaign(folder)


def test_a_campaign_keeps_its_comparisons(tmp_path, monkeypatch):
    folder = tmp_path / "c"
    records = [record(name, OF[name]) for name in ("BASE", "good", "poor")]
    source = write_campaign(folder, records)
    found, missing = Comparisons(source, how=HOW).compare_all()
    assert list(found) == ["overall"]
    assert set(missing) == set(USE_CASES) - {"overall", "saturation_mutagenesis", "table"}  # of which nothing is said
    assert len(list((folder / "analysis").iterdir())) == 1

    def made_again(*_: object) -> None:
        raise AssertionError("made again")

    with monkeypatch.context() as patched:
        patched.setattr(Comparisons, "_resampler", made_again)
        again, missing_again = Comparisons(open_campaign(folder), how=HOW).compare_all()
        assert missing_again == missing
        kept, fresh = again["overall"], found["overall"]
        assert (kept.winner, kept.left_out, kept.why_not) == (fresh.winner, fresh.left_out, fresh.why_not)
        assert kept.power == fresh.power
        assert (kept.not_tested, kept.against_non_neural) == (fresh.not_tested, fresh.against_non_neural)
        pd.testing.assert_frame_equal(kept.table, fresh.table, check_dtype=False, rtol=1e-9)
        with pytest.raises(AssertionError, match="made again"):
            Comparisons(open_campaign(folder), how=Resampling(resamples=301)).compare_all()
    # Another trial, another answer.
    source = write_campaign(folder, [*records, record("also-good", OF["also-good"])])
    found, _ = Comparisons(source, how=HOW).compare_all()
    assert found["overall"].winner.candidates == 3


def test_use_cases_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "robust:\n  title: Both\n  metrics: {test/spearman: max, noise/corr: min}\n  ties: [test/pearson]\n"
        "  magnitude: [noise/corr]\noverall:\n  metrics: {test/mse: min}\n"
    )
    found = load_use_cases(path)
    assert set(found) == {*USE_CASES, "robust"}
    own = found["robust"]
    assert (own.title, own.composite, own.ties, own.magnitude) == (
        "Both", True, ("test/pearson",), frozenset({"noise/corr"}))  # fmt: skip
    assert dict(own.metrics) == {"test/spearman": "max", "noise/corr": "min"}
    assert (found["overall"].title, dict(found["overall"].metrics)) == ("overall", {"test/mse": "min"})
    assert found["pearson"] is USE_CASES["pearson"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "is not YAML"),
        ("- a\n", "must map names of use cases to their rules"),
        ("", "must map names of use cases to their rules"),
        ("own: 3\n", "use case own: must have metrics"),
        ("own: {metric: {test/mse: min}}\n", "use case own: unknown key 'metric'; did you mean 'metrics'"),
        ("own: {title: x}\n", "use case own: metrics must map names of metrics to max or min"),
        ("own: {metrics: {test/mse: smallest}}\n", "metrics must map names of metrics to max or min"),
        ("own: {metrics: {test/mse: [min]}}\n", "metrics must map names of metrics to max or min"),
        ("own: {metrics: {3: min}}\n", "3 is no metric"),
        ("own: {metrics: {test/mse: min}, ties: test/pearson}\n", "ties must be a list of names of metrics"),
        ("own: {metrics: {mse: min}}\n", "'mse' is no metric"),
        ("own: {metrics: {test/mse: min}, magnitude: [noise/corr]}\n", "magnitude names metrics of the use case"),
    ],
)
def test_mistakes_in_use_cases(tmp_path, text, sentence):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence) as raised:
        load_use_cases(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_no_file_of_use_cases(tmp_path):
    with pytest.raises(UserError, match="no such file; give a file of use cases"):
        load_use_cases(tmp_path / "none.yaml")


def test_nothing_is_recommended_over_a_baseline_that_the_search_has_bettered():
    """BASE2 is better by its own training, and has no fresh seeds: what is significantly better than BASE may not be so of it."""
    source = stored()
    comparisons = Comparisons(source, how=HOW)
    before = verdict_of(comparisons, comparisons.compare("overall"))
    assert (before.against_baseline, before.recommended_trial) == (BETTER, before.winner)
    again = Comparisons(Stored(source.of, [*source.records(), record("BASE2", OF["also-good"])]), how=HOW)
    after = verdict_of(again, again.compare("overall"))
    assert (after.winner, after.baseline, after.against_baseline) == (before.winner, "BASE", BETTER)
    assert (after.recommendation, after.recommended_trial) == (replicate_first(again, ["overall"]), None)
