"""Campaigns from Python: the same records as the command's, a winner trained again, Ctrl-C and a second call."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from command_line import Process
from in_process import run

import nrtune
from nrtune.analysis.store.records import read_records
from nrtune.trainables.data.simulate import HDF5_NAME

TIMES = ("seconds", "started", "ended", "cpu_seconds", "gpu_seconds")


def bare(folder: Path) -> list[dict[str, object]]:
    """What the trials were, times aside."""
    return [{k: v for k, v in record.to_flat().items() if k not in TIMES} for record in read_records(folder)]


@pytest.fixture(scope="module")
def chosen(simulated_folder: Path) -> dict[str, object]:
    return {"data": simulated_folder / HDF5_NAME, "cagi5": str(simulated_folder / "cagi5"), "trials": 1, "epochs": 2,
            "families": ["baseline", "rank_stability"], "set": {"encoder": "factorized"}, "max_concurrent": 1}  # fmt: skip


@pytest.fixture(scope="module")
def campaign(shared_ray, chosen, tmp_path_factory) -> nrtune.Campaign:
    return nrtune.search(**chosen, out=tmp_path_factory.mktemp("python") / "out")


def test_what_is_written_is_what_the_command_writes(campaign, chosen, tmp_path, monkeypatch, capsys):
    (tmp_path / "settings.yaml").write_text(nrtune.Settings(**chosen, out=tmp_path / "out").to_yaml())
    code, _, err = run(monkeypatch, capsys, "search", tmp_path / "settings.yaml")
    assert code == 0, err
    assert bare(tmp_path / "out") == bare(campaign.folder)
    manifests = [json.loads((folder / "campaign.json").read_text()) for folder in (tmp_path / "out", campaign.folder)]
    assert manifests[0]["identity"] == manifests[1]["identity"]
    assert manifests[0]["settings"].keys() >= manifests[1]["settings"].keys()


def test_the_same_call_trains_nothing_again_and_more_go_on(campaign, chosen):
    before = bare(campaign.folder)
    again = nrtune.search(nrtune.Settings(**chosen), out=campaign.folder)
    assert bare(again.folder) == before


def test_a_winner_is_trained_again_from_its_settings(campaign, chosen, tmp_path, monkeypatch, capsys):
    best = campaign.best("overall")
    path = tmp_path / "winner.yaml"
    path.write_text(best.config.to_yaml())
    code, out, _ = run(monkeypatch, capsys, "best", campaign.folder, "--use-case", "overall", "--as-settings")
    assert (code, out) == (0, path.read_text())
    again = nrtune.search(path, data=chosen["data"], cagi5=chosen["cagi5"], out=tmp_path / "again")
    (record,) = again.records()
    assert record.fingerprint == best.fingerprint
    assert dict(record.metrics) == dict(best.metrics)


@pytest.mark.slow
def test_finalists_are_replicated_and_figures_drawn(campaign, tmp_path):
    replicated = nrtune.replicate(campaign, top=1, seeds=2, use_case=["overall"])
    assert sum(record.replicate_of is not None for record in replicated.records()) >= 2
    assert "overall" in set(replicated.winners()["use_case"])
    compared = replicated.compare(campaign)
    assert (compared["difference"] == 0).all()
    assert campaign.plot("families").axes
    assert repr(replicated).startswith("Campaign(out: ")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"trails": 3}, "unknown key 'trails'; did you mean 'trials'"),
        ({"trials": 0}, "trials: input should be greater than or equal to 1, not 0"),
        ({"families": ["baselin"]}, "unknown family 'baselin'; did you mean 'baseline'"),
        ({"data": "none.h5"}, "none.h5"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(change, wrong, chosen, tmp_path):
    with pytest.raises(nrtune.UserError, match=wrong):
        nrtune.search(**{**chosen, "out": tmp_path / "out", **change})
    assert not (tmp_path / "out").exists()


SCRIPT = """
import sys, nrtune
fields = dict(data=sys.argv[1], cagi5=sys.argv[2], out=sys.argv[3], address=sys.argv[4], families=["baseline"], trials=2,
              epochs=400, set={"encoder": "factorized"}, max_concurrent=1, scheduler="none")
try:
    print("done", nrtune.search(**fields), file=sys.stderr)
except KeyboardInterrupt as error:
    print("left:", error, len(nrtune.open_campaign(sys.argv[3]).records()), file=sys.stderr)
"""


@pytest.mark.slow
def test_ctrl_c_leaves_everything_in_order(shared_ray, chosen, tmp_path):
    out = tmp_path / "out"
    arguments = map(str, (chosen["data"], chosen["cagi5"], out, shared_ray))
    with Process([sys.executable, "-c", SCRIPT, *arguments], dict(os.environ), folder=tmp_path) as process:
        process.wait_until(lambda: any(out.glob("trials/*/history.json")), "an epoch")
        assert process.end(signal.SIGINT) == 0, process.err
    assert process.err.splitlines()[-1] == "left: interrupted; the same call again goes on from here 0"
    status = json.loads((out / "status.json").read_text())
    assert status["state"] == "interrupted"
