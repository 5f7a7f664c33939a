"""Which checkpoints stay, what `nrtune gc` says, and that it deletes what it said and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import run

from nrtune.analysis.store.records import FORMAT, MANIFEST, RECORDS, TrialRecord
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.retention import plan_gc, plan_retention
from nrtune.trainables.core.errors import UserError

METRICS = {"cagi5/release/spearman/all/mean": 0.0, "cagi5/challenge/spearman/all/mean": 0.0}
FILES = ("best.pt", "history.json", "predictions_test.parquet", "predictions_cagi5.parquet")


def record(name: str, value: float, family: str = "rank_stability", **fields: object) -> TrialRecord:
    given = {
        "number": 1, "fingerprint": f"f-{name.replace('/', '-')}", "status": "finished", "config": {"lr": value},
        "metrics": dict.fromkeys(METRICS, value), "epochs_trained": 1, "seconds": 1.0, "started": "", "ended": "",
    }  # fmt: skip
    return TrialRecord.from_flat(name=name, family=family, **{**given, **fields})


RECORDED = [
    record("BASE-001", 0.0, "baseline"),
    *(record(f"RS-{number:03d}", number / 10) for number in range(1, 5)),
    record("RS-003/s1", 0.9, replicate_of="RS-003"),
    record("RS-001/s1", 0.9, replicate_of="RS-001"),
    record("RS-009", 0.0, status="failed", metrics={}, failure_class="oom"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "campaign"
    identity = {"command": "search", "select_on": "release"}
    manifest = {"format": FORMAT, "id": "1", "name": "c", "identity": identity, "settings": {"keep_top": 2}}
    folder.mkdir()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / RECORDS).write_text("".join(one.to_line() + "\n" for one in RECORDED))
    for fingerprint in [*(one.fingerprint for one in RECORDED), "f-running"]:
        trial = folder / "trials" / fingerprint
        trial.mkdir(parents=True)
        for name in (*FILES, "last.pt") if fingerprint == "f-running" else FILES:
            (trial / name).write_text("0123456789")
    (folder / "trials" / "f-RS-001" / ".best.pt.77.partial").write_text("half")
    (folder / "ray").mkdir()
    (folder / "ray" / "tuner.pkl").touch()
    return folder


def models(folder: Path) -> set[str]:
    return {path.parent.name.removeprefix("f-") for path in folder.glob("trials/*/best.pt")}


def test_the_best_stay_with_their_replicates_the_baseline_and_what_runs(folder, monkeypatch, capsys):
    before = {path for path in folder.rglob("*") if path.is_file()}
    code, out, _ = run(monkeypatch, capsys, "gc", folder)
    assert code == 0
    assert "would go: checkpoints of 4 trials: RS-001, RS-001/s1, RS-002, RS-009" in out
    assert "would go: ray/" in out
    assert "nothing was deleted; --yes does it" in out
    assert {path for path in folder.rglob("*") if path.is_file()} == before

    code, out, _ = run(monkeypatch, capsys, "gc", folder, "--yes")
    assert (code, out.splitlines()[-1]) == (0, "deleted")
    assert models(folder) == {"BASE-001", "RS-003", "RS-003-s1", "RS-004", "running"}
    gone = before - {path for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in gone} == {"best.pt", ".best.pt.77.partial", "tuner.pkl"}
    assert len([path for path in gone if path.name == "best.pt"]) == 4
    assert (folder / "trials" / "f-running" / "last.pt").exists()
    code, out, _ = run(monkeypatch, capsys, "gc", folder, "--yes")
    assert "there is nothing to delete" in out


def test_the_user_says_what_stays(folder):
    assert set(plan_gc(folder, 1, ["RS-001"]).kept.values()) == {
        "BASE-001", "RS-001", "RS-001/s1", "RS-004",
    }  # fmt: skip
    assert len(plan_gc(folder, 1, ["all"]).kept) == len(RECORDED)
    with pytest.raises(UserError, match="--keep RS-01: the campaign has no such trial; did you mean 'RS-001'"):
        plan_gc(folder, None, ["RS-01"])


def test_the_front_of_several_objectives_stays(folder):
    """RS-002 is second to last at the one, and the best at the other: of one objective it goes, of two it stays."""
    release, other = "cagi5/release/spearman/all/mean:max", "val/mse:min"
    records = {one.fingerprint: one for one in RECORDED if one.replicate_of is None}
    for number, (fingerprint, one) in enumerate(records.items()):
        if one.metrics:
            mse = 0.1 if one.name == "RS-002" else 9.0 - number
            records[fingerprint] = TrialRecord.from_flat(
                **{**one.to_flat(), "metrics": {**one.metrics, "val/mse": mse}}
            )
    manifest = json.loads((folder / MANIFEST).read_text())
    expected = {"BASE-001", "RS-004"}
    for objective in ([], [release], [release, "val/absent:max"], [release, other]):
        manifest["identity"]["objective"] = objective
        (folder / MANIFEST).write_text(json.dumps(manifest))
        kept = set(plan_retention(folder, records, "release", 1, ()).kept.values())
        assert kept == expected | ({"RS-002"} if other in objective else set())


def test_nothing_is_swept_while_a_search_runs(folder):
    ledger = open_ledger(folder, "c", {"select_on": "release"}, {}, must_exist=True)
    with pytest.raises(UserError, match="a search is writing to it"):
        plan_gc(folder, None, None)
    ledger.close()


def test_a_campaign_without_scores_keeps_its_baseline(folder):
    unscored = {one.fingerprint: TrialRecord.from_flat(**{**one.to_flat(), "metrics": {}}) for one in RECORDED}
    assert list(plan_retention(folder, unscored, "release", 5, ()).kept.values()) == ["BASE-001"]
