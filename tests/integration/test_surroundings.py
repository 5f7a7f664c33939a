"""A search beside what else goes on in its process and on its machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_records import mlflow_runs
from command_line import CommandLine

from nrtune.analysis.store.records import read_records
from nrtune.orchestrator.state.settings import Settings

NOTEBOOK = """
import json, logging, os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["TUNE_RESULT_DELIM"] = "/"
import matplotlib, nrtune, optuna, ray
from pathlib import Path
from nrtune.orchestrator.execution.ray_session import ray_session
from nrtune.orchestrator.state.settings import Settings, load_settings

def state():
    return {
        "variables": {name: value for name, value in os.environ.items() if name.startswith(("RAY_", "TUNE_"))},
        "loggers": [logging.getLogger(name).level for name in ("", "ray", "ray.tune", "optuna")],
        "backend": matplotlib.rcParams._get_backend_or_none(),
        "ray": ray.is_initialized(),
    }

before = state()
with ray_session(None):
    cores = ray.cluster_resources()["CPU"]
    within = state()
    nrtune.search(sys.argv[1])
    left = state()
after = state()
print(json.dumps({"before": before, "within": within, "left": left, "after": after, "cores": cores}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_in_a_notebook_all_is_as_before_and_a_ray_that_ran_still_runs(settings: Settings, tmp_path: Path):
    path = tmp_path / "settings.yaml"
    path.write_text(settings.model_copy(update={"epochs": 1}).to_yaml())
    # Without what the Ray of the tests has set.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    done = subprocess.run([sys.executable, "-c", NOTEBOOK, path], capture_output=True, text=True, check=True, env=clean)
    told = json.loads(done.stdout)
    assert told["cores"] == 1  # of its affinity, whatever the machine has
    assert told["left"] == told["within"]
    assert told["after"] == told["before"]
    assert "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS" not in told["after"]["variables"]
    assert told["after"]["variables"]["TUNE_RESULT_DELIM"] == "/"


@pytest.mark.slow
def test_a_folder_that_is_renamed_while_a_search_runs_is_left_whole_and_goes_on_there(
    settings: Settings, tmp_path: Path
):
    command = CommandLine(settings.model_copy(update={"trials": 2, "epochs": 6, "grace_epochs": 6}), tmp_path)
    renamed = tmp_path / "renamed"
    with command.start() as process:
        process.wait_until(lambda: any(command.out.glob("trials/*/last.pt")), "a trial trains")
        command.out.rename(renamed)
        code = process.end()
    assert (code, command.out.exists()) == (2, False)
    assert (
        f"{command.out}: was renamed or removed while it was written to; nothing that is there is lost" in process.err
    )
    assert "Traceback" not in process.err
    again = settings.model_copy(update={"trials": 2, "epochs": 6, "grace_epochs": 6, "out": renamed})
    CommandLine(again, tmp_path).finish()
    assert [record.status for record in read_records(renamed)] == ["finished", "finished"]
    assert not command.out.exists()
    parents, children = mlflow_runs(renamed)
    assert (len(parents), {run.info.status for run in children}) == (1, {"FINISHED"})
