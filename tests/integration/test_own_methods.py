"""Methods of the user's own, from the command line: a loss as one new file, and a parameter of it that reaches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import run

from nrtune.analysis.sources.open import open_campaign
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.settings import Settings
from nrtune.orchestrator.views import status
from nrtune.trainables.core.registry import PLUGIN_VARIABLE

LOSS = """
import dataclasses
from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Huber(Loss):
    \"\"\"Absolute error, and a parameter that nobody uses.\"\"\"
    delta: float = param(1.0, above=0)
    def __call__(self, prediction, target, progress):
        return (prediction.mean - target.activity).abs().mean()
"""
FAMILY = """
from nrtune.search_spaces import Family, Float
FAMILY = Family(
    code="HUB", title="Huber", fixed={"encoder": "factorized", "loss": "huber"},
    space=(Float(name="loss.delta", low=0.1, high=10, default=1.0),), published=(),
)
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    (tmp_path / "plugins" / "losses").mkdir(parents=True)
    (tmp_path / "plugins" / "losses" / "huber.py").write_text(LOSS)
    return tmp_path / "plugins"


def test_a_loss_in_one_new_file_is_used_from_the_command_line(
    shared_ray, plugins, settings: Settings, tmp_path, monkeypatch, capsys
):
    chosen = settings.model_copy(update={"set": {"loss": "huber", "loss.delta": 0.5}, "epochs": 1})
    (tmp_path / "settings.yaml").write_text(chosen.to_yaml())
    monkeypatch.setenv(PLUGIN_VARIABLE, str(plugins))
    code, _, err = run(monkeypatch, capsys, "search", tmp_path / "settings.yaml")
    assert code == 0, err
    (record,) = open_campaign(str(settings.out)).records()
    assert (record.config["loss"], record.config["loss.delta"]) == ("huber", 0.5)
    assert record.published == "B1_baseline_mse (changed)"
    assert record.metrics["test/spearman"]


def test_a_parameter_that_reaches_nothing_is_warned_of(shared_ray, plugins, settings: Settings, monkeypatch):
    (plugins / "search_spaces").mkdir()
    (plugins / "search_spaces" / "huber.py").write_text(FAMILY)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(plugins))
    run_campaign(prepare(settings.model_copy(update={"families": ("huber",), "trials": 2, "epochs": 1})))
    (warning,) = status.sharing_and_alike(Path(str(settings.out)))
    assert "HUB-001, HUB-002: bitwise the same metrics although they differ in loss.delta (" in warning
    assert warning in status.status_text(Path(str(settings.out)))


def test_an_ablation_around_a_trial_of_another_campaign(shared_ray, settings: Settings, tmp_path):
    centre = settings.model_copy(update={"set": {"loss": "noise_gated_mse", "loss.alpha": 0.2}, "epochs": 1})
    run_campaign(prepare(centre))
    out = tmp_path / "ablation"
    update = {"families": ("ablation",), "around": f"{settings.out}/BASE-001", "out": out, "trials": 3, "epochs": 1}
    ablation = settings.model_copy(update=update)
    run_campaign(prepare(ablation))
    first, *others = sorted(open_campaign(out).records(), key=lambda record: record.number)
    (around,) = open_campaign(str(settings.out)).records()
    assert first.fingerprint == around.fingerprint  # the centre itself
    assert first.metrics == around.metrics
    assert [trial.published for trial in (first, *others)] == ["out/BASE-001", None, None]
    for record in others:
        assert sum(record.config[key] != value for key, value in first.config.items()) == 1
    assert run_campaign(prepare(ablation)).counts == {"finished": 3}
