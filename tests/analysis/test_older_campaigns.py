"""A campaign of the version before: its records, predictions and baselines, as that version wrote them, are read as today's.

tests/data/campaign-of-0.1.tar.gz was made by nrtune 0.1.0 of 2026-11-30 (09a39f9): `nrtune data simulate --n 200`, each
sixteenth variant, `nrtune search --families baseline,rank_stability --set encoder=factorized --trials 2 --epochs 3`;
checkpoints, MLflow's and Optuna's files left out.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from in_process import run

import nrtune
from nrtune.analysis.report.report import write_report
from nrtune.analysis.sources.open import open_folder
from nrtune.analysis.store.records import MANIFEST, read_records
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.trainables.evaluation.metrics import spearman

ARCHIVE = Path(__file__).parents[1] / "data" / "campaign-of-0.1.tar.gz"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "older", filter="data")
    return tmp_path / "older"


def test_its_trials_are_read(older):
    records = read_records(older)
    assert [(r.name, r.status) for r in records] == [
        (n, "finished") for n in ("BASE-001", "RS-001", "BASE-002", "RS-002")
    ]
    lines = [json.loads(line) for line in (older / "trials.jsonl").read_text().splitlines()]
    assert all("also" in line and "aliases" not in line for line in lines)
    assert [record.config for record in records] == [line["config"] for line in lines]
    assert [record.metrics for record in records] == [line["metrics"] for line in lines]


def test_its_winner_has_an_interval_about_the_value_that_was_stored(older):
    best = nrtune.open_campaign(older).best("overall")
    assert best.interval.low < best.interval.value < best.interval.high
    assert best.interval.value == pytest.approx(best.metrics["cagi5/challenge/spearman/all/mean"])
    table = nrtune.open_campaign(older).source.predictions(best.fingerprint).effects["cagi5"]
    assert "stratum" not in table
    own = table[(table["element"] == "SIM1") & (table["part"] == "challenge")]
    assert spearman(own["variant_effect"], own["value"]) == best.metrics["cagi5/challenge/spearman/all/SIM1"]


def test_every_question_is_answered(older, tmp_path, monkeypatch, capsys, few_figures):
    for command in (["trials", older], ["best", older], ["best", older, "--json"], ["status", older],
                    ["best", older, "--use-case", "overall", "--as-settings"], ["trials", older, "--format", "csv"]):  # fmt: skip
        code, out, err = run(monkeypatch, capsys, *command)
        assert code == 0, err
        assert out
    write_report(Comparisons(open_folder(older)), tmp_path / "report")
    assert "RS-001" in (tmp_path / "report" / "report.md").read_text()


def test_one_of_another_format_is_refused_in_a_sentence(older):
    manifest = json.loads((older / MANIFEST).read_text())
    (older / MANIFEST).write_text(json.dumps({**manifest, "format": 1}))
    with pytest.raises(nrtune.UserError, match=r"was written by nrtune before 0\.1"):
        nrtune.open_campaign(older)
    (older / MANIFEST).write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(nrtune.UserError, match=r"was written by a newer nrtune; read it with that"):
        nrtune.open_campaign(older)
