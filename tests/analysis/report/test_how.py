"""How a campaign was run: the command that a report says runs it again, and what it took."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from many_trials import write_many

from nrtune.analysis.report.document import Step, Table
from nrtune.analysis.report.how import how_it_was_run, settings_of
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import MANIFEST
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.campaign.checks import absolute_paths
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.orchestrator.state.software import software

GIVEN = Settings(
    data=Path("a b.h5"), cagi5=Path("cagi5"), out=Path("out"), name="mine", trials=7, encoders=(), epochs=3,
    set={"encoder.dropout": 0.25, "both_strands": False}, vary={"batch_size": (32, 64)}, prices={"gpu_hour": 2.5},
    objective=("test/spearman:max",), use_case=("overall",), grace_epochs=2, address="auto",
)  # fmt: skip


@pytest.fixture
def campaign(tmp_path: Path) -> Comparisons:
    folder = write_many(tmp_path / "my search", 4)
    manifest = json.loads((folder / MANIFEST).read_text())
    said = GIVEN.model_dump(mode="json", exclude={"resume", "tracking_uri"}, exclude_none=True)
    (folder / MANIFEST).write_text(json.dumps(manifest | {"settings": absolute_paths(said), "software": software()}))
    return Comparisons(open_campaign(folder))


def test_the_command_runs_it_again_with_the_same_settings(campaign, tmp_path):
    step = next(block for block in how_it_was_run(campaign, tmp_path / "report") if isinstance(block, Step))
    nrtune, command, settings, out, new = shlex.split(step.command)
    assert (nrtune, command, out, new) == ("nrtune", "search", "--out", str(tmp_path / "my search-again"))
    assert settings == str(tmp_path / "report" / "settings.yaml")
    file = tmp_path / "settings.yaml"
    file.write_text(settings_of(campaign.source) or "")
    again = load_settings(file, {"out": new}, Settings)
    where = {"data": GIVEN.data and GIVEN.data.resolve(), "cagi5": GIVEN.cagi5 and GIVEN.cagi5.resolve()}
    assert again == GIVEN.model_copy(update={**where, "out": Path(new), "name": None, "address": None})


def test_versions_device_and_hours_are_said(campaign, tmp_path):
    rows = next(block for block in how_it_was_run(campaign, tmp_path) if isinstance(block, Table)).rows
    said = {key.text: value.text for key, value in rows}
    assert said["wall time"] == "0.00 h"
    assert said["training time"] == f"{4 / 3600:.2f} h"
    assert "GPU time" not in said  # nothing knows it
    assert said["run with: torch"] == software()["torch"]
    assert said["run with: device"]


def test_a_table_of_trials_can_not_be_run_again(real_data):
    source = open_campaign(real_data / "study" / "published_trials.csv")
    assert settings_of(source) is None
