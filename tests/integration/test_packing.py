"""`auto` measures how many trials to run at once, keeps what it found, and allocation may be adaptive."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import ray

from nrtune.analysis.store.records import read_records
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.execution import packing
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.training.config import TrialConfig, preset


def test_what_was_measured_is_kept(shared_ray, simulated_data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "PROBE_SECONDS", 0.5)
    config = TrialConfig.from_flat(preset("small", "factorized")).to_flat()
    nodes, said = [{"CPU": 2.0, "memory": 8e9}], []
    each = packing.packed(tmp_path, config, simulated_data, nodes, said.append)
    found = json.loads((tmp_path / packing.PACKING).read_text())
    assert found["each"] == each
    assert found["device"] == {"gpu": False, "memory": int(8e9), "cpus": 2}
    assert {"1", "2"} == set(found["measured"])
    assert all(measured["rate"] > 0 for measured in found["measured"].values())
    assert all(measured["memory"] > 100e6 for measured in found["measured"].values())  # Python and torch are more
    assert [line.partition(" ")[0] for line in said] == ["measuring", str(2 // int(each["cpu"]))]
    monkeypatch.setattr(packing, "most_that_pay", lambda *_: pytest.fail("measured again"))
    assert packing.packed(tmp_path, config, simulated_data, nodes, said.append) == each


@pytest.mark.slow
def test_cores_are_shared_as_measured_and_a_restart_does_not_measure_again(
    shared_ray, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(packing, "PROBE_SECONDS", 0.5)
    auto = settings.model_copy(
        update={"cpus_per_trial": "auto", "families": ("baseline", "distributional"), "trials": 2, "epochs": 1,
                "allocation": "adaptive", "min_trials": 1}
    )  # fmt: skip
    assert run_campaign(prepare(auto)).state == "finished"
    out = Path(str(auto.out))
    found = json.loads((out / packing.PACKING).read_text())
    cores = int(ray.cluster_resources()["CPU"])
    assert found["device"]["cpus"] == cores
    assert found["each"]["gpu"] == 0
    assert found["measured"]["1"]["rate"] > 0
    assert found["measured"]["1"]["memory"] > 100e6  # Python and torch are more than that
    records = read_records(out)
    families = Counter(r.family for r in records)
    assert families.total() == 4
    assert min(families.values()) >= 1
    assert all(r.cpu_seconds > 0 and r.gpu_seconds == 0 for r in records)

    # A restart packs as before, whatever this machine would say now.
    found["each"]["cpu"] = 1.0
    (out / packing.PACKING).write_text(json.dumps(found))
    monkeypatch.setattr(packing, "most_that_pay", lambda *_: pytest.fail("measured again"))
    assert run_campaign(prepare(auto.model_copy(update={"trials": 3}))).state == "finished"
    assert len(read_records(out)) == 6
