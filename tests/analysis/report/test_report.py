"""The report: what it says first, that it needs no other file, and that what it says is what was found."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.report.headline import NO_IMPROVEMENT, NOTHING_TESTED
from nrtune.analysis.report.html import html_page
from nrtune.analysis.report.markdown import markdown
from nrtune.analysis.report.report import make_report, write_report
from nrtune.analysis.report.winners import _differs
from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.budget import spent
from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.intervals import Resampling
from nrtune.orchestrator.views.best import best_table

METRIC, RELEASE = "cagi5/challenge/spearman/all/mean", "cagi5/release/spearman/all/mean"
OVERALL = {"overall": UseCase(title="CAGI5 Spearman, all variants", metrics={METRIC: "max"})}


def record(name: str, value: float, family: str = "rank_stability", **fields: object) -> TrialRecord:
    given = {
        "number": 1, "fingerprint": name, "status": "finished", "config": {"lr": 0.01, "seed": 0},
        "metrics": {METRIC: value, RELEASE: value, "noise/corr": 0.1}, "epochs_trained": 5, "seconds": 1.0, "started": "",
        "ended": "",
    }  # fmt: skip
    return TrialRecord.from_flat(name=name, family=family, **{**given, **fields})  # type: ignore[arg-type]


class Stored(RecordedTrials):
    """Two configurations: the method's predictions follow the truth by as much as `signal`, the baseline's do not."""

    def __init__(self, signal: float, select_on: str = "release", seeds: int = 3) -> None:
        rng = np.random.default_rng(0)
        truth = rng.normal(size=600)
        self._tables = {}
        records = []
        for name, family, weight in (("BASE-001", "baseline", 0.0), ("RS-001", "rank_stability", signal)):
            table = pd.DataFrame(
                {
                    "element": np.repeat(["A", "B"], 300),
                    "part": "challenge",
                    "pos": np.tile(np.arange(300), 2),
                    "value": truth,
                    "confidence": 0.2,
                    "variant_effect": weight * truth + rng.normal(size=600),
                }
            )
            self._tables[name] = table
            value = np.mean([t["value"].corr(t["variant_effect"], "spearman") for _, t in table.groupby("element")])
            config = {"lr": 0.01, "seed": 0, "loss": "mse" if family == "baseline" else family, "loss.k": 0.123456}
            records.append(record(name, float(value), family, config=config))
            for seed in range(1, seeds + 1):
                again, own = f"{name}/s{seed}", {**config, "seed": seed}
                records.append(record(again, float(value), family, config=own, replicate_of=name))
                self._tables[again] = table
        super().__init__("stored", select_on, records, {"kmer_ridge": {METRIC: 0.99}}, matched=("A", "B"))

    def predictions(self, fingerprint: str) -> Predictions:
        test = pd.DataFrame({"prediction": [0.0, 1, 2], "activity": [0.0, 1, 2], "aleatoric_std": [1.0, 1, 1]})
        return Predictions(test, {"cagi5": self._tables[fingerprint]})


def comparisons(source: RecordedTrials) -> Comparisons:
    return Comparisons(source, use_cases=OVERALL, how=Resampling(resamples=400))


def test_a_method_that_is_better_is_named_first():
    report = make_report(comparisons(Stored(signal=2.0)))
    assert report.verdict.startswith("Significantly better than the baseline (Holm, α = 0.05): RS-001 in overall.")
    text = markdown(report)
    assert text.index("RS-001 in overall") < text.index("## Winners")
    assert "RS-001 is below the 6-mer ridge regression (0.990)" in text
    assert "| RS-001 | rank stability | overall | loss rank_stability |" in text


def test_a_method_that_is_not_is_not():
    report = make_report(comparisons(Stored(signal=0.0)))
    assert report.verdict == f"{NO_IMPROVEMENT}."


def test_a_significantly_worse_winner_is_not_called_better():
    assert make_report(comparisons(Stored(signal=-2.0))).verdict == f"{NO_IMPROVEMENT}."


@pytest.mark.parametrize(
    ("select_on", "seeds", "why"),
    [
        ("release", 0, "RS-001 and BASE-001 have fewer than 3 seeds"),
        ("release", 2, "RS-001 and BASE-001 have fewer than 3 seeds"),
        ("challenge", 3, "it was selected on the very data that it is reported on"),
    ],
)
def test_nothing_is_claimed_of_what_was_not_tested(select_on, seeds, why):
    found = comparisons(Stored(2.0, select_on, seeds))
    report = make_report(found)
    assert report.verdict == f"{NOTHING_TESTED}: {why}."
    verdict = report.winners["overall"]["verdict"]
    assert verdict["against_baseline"] == f"not tested: {why}"
    assert verdict["against_non_neural"] == f"not tested: {why}".replace("RS-001 and BASE-001 have", "RS-001 has")
    assert verdict["p"] is verdict["p_adjusted"] is verdict["recommended_trial"] is None
    assert verdict["minimum_detectable_improvement"] is None
    interval = report.winners["overall"]["interval"]
    assert interval["rank"] is interval["probability_best"] is interval["p"] is None
    text = markdown(report)
    assert "Significantly" not in text
    assert "significantly better" not in text
    assert f"Not tested: {why}." in text


def test_what_was_not_tested_is_said_beside_what_was(capsys):
    """The finalists of one use case were trained again; the best of another was not among them."""
    pearson, released = METRIC.replace("spearman", "pearson"), RELEASE.replace("spearman", "pearson")
    source = Stored(2.0)
    source._tables["DH-001"] = source._tables["RS-001"]
    records = [*source.records(), record("DH-001", 0.0, "distributional", config={"lr": 0.01, "seed": 0, "loss": "dh"})]
    for one in records:
        one.metrics.update({pearson: one.metrics[METRIC], released: 0.9 if one.name == "DH-001" else 0.1})
    source._records = tuple(records)
    both = {**OVERALL, "pearson": UseCase(title="CAGI5 Pearson", metrics={pearson: "max"})}
    found = Comparisons(source, use_cases=both, how=Resampling(resamples=400))
    assert make_report(found).verdict == (
        "Significantly better than the baseline (Holm, α = 0.05): RS-001 in overall. Not tested: pearson (fewer than 3 seeds)."
    )
    best_table(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert "overall: use RS-001" in printed
    assert "pearson: train winner and baseline with 3 seeds first" in printed


def test_without_predictions_it_says_why_it_can_not_tell():
    source = RecordedTrials("mine", "challenge", [record("BASE-001", 0.1, "baseline"), record("RS-001", 0.9)])
    report = make_report(comparisons(source))
    assert report.verdict.startswith(f"{NOTHING_TESTED}: no predictions are stored")
    assert "interval of Δ" not in markdown(report)


def test_there_may_be_nothing_to_report():
    report = make_report(comparisons(RecordedTrials("empty", "challenge", [])))
    assert "no winner" in report.verdict
    assert "No trial has ended yet." in html_page(report)


def test_names_are_escaped():
    name = '<img src=x onerror="alert(1)">|`'
    failed = record("RS-002", 0.1, status="failed", failure_class="error", failure="</table><script>x</script>")
    source = RecordedTrials(name, "challenge", [record("BASE-001", 0.1, "baseline"), record(name, 0.9), failed])
    report = make_report(comparisons(source))
    page, text = html_page(report), markdown(report)
    assert "<img" not in page
    assert page.count("<script>") == 1
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;|`" in page
    assert r"\<img src=x" in text
    assert not re.search(r"(?<!\\)<(img|script)", text)


def test_control_characters_in_names_are_shown():
    name = "RS-001 \x1b]0;x\u202e"
    source = RecordedTrials(name, "challenge", [record("BASE-001", 0.1, "baseline"), record(name, 0.9)])
    report = make_report(comparisons(source))
    assert r"RS-001 \x1b]0;x\u202e" in html_page(report)
    assert r"RS-001 \\x1b\]0;x\\u202e" in markdown(report)
    for text in (html_page(report), markdown(report)):
        assert text.encode()
        assert text.replace("\n", "").isprintable()


@pytest.mark.slow
def test_the_published_table(real_data, tmp_path):
    found = Comparisons(open_campaign(real_data / "study" / "published_trials.csv"))
    page = write_report(found, tmp_path / "report")
    text = page.read_text()
    loaded = re.findall(r'(?:src|href|srcset|data)="([^"]*)"', text) + re.findall(r"url\(([^)]*)\)|@import", text)
    assert len(loaded) > 10
    assert all(address.startswith("data:") for address in loaded)
    assert all(alt for alt in re.findall(r'<img [^>]*alt="([^"]*)"', text))
    folder = page.parent
    assert len(list((folder / "figures").glob("*.svg"))) == text.count("<img ")
    assert len(list((folder / "figures").glob("*.png"))) == text.count("<img ")
    assert not list(folder.rglob("*.partial"))
    for said in ("DH7_", "ABL4_ng_a05 = NG8_ng_alpha05", "No intervals: no predictions are stored", "too good"):
        assert said in text

    winners = json.loads((folder / "winners.json").read_text())
    compared, missing = found.compare_all()
    assert set(winners) == {*compared, *missing}
    for name, comparison in compared.items():
        assert winners[name]["trial"] == comparison.winner.trial
        assert winners[name]["reported"] == pytest.approx(dict(comparison.winner.reported))
        assert winners[name]["verdict"]["against_baseline"] == f"not tested: {comparison.why_not}"
        assert winners[name]["why_no_interval"] == comparison.why_not

    written = (folder / "report.md").read_text()
    for picture in re.findall(r"!\[[^]]*\]\(([^)]*)\)", written):
        assert (folder / picture).exists()
    assert written.count("| overall |") >= 1


def test_the_budget_is_that_of_the_trials():
    records = [
        record("B", 0.3, "baseline", seconds=1800.0, cpu_seconds=3600.0, gpu_seconds=1800.0),
        record("R1", 0.3, seconds=3600.0, cpu_seconds=7200.0, gpu_seconds=3600.0, attempts=2),
        record("R2", 0.3, status="failed", metrics={}, failure_class="oom", cpu_seconds=3600.0, gpu_seconds=0.0),
        record("O", 0.3, "own"),
    ]
    table = spent(records, {"gpu_hour": 2.0, "cpu_hour": 0.1}).set_index("family")
    assert table.loc["rank_stability", ["trials", "failed", "attempts"]].tolist() == [2, 1, 3]
    assert table.loc["rank_stability", ["cpu_hours", "gpu_hours", "cost"]].tolist() == pytest.approx([3, 1, 2.3])
    assert table.loc["baseline", "cost"] == pytest.approx(1.1)
    assert math.isnan(table.loc["own", "cost"])
    assert list(table.index[:2]) == ["rank_stability", "baseline"]
    assert spent(records, {})["cost"].isna().all()
    assert spent([], {}).empty
    text = markdown(make_report(comparisons(RecordedTrials("c", "challenge", records))))
    assert "| Rank stability | 2 | 1 | 3 |" in text


@pytest.mark.end_to_end
def test_figures_of_an_earlier_report_go_and_other_files_stay(tmp_path):
    stale, other = (tmp_path / "figures" / name for name in ("fig16_importances.svg", "mine.svg"))
    stale.parent.mkdir()
    for path in (stale, other):
        path.touch()
    write_report(comparisons(Stored(signal=2.0)), tmp_path)
    assert not stale.exists()
    assert other.exists()
    assert "fig16" not in (tmp_path / "report.html").read_text()


def test_intervals_in_winners_json_are_those_of_the_comparison(tmp_path):
    found = comparisons(Stored(signal=2.0))
    report = make_report(found)
    row = found.compare("overall").of("RS-001")
    interval = json.loads(json.dumps(report.winners))["overall"]["interval"]
    assert interval["improvement_low"] == pytest.approx(row["improvement_low"])
    assert interval["p_holm"] == pytest.approx(row["p_holm"])
    assert math.isfinite(interval["low"])
    assert f"{row['low']:.3f} to {row['high']:.3f}" in markdown(report)


def test_a_parameter_that_came_after_the_baseline_is_no_difference_from_it():
    """A campaign that is gone on with by a later version has trials that list more parameters than its first ones did."""
    baseline = {"loss": "mse", "lr": 0.01}
    assert _differs("lr", 0.02, baseline)
    assert _differs("loss.k", 1.0, baseline)  # of a loss that the baseline has not
    assert not _differs("ema", 0.0, baseline)
    assert _differs("ema", 0.0, {})  # there is no baseline: all parameters are told
