"""`nrtune replicate`: finalists with fresh seeds in the books of their campaign, which goes on as if there were none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import pytest
from campaign_records import copied, mlflow_runs, steps
from command_line import Command

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import TrialRecord, read_manifest, read_records
from nrtune.analysis.store.sealed import DIGEST, NUMBER
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.replication import Replication, prepare_replication
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.copies import COPIED_FROM, PLACE
from nrtune.orchestrator.state.settings import Settings, StudySettings, load_replication
from nrtune.orchestrator.views import status
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.simulate import HDF5_NAME

LOSS = """
import dataclasses, pathlib
from nrtune.trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Fickle(Loss):
    \"\"\"Squared error, until a file says otherwise.\"\"\"
    def __call__(self, prediction, target, progress):
        if pathlib.Path({marker!r}).exists():
            raise RuntimeError("on purpose")
        return (prediction.mean - target.activity).square().mean()
"""
FAMILIES = ("baseline", "factorized")
USE_CASES = ("overall", "in_distribution")


def replication(folder: Path, **flags: Any) -> Replication:
    return prepare_replication(load_replication(folder, {"top": 1, "seeds": 2, "use_case": USE_CASES, **flags}))


def replicates(folder: Path) -> dict[str, TrialRecord]:
    return {record.name: record for record in read_records(folder) if record.replicate_of is not None}


def own(folder: Path) -> dict[str, tuple[int, str, Mapping[str, Any], Mapping[str, float]]]:
    """What the search itself proposed, and what came of it."""
    return {r.name: (r.number, r.status, r.config, r.metrics) for r in read_records(folder) if r.replicate_of is None}


@pytest.fixture(scope="module")
def marker(tmp_path_factory) -> Iterator[Path]:
    """A loss of the user's own, and the file that makes it fail."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "losses").mkdir()
    (folder / "losses" / "fickle.py").write_text(LOSS.format(marker=str(folder / "marker")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGIN_VARIABLE, str(folder))
        yield folder / "marker"


@pytest.fixture(scope="module")
def search(simulated_folder, tmp_path_factory, marker) -> Settings:
    return Settings(
        families=FAMILIES,
        data=simulated_folder / HDF5_NAME,
        cagi5=simulated_folder / "cagi5",
        out=tmp_path_factory.mktemp("replicate") / "out",
        trials=2,
        epochs=1,
        set={"encoder": "factorized", "loss": "fickle"},
        max_concurrent=1,
    )


@pytest.fixture(scope="module")
def campaign(shared_ray, search) -> Path:
    """A search of two families with two trials each, before it was replicated."""
    run_campaign(prepare(search))
    return Path(str(search.out))


@pytest.fixture
def copy(campaign, tmp_path) -> Path:
    """The campaign in another folder."""
    return copied(campaign, tmp_path / "copy")


@pytest.fixture(scope="module")
def replicated(campaign, tmp_path_factory) -> Path:
    """The campaign with replicates: one finalist of each of two use cases and the baseline, two seeds."""
    folder = tmp_path_factory.mktemp("replicated") / "out"
    copied(campaign, folder)
    outcome = run_campaign(replication(folder))
    assert outcome.state == "finished"
    assert outcome.counts == {"finished": len(replicates(folder))}
    return folder


def test_finalists_and_the_baseline_are_trained_with_fresh_seeds(campaign, replicated):
    names = {Comparisons(open_campaign(campaign)).find(use_case).name for use_case in USE_CASES}
    names |= {Comparisons(open_campaign(campaign)).find(use_case).winner.baseline for use_case in USE_CASES}
    found = replicates(replicated)
    # The search's own seed is 0.
    assert set(found) == {f"{name}/s{seed}" for name in names for seed in (1, 2)}
    originals = {record.name: record for record in read_records(campaign)}
    for name, record in found.items():
        original = originals[record.replicate_of]
        assert name.startswith(f"{original.name}/s")
        assert (record.status, record.family, record.number) == ("finished", original.family, -1)
        assert record.config == {**original.config, "seed": int(name[-1])}
        assert record.epochs_trained == original.epochs_trained
        assert set(record.metrics) == set(original.metrics)
        assert record.metrics != original.metrics
    assert len({record.fingerprint for record in found.values()} | {r.fingerprint for r in originals.values()}) == len(
        found
    ) + len(originals)


def test_mlflow_has_a_run_a_replicate(replicated):
    found = replicates(replicated)
    parents, children = mlflow_runs(replicated)
    assert len(parents) == 1
    assert parents[0].data.metrics["replicates/finished"] == len(found)
    assert parents[0].data.metrics["trials/finished"] == 4
    runs = {run.info.run_name: run for run in children if "replicate_of" in run.data.tags}
    assert set(runs) == set(found)
    assert len(children) == 4 + len(found)
    for name, run in runs.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["replicate_of"] == found[name].replicate_of
        assert run.data.params["seed"] == run.data.tags["seed"] == str(found[name].config["seed"])
        assert run.data.metrics["test/spearman"] == pytest.approx(found[name].metrics["test/spearman"])
        assert steps(replicated, run, "val/spearman") == [1]


def test_replicates_leave_the_searchs_books_alone(campaign, replicated):
    assert (replicated / "optuna.journal").read_bytes() == (campaign / "optuna.journal").read_bytes()
    copy, original = read_manifest(replicated), read_manifest(campaign)
    assert copy.pop(COPIED_FROM) == [original.pop("id")] != [copy.pop("id")]
    assert copy.pop(PLACE) != original.pop(PLACE)
    assert copy == original
    assert (replicated / "trials.jsonl").read_bytes().startswith((campaign / "trials.jsonl").read_bytes())


def test_the_same_again_trains_nothing_and_more_seeds_add(replicated, tmp_path, marker):
    folder = Path(shutil.copytree(replicated, tmp_path / "copy"))
    before = read_records(folder)
    again = replication(folder)
    assert "nothing to do" in again.summary()
    assert run_campaign(again).state == "finished"
    assert read_records(folder) == before
    more = replication(folder, seeds=3, use_case=("overall",))
    assert "with seeds 1, 2, 3: 6 trainings, 4 done, about" in more.summary()
    marker.touch()
    assert run_campaign(more).counts == {"finished": 4, "failed": 2}
    marker.unlink()
    assert read_records(folder)[: len(before)] == before
    added = read_records(folder)[len(before) :]
    assert [(record.config["seed"], record.failure_class) for record in added] == [(3, "crashed"), (3, "crashed")]
    assert ", 2 failed of " in status.status_text(folder)


def test_status_and_trials_show_replicates_apart(replicated, capsys):
    found = replicates(replicated)
    text = status.status_text(replicated)
    assert "replication finished" in text.splitlines()[0]
    configurations = len({record.replicate_of for record in found.values()})
    assert f"replicates: {len(found)} finished of {configurations} configurations" in text
    assert "baseline: 2 finished" in text
    status.write_trials(replicated, status.trials_table(replicated, family=None, sort=None, ascending=False), "table")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert all(name in shown for name in found)
    winner = Comparisons(open_campaign(replicated)).find("overall").winner
    assert (winner.candidates, winner.replicates, winner.confirmed) == (2, 0, False)  # two seeds confirm nobody


@pytest.mark.slow
def test_three_seeds_confirm_a_winner(replicated, tmp_path):
    folder = Path(shutil.copytree(replicated, tmp_path / "copy"))
    assert run_campaign(replication(folder, seeds=3)).state == "finished"
    comparisons = Comparisons(open_campaign(folder))
    winner = comparisons.find("overall").winner
    assert (winner.candidates, winner.replicates, winner.confirmed) == (1, 3, True)
    assert winner.trainings == tuple(f"{winner.trial}/s{seed}" for seed in (1, 2, 3))
    assert verdict_of(comparisons, comparisons.compare("overall")).is_tested


@pytest.mark.slow
@pytest.mark.parametrize("more_trials", [False, True])
def test_an_interrupted_replication_goes_on_and_so_does_the_search(
    more_trials: bool, shared_ray, campaign, copy, search, tmp_path
):
    """Kill -9 after a replicate has ended and while another trains; the search; the same command again; more trials."""
    command = Command("replicate", copy, "--seeds", 2, "--use-case", "overall", "--max-concurrent", 1,
                      "--address", shared_ray)  # fmt: skip
    command.kill(lambda: bool(replicates(copy)) and bool(list(copy.glob("trials/*/last.pt"))))
    assert "replication interrupted" in status.status_text(copy)
    before = read_records(copy)

    outcome = run_campaign(prepare(search.model_copy(update={"out": copy})))
    assert (outcome.state, outcome.counts) == ("finished", {"finished": 4})
    assert read_records(copy) == before
    assert status.status_text(copy).startswith("out: finished")
    _, children = mlflow_runs(copy)
    assert "RUNNING" not in {run.info.status for run in children}

    again = replication(copy, top=5, use_case=("overall",))
    assert f"6 trainings, {len(before) - 4} done" in again.summary()  # two finalists and the baseline, two seeds
    assert run_campaign(again).counts == {"finished": 6}
    records = read_records(copy)
    assert records[: len(before)] == before
    assert len({record.name for record in records}) == len({record.fingerprint for record in records}) == len(records)
    assert len(records) == 4 + 6
    _, children = mlflow_runs(copy)
    assert sorted(run.info.run_name for run in children) == sorted(record.name for record in records)
    assert {run.info.status for run in children} == {"FINISHED"}
    assert not list(copy.glob("trials/*/last.pt"))

    if more_trials:
        without = copied(campaign, tmp_path / "without")
        for out in (without, copy):
            outcome = run_campaign(prepare(search.model_copy(update={"out": out, "trials": 3})))
            assert outcome.counts == {"finished": 6}
        assert own(copy) == own(without)
        assert len(replicates(copy)) == 6


@pytest.mark.slow
def test_a_study_is_replicated_and_goes_on(shared_ray, simulated_folder, tmp_path, capsys):
    out = tmp_path / "out"
    settings = StudySettings(
        data=simulated_folder / HDF5_NAME,
        cagi5=simulated_folder / "cagi5",
        out=out,
        epochs=1,
        only=("FE1",),
        max_concurrent=1,
    )
    run_campaign(prepare(settings))
    assert run_campaign(replication(out, seeds=1)).counts == {"finished": 1}
    assert set(replicates(out)) == {"FE1_factorized/s0"}
    assert {record.published for record in replicates(out).values()} == {None}
    before = read_records(out)
    assert run_campaign(prepare(settings)).counts == {"finished": 1}
    assert read_records(out) == before
    status.write_trials(out, status.trials_table(out, family=None, sort=None, ascending=False), "table")
    assert "FE1/s0          finished" in capsys.readouterr().out  # no column of families, as without replicates
    # Seeds of configurations that the study may yet train are not fresh.
    assert not {42, 123, 456} & set(replication(out, seeds=500).seeds)


def test_a_seed_that_some_trial_has_is_not_fresh(copy):
    path = copy / "trials.jsonl"
    another = json.loads(path.read_text().splitlines()[0])
    another |= {
        "name": "FAILED",
        "fingerprint": "0" * 16,
        "status": "failed",
        "config": {**another["config"], "seed": 2},
    }
    path.write_text(path.read_text() + json.dumps(another) + "\n")
    assert replication(copy, seeds=3).seeds == [1, 3, 4]


def test_what_a_loss_of_the_users_own_needs_is_said(copy, monkeypatch):
    monkeypatch.delenv(PLUGIN_VARIABLE)
    with pytest.raises(UserError, match=f"-00.: unknown loss 'fickle'.*{PLUGIN_VARIABLE} must be as it was"):
        replication(copy)


def change(path: Path, **changes: Any) -> None:
    """Change identity or settings of a manifest."""
    manifest = json.loads((path / "campaign.json").read_text())
    for key, value in changes.items():
        manifest[key] |= value
    (path / "campaign.json").write_text(json.dumps(manifest))


def test_other_data_are_refused(copy, simulated_folder, tmp_path):
    other = tmp_path / HDF5_NAME
    shutil.copy(simulated_folder / HDF5_NAME, other)
    change(copy, settings={"data": str(other)})
    replication(copy)
    with h5py.File(other, "r+") as file:
        file["Train/y"][0, 0] += 1
    with pytest.raises(UserError, match=f"{HDF5_NAME}: is not what .*copy was trained and scored on any more"):
        replication(copy)
    other.unlink()
    with pytest.raises(UserError, match=f"{HDF5_NAME}: no such file"):
        replication(copy)


def test_other_variants_are_refused(copy, simulated_folder, tmp_path):
    shutil.copytree(simulated_folder / "cagi5", tmp_path / "variants")
    change(copy, settings={"cagi5": str(tmp_path / "variants")})
    path = tmp_path / "variants" / "release_SIM1.tsv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match=r"variants: is not what .*copy was trained and scored on any more"):
        replication(copy)


def test_what_can_not_be_replicated_is_said(copy, tmp_path):
    with pytest.raises(UserError, match="--use-case overal: unknown; did you mean 'overall'"):
        replication(copy, use_case=("overal",))
    lines = (copy / "trials.jsonl").read_text().splitlines(keepends=True)
    changed = [{k: v for k, v in json.loads(line).items() if k not in (NUMBER, DIGEST)} for line in lines]
    for record in changed:
        record["config"]["lr"] = 0.123
    (copy / "trials.jsonl").write_text("".join(json.dumps(record) + "\n" for record in changed))
    with pytest.raises(UserError, match="what its configuration builds has changed"):
        replication(copy)
    (copy / "trials.jsonl").write_text("")
    (copy / "status.json").unlink()  # which tells how many there were
    with pytest.raises(UserError, match=r"there is nothing to replicate .use case overall: no finished trial has"):
        replication(copy)
    change(copy, identity={"recipe": 1})
    with pytest.raises(UserError, match="recipe 1, not"):
        replication(copy)
    change(copy, identity={"command": "import"})
    with pytest.raises(UserError, match="neither a search nor a study"):
        replication(copy)
