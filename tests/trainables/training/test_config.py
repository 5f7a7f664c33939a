"""TrialConfig and the registries: what is refused, what is kept, what names a trial."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from nrtune.trainables.core.component import omitted, param
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.losses import LOSSES
from nrtune.trainables.samplers import SAMPLERS
from nrtune.trainables.training.config import PRESETS, TrialConfig, preset


def test_flat_names_round_trip():
    config = TrialConfig.from_flat({"loss": "rank_stability", "loss.k": 2, "encoder.channels": 32, "lr": 1e-3})
    assert TrialConfig.from_flat(config.to_flat()) == config
    assert config.to_flat()["loss.k"] == 2.0
    assert config.to_flat()["encoder.lstm_units"] == 320


@pytest.mark.parametrize(
    ("flat", "message"),
    [
        ({"loss": "rank_stabilty"}, "unknown loss 'rank_stabilty'; did you mean 'rank_stability'?"),
        ({"encoder": "dream"}, "did you mean 'dream_rnn'"),
        ({"sampler": "unifrom"}, "did you mean 'uniform'"),
        ({"head": "pont"}, "did you mean 'point'"),
        ({"loss": "rank_stability", "loss.kk": 1}, "loss rank_stability has no parameter 'kk'; did you mean 'k'?"),
        ({"loss.k": 1}, "loss mse has no parameter 'k'; it has none"),
        ({"learning_rate": 1}, "unknown trial parameter 'learning_rate'"),
        ({"lr": 0}, "lr must be above 0, not 0"),
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"encoder.dropout": 1.5}, "dropout must be at most 0.95"),
        ({"encoder.channels": 33}, "channels must be even"),
        ({"precision": "fp8"}, "unknown precision"),
        ({"loss": "distributional"}, "use head distributional or dual"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(flat, message):
    with pytest.raises(UserError) as error:
        TrialConfig.from_flat(flat)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrialConfig().lr = 1.0  # type: ignore[misc]


def test_seed_zero_is_a_seed():
    assert TrialConfig(seed=0).fingerprint() != TrialConfig(seed=1).fingerprint()


def test_the_fingerprint_depends_on_the_configuration_and_the_data_alone():
    config = TrialConfig.from_flat(preset("small"))
    same = TrialConfig.from_flat(dict(reversed(preset("small").items())))
    assert config.fingerprint("a") == same.fingerprint("a") != config.fingerprint("b")
    assert TrialConfig.from_flat({**preset("small"), "lr": 0.004}).fingerprint("a") != config.fingerprint("a")


def test_a_parameter_that_came_later_changes_the_fingerprint_only_off_its_default():
    before = dataclasses.make_dataclass("Before", [("lr", float)], frozen=True)
    ema = ("ema", float, param(0.0, omitted_at_default=True))
    after = dataclasses.make_dataclass("After", [ema], bases=(before,), frozen=True)
    assert omitted(before(0.1)) == set()
    assert omitted(after(0.1)) == {"ema"}
    assert omitted(after(0.1, ema=0.9)) == set()


@pytest.mark.end_to_end
def test_the_fingerprint_is_the_same_in_a_fresh_process():
    code = "from nrtune import *; print(TrialConfig.from_flat(preset('small')).fingerprint('a'))"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == TrialConfig.from_flat(preset("small")).fingerprint("a")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_has_every_preset(name, encoder):
    assert name in ENCODERS.get(encoder).presets
    assert TrialConfig.from_flat(preset(name, encoder)).encoder.name() == encoder


@pytest.mark.parametrize("registry", [LOSSES, SAMPLERS, ENCODERS])
def test_every_file_is_registered_under_its_name(registry):
    folder = Path(sys.modules[registry.package].__file__).parent
    files = {p.stem for p in folder.glob("[!_]*.py")}
    assert set(registry) == files
    assert all(registry.get(name).name() == name for name in registry)


PLUGIN = """
import dataclasses
from nrtune.trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Loss):
    \"\"\"Absolute error.\"\"\"
    def __call__(self, prediction, target, progress):
        return (prediction.mean - target.activity).abs().mean()
"""


def test_a_file_in_a_plugin_folder_is_registered(tmp_path, monkeypatch):
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "absolute.py").write_text(PLUGIN)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path))
    assert "absolute" in LOSSES
    assert TrialConfig.from_flat({"loss": "absolute"}).to_flat()["loss"] == "absolute"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("mse", PLUGIN, "a loss named 'mse' exists already"), ("two", PLUGIN + PLUGIN.replace("Mine", "Other"), "this 2")],
)
def test_plugins_that_clash_are_refused(tmp_path, monkeypatch, name, content, message):
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / f"{name}.py").write_text(content)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=message):
        LOSSES.get(name)


def test_a_missing_plugin_folder_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UserError, match="is not a folder"):
        LOSSES.names()
