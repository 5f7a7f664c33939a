"""`nrtune replicate`: finalists with fresh seeds in the books of their campaign, which goes on as if there were none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import pytest
from books import mlflow_runs, steps
from command_line import Command

from analysis import open_campaign
from analysis.books import TrialRecord, read_records, read_status
from orchestrator import views
from orchestrator.replication import Replication
from orchestrator.search import Search
from orchestrator.settings import Settings, StudySettings, load_replication
from orchestrator.study import Study
from trainables.data.simulate import HDF5_NAME
from trainables.errors import UserError
from trainables.registry import PLUGIN_VARIABLE

FAMILIES = ("baseline", "factorized")
USE_CASES = ("overall", "in_distribution")


def replication(folder: Path, **flags: Any) -> Replication:
    return Replication(load_replication(folder, {"top": 1, "seeds": 2, "use_case": USE_CASES, **flags}))


def replicates(folder: Path) -> dict[str, TrialRecord]:
    return {record.name: record for record in read_records(folder) if record.replicate_of is not None}


def own(folder: Path) -> dict[str, tuple[int, str, Mapping[str, Any], Mapping[str, float]]]:
    """What the search itself proposed, and what came of it."""
    return {r.name: (r.number, r.status, r.config, r.metrics) for r in read_records(folder) if r.replicate_of is None}


@pytest.fixture(scope="module")
def search(simulated_folder, tmp_path_factory) -> Settings:
    return Settings(
        families=FAMILIES,
        data=simulated_folder / HDF5_NAME,
        cagi5=simulated_folder / "cagi5",
        out=tmp_path_factory.mktemp("replicate") / "out",
        trials=2,
        epochs=1,
        set={"encoder": "factorized"},
        max_concurrent=1,
    )


@pytest.fixture(scope="module")
def campaign(shared_ray, search) -> Path:
    """A search of two families with two trials each, before it was replicated."""
    Search(search).run()
    return Path(str(search.out))


@pytest.fixture
def copy(campaign, tmp_path) -> Path:
    """The campaign in another folder."""
    return Path(shutil.copytree(campaign, tmp_path / "copy", ignore=shutil.ignore_patterns("ray")))


@pytest.fixture(scope="module")
def replicated(campaign, tmp_path_factory) -> Path:
    """The campaign with replicates: one finalist of each of two use cases and the baseline, two seeds."""
    folder = tmp_path_factory.mktemp("replicated") / "out"
    shutil.copytree(campaign, folder, ignore=shutil.ignore_patterns("ray"))
    outcome = replication(folder).run()
    assert outcome.state == "finished"
    assert outcome.counts == {"finished": len(replicates(folder))}
    return folder


def test_finalists_and_the_baseline_are_trained_with_fresh_seeds(campaign, replicated):
    names = {open_campaign(campaign).best(use_case).name for use_case in USE_CASES}
    names |= {open_campaign(campaign).best(use_case).winner.baseline for use_case in USE_CASES}
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
    for name in ("optuna.journal", "campaign.json"):
        assert (replicated / name).read_bytes() == (campaign / name).read_bytes()
    assert (replicated / "trials.jsonl").read_bytes().startswith((campaign / "trials.jsonl").read_bytes())


def test_the_same_again_trains_nothing_and_more_seeds_add(replicated, tmp_path):
    folder = Path(shutil.copytree(replicated, tmp_path / "copy"))
    before = read_records(folder)
    again = replication(folder)
    assert "nothing to do" in again.plan()
    assert again.run().state == "finished"
    assert read_records(folder) == before
    more = replication(folder, seeds=3, use_case=("overall",))
    assert "with seeds 1, 2, 3: 6 trainings, 4 done, about" in more.plan()
    assert more.run().counts == {"finished": 6}
    added = read_records(folder)[len(before) :]
    assert read_records(folder)[: len(before)] == before
    assert [record.config["seed"] for record in added] == [3, 3]


def test_status_and_trials_show_replicates_apart(replicated, capsys):
    found = replicates(replicated)
    text = views.status_text(replicated)
    assert "replication finished" in text.splitlines()[0]
    configurations = len({record.replicate_of for record in found.values()})
    assert f"replicates: {len(found)} finished of {configurations} configurations" in text
    assert "baseline: 2 finished" in text
    views.write_trials(views.trials_table(replicated, family=None, sort=None, ascending=False), "table")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert all(name in shown for name in found)
    assert open_campaign(replicated).best("overall").winner.candidates == 2


def test_a_search_goes_on_as_if_there_were_no_replicates(campaign, replicated, search, tmp_path):
    found = []
    for number, folder in enumerate((campaign, replicated)):
        out = Path(shutil.copytree(folder, tmp_path / str(number)))
        outcome = Search(search.model_copy(update={"out": out, "trials": 4})).run()
        assert (outcome.state, outcome.counts) == ("finished", {"finished": 8})
        found.append(own(out))
        assert len(replicates(out)) == len(replicates(folder))
    without, with_replicates = found
    assert with_replicates == without
    assert "replication" not in views.status_text(out).splitlines()[0]


def test_a_killed_replication_goes_on(copy, search):
    """Kill -9 after a replicate has ended and while another trains; then the search, then the same command again."""
    command = Command("replicate", copy, "--top", 2, "--seeds", 2, "--use-case", "overall", "--max-concurrent", 1)
    command.kill(lambda: bool(replicates(copy)) and bool(list(copy.glob("trials/*/last.pt"))))
    assert "replication interrupted" in views.status_text(copy)
    before = read_records(copy)
    assert Search(search.model_copy(update={"out": copy})).run().counts == {"finished": 4}
    assert read_records(copy) == before
    assert read_status(copy)["state"] == "finished"
    _, children = mlflow_runs(copy)
    assert {run.info.status for run in children} <= {"FINISHED", "KILLED"}
    replication(copy, top=2, use_case=("overall",)).run()
    records = read_records(copy)
    assert records[: len(before)] == before
    assert len({record.name for record in records}) == len({record.fingerprint for record in records}) == len(records)
    assert len(replicates(copy)) == 6
    _, children = mlflow_runs(copy)
    assert sorted(run.info.run_name for run in children) == sorted(record.name for record in records)
    assert {run.info.status for run in children} == {"FINISHED"}
    assert not list(copy.glob("trials/*/last.pt"))


def test_the_study_keeps_its_seeds(shared_ray, simulated_folder, tmp_path):
    out = tmp_path / "out"
    settings = StudySettings(
        data=simulated_folder / HDF5_NAME, cagi5=simulated_folder / "cagi5", out=out, epochs=1, only=("B1", "CL1")
    )
    Study(settings).run()
    names = list(own(out))
    assert replication(out, seeds=1).run().counts == {"finished": 2}
    assert set(replicates(out)) == {f"{name}/s0" for name in names}
    assert Study(settings).run().counts == {"finished": 2}
    assert "family" in views.trials_table(out, family=None, sort=None, ascending=False)
    # Seeds of configurations that the study may yet train are not fresh.
    assert not {42, 123, 456} & set(replication(out, seeds=500).seeds)


def test_trials_that_are_one_but_for_their_seed_are_replicated_once(copy):
    lines = (copy / "trials.jsonl").read_text().splitlines()
    twin = json.loads(lines[0])
    twin |= {"name": "TWIN", "fingerprint": "0" * 16, "config": {**twin["config"], "seed": 7}}
    (copy / "trials.jsonl").write_text("\n".join([*lines, json.dumps(twin)]) + "\n")
    assert twin["family"] == "baseline"
    records = {record.name: record for record in read_records(copy)}
    of_twin = next(record for record in records.values() if record.fingerprint == json.loads(lines[0])["fingerprint"])
    assert of_twin.metrics == records["TWIN"].metrics
    plan = replication(copy, seeds=8)
    assert plan.seeds == [1, 2, 3, 4, 5, 6, 8, 9]


LOSS = """
import dataclasses, pathlib
from trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Fickle(Loss):
    \"\"\"Squared error, until a file says otherwise.\"\"\"
    def __call__(self, prediction, target, progress):
        if pathlib.Path({marker!r}).exists():
            raise MemoryError("out of memory")
        return (prediction.mean - target.activity).square().mean()
"""


def test_a_loss_of_the_users_own_is_replicated_and_may_fail(shared_ray, settings: Settings, tmp_path, monkeypatch):
    marker, out = tmp_path / "marker", Path(str(settings.out))
    (tmp_path / "plugins" / "losses").mkdir(parents=True)
    (tmp_path / "plugins" / "losses" / "fickle.py").write_text(LOSS.format(marker=str(marker)))
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path / "plugins"))
    Search(settings.model_copy(update={"set": {"loss": "fickle"}, "epochs": 1})).run()
    assert replication(out, seeds=1).run().counts == {"finished": 1}
    marker.touch()
    assert replication(out, seeds=2).run().counts == {"finished": 1, "failed": 1}
    assert replicates(out)["BASE-001/s2"].failure_class == "oom"
    assert "replicates: 1 finished, 1 failed of 1 configuration\n" in views.status_text(out)
    monkeypatch.delenv(PLUGIN_VARIABLE)
    with pytest.raises(UserError, match=f"BASE-001: unknown loss 'fickle'.*{PLUGIN_VARIABLE} must be as it was"):
        replication(out)


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
    with pytest.raises(UserError, match="variants: is not what .*copy was trained and scored on any more"):
        replication(copy)


def test_what_can_not_be_replicated_is_said(copy, tmp_path):
    with pytest.raises(UserError, match="--use-case overal: unknown; did you mean 'overall'"):
        replication(copy, use_case=("overal",))
    lines = (copy / "trials.jsonl").read_text().splitlines(keepends=True)
    changed = [json.loads(line) for line in lines]
    for record in changed:
        record["config"]["lr"] = 0.123
    (copy / "trials.jsonl").write_text("".join(json.dumps(record) + "\n" for record in changed))
    with pytest.raises(UserError, match="what its configuration builds has changed"):
        replication(copy)
    (copy / "trials.jsonl").write_text("")
    with pytest.raises(UserError, match="there is nothing to replicate .use case overall: no finished trial has"):
        replication(copy)
    change(copy, identity={"recipe": 1})
    with pytest.raises(UserError, match="recipe 1, not"):
        replication(copy)
    change(copy, identity={"command": "import"})
    with pytest.raises(UserError, match="neither a search nor a study"):
        replication(copy)
