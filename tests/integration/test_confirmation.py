"""A search that goes on to confirm its winners: through the command line, and struck in the midst of it."""

from __future__ import annotations

import json
import math
import shlex
import signal
from collections import Counter
from pathlib import Path

import pytest
from campaign_records import copied, mlflow_runs
from command_line import Command
from in_process import run
from mlflow import MlflowClient
from test_interruptions import bare

import nrtune
from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import TrialRecord, read_records
from nrtune.analysis.uncertainty.compared import BETTER, SAME, WORSE
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import p_value
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.lifecycle.stopping import STOPPING
from nrtune.orchestrator.search.optuna_storage import open_storage
from nrtune.orchestrator.state.locations import default_uri
from nrtune.orchestrator.state.settings import Settings, load_replication, load_settings
from nrtune.orchestrator.views import status
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.simulate import HDF5_NAME

TRIALS, FAMILIES, USE_CASE = 4, ("baseline", "factorized"), "in_distribution"
CONFIRMING = 8
KEYS = ("against_baseline", "against_non_neural", "seeds", "improvement", "interval", "p_adjusted", "significantly_worse",
        "not_significantly_different", "significantly_better", "minimum_detectable_improvement", "recommendation",
        "recommended_trial")  # fmt: skip
"""Of a verdict, which programs rely on."""


@pytest.fixture(scope="module")
def options(simulated_folder: Path) -> list[object]:
    """Eight trials, and half as many again … to eight more: three of the baseline, two finalists, and more of the leader."""
    return ["--families", ",".join(FAMILIES), "--data", simulated_folder / HDF5_NAME, "--trials", TRIALS,
            "--cagi5", simulated_folder / "cagi5", "--set", "encoder=factorized", "--epochs", 3, "--confirm", 0.5,
            "--use-case", USE_CASE, "--max-concurrent", 1]  # fmt: skip


@pytest.fixture(scope="module")
def said(shared_ray: str, options: list[object], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A campaign that nobody disturbed, and what was said on standard error."""
    out = tmp_path_factory.mktemp("confirmation") / "out"
    return out, Command("search", *options, "--out", out, "--address", shared_ray).finish()


@pytest.fixture(scope="module")
def campaign(said: tuple[Path, str]) -> Path:
    return said[0]


def replicates(folder: Path) -> list[TrialRecord]:
    return [record for record in read_records(folder) if record.replicate_of is not None]


def test_a_search_ends_with_an_answer(said):
    folder, err = said
    found = Counter(str(record.replicate_of) for record in replicates(folder))
    assert "8 trials, then up to 8 trainings to confirm (--confirm 0.5)" in err
    assert f"; with fresh seeds: {found.total()} finished" in err
    assert "not confirmed" not in err
    comparisons = Comparisons(open_campaign(folder))
    verdict = verdict_of(comparisons, comparisons.compare(USE_CASE))
    assert verdict.is_tested
    assert verdict.seeds == {"winner": found[verdict.winner], "baseline": found[str(verdict.baseline)]}
    assert min(verdict.seeds.values()) >= MIN_SEEDS
    last = " ".join(err[err.index("finished: ") :].split())
    report, best = err.splitlines()[-2:]  # as they are run
    assert shlex.split(report) == ["nrtune", "report", "--open", str(folder)]
    assert shlex.split(best) == ["nrtune", "best", str(folder)]
    assert f"{USE_CASE}: {verdict.recommendation}: {verdict.winner} is {verdict.sentence()}" in last


def test_the_baselines_seeds_are_those_of_the_finalists_and_come_from_the_start(campaign):
    records = read_records(campaign)
    names = [record.name for record in records]
    own = [record for record in records if record.replicate_of is None]
    assert len(own) == TRIALS * len(FAMILIES)
    of_baseline = [f"BASE-001/s{seed}" for seed in range(1, MIN_SEEDS + 1)]
    assert max(map(names.index, of_baseline)) < names.index(own[-1].name)
    assert names.index("BASE-001/s1") == names.index("BASE-001") + 1
    assert MIN_SEEDS + 3 <= len(replicates(campaign)) <= CONFIRMING
    originals = {record.name: record for record in own}
    for record in replicates(campaign):
        original = originals[str(record.replicate_of)]
        seed = record.config["seed"]
        assert (record.name, record.family, record.number) == (f"{original.name}/s{seed}", original.family, -1)
        assert record.config == {**original.config, "seed": seed}
        assert seed in range(1, 11)


def test_replicates_are_no_trials_of_the_search(campaign):
    """Nobody was compared to them, none was stopped, no Optuna study knows them, and MLflow has a run of each."""
    import optuna

    fresh = {record.fingerprint for record in replicates(campaign)}
    assert {record.status for record in replicates(campaign)} == {"finished"}
    lines = [json.loads(line) for line in (campaign / STOPPING).read_text().splitlines()[1:]]
    arrived = {line["fingerprint"] for line in lines}
    assert arrived == {record.fingerprint for record in read_records(campaign)} - fresh
    storage = open_storage(campaign, None)
    for family in FAMILIES:
        proposed = optuna.load_study(study_name=family, storage=storage).trials
        assert not fresh & {trial.user_attrs.get("fingerprint") for trial in proposed}
        assert sum("fingerprint" in trial.user_attrs for trial in proposed) == TRIALS
    parents, children = mlflow_runs(campaign)
    assert parents[0].data.metrics["replicates/finished"] == len(fresh)
    runs = {run.info.run_name: run for run in children if "replicate_of" in run.data.tags}
    assert set(runs) == {record.name for record in replicates(campaign)}
    assert {run.info.status for run in children} == {"FINISHED"}


def test_checkpoints_stay_of_the_winner_and_of_what_confirms_it(campaign):
    winner = Comparisons(open_campaign(campaign)).find(USE_CASE).winner
    kept = {
        record.name for record in read_records(campaign) if (campaign / "trials" / record.fingerprint / BEST).exists()
    }
    for name in (winner.trial, str(winner.baseline)):
        assert {name, *(record.name for record in replicates(campaign) if record.replicate_of == name)} <= kept
    assert not list(campaign.glob("trials/*/last.pt"))


def test_the_same_again_trains_nothing_and_more_seeds_add(shared_ray, campaign, tmp_path, monkeypatch, capsys):
    folder = copied(campaign, tmp_path / "copy")
    before = read_records(folder)
    code, _, err = run(monkeypatch, capsys, "search", "--out", folder, "--resume")
    assert code == 0
    assert "starting Ray" not in err
    assert f"{USE_CASE}: " in err
    assert read_records(folder) == before
    assert status.status_text(folder).splitlines()[0].endswith(": finished")

    winner = Comparisons(open_campaign(folder)).find(USE_CASE).winner
    most = max(Counter(record.replicate_of for record in replicates(folder)).values())
    more = prepare(load_replication(folder, {"seeds": most + 1, "top": 1, "use_case": (USE_CASE,)}))
    run_campaign(more)
    added = [record for record in read_records(folder) if record not in before]
    counts = Counter(record.replicate_of for record in replicates(folder))
    assert counts[winner.trial] == counts[winner.baseline] == most + 1
    assert len(set(records := [record.fingerprint for record in read_records(folder)])) == len(records)
    assert added


def test_a_search_of_before_goes_on_without(campaign, tmp_path):
    folder = copied(campaign, tmp_path / "copy")
    manifest = json.loads((folder / "campaign.json").read_text())
    del manifest["settings"]["confirm"]
    (folder / "campaign.json").write_text(json.dumps(manifest))
    outcome = run_campaign(prepare(load_settings(None, {"out": folder, "resume": True}, Settings)))
    assert (outcome.state, outcome.confirming, outcome.confirmed) == ("finished", {}, ())


def test_replicate_knows_use_cases_of_the_users_own(campaign, tmp_path, monkeypatch, capsys):
    """The command that `nrtune best` recommends works as it is said."""
    folder = copied(campaign, tmp_path / "copy")
    own = tmp_path / "own.yaml"
    own.write_text("mine: {metrics: {test/pearson: max}}\n")
    asked = ("--use-cases", own, "--select-on", "val")
    records = [record for record in read_records(folder) if record.replicate_of is None]
    (folder / "trials.jsonl").write_text("".join(record.to_line() + "\n" for record in records))
    (folder / "status.json").unlink()  # which tells how many there were
    _, out, _ = run(monkeypatch, capsys, "best", folder, "--use-case", "mine", *asked)
    advice = " ".join(out[out.index("replicate first: ") :].split())
    command = advice.removeprefix("replicate first: nrtune ").split()[: 1 + 1 + len(asked) + 2]
    assert command == ["replicate", *map(str, (folder, *asked)), "--use-case", "mine"]
    plan = prepare(load_replication(folder, {"use_cases": own, "select_on": "val", "use_case": ("mine",), "top": 1}))
    assert plan.select_on == "val"
    assert {"mine"} <= set(plan.use_cases)
    code, _, err = run(monkeypatch, capsys, *command[:-2], "--use-case", "mien")
    assert (code, "--use-case mien: unknown; did you mean 'mine'" in err) == (2, True)


@pytest.mark.parametrize(
    ("number", "after"),
    [(signal.SIGKILL, 4), (signal.SIGINT, 1), (signal.SIGKILL, 6)],
)
@pytest.mark.slow  # `test_interruptions.py` strikes a search every time
def test_one_that_is_struck_while_it_confirms_decides_as_an_unharmed_one(
    number, after, shared_ray, campaign, options, tmp_path
):
    """After so many fresh seeds have ended and while another trains."""
    out = tmp_path / "struck"
    command = Command("search", *options, "--out", out, "--address", shared_ray)

    def confirming() -> bool:
        if not (out / "trials.jsonl").exists() or len(fresh := replicates(out)) < after:
            return False
        ended = {record.fingerprint for record in fresh}
        return any(path.parent.name not in ended for path in out.glob("trials/*/last.pt"))

    code, err = command.strike(number, confirming)
    assert code == (130 if number == signal.SIGINT else -number), err
    before = read_records(out)
    assert len(before) < len(read_records(campaign))
    if len(before) >= TRIALS * len(FAMILIES) + MIN_SEEDS:
        assert ": confirmation interrupted" in status.status_text(out).splitlines()[0]
    err = command.finish()
    assert bare(out) == bare(campaign)
    assert all(math.isfinite(value) for record in read_records(out) for value in record.metrics.values()), (
        "else nothing could be compared"
    )
    assert f"{USE_CASE}: " in err


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's registry
def test_everybody_says_the_same_numbers(campaign, few_figures, monkeypatch, capsys):
    """`nrtune best` for people and for programs, Python, the report and the model registry speak from one record."""
    _, out, _ = run(monkeypatch, capsys, "best", campaign, "--use-case", USE_CASE, "--json")
    told = json.loads(out)
    verdict, interval = told["verdict"], told["interval"]
    assert set(KEYS) <= set(verdict)
    assert verdict["against_baseline"] in (BETTER, SAME, WORSE)
    best = nrtune.open_campaign(campaign).best(USE_CASE)
    assert json.loads(json.dumps(best.verdict.to_dict())) == verdict
    assert (best.improvement.value, best.improvement.low, best.improvement.high) == (
        verdict["improvement"], *verdict["interval"])  # fmt: skip
    row = nrtune.open_campaign(campaign).winners().set_index("use_case").loc[USE_CASE]
    assert [row[name] for name in ("trial", "value", "low", "high", "improvement", "p_holm")] == [
        verdict["winner"], *(interval[name] for name in ("value", "low", "high", "improvement", "p_holm"))]  # fmt: skip

    run(monkeypatch, capsys, "report", campaign)
    report = campaign / "report"
    assert json.loads((report / "winners.json").read_text())[USE_CASE]["verdict"] == verdict
    run(monkeypatch, capsys, "register", campaign, "--use-case", USE_CASE, "--name", "answer")
    uri = default_uri(campaign)
    (version,) = MlflowClient(tracking_uri=uri, registry_uri=uri).search_model_versions("name='answer'")
    assert json.loads(version.tags["verdict"]) == verdict
    assert float(version.tags["interval.improvement"]) == verdict["improvement"]

    _, text, _ = run(monkeypatch, capsys, "best", campaign, "--use-case", USE_CASE)
    _, table, _ = run(monkeypatch, capsys, "best", campaign)
    improvement = f"{verdict['improvement']:+.3f}"
    ends = " to ".join(f"{end:+.3f}" for end in verdict["interval"])
    of_use_case = next(line for line in table.splitlines() if line.startswith(USE_CASE))
    assert " ".join((improvement, ends, p_value(verdict["p_adjusted"]))) in " ".join(of_use_case.split())
    assert f"improvement over the baseline {improvement}, {ends}" in " ".join(text.split())
    page = " ".join((report / "report.md").read_text().split()).replace("−", "-")
    assert f"| {improvement} | {ends} | {p_value(verdict['p_adjusted'])} |" in page
    detectable = f"{verdict['minimum_detectable_improvement']:.3f}"
    assert f"minimum detectable improvement (80 % power): {detectable}" in " ".join(text.split())
    assert f"| {detectable} | {improvement} | {verdict['seeds']['winner']} |" in page
    for said in (" ".join(text.split()), page):
        assert verdict["recommendation"].casefold() in said.casefold()
