"""Methods of the user's own, each as one new file: what docs/extending.md shows, used together and with every command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from documents import TOP, blocks
from in_process import run

import nrtune
from nrtune.analysis.sources.open import open_campaign
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.search.encoders import encoder_space
from nrtune.orchestrator.state.locations import tracking_uri
from nrtune.orchestrator.state.settings import Settings
from nrtune.orchestrator.views import status
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.benchmarks import BENCHMARKS
from nrtune.trainables.evaluation.metrics import spearman

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
    assert record.published == "B1_baseline_mse (on motif_cnn) (changed)"
    assert record.metrics["test/spearman"]


def test_a_parameter_that_reaches_nothing_is_warned_of(shared_ray, plugins, settings: Settings, monkeypatch):
    (plugins / "search_spaces").mkdir()
    (plugins / "search_spaces" / "huber.py").write_text(FAMILY)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(plugins))
    # What is searched of the family's encoder does reach the training.
    fixed = {p.name: p.default for p in encoder_space("factorized", "small").parameters}
    chosen = settings.model_copy(update={"families": ("huber",), "trials": 2, "epochs": 1, "set": fixed})
    run_campaign(prepare(chosen))
    (warning,) = status.remarks(Path(str(settings.out)))
    assert "HUB-001, HUB-002: bitwise the same metrics although they differ in loss.delta (" in warning
    assert warning in status.status_text(Path(str(settings.out)))


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in files of docs/extending.md, and the variants that it makes."""
    folder = tmp_path_factory.mktemp("documented")
    text = (TOP / "docs" / "extending.md").read_text()
    for block in blocks(text):
        if block.file.startswith("my_methods/"):
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    made = next(
        block.text for block in blocks(text) if "json.dump" in block.text and block.kind == "python" and not block.file
    )
    exec(made.replace('"mine.promoters.json"', repr(str(folder / "mine.promoters.json"))), {})
    return folder


@pytest.fixture(scope="module")
def promoters(shared_ray, documented, simulated_folder, tmp_path_factory) -> Iterator[Path]:
    """A campaign with a benchmark, a rule of early stopping, a loss and a tracker of the user's own."""
    from nrtune.trainables.data.simulate import HDF5_NAME

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(PLUGIN_VARIABLE, str(documented / "my_methods"))
        settings = Settings(
            families=("baseline", "noise_huber"), trials=2, epochs=3, grace_epochs=1, reduction_factor=2,
            data=simulated_folder / HDF5_NAME, out=tmp_path_factory.mktemp("promoters") / "out", max_concurrent=1,
            set={"encoder": "factorized"}, scheduler="lowest_quarter", tracker="lines",
            benchmark={"promoters": documented / "mine.promoters.json"},
        )  # fmt: skip
        plan = prepare(settings)
        assert "mine.promoters: 40 variants; means are over P1" in plan.notes()
        assert run_campaign(plan).state == "finished"
        yield plan.folder


METRIC = "promoters/spearman/all/mean"


def test_a_benchmark_of_ones_own_is_scored_kept_and_compared(promoters, documented, tmp_path):
    campaign = nrtune.open_campaign(promoters)
    records = [record for record in campaign.records() if record.status == "finished"]
    assert records
    variants = BENCHMARKS.get("promoters").read(documented / "mine.promoters.json", length=230, cell_line=None)
    for record in records:
        stored = pd.read_parquet(promoters / "trials" / record.fingerprint / "predictions_promoters.parquet")
        expected = spearman(stored["variant_effect"], variants.value)
        assert record.metrics[METRIC] == record.metrics["promoters/spearman/all/P1"] == expected
    assert METRIC in campaign.references()["spectrum_ridge"]
    best = campaign.best("promoters")
    assert best.interval.low < best.metrics[METRIC] < best.interval.high
    assert set(best.predictions) == {"test", "promoters"}
    manifest = json.loads((promoters / "campaign.json").read_text())
    assert manifest["identity"]["promoters"] == variants.digest
    with pytest.raises(nrtune.UserError, match="holds a campaign with promoters"):
        run_campaign(prepare(Settings(**manifest["settings"] | {"benchmark": {}})))


def test_every_command_knows_it(promoters, documented, tmp_path, monkeypatch, capsys, few_figures):
    monkeypatch.setenv(PLUGIN_VARIABLE, str(documented / "my_methods"))
    code, out, err = run(monkeypatch, capsys, "data", "check", documented / "mine.promoters.json")
    assert (code, err) == (0, "")
    assert "Promoters, 40 variants" in " ".join(out.split())
    code, out, _ = run(monkeypatch, capsys, "best", promoters)
    assert "promoters" in out
    code, out, _ = run(monkeypatch, capsys, "report", promoters, "--out", tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Promoters Spearman" in text
    predictions = next(promoters.glob("trials/*/predictions_promoters.parquet"))
    given = f"promoters={documented / 'mine.promoters.json'}"
    code, out, err = run(monkeypatch, capsys, "score", predictions, "--benchmark", given, "--json")
    assert code == 0, err
    record = next(r for r in nrtune.open_campaign(promoters).records() if r.fingerprint == predictions.parent.name)
    assert json.loads(out)["metrics"][METRIC]["value"] == pytest.approx(record.metrics[METRIC])
    code, out, err = run(monkeypatch, capsys, "score", predictions, "--benchmark", given)
    assert "P1" in out
    code, out, _ = run(monkeypatch, capsys, "status", promoters)
    assert f"lines: {promoters}" in out


def test_a_rule_and_a_tracker_of_ones_own_are_used(promoters):
    head, *arrivals = map(json.loads, (promoters / "stopping.jsonl").read_text().splitlines())
    assert head["rule"] == "lowest_quarter"
    assert arrivals
    ended = [json.loads(line)["name"] for line in (promoters / "ended.jsonl").read_text().splitlines()]
    assert sorted(ended) == sorted(record.name for record in nrtune.open_campaign(promoters).records())
    assert not (promoters / "mlflow.db").exists()
    with pytest.raises(nrtune.UserError, match="its trials are shown by the tracker lines"):
        tracking_uri(promoters)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"benchmark": {"promotors": "x"}}, "unknown benchmark 'promotors'; did you mean"),
        ({"tracker": "line"}, "unknown tracker 'line'; did you mean"),
        ({"scheduler": "lowest_quartr"}, "--scheduler: input should be"),
    ],
)
def test_a_typo_is_one_sentence(change, wrong, documented, settings: Settings, monkeypatch):
    monkeypatch.setenv(PLUGIN_VARIABLE, str(documented / "my_methods"))
    with pytest.raises(nrtune.UserError, match=wrong):
        prepare(Settings(**settings.model_dump() | change))
